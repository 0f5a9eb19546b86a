"""Audio as it travels through glatd: blocks with a sample index, decoding, mono, resampling.

Samples are float32, full scale +-1. Everything is counted in samples since the start of a stream, so
audio that was lost shows as a block that starts ahead of the end of the one before it.
"""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glatd.errors import SourceError
from glatd.lost import LostAudio
from glatd.truncation import lacks_its_end, promised_seconds

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

RATE = 32_000  # Hz, what every network of glatd listens to

# Reading may fail at one damaged place and go on behind it; at the end of what can be read it fails
# for ever.
_READ_ATTEMPTS = 3
# Encoders pad and containers round (ASF by 45 ms); a file that lacks less than this is whole.
_SLACK_S = 0.1


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive samples of one stream."""

    start: int  # index of the first sample since the start of the stream; a jump ahead: audio was lost
    samples: NDArray[np.float32]  # [n, channels], full scale +-1, C order, n >= 1
    rate: int  # Hz
    arrival: float | None  # monotonic seconds when the last sample arrived; None for a recording
    bits: int | None = None  # whole numbers / 2 ** (bits - 1) with bits up to 24; None: any float
    wall: float | None = None  # UNIX seconds of the last sample, where a recording of glatd's tells it


@dataclass(frozen=True, slots=True)
class Missing:
    """Audio of one stream that did not come, told where it is known why or where no block follows soon."""

    end: int  # index of the sample after it, since the start of the stream; it begins where the last block ended
    rate: int  # Hz
    cause: str


def decode(path: Path) -> Iterator[Block]:
    """Decode the first audio track of a file at its own rate and channels.

    Sample for sample what `ffmpeg -i` delivers: encoder delay and padding are cut off where the file
    tells them, and the track's start offset is no gap. Integer formats are divided by 2 ** (bits - 1);
    NaN stays NaN. Packets that cannot be decoded are lost audio: the index moves on by what the time
    stamps behind them tell. Where a format's time stamps are made by counting (MP3, ADTS, FLAC), damage
    inside the file is seen in part or only by what is missing at its end; in Ogg FLAC the page behind the
    damage is placed where the damage is.

    Yields:
        Block: in order, without overlap; `arrival` is None.

    Raises:
        SourceError: no such file, not a file, unreadable, empty, not media, no audio track, no samples, a
            sample rate that changes. A file that is cut short gives everything there is before. W64, CAF,
            AVI, MPEG-TS and MP3 without a Xing header do not tell how long they should be: cut short
            between packets, they look whole.
    """
    import av

    _check_file(path)
    try:
        # "file:" keeps FFmpeg from taking a colon in a name for a protocol; tags in odd encodings must
        # not matter.
        container = av.open(f"file:{path}", metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        raise SourceError(_not_media(path, error)) from error
    with container:
        if not container.streams.audio:
            raise SourceError(f"{path} has no audio track (read as {container.format.name}); give a file with sound")
        yield from _decode_track(path, container, container.streams.audio[0])


def _decode_track(path: Path, container: "InputContainer", track: "AudioStream") -> Iterator[Block]:
    lost: LostAudio | None = None
    rate, end, damaged = 0, 0, False
    for frame in _frames(path, container, track):
        if frame is None:
            damaged = True
            continue
        if frame.samples == 0:
            continue
        if lost is None:
            # Not the track's rate: that of HE-AAC is half of what is decoded.
            rate = frame.sample_rate
            lost = LostAudio(rate, tick=float(frame.time_base * rate) if frame.time_base else 0.0)
        elif frame.sample_rate != rate:
            where = f"changes from {rate} to {frame.sample_rate} Hz after {end / rate:.2f} s"
            raise SourceError(f"{path} {where}; split it there or convert it to one rate")
        stamp = None if frame.pts is None or not frame.time_base else frame.pts * frame.time_base * rate
        for start, run in lost.push(stamp, to_float(frame), damaged):
            end = start + len(run)
            yield Block(start, run, rate, None)
        damaged = False
    if lost is None:
        raise SourceError(f"{path} holds no audio samples; record or convert it again")
    for start, run in lost.flush():
        end = start + len(run)
        yield Block(start, run, rate, None)
    _check_end(path, container, track, end / rate, damaged)


def _check_end(path: Path, container: "InputContainer", track: "AudioStream", end: float, damaged: bool) -> None:
    """Raise a SourceError if a file that gave `end` seconds should have given more."""
    promised = promised_seconds(container, track)
    missing = promised is not None and promised - end > _SLACK_S
    # MP3 files often end in tags, which are no damage.
    damaged = damaged and container.format.name != "mp3"
    if missing or damaged or lacks_its_end(path, container.format.name):
        of = f" of the {promised:.2f} s that its header promises" if missing else ""
        raise SourceError(f"{path} is cut short or damaged: it ends after {end:.2f} s{of}; copy or record it again")


def _frames(path: Path, container: "InputContainer", track: "AudioStream") -> Iterator["AudioFrame | None"]:
    """Decoded frames, and None wherever something could not be read or decoded."""
    import av

    track.codec_context.thread_count = 1  # audio is light; threads would only delay it
    forget_speakers(track.codec_context)
    failures = 0
    while failures < _READ_ATTEMPTS:
        packets = container.demux(track)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.InvalidDataError:
                failures += 1
                yield None
                break
            except (av.error.FFmpegError, OSError) as error:
                raise SourceError(
                    f"{path} cannot be read on: {_reason(error)}; check the disk and copy it again"
                ) from error
            try:
                frames = packet.decode()
            except av.error.FFmpegError:  # not only InvalidDataError: AC-3 and ALAC have errors of their own
                yield None
                continue
            failures = 0
            yield from frames


def forget_speakers(context: "AudioCodecContext") -> None:
    """Keep the number of channels, but not which speaker each is for, where they are in no standard order.

    PyAV 18 frees such a layout twice, with every frame, and the process aborts (6.1 and 7.1 in AIFF, CAF
    and MOV). A layout that a decoder makes up by itself would still do so; none was found that does.
    """
    layout = context.layout
    if " channels (" in layout.name:
        context.layout = f"{layout.nb_channels} channels"  # now `layout` is the only one to free the speakers


def to_float(frame: "AudioFrame") -> NDArray[np.float32]:
    """The samples of a frame as float32 [n, channels], full scale +-1."""
    array: NDArray[Any] = frame.to_ndarray()
    channels = frame.layout.nb_channels
    array = array.T if frame.format.is_planar else array.reshape(-1, channels)
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # a double beyond float32 becomes infinity and is refused as such
            return np.ascontiguousarray(array, np.float32)
    full_scale = 2.0 ** (8 * array.dtype.itemsize - 1)
    samples = np.ascontiguousarray(array, np.float32)
    if array.dtype.kind == "u":
        samples = samples - np.float32(full_scale)
    return samples / np.float32(full_scale)


def exact_bits(frame: "AudioFrame") -> int | None:
    """`Block.bits` of a frame; 32-bit integers may be more than float32 holds, and floats may be anything."""
    return {"u8": 8, "s16": 16}.get(frame.format.name.removesuffix("p"))


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except FileNotFoundError as error:
        here = "" if path.is_absolute() else f" (the working folder is {Path.cwd()})"
        raise SourceError(f"{path}: no such file; check the path{here}") from error
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read: {_reason(error)}; check the path and its permissions") from error
    if stat.S_ISDIR(status.st_mode):
        raise SourceError(f"{path} is a folder; name one recording in it")
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"{path} is not a regular file; give a recording, or a live source for a device or pipe")
    if status.st_size == 0:
        raise SourceError(f"{path} is empty (0 bytes); record or copy it again")


def _not_media(path: Path, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return f"{path} cannot be read: permission denied; give this user read access to it"
    return (
        f"{path} is not a recording that can be read ({_reason(error)}); "
        "convert it to WAV, FLAC or Ogg, or copy it again if it was cut short"
    )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def downmix(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean over channels, [n, channels] -> [n], both float32.

    Channels are added in their order, so that the result does not depend on memory layout or block size.
    """
    if samples.shape[1] == 1:
        return samples[:, 0]
    mono = samples[:, 0] + samples[:, 1]
    for channel in range(2, samples.shape[1]):
        mono += samples[:, channel]
    mono /= np.float32(samples.shape[1])
    return mono


