"""Nothing happens at import, and the base runs without torch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

BASE = ("glatd", "engines", "clients")  # folders; the trainer is the one that needs torch

# Imports the modules named by its arguments, each in turn, and prints what else happened. An event counts
# where the nearest frame outside the standard library is one of the house's: what numpy or PyAV do at their
# own import is theirs. The import system's own reads are no event, but an import of torch is one.
WATCH = """
import importlib, json, logging, os, sys, sysconfig, threading

house = tuple(os.path.join(path, "") for path in json.loads(sys.argv[1]))
library = os.path.join(sysconfig.get_path("stdlib"), "")
others = tuple(os.path.join(sysconfig.get_path(name), "") for name in ("purelib", "platlib"))
events = []
WATCHED = ("open", "socket.", "subprocess.Popen", "os.system", "os.mkdir", "os.remove")

def author():
    frame = sys._getframe(2)
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(house):
            return f"{path}:{frame.f_lineno}"
        if path.startswith(others) or path.startswith("<frozen importlib"):
            return None
        frame = frame.f_back
    return None

def hook(event, arguments):
    if event.startswith(WATCHED):
        where = author()
        if where is not None:
            events.append(f"{where}: {event} {str(arguments)[:80]}")

sys.addaudithook(hook)
for name in sys.argv[2:]:
    importlib.import_module(name)
    if "torch" in sys.modules:
        events.append(f"{name} imports torch")
        break
for name in ("sounddevice", "openvino", "tensorrt", "onnxruntime"):
    if name in sys.modules:
        events.append(f"{name} is imported at once; it is to be imported where it is used")
if threading.active_count() > 1:
    events.append(f"threads: {threading.enumerate()}")
if logging.getLogger().handlers:
    events.append(f"logging was set up: {logging.getLogger().handlers}")
print(json.dumps(events))
"""


def modules(tracked: list[str], *folders: str) -> list[str]:
    """Dotted names of the modules in folders."""
    names = []
    for file in tracked:
        folder = file.partition("/")[0]
        if folder in folders and file.endswith(".py"):
            path = Path(file) if folder == "glatd" else Path("glatd", file)
            parts = path.with_suffix("").parts
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return [name for name in names if not name.endswith("__main__")]


def python(*arguments: str) -> str:
    """What a fresh interpreter prints; warnings are errors there too."""
    command = [sys.executable, "-W", "error", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded(statement: str) -> set[str]:
    """Top-level packages that stand in sys.modules after a statement."""
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(python("-c", code).split())


def test_imports_of_the_base_do_nothing(tracked: list[str]) -> None:
    house = json.dumps([str(ROOT / folder) for folder in ("glatd", "engines", "trainer", "clients")])
    events = json.loads(python("-c", WATCH, house, *modules(tracked, *BASE)))
    assert not events, "\n".join(events)


def test_the_watch_sees_what_it_is_for(tmp_path: Path) -> None:
    """Were the watch blind, the test above would pass for ever."""
    (tmp_path / "noisy.py").write_text(
        "import pathlib, threading\npathlib.Path(__file__).read_text()\n"
        "threading.Thread(target=threading.Event().wait, args=(0.2,)).start()\n"
    )
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + WATCH
    events = json.loads(python("-c", code, json.dumps([str(tmp_path)]), "noisy"))
    assert any(": open " in event for event in events)
    assert any(event.startswith("threads:") for event in events)


def test_clients_are_light(tracked: list[str]) -> None:
    statement = f"import {', '.join(modules(tracked, 'clients'))}"
    assert not loaded(statement) & {"numpy", "av", "soxr", "sounddevice", "openvino", "torch"}


def test_help_loads_nothing_heavy() -> None:
    statement = (
        "import glatd.cli\n"
        "sys.argv = ['glatd', '--help']\n"
        "try: glatd.cli.main()\n"
        "except SystemExit as end: assert not end.code, end.code"
    )
    assert not loaded(statement) & {"numpy", "av", "soxr", "sounddevice", "openvino", "torch", "zmq"}


def test_the_cpu_engine_starts_no_telemetry(tmp_path: Path, home: Path) -> None:
    """OpenVINO sends statistics at import where a package of that name is installed."""
    fake = tmp_path / "openvino_telemetry"
    fake.mkdir()
    fake.joinpath("__init__.py").write_text("raise SystemExit('telemetry was imported')")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from glatd.engines.targets.cpu import runtime\n"
        "print(runtime().__version__)"
    )
    before = set(home.rglob("*"))
    assert python("-c", code).strip()
    assert set(home.rglob("*")) == before


@pytest.mark.parametrize("name", ["trainer", "engines", "clients"])
def test_bare_names_of_folders_are_banned(name: str) -> None:
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--stdin-filename", "glatd/x.py", "-"]
    source = f"import {name}.x\n\nprint({name}.x)\n"
    done = subprocess.run(command, cwd=ROOT, input=source, capture_output=True, text=True, check=False)
    assert f"import it as glatd.{name}" in done.stdout
