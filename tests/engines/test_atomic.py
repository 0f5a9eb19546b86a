"""A folder is whole or not there: killed builds, two at once, systems that cannot exchange folders."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from glatd.engines import atomic
from glatd.engines.atomic import put_in_place, sweep, work_folder


def fill(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in ("a", "b", "manifest.json"):
        (folder / name).write_text(text)
    return folder


def texts(folder: Path) -> set[str]:
    return {path.read_text() for path in folder.iterdir()}


def build(out: Path, text: str) -> None:
    with work_folder(out) as work:
        fill(work, text)
        put_in_place(work, out)


@pytest.fixture(params=[True, False], ids=["exchanged", "one after the other"])
def out(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for an engine, on a system that can exchange folders and on one that cannot."""
    if not request.param:
        monkeypatch.setattr(atomic, "exchange", lambda one, other: False)
    return tmp_path / "an *engine*"


def test_the_new_one_takes_the_place_and_nothing_is_left_beside(out: Path) -> None:
    for text in ("first", "second", "third"):
        build(out, text)
        assert texts(out) == {text}
        assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_this_system_exchanges_folders(tmp_path: Path) -> None:
    """Else the test of a kill below would show nothing."""
    one, other = fill(tmp_path / "one", "1"), fill(tmp_path / "other", "2")
    if not atomic.exchange(one, other):
        pytest.skip("this file system cannot exchange folders")
    assert (texts(one), texts(other)) == ({"2"}, {"1"})


def test_an_error_leaves_the_old_one_and_nothing_beside(out: Path) -> None:
    def fail() -> None:
        with work_folder(out) as work:
            fill(work, "new")
            raise RuntimeError

    build(out, "old")
    with pytest.raises(RuntimeError):
        fail()
    assert texts(out) == {"old"} and len(list(out.parent.iterdir())) == 1


def test_builds_at_once_leave_one_of_them_whole(out: Path) -> None:
    def many(name: str) -> None:
        try:
            for number in range(20):
                build(out, f"{name} {number}")
        except OSError as error:
            failed.append(error)

    failed: list[OSError] = []
    builders = [threading.Thread(target=many, args=(name,)) for name in ("one", "other", "third")]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(60)
    assert not failed
    assert len(texts(out)) == 1 and texts(out) <= {f"{name} 19" for name in ("one", "other", "third")}
    assert [path.name for path in out.parent.iterdir()] == [out.name]


KILLED = """
import os, signal, sys
from pathlib import Path
from glatd.engines import atomic
step, out = sys.argv[1], Path(sys.argv[2])
def stop(*arguments, **more):
    os.kill(os.getpid(), signal.SIGKILL)
def calls(name, real, number):
    count = 0
    def called(*arguments):
        nonlocal count
        count += 1
        if count == number:
            stop()
        return real(*arguments)
    setattr(os, name, called)
if step == "writing":
    calls("fsync", os.fsync, 2)
elif step == "first rename":
    calls("rename", os.rename, 1)
elif step == "exchange":
    real = atomic.exchange
    atomic.exchange = lambda *two: (real(*two), stop())
elif step == "clearing":
    atomic.shutil.rmtree = stop
with atomic.work_folder(out) as work:
    for name in ("a", "b", "manifest.json"):
        (work / name).write_text("new")
    atomic.put_in_place(work, out)
"""


@pytest.mark.parametrize("step", ["writing", "first rename", "exchange", "clearing"])
def test_a_kill_leaves_an_engine_and_no_litter_that_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    out = tmp_path / "engine"
    build(out, "old")
    done = subprocess.run([sys.executable, "-c", KILLED, step, out], capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert texts(out) == {"new" if step in ("exchange", "clearing") else "old"}
    assert len(list(tmp_path.iterdir())) == 2  # what the killed one left
    sweep(out)
    assert len(list(tmp_path.iterdir())) == 2  # young: it might be one that has only begun
    monkeypatch.setattr(atomic, "YOUNG", 0.0)
    build(out, "next")
    assert texts(out) == {"next"} and len(list(tmp_path.iterdir())) == 1


def test_an_engine_put_aside_by_a_killed_build_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where folders cannot be exchanged."""
    monkeypatch.setattr(atomic, "YOUNG", 0.0)
    fill(tmp_path / ".engine.x1.aside", "old")
    sweep(tmp_path / "engine")
    assert texts(tmp_path / "engine") == {"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["engine"]


def test_what_another_build_works_in_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "YOUNG", 0.0)
    out = tmp_path / "engine"
    with work_folder(out) as work:
        lock = os.open(work, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(lock)
        sweep(out)
        assert work.is_dir()


def test_other_folders_beside_are_not_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "YOUNG", 0.0)
    names = [".engine.cfg", ".engines.x.building", ".other.x.building", "engine.x.building"]
    for name in names:
        (tmp_path / name).mkdir()
    sweep(tmp_path / "engine")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_name_with_signs_of_a_pattern_means_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "YOUNG", 0.0)
    (tmp_path / ".engine.x.building").mkdir()
    sweep(tmp_path / "*")
    assert (tmp_path / ".engine.x.building").is_dir()
