"""One stream of a recording as it is written: its segments and its index. One thread, any of its calls may fail."""

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glatd.audio import Block, Missing
from glatd.daemon.clock import DelayFit
from glatd.daemon.outage import Outage
from glatd.daemon.recording.layout import INDEX, OF_THE_RECORDING, STREAM, VERSION
from glatd.daemon.recording.lines import LineFile, as_line, sync_folder
from glatd.daemon.recording.segment import Flushed, Segment, fits_flac, open_segment, whole_numbers

SEGMENT_SECONDS = 600.0
SEGMENT_BYTES = 1 << 30  # a WAV file of 4 GiB is one too many for most programs


@dataclass(frozen=True, slots=True)
class Lose:
    """Audio of the stream that is not recorded: up to sample `end`, or to the next block that is."""

    end: int
    rate: int  # Hz
    cause: str


class Tape:
    """Writes down one stream.

    After an OSError call `suspend`; the tape then only notes what it loses, until `resume`.

    Args:
        recording: folder of the recording.
        name, uri: of the stream, fit for printing.
        session: that the stream belongs to.
        seconds: of a segment.

    Raises:
        OSError: its folder or index cannot be made.
    """

    def __init__(self, recording: Path, name: str, uri: str, session: str, seconds: float) -> None:
        self.folder, self._seconds = _new_folder(recording, name), seconds
        try:
            self._index = LineFile(self.folder / INDEX)
            self._index.append(
                [as_line({"v": VERSION, "type": "stream", "name": name, "uri": uri, "session": session})]
            )
        except OSError:
            (self.folder / INDEX).unlink(missing_ok=True)
            self.folder.rmdir()
            raise
        self._lines: list[str] = []  # of the index, to be written
        self._segment: Segment | None = None
        self._segments = 0
        self._kind: tuple[int, int, int | None] = (0, 0, None)  # rate, channels, bits of the segment
        self._first = 0  # sample of the stream at which the segment starts
        self._next, self._rate = 0, 0  # sample of the stream after the last one taken, or told as lost
        self._lost: Lose | None = None  # not yet told
        self._suspended = ""  # the cause
        self._fit = DelayFit()
        self._arrival: float | None = None  # monotonic s of the newest sample

    def write(self, item: Block | Missing | Lose) -> None:
        """Take what came, in order.

        Raises:
            OSError: it cannot be written. Suspend, and give it again.
        """
        if self._suspended:
            end = item.start + len(item.samples) if isinstance(item, Block) else item.end
            self._lost = Lose(end, item.rate, self._suspended)
        elif isinstance(item, Block):
            self._take(item)
        elif isinstance(item, Lose):
            if self._lost is not None and self._lost.cause != item.cause:
                self._tell_loss(self._lost.end, self._lost.rate)
            self._lost = item
        else:
            if self._lost is not None and self._lost.cause in OF_THE_RECORDING:
                self._tell_loss(self._lost.end, self._lost.rate)
            self._lost = None  # else the stream tells one gap, with the later cause
            self._finish_segment()
            self._gap(item.end, item.rate, item.cause)

    def note_outage(self, outage: Outage) -> None:
        """That events have ended for want of audio; written with the next lines."""
        self._note(**outage.as_fields())

    def flush(self) -> None:
        """Bring the disk up to date, all but some 0.1 s that make no whole FLAC frame.

        Raises:
            OSError: as `write`.
        """
        if self._segment is not None:
            self._note_flushed(self._segment.flush())
        self._write_lines()

    def sync(self) -> None:
        """What is flushed survives a loss of power from here on.

        Raises:
            OSError: as `write`.
        """
        if self._segment is not None:
            self._segment.sync()
        self._index.sync()
        sync_folder(self.folder)

    def suspend(self, cause: str) -> None:
        """Nothing can be written for now: close the segment with what is in it; what comes is lost."""
        end = self._next
        if self._segment is not None:
            try:
                self._finish_segment()
            except OSError:
                self._abandon_segment()
        if end > self._next:
            self._lost = Lose(end, self._rate, cause)
        self._suspended = cause
        # If it cannot be written, it is when there is room again.
        with contextlib.suppress(OSError):
            self._write_lines()

    def resume(self) -> None:
        """There is room again."""
        self._suspended = ""

    def close(self) -> None:
        """The stream ends here.

        Raises:
            OSError: not all of it could be written; what could is closed.
        """
        try:
            if self._lost is not None:
                self._tell_loss(self._lost.end, self._lost.rate)
            self._finish_segment()
            self._note(type="end", sample=self._next, rate=self._rate)
            self._write_lines()
            self._index.sync()
        finally:
            self._abandon_segment()
            self._index.close()

    def _take(self, block: Block) -> None:
        end = block.start + len(block.samples)
        whole = whole_numbers(block.samples, block.bits)
        channels = block.samples.shape[1]
        bits = block.bits if whole is not None and fits_flac(block.rate, channels) else None
        kind = block.rate, channels, bits
        if block.start != self._next or kind != self._kind or self._lost is not None:
            self._finish_segment()
            if self._lost is not None:
                self._tell_loss(block.start, block.rate)
            self._gap(block.start, block.rate, "not delivered")
        if self._segment is None:
            self._segment = open_segment(self.folder, self._segments + 1, *kind)
            self._segments, self._kind, self._first = self._segments + 1, kind, block.start
            self._note(
                type="segment", file=self._segment.path.name, start=block.start, rate=block.rate, channels=channels,
                bits=block.bits if bits else None,
            )  # fmt: skip
        self._segment.take(block.samples, whole)
        self._next, self._rate = end, block.rate
        if block.arrival is not None:
            self._fit.observe(end / block.rate, block.arrival)
            self._arrival = block.arrival
        if self._segment.taken >= self._seconds * block.rate or self._segment.size >= SEGMENT_BYTES:
            self._finish_segment()

    def _finish_segment(self) -> None:
        if self._segment is None:
            return
        self._note_flushed(self._segment.finish())
        self._segment.seal()
        self._note(type="closed", file=self._segment.path.name, samples=self._segment.flushed)
        self._abandon_segment()

    def _abandon_segment(self) -> None:
        """Close the segment as it was flushed last."""
        if self._segment is None:
            return
        self._segment.abandon()
        self._next = self._first + self._segment.flushed
        if not self._segment.flushed:
            self._segment.path.unlink(missing_ok=True)
        self._segment = None

    def _tell_loss(self, end: int, rate: int) -> None:
        assert self._lost is not None
        self._finish_segment()
        cause, self._lost = self._lost.cause, None
        self._gap(end, rate, cause)

    def _gap(self, end: int, rate: int, cause: str) -> None:
        """Nothing up to a sample."""
        start = (self._next * rate + self._rate // 2) // self._rate if self._rate else 0
        if end > start:
            self._note(type="gap", start=start, end=end, rate=rate, cause=cause)
            self._next, self._rate = end, rate

    def _note_flushed(self, flushed: Flushed | None) -> None:
        if flushed is None:
            return
        assert self._segment is not None
        fields: dict[str, Any] = {
            "type": "flushed",
            "end": self._first + flushed.samples,
            "bytes": [flushed.start, flushed.end],
            "crc": flushed.crc,
        }
        if flushed.frames:
            fields["frames"] = flushed.frames
        if self._fit.offset is not None:
            # Of the newest sample that came, which may be in the next stretch.
            seconds = self._fit.offset + self._next / self._rate
            fields["clock"] = {
                "sample": self._next,
                "arrival": self._arrival,
                "unix": round(seconds + time.time() - time.monotonic(), 6),
            }
        self._lines.append(as_line(fields))

    def _note(self, **fields: Any) -> None:
        self._lines.append(as_line(fields))

    def _write_lines(self) -> None:
        if self._lines:
            self._index.append(self._lines)
            self._lines.clear()


def _new_folder(recording: Path, name: str) -> Path:
    """A folder for a stream; another one of that name gets a `+2`, which no name can hold."""
    for number in range(1, 1_000_000):
        folder = recording / (f"{STREAM}{name}" + (f"+{number}" if number > 1 else ""))
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{recording} has a million streams of that name")
