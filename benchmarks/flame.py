"""Where a daemon of many PCM streams spends its CPU: a flame graph of its threads, as docs/capacity.md shows it.

    python -m benchmarks.flame --streams 24 --seconds 30 --out docs/pictures/flame.svg

Needs py-spy (the extra bench). It counts the time in which a thread holds the interpreter: what is no inference,
for OpenVINO lets go of it. So the whole of the picture is the share that the printed line's figures leave to it.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.daemon import cpu_seconds, status_mb
from benchmarks.load import WARM_S, loaded

RATE = 100  # samples a second


def titled(picture: str, streams: int) -> str:
    """With what it shows in place of py-spy's command line."""
    what = f"glatd run, {streams} streams of PCM: time in which a thread holds the interpreter"
    return re.sub(r'(<text id="title"[^>]*>)[^<]*', rf"\g<1>{what}", picture)


def main() -> None:
    """Record it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flame", description=__doc__)
    parser.add_argument("--streams", type=int, default=24)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--engine", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if spy is None:
        sys.exit("benchmarks.flame: needs py-spy (the extra bench): pip install -c constraints.txt py-spy")
    with (
        tempfile.TemporaryDirectory() as name,
        loaded(asked.engine, asked.streams, False, 0, Path(name)) as (run, pid, _),
    ):
        time.sleep(WARM_S)
        before, windows, began = cpu_seconds(pid), len(run.late), time.monotonic()
        subprocess.run(
            [spy, "record", "--pid", str(pid), "--duration", str(asked.seconds), "--rate", str(RATE),
             "--function", "--nonblocking", "--gil", "--output", str(asked.out)],
            check=True, capture_output=True,
        )  # fmt: skip
        seconds = time.monotonic() - began
        spent, seen = cpu_seconds(pid) - before, len(run.late) - windows
        asked.out.write_text(titled(asked.out.read_text(encoding="utf-8"), asked.streams), encoding="utf-8")
        print(f"{spent / seconds:.2f} cores, {1000 * spent / max(1, seen):.1f} ms of CPU a window, {status_mb(pid)}")


if __name__ == "__main__":
    main()
