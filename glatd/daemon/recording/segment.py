"""One file of a recording: FLAC where samples are whole numbers, 32-bit float WAV where they are not.

Either is written so that a kill at any moment leaves a file that other programs can open. FLAC's frames stand alone,
and a length of 0 in its header means "not known"; the sizes in a WAV header are brought up to date with each flush.
"""

import errno
import hashlib
import os
import struct
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.audio.frame import AudioFrame

Floats = NDArray[np.float32]

# FFmpeg's names of the layouts that FLAC has, by number of channels (RFC 9639, section 9.1.3).
LAYOUTS = ("", "mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
_STREAMINFO = 8  # bytes before it: "fLaC" and the header of the metadata block
_STREAMINFO_BYTES = 34
_TOTAL_BITS = 36  # of the number of samples in STREAMINFO
_WAV_HEADER = 12 + 24 + 12 + 8  # bytes: RIFF, fmt, fact, and the header of data


@dataclass(frozen=True, slots=True)
class Flushed:
    """A stretch of a file that is written: bytes [start, end) hold samples up to `samples`."""

    start: int
    end: int
    crc: int  # CRC-32 of the bytes
    samples: int  # of the segment, from its first
    frames: tuple[int, ...]  # bytes of each FLAC frame in it; empty for WAV


def whole_numbers(samples: Floats, bits: int | None) -> NDArray[np.int32] | None:
    """Samples [n, channels] as whole numbers of so many bits; None where they are not exactly such."""
    if bits is None:
        return None
    full_scale = np.float32(1 << (bits - 1))
    scaled = samples * full_scale
    if not (np.abs(scaled) <= full_scale).all():  # NaN compares as false
        return None
    whole = scaled.astype(np.int32)
    if not np.array_equal(whole, scaled) or (whole == 1 << (bits - 1)).any():
        return None
    return whole


def fits_flac(rate: int, channels: int) -> bool:
    """Whether FLAC has a way to write this rate and so many channels (RFC 9639, sections 8.2 and 9.1.2)."""
    return channels < len(LAYOUTS) and (rate < 0xFFFF or (rate % 10 == 0 and rate < 655_350))


class Segment(ABC):
    """A file that grows. After an OSError only `abandon` may be called.

    Args:
        path: must not exist yet.
        rate: Hz.
        channels: of every sample.

    Raises:
        OSError: the file cannot be made.
    """

    mode: ClassVar[int] = 0o644  # of the file, before the umask

    def __init__(self, path: Path, rate: int, channels: int) -> None:
        self.rate, self.channels, self.path = rate, channels, path
        self.taken = 0  # samples given to `take`
        self.flushed = 0  # samples that are in the file
        self._bytes = 0  # of the file
        self._encoded = 0  # samples that are in the file or in `_pending`
        self._pending = bytearray()
        self._frames: list[int] = []
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, self.mode)
        try:
            self._append(self._header())
        except BaseException:
            os.close(self._file)
            path.unlink(missing_ok=True)
            raise

    @property
    def size(self) -> int:
        """Bytes so far, written or to be written."""
        return self._bytes + len(self._pending)

    def flush(self) -> Flushed | None:
        """Write what is encoded; None where there is nothing.

        Raises:
            OSError: it cannot be written. The file is then as it was after the last flush.
        """
        if not self._pending:
            return None
        start, written = self._bytes, bytes(self._pending)
        self._append(written)
        self._pending.clear()
        self.flushed = self._encoded
        frames, self._frames = tuple(self._frames), []
        self._on_flush()
        return Flushed(start, self._bytes, zlib.crc32(written), self.flushed, frames)

    def sync(self) -> None:
        """What is flushed survives a loss of power from here on."""
        os.fdatasync(self._file)

    def finish(self) -> Flushed | None:
        """Write the rest; afterwards `seal` it.

        Raises:
            OSError: as `flush`.
        """
        return self.flush()

    def seal(self) -> None:
        """Write the final header.

        Raises:
            OSError: it may not be on the disk.
        """
        os.pwrite(self._file, self._header(), 0)
        self.sync()

    def abandon(self) -> None:
        """Close the file with a header that is true of what is in it."""
        if self._file < 0:
            return
        try:
            os.pwrite(self._file, self._header(), 0)  # of bytes that are there, so it takes no room
        except OSError:
            pass  # the older header tells nothing false: its lengths are unknown, or those of an earlier flush
        finally:
            os.close(self._file)
            self._file = -1

    @abstractmethod
    def take(self, samples: Floats, whole: NDArray[np.int32] | None) -> None:
        """Encode samples [n, channels], given as they are and as whole numbers."""

    @abstractmethod
    def _header(self) -> bytes:
        """Of a file that ends at the last flush."""

    @abstractmethod
    def _on_flush(self) -> None:
        """The file has grown."""

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError:
            os.ftruncate(self._file, self._bytes)
            os.lseek(self._file, self._bytes, os.SEEK_SET)
            raise
        self._bytes += len(data)


