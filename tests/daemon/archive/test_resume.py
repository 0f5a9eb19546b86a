"""A kill at any moment, Ctrl-C, a full disk, a changed recording: the same command goes on, nothing is there twice."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.archive.tables import PATIENCE_S, archive, everything, rows, started, until
from tests.daemon.sounds import RATE, noise, write_wav

TINY = ("--part-hours", "0.0005")  # 1.8 s: a part for each recording, or two


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve recordings of one to two seconds, and one that takes long to tag."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(12):
        write_wav(folder / f"{number:02d}.wav", noise(RATE + 2000 * number, number))
    return folder


@pytest.fixture(scope="module")
def whole(many: Path, low_rules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of them in one go."""
    out = tmp_path_factory.mktemp("whole") / "out"
    done = archive(many, "--out", out, "--jobs", "1", "--rules", low_rules)
    assert done.returncode == 0, done.stderr
    assert len(list((out / "inputs").iterdir())) == 1  # all in one part
    return out


def children(process: "subprocess.Popen[str]") -> list[int]:
    """Processes that it has started, as far as they are workers."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                command = (folder / "cmdline").read_bytes()
            except (OSError, IndexError):
                continue
            if parent == process.pid and b"spawn_main" in command:
                found.append(int(folder.name))
    return found


def parts(out: Path) -> list[Path]:
    return sorted((out / "inputs").glob("*.parquet")) if out.is_dir() else []


def finish(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Exit code and what was printed."""
    printed, _ = process.communicate(timeout=PATIENCE_S)
    return process.returncode, printed


def test_killed_and_run_again_it_is_as_if_it_had_not_been(
    many: Path, whole: Path, low_rules: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = (many, "--out", out, "--jobs", "2", "--rules", low_rules, *TINY)
    process = started(*asked)
    until(lambda: len(parts(out)) >= 2, "part")
    workers = children(process)
    process.kill()
    finish(process)
    assert workers
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "end of the workers")  # nor do they linger
    there = len(rows(out, "inputs"))
    assert 2 <= there < 12
    # What a kill leaves between two renames, and in mid-write:
    shutil.copy(next((out / "windows").iterdir()), out / "windows" / "part-0009999-000.parquet")
    (out / ".work" / "0009998-000.windows").write_bytes(b"PAR1 half a table")
    again = archive(*asked)
    assert again.returncode == 0, again.stderr
    assert f"{there} were there already" in again.stdout and again.stdout.startswith(f"{12 - there} recordings")
    assert everything(out) == everything(whole)
    assert sorted(path.name for path in (out / ".work").iterdir()) == ["lock"]
    third = archive(*asked)
    assert (third.returncode, third.stdout) == (0, "nothing new to tag\n12 were there already\n")


def test_parts_in_the_order_of_their_names_hold_recordings_in_theirs(whole: Path) -> None:
    files = [row["file"] for row in rows(whole, "windows")]
    assert files == sorted(files)


