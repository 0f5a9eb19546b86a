"""Killed, stopped, changed, refused, full: what is there stays, what is not is made, and nothing is there twice."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from glatd.daemon.archive.export import export
from glatd.errors import ConfigError, DataError
from tests import disks
from tests.daemon.archive.inline import Inline
from tests.daemon.archive.tables import PATIENCE_S, archive, everything, rows, started, until
from tests.daemon.sounds import RATE, noise, write_wav

pytestmark = pytest.mark.timeout(600)
TINY_HOURS = 0.0005  # 1.8 s: a part for each recording, or two
TINY = ("--part-hours", TINY_HOURS)
COUNT = 6


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six recordings of one to two seconds."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(COUNT):
        write_wav(folder / f"{number:02d}.wav", noise(RATE + 4000 * number, number))
    return folder


@pytest.fixture
def with_long(many: Path, tmp_path: Path) -> Path:
    """The same, and one that takes so long that nothing ends before it is stopped."""
    folder = tmp_path / "many"
    shutil.copytree(many, folder)
    write_wav(folder / "99 long.wav", noise(900 * RATE))
    return folder


@pytest.fixture(scope="module")
def whole(many: Path, low_rules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of them in one go."""
    out = tmp_path_factory.mktemp("whole") / "out"
    done = archive(many, "--out", out, "--jobs", "1", "--rules", low_rules)
    assert done.returncode == 0, done.stderr
    assert len(list((out / "inputs").iterdir())) == 1  # all in one part
    return out


