"""Where the time of a cold `glatd replay` goes: its steps, timed inside one fresh process.

    python -m benchmarks.stages FILE [ENGINE]

prints milliseconds of each step as JSON. It repeats what the command line and `load_engine` do.
"""

import json
import sys
import time
from pathlib import Path


def stages(file: Path, folder: Path | None) -> dict[str, float]:
    """Milliseconds by step, in order."""
    took: dict[str, float] = {}
    mark = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal mark
        now = time.perf_counter()
        took[name] = 1000 * (now - mark)
        mark = now

    import numpy  # noqa: F401

    lap("import numpy")
    from glatd.daemon.assembly import Assembly
    from glatd.daemon.settings import read_settings
    from glatd.daemon.sources.file import FileSource

    lap("import the daemon")
    from glatd.engines.targets import cpu

    cpu.runtime()
    lap("import openvino")
    from glatd.engines.load import default_engine, load_engine
    from glatd.engines.manifest import check_files, read_manifest

    check_files(folder or default_engine(), read_manifest(folder or default_engine()))
    lap("manifest and hashes (once more in the next)")
    engine = load_engine(folder)
    lap("load_engine")
    assembly = Assembly(read_settings(None, publish=""), engine)
    lap("silence through the front end")
    assembly.loop([assembly.track(FileSource(file), None)], [lambda message: None], live=False).run()
    lap("decode and tag")
    return took


if __name__ == "__main__":
    print(json.dumps(stages(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)))
