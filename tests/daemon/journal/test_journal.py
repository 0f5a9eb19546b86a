"""The journal: offsets that never name two events, whatever breaks."""

import logging
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from glatd.daemon.journal import journal as journal_module
from glatd.daemon.journal import mark as mark_module
from glatd.daemon.journal import schema
from glatd.daemon.journal.journal import Journal
from glatd.daemon.journal.mark import AHEAD, MarkFile, boot_id, pack, parse
from glatd.daemon.journal.numbering import Numbering
from glatd.daemon.journal.reader import REMOVED, Batch, Reader
from glatd.daemon.journal.rows import Hole, merged
from glatd.daemon.journal.upkeep import Upkeep
from glatd.errors import ConfigError
from glatd.messages import Event, unpack
from tests.daemon.journal.made import event, events


def read(journal: Journal, start: int = 1, limit: int = 1000) -> Batch:
    """What a subscriber that was away gets."""
    with closing(Reader(journal)) as reader:
        return reader.read(start, limit, 1 << 20, lambda stream, mid: True)


def told(batch: Batch) -> list[tuple[int, int]]:
    """Offset, and the number that the event was made with."""
    found = []
    for payload in batch.payloads:
        message = unpack(payload)
        assert isinstance(message, Event)
        found.append((message.offset, message.onset))
    return found


def killed(journal: Journal) -> None:
    """Leave a journal as a kill does: what was committed is in the files, and nothing was closed."""
    journal._lock_file.close()
    journal._mark_file.close()
    assert journal._database is not None
    # Another connection keeps SQLite from tidying up as this one closes.
    other = sqlite3.connect(journal.folder / schema.NAME)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM events").fetchone()
    journal._database.close()
    other.close()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "journal")) as made:
        yield made


def test_offsets_are_one_sequence_over_all_sessions(tmp_path: Path) -> None:
    for session in range(3):
        with closing(Journal(tmp_path)) as journal:
            assert [e.offset for e in journal.append(events(100 * session, 4))] == [
                4 * session + n for n in (1, 2, 3, 4)
            ]
            identity = journal.id
    with closing(Journal(tmp_path)) as journal:
        assert journal.append([]) == [] and journal.last == 12 and journal.id == identity
        batch = read(journal)
    assert told(batch) == [(1 + 4 * s + n, 100 * s + n) for s in range(3) for n in range(4)]
    assert (batch.first, batch.last, batch.next, batch.holes) == (1, 12, 13, ())


