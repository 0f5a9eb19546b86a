"""Recordings as sources."""

import wave
from pathlib import Path

import pytest

from glatd.daemon.sources.file import FileSource
from glatd.errors import SourceError


def recording(folder: Path, seconds: int) -> Path:
    path = folder / "dog: bark.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 8_000 * seconds))
    return path


def test_a_recording_gives_all_its_blocks_and_again(tmp_path: Path) -> None:
    source = FileSource(recording(tmp_path, 2))
    for _ in range(2):
        blocks = list(source.blocks())
        assert blocks[0].start == 0 and blocks[0].arrival is None
        assert sum(len(block.samples) for block in blocks) == 16_000
    assert source.name == "dog_bark"


def test_stop_ends_it(tmp_path: Path) -> None:
    source = FileSource(recording(tmp_path, 2))
    blocks = source.blocks()
    next(blocks)
    source.stop()
    source.stop()
    assert list(blocks) == []
    assert list(source.blocks()) == []


def test_a_missing_file_is_told_when_it_is_opened() -> None:
    source = FileSource(Path("/nowhere/dog.wav"))
    with pytest.raises(SourceError, match=r"/nowhere/dog\.wav: no such file"):
        next(source.blocks())
