"""Reads a recording: each of its streams is a source, with the samples, gaps and times that it had."""

import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from glatd.audio import Block, Missing
from glatd.daemon.outage import Outage
from glatd.daemon.recording.layout import DAMAGED, HEADER, INDEX, STREAM, Header, is_recording, read_header
from glatd.daemon.recording.lines import read_lines
from glatd.daemon.recording.segment import read_streaminfo
from glatd.daemon.sources.base import NAME, Source, pick_channel
from glatd.errors import DataError, SourceError

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext

_FASTEST, _MOST_CHANNELS = 10_000_000, 1024  # Hz; more is no index
BLOCKS_A_SECOND = 10  # so that a replay in real time is no coarser than a live stream

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recording:
    """The folder of a recording, its header and its streams by name and age."""

    folder: Path
    header: Header
    streams: tuple["RecordingSource", ...]


def open_recording(folder: Path) -> Recording:
    """Look into a recording, without its audio.

    Raises:
        DataError: it is none, is damaged, or of a newer version.
    """
    if not is_recording(folder):
        raise DataError(f"{folder} has no {HEADER}; name a folder that `glatd run --record` has made")
    header = read_header(folder)
    # A kill may have come between a folder and the first line of its index.
    folders = [path for path in folder.iterdir() if path.name.startswith(STREAM) and _has_begun(path / INDEX)]
    sources = [RecordingSource(path) for path in sorted(folders, key=_order)]
    return Recording(folder, header, tuple(sources))


def _has_begun(index: Path) -> bool:
    return index.is_file() and next(read_lines(index), None) is not None


def _order(path: Path) -> tuple[str, int]:
    """By name; of one name by the number behind the plus."""
    name, _, number = path.name.partition("+")
    return name, int(number) if number.isdecimal() and len(number) < 10 else 1


class RecordingSource(Source):
    """One stream of a recording. It paces nothing; a replay does.

    Args:
        folder: of the stream.
        name: of the stream; the recorded one if None.
        channel: 1 for the first; None for all of them.

    Raises:
        DataError: the index cannot be read.

    Attributes:
        recorded_uri: where the audio came from.
        complete: whether `blocks` has come to the recorded end of the stream; a run that was killed has left none.
    """

    live: ClassVar[bool] = False

    def __init__(self, folder: Path, name: str | None = None, channel: int | None = None) -> None:
        self.folder, self._channel = folder, channel
        try:
            first = next(read_lines(folder / INDEX), {})
        except OSError as error:
            raise DataError(f"{folder / INDEX} cannot be read: {error.strerror}; check its permissions") from error
        recorded = first.get("name")
        if first.get("type") != "stream" or not isinstance(recorded, str) or not NAME.fullmatch(recorded):
            raise DataError(f"{folder / INDEX} does not begin as an index does; take it from a copy of the recording")
        self.complete = False
        self.recorded_uri = str(first.get("uri", ""))
        only = f"?channel={channel}" if channel else ""
        super().__init__(f"file:{folder}{only}", name or recorded, name is not None)

    def blocks(self) -> Iterator[Block | Missing]:
        """Blocks of 0.1 s with `wall`, and what is missing between them, in order.

        A second that is damaged or not there is missing with the cause "recording damaged". What follows it is at its
        own place.

        Raises:
            SourceError: a file that cannot be read at all.
        """
        self.complete = False
        reader: _SegmentReader | None = None
        came = 0, 1  # sample behind what was given, and Hz
        try:
            for line in read_lines(self.folder / INDEX):
                if self._stopped.is_set():
                    return
                kind = line.get("type")
                if kind == "segment":
                    if reader is not None:
                        reader.close()
                    reader = _SegmentReader(self.folder, line)
                    _check_order(came, (reader.end, reader.rate))
                elif kind == "flushed" and reader is not None:
                    yield from map(self._picked, reader.read(line))
                    came = reader.end, reader.rate
                elif kind == "gap":
                    until = _whole(line["end"]), _whole(line["rate"], 1, _FASTEST)
                    _check_order(came, until)
                    came = until
                    yield Missing(*until, str(line["cause"]))
                elif kind == "end":
                    self.complete = True
        except OSError as error:
            raise SourceError(f"{self.uri} cannot be read on: {error.strerror or error}; check the disk") from error
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise SourceError(
                f"{self.folder / INDEX} has a line that no index has ({error}); take it from a copy of the recording"
            ) from error
        finally:
            if reader is not None:
                reader.close()

    def recorded_outages(self) -> Sequence[Outage]:
        """Those at which events of the recorded run ended, in order."""
        try:
            lines = [line for line in read_lines(self.folder / INDEX) if line.get("type") == "outage"]
            return [Outage.from_fields(line) for line in lines]
        except OSError as error:
            raise SourceError(f"{self.uri} cannot be read: {error.strerror or error}; check the disk") from error
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise SourceError(
                f"{self.folder / INDEX} has an outage that none can be ({error}); take it from a copy of the recording"
            ) from error

    def _picked(self, piece: Block | Missing) -> Block | Missing:
        if isinstance(piece, Missing):
            return piece
        return replace(piece, samples=pick_channel(piece.samples, self._channel, self.uri))