def test_what_was_appended_stands_on_the_disk_after_a_kill(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(events(0, 5))
    killed(journal)
    with closing(Journal(tmp_path)) as again:
        assert again.append(events(5, 1))[0].offset == 6  # nothing was published that does not stand there
        assert len(read(again).payloads) == 6 and not read(again).holes


def test_after_a_loss_of_power_no_offset_is_given_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine was started anew, and the journal was not closed: its last commits may be gone."""
    journal = Journal(tmp_path)
    journal.append(events(0, 5))
    killed(journal)
    monkeypatch.setattr(mark_module, "boot_id", lambda: "another")
    with closing(Journal(tmp_path)) as again:
        assert again.append(events(5, 1))[0].offset == AHEAD + 1
        batch = read(again)
    assert batch.holes == (Hole(6, AHEAD + 1, "the power was lost"),) and len(batch.payloads) == 6


@pytest.mark.parametrize("full", [False, True])
def test_after_a_start_of_the_machine_numbers_go_on_where_nothing_can_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    journal = Journal(tmp_path, full=full)
    journal.append(events(0, 5))
    if full:
        killed(journal)
    else:
        journal.close()
    monkeypatch.setattr(mark_module, "boot_id", lambda: "another")
    with closing(Journal(tmp_path)) as again:
        assert again.append(events(5, 1))[0].offset == 6


def test_two_cannot_share_it(journal: Journal) -> None:
    with pytest.raises(ConfigError, match="in use by another glatd; stop it, or name another folder"):
        Journal(journal.folder)
    journal.append(events(0, 1))


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot keep a journal in .*file: .*; name a folder that can be written"):
        Journal(tmp_path / "file")


@pytest.mark.parametrize("with_mark", [True, False])
@pytest.mark.parametrize("damage", ["rubbish", "torn", "empty"])
def test_a_damaged_file_is_moved_aside_and_numbers_go_on_above(
    tmp_path: Path, damage: str, with_mark: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(Journal(tmp_path)) as journal:
        journal.append(events(0, 500))
        identity = journal.id
    path = tmp_path / schema.NAME
    data = path.read_bytes()
    if damage == "torn":
        data = data[:4096] + b"\xa5" * 8192 + data[12288:]
    path.write_bytes(b"" if damage == "empty" else data if damage == "torn" else b"rubbish" * 5000)
    if not with_mark:
        (tmp_path / mark_module.NAME).unlink()
    before = time.time()
    with closing(Journal(tmp_path)) as again:
        offset = again.append(events(500, 1))[0].offset
        batch = read(again)
        assert told(batch) == [(offset, 500)] and not again.trouble
        if damage == "empty" and not with_mark:
            assert (offset, batch.holes) == (1, ()) and again.id != identity  # nothing says that there was a journal
            return
        assert offset == 501 if with_mark else offset >= 1000 * before
        assert again.id == identity or not with_mark
        assert [(hole.start, hole.stop) for hole in batch.holes] == [(1, offset)]
        if damage != "empty":
            assert "damaged, and is now journal.db.damaged-" in batch.holes[0].cause
            (aside,) = [path for path in tmp_path.glob("journal.db.damaged-*") if path.name.endswith("Z")]
            assert "is damaged; it is now" in caplog.text
            assert damage == "torn" or aside.read_bytes().startswith(b"rubbish")


def test_damage_that_shows_while_it_runs(tmp_path: Path) -> None:
    with closing(Journal(tmp_path)) as journal:
        journal.append(events(0, 2000))
        assert journal._database is not None
        journal._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with (tmp_path / schema.NAME).open("r+b") as file:
            size = file.seek(0, 2)
            file.seek(4096)
            file.write(b"\xa5" * (size - 4096))
        journal._database.execute("PRAGMA shrink_memory")  # and what it has read is forgotten
        offsets = [journal.append(events(n, 1))[0].offset for n in range(2000, 2010)]
        assert offsets == list(range(2001, 2011)) and not journal.trouble
        batch = read(journal)
        assert (
            batch.holes
            and batch.holes[0].start == 1
            and told(batch) == [(n + 1, n) for n in range(batch.holes[-1].stop - 1, 2010)]
        )


def test_a_newer_version_is_refused_and_an_older_one_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Journal(tmp_path)) as journal:
        journal.append(events(0, 3))
    newer = (*schema.MIGRATIONS, "ALTER TABLE events ADD COLUMN extra TEXT")
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", newer)
        patch.setattr(schema, "VERSION", 2)
        journal = Journal(tmp_path)
        assert len(read(journal).payloads) == 3
        assert journal._database is not None
        assert journal._database.execute("PRAGMA user_version").fetchone() == (2,)
        journal.close()
    with pytest.raises(ConfigError, match="is of version 2, and this glatd knows 1; upgrade glatd, or name another"):
        Journal(tmp_path)
    with pytest.raises(ConfigError, match="is of version 2"):  # the lock was given back
        Journal(tmp_path)


def full(journal: Journal) -> None:
    """Let SQLite find the disk full."""
    assert journal._database is not None
    pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
    journal._database.execute(f"PRAGMA max_page_count = {pages}")


def room(journal: Journal) -> None:
    """Make room again."""
    assert journal._database is not None
    journal._database.execute("PRAGMA max_page_count = 1000000")


def test_on_a_full_disk_events_go_on_and_are_written_later(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    journal.append(events(0, 10))
    full(journal)
    numbered = journal.append(events(10, 300)) + journal.append(events(310, 300))
    assert [e.offset for e in numbered] == list(range(11, 611))
    assert journal.trouble == "the journal cannot be written: database or disk is full"
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    # Whoever asks meanwhile gets them from memory.
    assert told(read(journal)) == [(n + 1, n) for n in range(610)]
    assert told(read(journal, 600, 5)) == [(n + 1, n) for n in range(599, 604)]
    room(journal)
    journal.retry()
    assert not journal.trouble and not journal.unwritten()[1]
    batch = read(journal)
    assert told(batch) == [(n + 1, n) for n in range(610)] and not batch.holes


def test_what_does_not_fit_into_memory_is_a_hole(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "MOST_WAITING", 50)
    journal.append(events(0, 10))
    full(journal)
    for first in range(10, 510, 100):
        journal.append(events(first, 100))
    missing = (Hole(11, 461, "the disk could not be written"),)
    for _ in range(2):
        batch = read(journal)
        assert batch.holes == missing and batch.next == 511 and batch.last == 510
        assert told(batch) == [(n + 1, n) for n in [*range(10), *range(460, 510)]]
        room(journal)
        journal.retry()
    assert not journal.trouble


def test_after_a_kill_on_a_full_disk_no_offset_is_given_twice(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(events(0, 10))
    full(journal)
    last = journal.append(events(10, 300))[-1].offset
    killed(journal)
    with closing(Journal(tmp_path)) as again:
        offset = again.append(events(400, 1))[0].offset
        assert offset > last
        batch = read(again)
        assert batch.holes == (Hole(11, offset, "the disk could not be written"),)
        assert told(batch) == [*((n + 1, n) for n in range(10)), (offset, 400)]


def test_a_disk_that_is_full_from_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A real one. The daemon starts all the same, and the journal goes on when there is room."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        with closing(Journal(folder)) as journal:
            journal.append(events(0, 10))
        filler = folder / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            for _ in range(1000):
                file.write(bytes(4096))
        with closing(Journal(folder)) as journal:
            numbered = journal.append(events(10, 600))
            assert journal.trouble and numbered[0].offset >= 11
            filler.unlink()
            journal.retry()
            assert not journal.trouble
            batch = read(journal)
            offset = numbered[0].offset
            assert told(batch) == [(n + 1, n) for n in range(10)] + [(offset + n, 10 + n) for n in range(600)]
            assert [(hole.start, hole.stop) for hole in batch.holes] == ([(11, offset)] if offset > 11 else [])
        with closing(Journal(folder)) as journal:
            assert journal.append(events(0, 1))[0].offset == numbered[-1].offset + 1
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_retention_by_age(journal: Journal) -> None:
    journal.append(events(0, 1700))
    upkeep = Upkeep(journal, days=1, megabytes=0)
    try:
        assert upkeep.retain(time.time() + 3600) == 0
        assert upkeep.retain(time.time() + 90_000) == 1700
    finally:
        upkeep.close()
    assert journal.append(events(1700, 1))[0].offset == 1701
    batch = read(journal, 5)
    assert batch.holes == (Hole(5, 1701, REMOVED),) and told(batch) == [(1701, 1700)]
    assert (batch.first, batch.last) == (1701, 1701)


def test_an_offset_is_not_given_again_when_all_were_removed(tmp_path: Path) -> None:
    with closing(Journal(tmp_path)) as journal:
        journal.append(events(0, 7))
        upkeep = Upkeep(journal, days=1, megabytes=0)
        upkeep.retain(time.time() + 90_000)
        upkeep.close()
        assert (read(journal).first, read(journal).last, read(journal).next) == (8, 7, 8)
    (tmp_path / mark_module.NAME).unlink()  # the journal knows it by itself
    with closing(Journal(tmp_path)) as journal:
        assert journal.append(events(7, 1))[0].offset == 8


def test_retention_by_size_gives_the_room_back(journal: Journal) -> None:
    for first in range(0, 10_000, 500):
        journal.append(events(first, 500))
    upkeep = Upkeep(journal, days=0, megabytes=2)
    try:
        removed = upkeep.retain(time.time())
    finally:
        upkeep.close()
    assert 3000 < removed < 9000
    batch = read(journal, 1, 10)
    assert batch.holes == (Hole(1, removed + 1, REMOVED),) and told(batch)[0] == (removed + 1, removed)
    assert journal._database is not None
    journal._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert (journal.folder / schema.NAME).stat().st_size < 4e6


def test_the_wal_does_not_grow_for_ever(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glatd.daemon.journal.upkeep.LONGEST_WAL", 5 << 20)
    upkeep = Upkeep(journal, days=0, megabytes=0)
    wal = journal.folder / f"{schema.NAME}-wal"
    sizes = []
    try:
        for first in range(0, 20_000, 500):
            journal.append(events(first, 500))
            upkeep.checkpoint()
            sizes.append(wal.stat().st_size)
    finally:
        upkeep.close()
    assert max(sizes) < 8 << 20
    assert read(journal, 20_000).last == 20_000


@pytest.mark.parametrize("killing", [True, False])
def test_what_was_going_on_at_a_kill_is_ended(tmp_path: Path, killing: bool) -> None:
    journal = Journal(tmp_path)
    journal.append([event(0, "start", "a"), event(1, "start", "b"), event(2, "start", "c"), event(3, "start", "d")])
    journal.append([event(4, "update", "a"), event(5, "end", "b"), event(6, "retract", "d"), event(7, "start", "e")])
    journal.append([event(8, "end", "e"), event(9, "start", "f"), event(10, "end", "f")])
    if killing:
        killed(journal)
    else:
        journal.close()
    with closing(Journal(tmp_path)) as again:
        ends = again.end_unfinished()
        assert [(e.id, e.phase, e.cause, e.offset_time, e.onset) for e in ends] == [
            ("c", "end", "restart", None, 2), ("a", "end", "restart", None, 4),
        ]  # fmt: skip
        assert [e.offset for e in ends] == [12, 13] and told(read(again, 12)) == [(12, 2), (13, 4)]
        assert again.end_unfinished() == []
    with closing(Journal(tmp_path)) as again:
        assert again.end_unfinished() == []


def test_a_batch_is_bounded_and_says_where_to_go_on(journal: Journal) -> None:
    journal.append(events(0, 100))
    assert told(read(journal, 1, 10)) == [(n + 1, n) for n in range(10)] and read(journal, 1, 10).next == 11
    with closing(Reader(journal)) as reader:
        batch = reader.read(1, 1000, 1000, lambda stream, mid: True)
        assert 1 < len(batch.payloads) < 10 and batch.next == len(batch.payloads) + 1
        assert len(reader.read(1, 1000, 1, lambda stream, mid: True).payloads) == 1
        nothing = reader.read(1, 1000, 1000, lambda stream, mid: False)
        assert nothing.payloads == () and nothing.next > 1
        asked = reader.read(1, 0, 1000, lambda stream, mid: True)
        assert (asked.payloads, asked.first, asked.last, asked.next) == ((), 1, 100, 1)
        beyond = reader.read(1000, 10, 1000, lambda stream, mid: True)
        assert (beyond.payloads, beyond.last, beyond.next) == ((), 100, 1000)


def test_a_mark_is_whole_or_none(tmp_path: Path) -> None:
    file = MarkFile(tmp_path)
    assert file.read() is None
    file.write("abc", 7, "trouble")
    mark = file.read()
    assert mark is not None and (mark.journal, mark.upto, mark.state, mark.boot) == ("abc", 7, "trouble", boot_id())
    assert parse(pack(mark)) == mark
    data = bytearray((tmp_path / mark_module.NAME).read_bytes())
    for at in range(len(data) - 1):
        torn = bytearray(data)
        torn[at] ^= 0x41
        (tmp_path / mark_module.NAME).write_bytes(torn)
        assert file.read() is None
    file.close()


def test_holes_do_not_overlap() -> None:
    assert merged([Hole(5, 9, "b"), Hole(1, 7, "a"), Hole(3, 4, "c")]) == [Hole(1, 7, "a"), Hole(7, 9, "b")]


def test_without_a_journal_numbers_are_of_the_session() -> None:
    numbering = Numbering()
    assert [e.offset for e in numbering.append(events(0, 2)) + numbering.append(events(2, 1))] == [1, 2, 3]


def test_a_daemon_that_logs_says_it_once(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    full(journal)
    with caplog.at_level(logging.INFO):
        for first in range(0, 3000, 300):
            journal.append(events(first, 300))
            journal.retry()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    room(journal)
