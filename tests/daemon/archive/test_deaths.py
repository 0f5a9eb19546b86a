"""A recording at which a decoder crashes costs its worker, not the run; workers that cannot begin end it."""

from pathlib import Path

import pytest

from glatd.daemon.archive.reports import At, Died, Ready, Shard
from glatd.errors import EngineError
from tests.daemon.archive.inline import Inline, InlineCrew
from tests.daemon.archive.tables import bad, rows
from tests.daemon.sounds import RATE, noise, write_wav

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five recordings, one of which no decoder survives."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    for name in ("a", "b", "killer", "x", "y"):
        write_wav(folder / f"{name}.wav", noise(RATE + 1))
    return folder


def at_killer(shard: Shard) -> int | None:
    return next((index for index, item in enumerate(shard.inputs) if "killer" in item.file), None)


@pytest.mark.parametrize("told", [True, False], ids=["of which one is known", "on a cluster, at first unknown"])
def test_a_deadly_recording_is_bad_after_the_second_time_and_the_others_are_tagged(
    folder: Path, tmp_path: Path, inline: Inline, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    work = InlineCrew.give
    given: list[Shard] = []

    def give(crew: InlineCrew, shard: Shard) -> None:
        given.append(shard)
        index = at_killer(shard)
        if index is None:
            work(crew, shard)
            return
        known = told or shard.careful
        if known:
            crew.told.append((shard, At(index, 0.0)))
        crew.told.append((shard, Died("its worker was ended by SIGSEGV", at=index if known else None)))

    monkeypatch.setattr(InlineCrew, "give", give)
    done = inline(folder, tmp_path / "out")
    assert done.returncode == 3
    assert bad(tmp_path / "out") == {str(folder / "killer.wav"): "its worker was ended by SIGSEGV, 2 times"}
    assert [Path(row["file"]).stem for row in rows(tmp_path / "out", "inputs")] == ["a", "b", "x", "y"]
    assert all(shard.careful for shard in given[1:])
    assert len(given) == 4  # with it three times, and then without


def test_workers_that_cannot_begin_end_the_run(
    folder: Path, tmp_path: Path, inline: Inline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(crew: InlineCrew, job: object, count: int) -> None:
        crew.told.clear()
        crew.size, crew.free = 1, 0

    def wait(crew: InlineCrew, seconds: float) -> list[tuple[Shard | None, Died | Ready]]:
        return [(None, Died("its worker ended with code 127", early=True))]

    monkeypatch.setattr(InlineCrew, "__init__", start)
    monkeypatch.setattr(InlineCrew, "told", [], raising=False)
    monkeypatch.setattr(InlineCrew, "wait", wait)
    with pytest.raises(EngineError, match="no worker can begin: its worker ended with code 127"):
        inline(folder, tmp_path / "out")
