"""A disk that is full or slow costs audio of the recording, which says so; nothing else."""

import logging
import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glatd.audio import Missing
from glatd.daemon.recording import writer
from glatd.daemon.recording.layout import DISK_FULL, SAID, TOO_SLOW
from glatd.daemon.recording.lines import read_lines
from glatd.daemon.recording.reader import RecordingSource, open_recording
from glatd.daemon.recording.tape import Lose, Tape
from glatd.daemon.recording.writer import Recorder, StreamRecorder
from glatd.errors import ConfigError
from glatd.messages import Gap
from tests import disks
from tests.daemon.recording.making import HEADER, Floats, blocks, exact, joined, same_bits

RATE = 16_000  # Hz
PIECE = 1_600  # samples


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that looks often."""
    monkeypatch.setattr(writer, "TURN_SECONDS", 0.01)
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.02)
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.05)


class Feeder:
    """Gives a recorder one endless signal, a piece at a time."""

    def __init__(self, recorder: Recorder, bits: int | None) -> None:
        self.recorder, self._bits = recorder, bits
        self.samples = exact(120 * RATE, 1, bits)
        self._stream = recorder.stream("yard", "mic:")
        self.at = 0

    def until(self, condition: Callable[[], bool]) -> None:
        """Go on for at most 110 s of audio, which is some seconds, until something has happened."""
        while not condition():
            assert self.at < 110 * RATE, "it never happened"
            self.some(PIECE)
            time.sleep(0.002)

    def some(self, count: int) -> None:
        """`count` samples, and a message after each piece."""
        for block in blocks(self.samples[self.at : self.at + count], [PIECE], RATE, self._bits, self.at):
            self._stream.take(block)
            self.at += len(block.samples)
            self.recorder(Gap("n", "s", "yard", "", start=self.at - 1, end=self.at, rate=RATE, cause="x"))
            time.sleep(0.002)


def check(source: RecordingSource, samples: Floats, taken: int) -> list[Missing]:
    """All that was read is right and at its place, and what was not is told; the gaps."""
    at = 0
    gaps = []
    for piece in joined(source.blocks()):
        if isinstance(piece, Missing):
            gaps.append(piece)
            assert piece.end > at
            at = piece.end
        else:
            start, read = piece
            assert start == at and same_bits(read, samples[start : start + len(read)])
            at = start + len(read)
    assert at == taken and source.complete
    return gaps


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("bits", [16, None])
def test_a_file_that_cannot_grow_ends_and_another_one_begins_later(
    tmp_path: Path, bits: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    recorder = Recorder(tmp_path / "rec", HEADER, reserve=0)
    feeder = Feeder(recorder, bits)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
        feeder.until(lambda: recorder.trouble == DISK_FULL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    feeder.until(lambda: not recorder.trouble)
    feeder.some(2 * RATE)
    recorder.close()
    (source,) = open_recording(tmp_path / "rec").streams
    gaps = check(source, feeder.samples, feeder.at)
    assert gaps and {gap.cause for gap in gaps} == {DISK_FULL}
    assert sum("stops: File too large" in record.getMessage() for record in caplog.records) >= 1
    assert sum("goes on" in record.getMessage() for record in caplog.records) >= 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """2 MB."""
    with disks.small_disk(tmp_path / "disk", "2m") as folder:
        yield folder


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("reserve", [0, None])
def test_a_full_disk_stops_the_recording_until_there_is_room(
    small_disk: Path, reserve: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_400_000))
    recorder = Recorder(small_disk / "rec", HEADER, reserve=reserve)
    feeder = Feeder(recorder, 24)
    feeder.until(lambda: recorder.trouble == DISK_FULL)
    disk = os.statvfs(small_disk)
    if reserve is None:  # it stopped in time, to leave some room for others
        assert disk.f_bavail * disk.f_frsize > 0.02 * disk.f_blocks * disk.f_frsize
    feeder.some(3 * RATE)
    ballast.unlink()
    feeder.until(lambda: not recorder.trouble)
    feeder.some(2 * RATE)
    recorder.close()
    (source,) = open_recording(small_disk / "rec").streams
    gaps = check(source, feeder.samples, feeder.at)
    assert {gap.cause for gap in gaps} == {DISK_FULL}
    said = list(read_lines(small_disk / "rec" / SAID))
    unsaid = sum(line["messages"] for line in said if line["type"] == "unrecorded")
    assert unsaid > 0 and unsaid + sum(line["type"] == "gap" for line in said) == feeder.at // PIECE
    messages = [record.getMessage() for record in caplog.records]
    assert any(message.startswith(f"recording into {small_disk / 'rec'} stops: ") for message in messages)


@pytest.mark.usefixtures("hasty")
def test_a_stream_that_begins_while_the_disk_is_full_is_recorded_later(small_disk: Path) -> None:
    recorder = Recorder(small_disk / "rec", HEADER, reserve=0)
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space"):
        ballast.write_bytes(bytes(3_000_000))
    first = Feeder(recorder, 24)
    first.until(lambda: recorder.trouble == DISK_FULL)
    ballast.unlink()
    first.until(lambda: not recorder.trouble)
    recorder.close()
    (source,) = open_recording(small_disk / "rec").streams
    assert {gap.cause for gap in check(source, first.samples, first.at)} == {DISK_FULL}


def test_what_a_slow_disk_cannot_take_is_left_out_and_told(tmp_path: Path) -> None:
    samples = exact(30 * RATE, 1, 16)
    stream = StreamRecorder("yard", "mic:")
    tape = Tape(tmp_path, "yard", "mic:", "s", 600.0)
    for turn in range(3):  # 10 s each, and the writer comes by after 15 and 30 s
        for block in blocks(samples[turn * 10 * RATE : (turn + 1) * 10 * RATE], [PIECE], RATE, 16, turn * 10 * RATE):
            stream.take(block)
            if block.start + PIECE == 15 * RATE:
                items, closed = stream.fetch()
                assert not closed and [type(item) for item in items][-1] is Lose
                for item in items:
                    tape.write(item)
    stream.close()
    items, closed = stream.fetch()
    assert closed
    for item in items:
        tape.write(item)
    tape.close()
    source = RecordingSource(tape.folder)
    assert check(source, samples, 30 * RATE) == [Missing(15 * RATE, RATE, TOO_SLOW), Missing(30 * RATE, RATE, TOO_SLOW)]
    assert stream.dropped == 10 * RATE


def test_a_folder_that_cannot_be_written_or_holds_a_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot record into .*; name a folder that can be written"):
        Recorder(tmp_path / "file" / "rec", HEADER)
    Recorder(tmp_path / "rec", HEADER).close()
    with pytest.raises(ConfigError, match="holds a recording already"):
        Recorder(tmp_path / "rec", HEADER)
    assert writer.new_recording(tmp_path / "rec") == tmp_path / "rec" / "run-2"
    Recorder(tmp_path / "rec" / "run-2", HEADER).close()
    assert writer.new_recording(tmp_path / "rec") == tmp_path / "rec" / "run-3"
    assert writer.new_recording(tmp_path / "other") == tmp_path / "other"