class FlacSegment(Segment):
    """Samples of 8, 16 or 24 bits, bit for bit; those of 8 bits are written as 16.

    Args:
        bits: of the samples that are taken.
    """

    suffix = ".flac"

    def __init__(self, path: Path, rate: int, channels: int, bits: int) -> None:
        self.bits = bits
        self._wide = bits > 16
        self._encoder = _encoder(rate, channels, self._wide)
        self._frame_samples = self._encoder.frame_size
        self._streaminfo = bytes(self._encoder.extradata or b"")
        self._waiting: list[NDArray[np.int32]] = []
        self._ended = False  # whether the encoder was told that no more comes
        self._digest = self._digest_flushed = hashlib.md5(usedforsecurity=False)
        super().__init__(path, rate, channels)

    def take(self, samples: Floats, whole: NDArray[np.int32] | None) -> None:
        assert whole is not None
        self._waiting.append(whole)
        self.taken += len(whole)
        if self.taken - self._encoded >= self._frame_samples:
            self._encode_waiting(self._frame_samples)

    def finish(self) -> Flushed | None:
        if not self._ended:
            self._ended = True
            self._encode_waiting(1)
            self._encode(None)
        return super().finish()

    def _encode_waiting(self, least: int) -> None:
        """Encode whole frames, and what is left of at least `least` samples."""
        waiting = np.concatenate(self._waiting) if self._waiting else np.zeros((0, self.channels), np.int32)
        while len(waiting) >= least:
            frame, waiting = waiting[: self._frame_samples], waiting[self._frame_samples :]
            self._encode(frame)
        self._waiting = [waiting] if len(waiting) else []

    def _encode(self, whole: NDArray[np.int32] | None) -> None:
        """Encode one frame, or with None a last one that is short, which the encoder has held back."""
        import av

        frame = None if whole is None else self._frame(whole)
        try:
            packets = self._encoder.encode(frame)
        except av.error.FFmpegError as error:
            raise OSError(errno.EIO, f"FLAC encoder: {error}") from error
        for packet in packets:
            if packet.size:
                self._pending += bytes(packet)
                self._frames.append(packet.size)

    def _frame(self, whole: NDArray[np.int32]) -> "AudioFrame":
        import av

        samples: NDArray[Any]
        if self._wide:
            samples = whole << 8  # FFmpeg's s32 carries 24 bits on top
            digested = np.ascontiguousarray(whole.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3])
        else:
            samples = (whole << (16 - self.bits)).astype("<i2")
            digested = samples.view(np.uint8)
        layout, form = LAYOUTS[self.channels], "s32" if self._wide else "s16"
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), format=form, layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = self.rate, self._encoded, Fraction(1, self.rate)
        self._encoded += len(whole)
        self._digest = self._digest.copy()
        self._digest.update(digested.data)
        return frame

    def _on_flush(self) -> None:
        self._digest_flushed = self._digest

    def _header(self) -> bytes:
        info = bytearray(self._streaminfo)
        if self.flushed:
            fields = int.from_bytes(info[10:18], "big") >> _TOTAL_BITS << _TOTAL_BITS
            info[10:18] = (fields | self.flushed).to_bytes(8, "big")
            info[18:34] = self._digest_flushed.digest()
        return b"fLaC" + bytes([0x80]) + len(info).to_bytes(3, "big") + bytes(info)


class WavSegment(Segment):
    """Any float32, bit for bit."""

    suffix = ".wav"

    def take(self, samples: Floats, whole: NDArray[np.int32] | None) -> None:
        self._pending += np.ascontiguousarray(samples, "<f4").tobytes()
        self.taken += len(samples)
        self._encoded = self.taken

    def _on_flush(self) -> None:
        os.pwrite(self._file, self._header(), 0)

    def _header(self) -> bytes:
        frame = 4 * self.channels
        data = self.flushed * frame
        form = struct.pack("<HHIIHH", 3, self.channels, self.rate, self.rate * frame, frame, 32)  # 3: IEEE float
        return b"".join(
            [
                struct.pack("<4sI4s", b"RIFF", _WAV_HEADER - 8 + data, b"WAVE"),
                struct.pack("<4sI", b"fmt ", len(form)) + form,
                struct.pack("<4sII", b"fact", 4, self.flushed),
                struct.pack("<4sI", b"data", data),
            ]
        )


def read_streaminfo(file: IO[bytes]) -> bytes:
    """The STREAMINFO of a FLAC file, which a decoder needs."""
    file.seek(_STREAMINFO)
    return file.read(_STREAMINFO_BYTES)


def open_segment(folder: Path, number: int, rate: int, channels: int, bits: int | None) -> Segment:
    """A new file for samples of so many bits, None for any float32.

    Raises:
        OSError: it cannot be made.
    """
    if bits is None:
        return WavSegment(folder / f"{number:06}{WavSegment.suffix}", rate, channels)
    return FlacSegment(folder / f"{number:06}{FlacSegment.suffix}", rate, channels, bits)


def _encoder(rate: int, channels: int, wide: bool) -> "AudioCodecContext":
    import av
    from av.audio.codeccontext import AudioCodecContext

    encoder = av.CodecContext.create("flac", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.format, encoder.layout, encoder.rate = "s32" if wide else "s16", LAYOUTS[channels], rate
    encoder.time_base = Fraction(1, rate)
    encoder.thread_count = 1
    encoder.open()
    return encoder