class _SegmentReader:
    """Reads one file of a recording, stretch by stretch.

    Attributes:
        end: sample of the stream behind what was read.
        rate: Hz.
    """

    def __init__(self, folder: Path, line: dict[str, Any]) -> None:
        self._path = folder / str(line["file"])
        if self._path.parent != folder:
            raise ValueError(f"file {line['file']!r} is not in the folder")
        self.end, self.rate = _whole(line["start"]), _whole(line["rate"], 1, _FASTEST)
        self._channels = _whole(line["channels"], 1, _MOST_CHANNELS)
        self._bits = None if line["bits"] is None else _whole(line["bits"], 1, 24)
        self._file: IO[bytes] | None = None
        self._decoder: AudioCodecContext | None = None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def read(self, line: dict[str, Any]) -> Iterator[Block | Missing]:
        """The samples of one stretch."""
        start, end = self.end, _whole(line["end"], self.end)
        self.end = end
        samples = self._samples(line, end - start)
        if samples is None:
            yield Missing(end, self.rate, DAMAGED)
            return
        size = max(1, self.rate // BLOCKS_A_SECOND)
        clock = line.get("clock")
        unix, sample = (None, 0) if clock is None else (float(clock["unix"]), _whole(clock["sample"]))
        for at in range(0, len(samples), size):
            piece = samples[at : at + size]
            newest = start + at + len(piece)
            wall = None if unix is None else unix + (newest - sample) / self.rate
            yield Block(start + at, piece, self.rate, None, self._bits, wall)

    def _samples(self, line: dict[str, Any], count: int) -> Floats | None:
        """[count, channels]; None where they are not what was written."""
        first, last = map(_whole, line["bytes"])
        if self._file is None:
            try:
                self._file = self._path.open("rb")
            except FileNotFoundError:
                return None
        if not first < last <= os.fstat(self._file.fileno()).st_size:
            return None
        self._file.seek(first)
        data = self._file.read(last - first)
        if len(data) != last - first or zlib.crc32(data) != line["crc"]:
            return None
        if self._bits is None:
            samples: Floats | None = np.frombuffer(data, "<f4").reshape(-1, self._channels)
        else:
            frames = [_whole(size, 1) for size in line["frames"]]
            if not frames or sum(frames) != len(data):
                return None
            samples = self._decode(data, frames)
        return samples if samples is not None and samples.shape == (count, self._channels) else None

    def _decode(self, data: bytes, frames: list[int]) -> Floats | None:
        import av

        try:
            return self._decode_frames(data, frames)
        except (av.error.FFmpegError, ValueError):  # also of shapes: other channels than the index has
            self._decoder = None
            return None

    def _decode_frames(self, data: bytes, frames: list[int]) -> Floats:
        import av

        if self._decoder is None:
            assert self._file is not None
            self._decoder = _decoder(read_streaminfo(self._file))
        pieces: list[NDArray[Any]] = []
        at = 0
        for size in frames:
            for frame in self._decoder.decode(av.Packet(data[at : at + size])):
                array = frame.to_ndarray()
                pieces.append(array.T if frame.format.is_planar else array.reshape(-1, self._channels))
            at += size
        whole = np.concatenate(pieces)
        # FFmpeg gives 24 bits on top of 32.
        full_scale = np.float32(1 << (8 * whole.itemsize - 1))
        samples: Floats = whole.astype(np.float32) / full_scale
        return samples


def _whole(value: Any, least: int = 0, most: int = 1 << 62) -> int:
    """A whole number of the index; a ValueError if it is none."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{ascii(value)[:60]} is no whole number from {least} to {most}")
    return value


def _check_order(came: tuple[int, int], goes_on: tuple[int, int]) -> None:
    """A ValueError where a stream would go back, by more than the rounding between two rates; (sample, Hz) both."""
    (end, rate), (start, other) = came, goes_on
    if start * rate < end * other - max(rate, other):
        raise ValueError(f"sample {start} at {other} Hz lies before what came, up to {end} at {rate} Hz")


def _decoder(streaminfo: bytes) -> "AudioCodecContext":
    import av
    from av.audio.codeccontext import AudioCodecContext

    decoder = av.CodecContext.create("flac", "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.extradata = streaminfo
    decoder.thread_count = 1
    return decoder
