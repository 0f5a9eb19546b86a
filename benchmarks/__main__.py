"""python -m benchmarks [all|NAME]: measure into docs/benchmarks/, render. NAME as --help lists them.

`all`, the default, is what `make bench` runs: glatd and its peers side by side, the daemon, and the runtimes, each
where its parts are there. `python -m benchmarks compare OLD.json NEW.json` ends with 1 where a ratio became worse.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import marked
from benchmarks.contenders import has_onnxruntime
from benchmarks.render import render
from glatd.errors import DataError, GlatdError

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BUNDLE = ROOT / "models" / "glat-mn04"
RECIPE = ROOT / "trainer" / "recipes" / "mn04.toml"
WHAT = (
    "all", "archive", "blanking", "cost", "daemon", "delivery", "events", "incremental", "load", "loader", "local",
    "peers", "runtimes", "viewers", "wheels", "render",
)  # fmt: skip
# Those whose figures stand in a page of their own, and those that cannot do without a corpus.
PAGES = {
    "archive": "archive.md", "cost": "capacity.md", "events": "events.md", "incremental": "incremental.md",
    "local": "capacity.md",
}  # fmt: skip
ON_A_CORPUS = ("blanking", "events", "local")
DATA = ROOT.parent / "shared" / "audio"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument("what", nargs="?", default="all", choices=WHAT)
    made.add_argument("bundle", nargs="?", type=Path, default=BUNDLE, help="weights bundle for runtimes")
    data = DATA if DATA.is_dir() else None
    made.add_argument("--data", type=Path, default=data, help="folder with corpus.csv and clips/")
    made.add_argument("--engine", type=Path, help="engine folder for daemon and peers; the default one otherwise")
    made.add_argument("--models", type=Path, help="folder with the published files of glatd's peers")
    made.add_argument("--turns", type=int, default=40, help="of latency (40); a quarter as many processes")
    made.add_argument("--scenes", type=int, default=400, help="for mAP (400)")
    made.add_argument("--minutes", type=int, default=60, help="for event F1, and as many to set thresholds on (60)")
    made.add_argument("--work", type=Path, help="folder in which scores of events are kept for another run")
    made.add_argument("--seconds", type=float, default=40.0, help="of each attempt of load (40)")
    made.add_argument("--threads", type=int, default=0, help="of inference, for load; 0 lets the runtime choose")
    made.add_argument("--streams", type=int, default=0, help="at full load, for viewers; 0 finds out")
    made.add_argument("--out", type=Path, default=DOCS, help="where benchmarks/*.json and benchmarks.md go")
    made.add_argument("--device", default="auto", help="of training, for loader: cpu or cuda")
    return made


def compare_files(arguments: list[str]) -> bool:
    """`compare OLD NEW`: whether nothing became worse."""
    from benchmarks.compare import compare

    made = argparse.ArgumentParser(prog="python -m benchmarks compare")
    made.add_argument("old", type=Path)
    made.add_argument("new", type=Path)
    asked = made.parse_args(arguments)
    return compare(asked.old, asked.new)


class Results:
    """The result files in a folder."""

    def __init__(self, out: Path) -> None:
        self.folder = out / "benchmarks"
        self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """Of a benchmark's file."""
        return self.folder / f"{name}.json"

    def keep(self, name: str, result: dict[str, Any]) -> None:
        """Write it."""
        text = json.dumps(result, indent=1, ensure_ascii=False)
        self.path(name).write_text(text + "\n", encoding="utf-8")

    def read(self, name: str) -> dict[str, Any] | None:
        """What an earlier run wrote.

        Raises:
            DataError: it is no JSON.
        """
        if not self.path(name).is_file():
            return None
        try:
            found: dict[str, Any] = json.loads(self.path(name).read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"cannot read {self.path(name)}: {error}; delete it to measure anew") from error
        return found


def measure(asked: argparse.Namespace) -> None:
    """What was asked for, into its files and pages.

    Raises:
        GlatdError: before anything is measured, where that shows already.
    """
    what, out, results = asked.what, asked.out, Results(asked.out)
    if what in ON_A_CORPUS and asked.data is None:
        raise DataError(f"{what} needs a corpus; give its folder, with corpus.csv and clips/, by --data")
    page = marked.ready(PAGES[what], out, DOCS) if what in PAGES else out / "benchmarks.md"
    before = {name: results.read(name) for name in ("cost", "events", "local")}
    if what in ("all", "peers"):
        from benchmarks.peers import measure as peers
        from benchmarks.peers import picture

        result = peers.measure(
            asked.bundle, asked.engine, asked.models, asked.data, asked.turns, asked.scenes, asked.seconds
        )
        results.keep("peers", result)
        picture.draw(result, out / "pictures")
    if what in ("all", "daemon"):
        from benchmarks import daemon

        results.keep("daemon", daemon.measure(asked.engine, max(1, asked.turns // 4)))
    if what == "all" and not (has_onnxruntime() and (asked.bundle / "model.json").is_file()):
        need = "a bundle, and pip install -c constraints.txt onnxruntime"
        print(f"runtimes left out; they need {need}", file=sys.stderr)
    elif what in ("all", "runtimes"):
        from benchmarks import runtimes

        results.keep("runtimes", runtimes.measure(asked.bundle, asked.data, asked.turns, asked.scenes))
    if what == "archive":
        from benchmarks import archive, archive_page

        results.keep(what, result := archive.measure())
        marked.fill(page, archive_page.lines(result))
    if what == "blanking":
        from benchmarks import blanking

        results.keep(what, blanking.measure(asked.data))
    if what in ("cost", "local"):
        from benchmarks import cost, cost_page, local

        if what == "cost":
            result = cost.measure(asked.bundle, min(asked.seconds, 10.0))
        else:
            result = local.measure(asked.data, RECIPE, asked.scenes, asked.minutes, asked.work)
        results.keep(what, result)
        both = before | {what: result}
        cost_page.write(page, both["cost"], both["local"])
    if what == "delivery":
        from benchmarks import delivery

        results.keep(what, delivery.measure())
    if what == "incremental":
        from benchmarks import incremental, incremental_page

        results.keep(what, result := incremental.measure(asked.engine, asked.turns))
        marked.fill(page, incremental_page.lines(result))
    if what == "load":
        from benchmarks import load

        results.keep(what, load.measure(asked.seconds, load.DOUBLE_S, asked.threads))
    if what == "loader":
        from benchmarks import loader

        results.keep(what, loader.measure(ROOT / "demo" / "street.ogg", asked.device))
    if what == "viewers":
        from benchmarks import viewers

        results.keep(what, viewers.measure(asked.streams, asked.seconds, asked.threads))
    if what == "events":
        from benchmarks import events, events_page

        earlier = before["events"] or {}
        result = events.measure(asked.data, RECIPE, asked.scenes, asked.minutes, asked.work, earlier)
        results.keep(what, result)
        marked.fill(page, events_page.lines(result))
    if what == "wheels":
        from benchmarks import wheels

        results.keep(what, wheels.measure())
    render(results.folder, out / "benchmarks.md")


def main() -> None:
    """Run what was asked for."""
    try:
        if sys.argv[1:2] == ["compare"]:
            sys.exit(0 if compare_files(sys.argv[2:]) else 1)
        measure(parser().parse_args())
    except GlatdError as error:
        sys.exit(f"python -m benchmarks: {error}")


if __name__ == "__main__":
    main()