def test_a_worker_that_is_killed_is_replaced(many: Path, whole: Path, low_rules: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = started(many, "--out", out, "--jobs", "1", "--rules", low_rules)
    until(lambda: list((out / ".work").glob("*.windows")) if out.is_dir() else False, "draft")
    (worker,) = children(process)
    os.kill(worker, signal.SIGKILL)
    code, printed = finish(process)
    assert code == 0, printed
    assert everything(out) == everything(whole)


def test_ctrl_c_keeps_what_is_done_and_the_next_run_goes_on(
    many: Path, whole: Path, low_rules: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "many", tmp_path / "out"
    shutil.copytree(many, folder)
    write_wav(folder / "99 long.wav", noise(600 * RATE))
    asked = (folder, "--out", out, "--jobs", "1", "--rules", low_rules, "--part-hours", "1")
    process = started(*asked)
    until(lambda: list((out / ".work").glob("*.windows")) if out.is_dir() else False, "draft")
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    code, printed = finish(process)
    assert code == 130 and "stopped before the end; the same command goes on" in printed
    assert time.monotonic() - began < 30
    assert not list((out / ".work").glob("*.windows"))
    assert "99 long.wav" not in str([row["file"] for row in rows(out, "inputs")] if parts(out) else [])
    (folder / "99 long.wav").unlink()
    assert archive(*asked).returncode == 0
    for table, found in everything(out).items():
        expected = everything(whole)[table]
        for row in (*found, *expected):
            row["file"] = Path(row["file"]).name
            row.pop("stamp", None)
        assert found == expected


def test_what_has_changed_is_tagged_again_and_what_shares_its_part_stays(
    many: Path, low_rules: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "some", tmp_path / "out"
    folder.mkdir()
    for name in ("00.wav", "01.wav", "02.wav"):
        shutil.copy2(many / name, folder)
    asked = ("--out", out, "--jobs", "1", "--rules", low_rules)
    assert archive(folder, *asked).returncode == 0
    before = everything(out)
    write_wav(folder / "01.wav", noise(2 * RATE, 77))
    changed = archive(folder / "01.wav", *asked)  # the others are not even named
    assert changed.returncode == 0 and "1 had changed since, and were tagged again" in changed.stdout
    after = everything(out)
    for table in before:
        kept = [[row for row in rows_[table] if not row["file"].endswith("01.wav")] for rows_ in (before, after)]
        assert kept[0] == kept[1]
    assert sum(row["file"].endswith("01.wav") for row in after["windows"]) == 3
    assert sum(row["file"].endswith("01.wav") for row in after["inputs"]) == 1
    assert after["windows"] != before["windows"]


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--hop", "1.92", "was made with hop = 0.96, and now it is 1.92; ask as before, or give another --out"),
        ("--scores", "all", 'was made with scores = "top", and now it is "all"'),
        ("--hop", "1.0", "hop 1 s is no multiple of 0.32 s"),
        ("--jobs", "0", "--jobs 0 must be 1 or more"),
        ("--part-hours", "nan", "--part-hours nan must be"),
    ],
)
def test_other_settings_are_refused_by_name(
    many: Path, whole: Path, low_rules: Path, option: str, value: str, why: str
) -> None:
    before = everything(whole)
    done = archive(many, "--out", whole, "--rules", low_rules, option, value)
    assert done.returncode == 2 and why in done.stderr and len(done.stderr.splitlines()) == 1
    assert everything(whole) == before


def test_rules_for_times_of_the_day_are_refused_for_files(many: Path, tmp_path: Path) -> None:
    rules = tmp_path / "night.toml"
    rules.write_text('[[events.rule]]\nlabels = ["Dog"]\nschedule = "22:00-06:00"\n')
    done = archive(many, "--out", tmp_path / "out", "--rules", rules)
    assert done.returncode == 2 and "files do not tell when they were recorded" in done.stderr
    assert not (tmp_path / "out").exists()


def test_two_runs_do_not_meet(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = started(many, "--out", out, "--jobs", "1")
    until(lambda: (out / "archive.json").exists(), "beginning")
    done = archive(many, "--out", out, "--jobs", "1")
    assert done.returncode == 2 and "another run is writing into" in done.stderr
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 130


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_ends_the_run_and_room_lets_it_go_on(
    many: Path, whole: Path, low_rules: Path, small_disk: Path
) -> None:
    out = small_disk / "out"
    (small_disk / "filler").write_bytes(bytes(150_000))
    asked = (many, "--out", out, "--jobs", "1", "--rules", low_rules, *TINY)
    done = archive(*asked)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"glatd: cannot write into {out}: No space left on device; make room")
    (small_disk / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=3m", str(small_disk)], check=True)
    again = archive(*asked)
    assert again.returncode == 0, again.stderr
    assert everything(out) == everything(whole)
