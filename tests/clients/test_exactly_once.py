"""Kill the daemon and the subscriber at random while events flow: none is lost, and none has its effect twice."""

import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from glatd.daemon.journal.journal import Journal
from glatd.daemon.journal.reader import Reader
from glatd.messages import Event, unpack
from tests.conftest import ROOT
from tests.daemon.processes import free_endpoint

PRODUCER = ROOT / "tests" / "daemon" / "journal" / "producer.py"
APPLICATION = ROOT / "tests" / "clients" / "application.py"
FLOW_S = 60.0  # for events to come through after both were started


class Part:
    """A process that is killed and started again."""

    def __init__(self, command: Sequence[str | Path], log: Path) -> None:
        self._command, self._log = [sys.executable, *map(str, command)], log
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, if it does not run."""
        if self._process is None:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log)

    def kill(self, quietly: bool = False) -> None:
        """As `kill -9`; it must have been alive until then, unless it does not matter."""
        if self._process is not None:
            process, self._process = self._process, None
            gone = process.poll()
            process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
            assert gone is None or quietly, f"ended by itself with {gone}: {self._log.read_text()[-2000:]}"


def effects(database: Path) -> list[tuple[str, int, str, str, int]]:
    """What the application wrote, in the order of writing."""
    if not database.exists():
        return []
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        try:
            return connection.execute(
                "SELECT session, number, phase, cause, offset FROM heard ORDER BY rowid"
            ).fetchall()
        except sqlite3.OperationalError:  # no table yet
            return []


def journalled(folder: Path) -> list[tuple[str, int, str, str, int]]:
    """All that stands in the journal."""
    found: list[tuple[str, int, str, str, int]] = []
    with closing(Journal(folder)) as journal, closing(Reader(journal)) as reader:
        after = 1
        while after <= journal.last:
            batch = reader.read(after, 1000, 1 << 20, lambda stream, mid: True)
            assert not batch.holes
            after = batch.next
            for payload in batch.payloads:
                event = unpack(payload)
                assert isinstance(event, Event)
                found.append((event.session, event.onset, event.phase, event.cause, event.offset))
    return found


def wait_for_more(database: Path, than: int) -> None:
    """Until events flow again."""
    until = time.monotonic() + FLOW_S
    while len(effects(database)) <= than + 100:
        assert time.monotonic() < until, "no event came through"
        time.sleep(0.05)


def wait_for_all(database: Path, folder: Path, log: Path) -> None:
    """Until the application has what stands in the journal of a daemon that says no more."""
    until = time.monotonic() + FLOW_S
    while "ready" not in (log.read_text() if log.exists() else "") or len(effects(database)) < last(folder):
        assert time.monotonic() < until, f"{len(effects(database))} of {last(folder)} events came through"
        time.sleep(0.1)


def last(folder: Path) -> int:
    """The newest offset in a journal that is in use."""
    with closing(sqlite3.connect(folder / "journal.db", timeout=30)) as connection:
        return int(connection.execute("SELECT max(offset) FROM events").fetchone()[0])


@pytest.mark.parametrize(
    ("kills", "way"),
    [
        pytest.param(10, "thread", marks=pytest.mark.timeout(300)),
        pytest.param(4, "asyncio", marks=pytest.mark.timeout(300)),
        pytest.param(200, "thread", marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
        pytest.param(100, "asyncio", marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)
def test_none_is_lost_and_none_has_its_effect_twice(tmp_path: Path, kills: int, way: str) -> None:
    rng = random.Random(kills)
    folder, database = tmp_path / "journal", tmp_path / "effects.db"
    publish, catchup = free_endpoint(), free_endpoint()
    daemon = Part([PRODUCER, folder, publish, catchup, "400"], tmp_path / "daemon.log")
    application = Part([APPLICATION, database, publish, catchup, way], tmp_path / "application.log")
    try:
        for kill in range(kills):
            if kill % 3 == 0:
                wait_for_more(database, len(effects(database)))
            time.sleep(rng.uniform(0.05, 1.2))
            for part in rng.choice(((daemon,), (application,), (daemon, application), (application, daemon))):
                part.kill()
            time.sleep(rng.choice((0.0, 0.0, 0.3)))
            for part in rng.sample((daemon, application), 2):
                part.start()
        wait_for_more(database, len(effects(database)))
        daemon.kill()
        daemon = Part([PRODUCER, folder, publish, catchup, "0.001"], tmp_path / "last.log")  # says no more itself
        wait_for_all(database, folder, tmp_path / "last.log")
        daemon.kill()
        application.kill()
    finally:
        daemon.kill(quietly=True)
        application.kill(quietly=True)
    everything, got = journalled(folder), effects(database)
    assert got == everything
    assert [offset for *_, offset in everything] == list(range(1, len(everything) + 1))
    numbers: dict[str, list[int]] = {}
    for session, number, _, cause, _ in everything:
        if cause != "restart":
            numbers.setdefault(session, []).append(number)
    assert len(numbers) > kills / 5 and len(everything) > 20 * kills
    assert all(told == list(range(len(told))) for told in numbers.values())