class Resampler:
    """Streaming conversion of the sample rate of a mono stream (soxr HQ).

    Blocks of any size give, together, the same samples as everything in one piece, to the last bit. n
    samples become floor(n * rate_out / rate_in + 1/2) after `flush`; until then soxr holds some back
    (10.7 ms from 48 to 32 kHz). Equal rates pass through untouched.
    """

    def __init__(self, rate_in: int, rate_out: int = RATE) -> None:
        import soxr

        self._stream: soxr.ResampleStream | None = None
        if rate_in != rate_out:
            self._stream = soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32", quality="HQ")

    def push(self, mono: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n] at `rate_in` -> float32 [m] at `rate_out`, m >= 0."""
        if self._stream is None:
            return mono
        resampled: NDArray[np.float32] = self._stream.resample_chunk(np.ascontiguousarray(mono))
        return resampled

    def flush(self) -> NDArray[np.float32]:
        """The rest, float32 [m]; afterwards the resampler is ready for another stream."""
        nothing = np.zeros(0, np.float32)
        if self._stream is None:
            return nothing
        rest: NDArray[np.float32] = self._stream.resample_chunk(nothing, last=True)
        self._stream.clear()
        return rest


def read_mono(path: Path, rate: int) -> NDArray[np.float32]:
    """A whole file as mono float32 [n] at `rate` Hz; lost audio inside it is silence.

    Raises:
        SourceError: as `decode`, so a file that is cut short gives nothing; and NaN or infinity.
    """
    pieces: list[NDArray[np.float32]] = []
    resampler: Resampler | None = None
    end = 0
    for block in decode(path):
        if resampler is None:
            resampler = Resampler(block.rate, rate)
        if block.start > end:
            pieces.append(resampler.push(np.zeros(block.start - end, np.float32)))
        pieces.append(resampler.push(downmix(block.samples)))
        end = block.start + len(block.samples)
    if resampler is not None:
        pieces.append(resampler.flush())
    mono = np.concatenate(pieces)
    if not np.isfinite(mono).all():
        raise SourceError(f"{path} has samples that are NaN or infinite; write it again without them")
    return mono
