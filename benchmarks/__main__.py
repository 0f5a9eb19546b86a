"""python -m benchmarks [all|NAME]: measure into docs/benchmarks/, render. NAME as --help lists them.

`all`, the default, is what `make bench` runs: glatd and its peers side by side, the daemon, and the runtimes, each
where its parts are there. `python -m benchmarks compare OLD.json NEW.json` ends with 1 where a ratio became worse.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.contenders import has_onnxruntime
from benchmarks.render import render
from glatd.errors import GlatdError

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BUNDLE = ROOT / "models" / "glat-mn04"
WHAT = (
    "all", "archive", "blanking", "cost", "daemon", "delivery", "events", "incremental", "load", "loader", "local",
    "peers", "runtimes", "viewers", "wheels", "render",
)  # fmt: skip
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


def compare_files(arguments: list[str]) -> NoReturn:
    """`compare OLD NEW`."""
    from benchmarks.compare import compare

    made = argparse.ArgumentParser(prog="python -m benchmarks compare")
    made.add_argument("old", type=Path)
    made.add_argument("new", type=Path)
    asked = made.parse_args(arguments)
    try:
        sys.exit(0 if compare(asked.old, asked.new) else 1)
    except GlatdError as error:
        sys.exit(f"{made.prog}: {error}")


def main() -> None:
    """Run what was asked for."""
    if sys.argv[1:2] == ["compare"]:
        compare_files(sys.argv[2:])
    asked = parser().parse_args()
    out: Path = asked.out
    (out / "benchmarks").mkdir(parents=True, exist_ok=True)

    def keep(name: str, result: dict[str, Any]) -> None:
        path = out / "benchmarks" / f"{name}.json"
        path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    if asked.what in ("all", "peers"):
        from benchmarks.peers import measure, picture

        result = measure.measure(
            asked.bundle, asked.engine, asked.models, asked.data, asked.turns, asked.scenes, asked.seconds
        )
        keep("peers", result)
        picture.draw(result, out / "pictures")
    if asked.what in ("all", "daemon"):
        from benchmarks import daemon

        keep("daemon", daemon.measure(asked.engine, max(1, asked.turns // 4)))
    if asked.what == "all" and not (has_onnxruntime() and (asked.bundle / "model.json").is_file()):
        need = "a bundle, and pip install -c constraints.txt onnxruntime"
        print(f"runtimes left out; they need {need}", file=sys.stderr)
    elif asked.what in ("all", "runtimes"):
        from benchmarks import runtimes

        keep("runtimes", runtimes.measure(asked.bundle, asked.data, asked.turns, asked.scenes))
    if asked.what == "archive":
        from benchmarks import archive, archive_page

        result = archive.measure()
        keep("archive", result)
        archive_page.write(out / "archive.md", result)
    if asked.what == "blanking":
        from benchmarks import blanking

        keep("blanking", blanking.measure(asked.data))
    if asked.what in ("cost", "local"):
        from benchmarks import cost, cost_page, local

        if asked.what == "cost":
            keep("cost", cost.measure(asked.bundle, min(asked.seconds, 10.0)))
        else:
            recipe = ROOT / "trainer" / "recipes" / "mn04.toml"
            keep("local", local.measure(asked.data, recipe, asked.scenes, asked.minutes, asked.work))
        both = [out / "benchmarks" / f"{name}.json" for name in ("cost", "local")]
        read = [json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None for path in both]
        cost_page.write(out / "capacity.md", *read)
    if asked.what == "delivery":
        from benchmarks import delivery

        keep("delivery", delivery.measure())
    if asked.what == "incremental":
        from benchmarks import incremental, incremental_page

        result = incremental.measure(asked.engine, asked.turns)
        keep("incremental", result)
        incremental_page.write(out / "incremental.md", result)
    if asked.what == "load":
        from benchmarks import load

        keep("load", load.measure(asked.seconds, load.DOUBLE_S, asked.threads))
    if asked.what == "loader":
        from benchmarks import loader

        keep("loader", loader.measure(ROOT / "demo" / "street.ogg", asked.device))
    if asked.what == "viewers":
        from benchmarks import viewers

        keep("viewers", viewers.measure(asked.streams, asked.seconds, asked.threads))
    if asked.what == "events":
        from benchmarks import events, events_page

        recipe = ROOT / "trainer" / "recipes" / "mn04.toml"
        path = out / "benchmarks" / "events.json"
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        result = events.measure(asked.data, recipe, asked.scenes, asked.minutes, asked.work, before)
        keep("events", result)
        events_page.write(out / "events.md", result)
    if asked.what == "wheels":
        from benchmarks import wheels

        keep("wheels", wheels.measure())
    render(out / "benchmarks", out / "benchmarks.md")


if __name__ == "__main__":
    main()