def placeless(out: Path) -> object:
    """All rows, without what tells where and when the recordings were copied."""
    found = everything(out)
    for row in (row for table in found.values() for row in table):
        row["file"] = Path(row["file"]).name
        row.pop("stamp", None)
    return found


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


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Exit code and what was printed."""
    printed, errors = process.communicate(timeout=4 * PATIENCE_S)
    return process.returncode, printed, errors


def test_killed_and_run_again_it_is_as_if_it_had_not_been(
    with_long: Path, whole: Path, low_rules: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = (with_long, "--out", out, "--jobs", "2", "--rules", low_rules, *TINY)
    with started(*asked) as process:
        until(lambda: len(parts(out)) >= 2, "part")  # by one worker; the other one is at the long recording
        workers = children(process)
        process.kill()
        finish(process)
    assert len(workers) == 2
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "end of the workers")  # nor do they linger
    there = len(rows(out, "inputs"))
    assert 2 <= there <= COUNT
    # What a kill leaves between two renames, and in mid-write:
    shutil.copy(next((out / "windows").iterdir()), out / "windows" / "part-0009999-000.parquet")
    (out / ".work" / "0009998-000.windows").write_bytes(b"PAR1 half a table")
    (with_long / "99 long.wav").unlink()
    again = archive(*asked)
    assert again.returncode == 0, again.stderr
    assert f"{there} were there already" in again.stdout
    assert placeless(out) == placeless(whole)
    assert sorted(path.name for path in (out / ".work").iterdir()) == ["lock"]


def test_a_killed_worker_is_replaced_and_ctrl_c_keeps_what_is_done(
    with_long: Path, whole: Path, low_rules: Path, tmp_path: Path, inline: Inline
) -> None:
    out = tmp_path / "out"
    with started(with_long, "--out", out, "--jobs", "2", "--rules", low_rules, *TINY) as process:
        until(lambda: parts(out), "part")
        second = archive(with_long, "--out", out, "--jobs", "1", "--rules", low_rules)
        assert second.returncode == 2 and "another run is writing into" in second.stderr
        first = set(children(process))
        for worker in first:
            os.kill(worker, signal.SIGKILL)
        until(lambda: len(set(children(process)) - first) == 2, "workers in their place")
        until(lambda: len(rows(out, "inputs")) == COUNT, "all others")
        process.send_signal(signal.SIGINT)
        code, printed, errors = finish(process)
    assert code == 130, (printed, errors)
    assert "stopped before the end; the same command goes on" in printed and "Traceback" not in errors
    assert placeless(out) == placeless(whole)
    (with_long / "99 long.wav").unlink()
    third = inline(with_long, out, rules=low_rules)
    assert third == (0, f"nothing new to tag\n{COUNT} were there already\n")


def test_parts_in_the_order_of_their_names_hold_recordings_in_theirs(
    many: Path, whole: Path, low_rules: Path, tmp_path: Path, inline: Inline
) -> None:
    assert inline(many, tmp_path, rules=low_rules, part_hours=TINY_HOURS).returncode == 0
    assert len(parts(tmp_path)) == COUNT / 2
    assert rows(tmp_path, "windows") == rows(whole, "windows") and rows(tmp_path, "events") == rows(whole, "events")
    files = [row["file"] for row in rows(tmp_path, "windows")]
    assert files == sorted(files)


def test_what_has_changed_is_tagged_again_and_what_shares_its_part_stays(
    many: Path, low_rules: Path, tmp_path: Path, inline: Inline
) -> None:
    folder, out = tmp_path / "some", tmp_path / "out"
    folder.mkdir()
    for name in ("00.wav", "01.wav", "02.wav"):
        shutil.copy2(many / name, folder)
    assert inline(folder, out, rules=low_rules).returncode == 0
    before = everything(out)
    write_wav(folder / "01.wav", noise(2 * RATE, 77))
    changed = inline(folder / "01.wav", out, rules=low_rules)  # the others are not even named
    assert changed.returncode == 0 and "1 had changed since, and were tagged again" in changed.stdout
    after = everything(out)
    for table in before:
        kept = [[row for row in rows_[table] if not row["file"].endswith("01.wav")] for rows_ in (before, after)]
        assert kept[0] == kept[1]
    assert sum(row["file"].endswith("01.wav") for row in after["windows"]) == 2
    assert sum(row["file"].endswith("01.wav") for row in after["inputs"]) == 1
    assert after["windows"] != before["windows"]


def test_rows_that_were_written_twice_are_there_once(whole: Path, many: Path, low_rules: Path, inline: Inline) -> None:
    before = everything(whole)
    for table in ("windows", "events", "inputs"):  # by a worker that was given up, and had not died
        (part,) = (whole / table).glob("*.parquet")
        shutil.copy(part, part.with_name("part-0000001-000.parquet"))
    assert inline(many, whole, rules=low_rules).stdout.startswith("nothing new")
    assert everything(whole) == before and len(parts(whole)) == 1


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"hop": 1.92}, "was made with hop = 0.96, and now it is 1.92; ask as before, or give another --out"),
        ({"scores": "all"}, 'was made with scores = "top", and now it is "all"'),
        ({"rules": None}, r"was made with events.hold = 0.5, and now it is 2.0"),
        ({"hop": 1.0}, "hop 1 s is no multiple of 0.32 s"),
        ({"jobs": 0}, "--jobs 0 must be 1 or more"),
        ({"part_hours": float("nan")}, "--part-hours nan must be"),
    ],
)
def test_other_settings_are_refused_by_name(
    many: Path, whole: Path, low_rules: Path, inline: Inline, options: dict[str, object], why: str
) -> None:
    before = everything(whole)
    with pytest.raises(ConfigError, match=why):
        inline(many, whole, **{"rules": low_rules, **options})
    assert everything(whole) == before


def test_another_engine_is_refused_by_name(many: Path, whole: Path, low_rules: Path, inline: Inline) -> None:
    described = (whole / "archive.json").read_text()
    engine = described.partition('"engine": "')[2].partition('"')[0]
    (whole / "archive.json").write_text(described.replace(engine, "0123456789abcdef"))
    try:
        with pytest.raises(
            ConfigError, match=f"was made with the engine 0123456789abcdef .*, and this one is {engine}"
        ):
            inline(many, whole, rules=low_rules)
    finally:
        (whole / "archive.json").write_text(described)


def test_what_is_damaged_is_named(many: Path, whole: Path, low_rules: Path, tmp_path: Path, inline: Inline) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    (part,) = parts(out)
    part.write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"has a part of the table inputs that cannot be read .*part-0000000-000"):
        inline(many, out, rules=low_rules)
    (out / "archive.json").write_text("{")
    with pytest.raises(DataError, match=r"out/archive.json is damaged"):
        inline(many, out, rules=low_rules)
    (out / "archive.json").unlink()
    with pytest.raises(DataError, match=r"has tables but no archive.json"):
        inline(many, out, rules=low_rules)


def test_rules_for_times_of_the_day_are_refused_for_files(many: Path, tmp_path: Path, inline: Inline) -> None:
    rules = tmp_path / "night.toml"
    rules.write_text('[[events.rule]]\nlabels = ["Dog"]\nschedule = "22:00-06:00"\n')
    with pytest.raises(ConfigError, match="files do not tell when they were recorded"):
        inline(many, tmp_path / "out", rules=rules)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """300 kB."""
    with disks.small_disk(tmp_path / "disk", "300k") as folder:
        yield folder


def test_a_full_disk_ends_the_run_and_room_lets_it_go_on(
    many: Path, whole: Path, low_rules: Path, small_disk: Path, inline: Inline
) -> None:
    out = small_disk / "out"
    (small_disk / "filler").write_bytes(bytes(230_000))
    with pytest.raises(ConfigError, match=f"cannot write into {out}: No space left on device; make room"):
        inline(many, out, rules=low_rules, part_hours=TINY_HOURS)
    (small_disk / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=3m", str(small_disk)], check=True)
    assert inline(many, out, rules=low_rules, part_hours=TINY_HOURS).returncode == 0
    assert everything(out) == everything(whole)


def test_recordings_and_tables_in_an_object_store(
    many: Path, whole: Path, low_rules: Path, tmp_path: Path, inline: Inline
) -> None:
    store = fsspec.filesystem("memory")
    for path in many.iterdir():
        store.pipe_file(f"/field/2026/{path.name}", path.read_bytes())
    store.pipe_file("/field/2026/bad.flac", b"no audio")
    asked = ("memory://field/2026", "memory://tags/2026")
    first = inline(*asked, rules=low_rules, part_hours=TINY_HOURS)
    assert first.returncode == 3 and "1 bad: memory://tags/2026/bad.jsonl" in first.stdout
    assert b"memory:///field/2026/bad.flac" in store.cat_file("/tags/2026/bad.jsonl")
    store.pipe_file("/tags/2026/windows/part-0009999-000.parquet", b"of a run that was killed")
    store.rm_file("/field/2026/bad.flac")
    store.pipe_file("/field/2026/05.wav", (many / "05.wav").read_bytes())  # the same, put there again
    second = inline(*asked, rules=low_rules, part_hours=TINY_HOURS)
    assert second.returncode == 0 and "1 had changed since" in second.stdout
    store.get("/tags/2026", str(tmp_path / "copy"), recursive=True)
    assert placeless(tmp_path / "copy") == placeless(whole)
    assert export("memory://tags/2026", "csv", tmp_path / "csv").startswith(f"{COUNT} files")
