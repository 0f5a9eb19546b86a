"""Whether a recording is all there, as far as its container tells."""

import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

# Containers that carry the length of the track; for the others FFmpeg guesses it from the size of the file.
_TELL_LENGTH = frozenset({"aiff", "au", "flac", "mov,mp4,m4a,3gp,3g2,mj2", "tta", "wv", "asf"})
_OGG_PAGE = 27 + 255 + 255 * 255  # bytes, the longest
_OGG_END_OF_STREAM = 0x04
# Programs that write WAV into a pipe cannot know the length: they write 0, 2 GiB less a bit, or 4 GiB less 1.
_WAV_UNKNOWN = 0x7FFF_0000


def promised_seconds(container: "InputContainer", track: "AudioStream") -> float | None:
    """How long the container says that the track lasts; None where it does not say, or only by a guess."""
    name = container.format.name
    # An encoder delay stands in the Xing header of an MP3 file, beside the exact number of frames.
    if name in _TELL_LENGTH or (name == "mp3" and (track.start_time or 0) > 0):
        if track.duration is None or track.time_base is None:
            return None
        return float(track.duration * track.time_base)
    if "matroska" in name and len(container.streams) == 1 and container.duration is not None:
        return container.duration / 1e6  # microseconds
    return None


def lacks_its_end(path: Path, container: str) -> bool:
    """Whether a file ends before its container says so: Ogg by its last page, WAV by the size of its data.

    Args:
        path: of a file that FFmpeg could open.
        container: FFmpeg's name of the format; True is never given for any but "ogg" and "wav".
    """
    if container == "ogg":
        return _ogg_lacks_its_end(path)
    return container == "wav" and _wav_lacks_its_end(path)


def _ogg_lacks_its_end(path: Path) -> bool:
    """Whether the last page (RFC 3533) is incomplete, or is not marked as the end of its stream."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 2 * _OGG_PAGE))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    length = 27 + page[26] + sum(page[27 : 27 + page[26]])
    return len(page) < length or not page[5] & _OGG_END_OF_STREAM


def _wav_lacks_its_end(path: Path) -> bool:
    """Whether the data chunk of RIFF or RF64 (EBU Tech 3306) reaches beyond the end of the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(12)[:4] not in (b"RIFF", b"RF64", b"BW64"):
            return False
        data64: int | None = None
        while len(header := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", header)
            if name == b"ds64":
                sizes = file.read(length)
                data64 = int.from_bytes(sizes[8:16], "little")
                continue
            if name == b"data":
                if data64 is None and (length == 0 or length >= _WAV_UNKNOWN):
                    return False
                return file.tell() + (length if data64 is None else data64) > size
            file.seek(length + length % 2, 1)
    return False
