"""Recordings as sources."""

import wave
from pathlib import Path

import pytest

from glatd.daemon.sources.file import FileSource
from glatd.daemon.sources.folder import FolderSource
from glatd.daemon.sources.uri import parse_source
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


def numbered(folder: Path, name: str, rate: int, seconds: int, channels: int = 1) -> None:
    with wave.open(str(folder / name), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(bytes(2 * channels * rate * seconds))


def test_a_folder_is_one_stream_that_starts_afresh_with_each_recording(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    numbered(tmp_path, "1.wav", 8_000, 2)
    (tmp_path / "2 notes.txt").write_text("no recording")
    (tmp_path / ".hidden").write_text("nor this")
    (tmp_path / "sub").mkdir()
    numbered(tmp_path, "3.wav", 16_000, 1, channels=2)
    numbered(tmp_path, "4.wav", 8_000, 1)
    source = parse_source(f"file:{tmp_path}")
    assert isinstance(source, FolderSource) and source.name == tmp_path.name and not source.live
    for _ in range(2):
        spans: dict[int, tuple[int, int, int]] = {}  # by the seconds at which they start
        end = 0.0
        for block in source.blocks():
            if not spans or block.start / block.rate > end:
                begin = block.start
            end = (block.start + len(block.samples)) / block.rate
            spans[begin // block.rate] = begin, block.start + len(block.samples), block.rate
        assert list(spans.values()) == [
            (0, 16_000, 8_000), (12 * 16_000, 13 * 16_000, 16_000), (23 * 8_000, 24 * 8_000, 8_000)
        ]  # fmt: skip
    warnings = [record.message for record in caplog.records]
    assert len(warnings) == 2 and all("2 notes.txt is not a recording" in warning for warning in warnings)


def test_a_folder_without_recordings_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no recording that can be read; give a folder with some"):
        list(FolderSource(tmp_path).blocks())


def test_stop_ends_a_folder(tmp_path: Path) -> None:
    numbered(tmp_path, "1.wav", 8_000, 2)
    source = FolderSource(tmp_path)
    next(source.blocks())
    source.stop()
    assert list(source.blocks()) == []


def test_a_channel_of_a_recording_can_be_taken(tmp_path: Path) -> None:
    numbered(tmp_path, "1.wav", 8_000, 1, channels=2)
    for uri in f"file:{tmp_path}/1.wav?channel=2", f"file:{tmp_path}?channel=2":
        source = parse_source(uri)
        assert source.uri == uri
        assert {block.samples.shape[1] for block in source.blocks()} == {1}
    with pytest.raises(SourceError, match="no channel 3"):
        list(parse_source(f"file:{tmp_path}/1.wav?channel=3").blocks())
