"""One clip on the disk: a FLAC file of 16 bits that says in itself what it is evidence of.

What it says is a Vorbis comment (RFC 9639, sections 8.5 and 8.6), which every player shows: `TITLE`, `DATE` and
`GLATD`, a line of JSON. It has a fixed room before the audio, so it is written anew when the end is known.
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import glatd
from glatd.daemon.recording.segment import FlacSegment

HEADER_BYTES = 8192  # up to the first frame of audio
BITS = 16
_COMMENT, _PADDING, _LAST = 4, 1, 0x80  # types of metadata blocks, and what marks the last


class ClipFile(FlacSegment):
    """A clip that grows. As of every segment: after an OSError only `abandon` may be called.

    Args:
        path: must not exist yet; it is made for its owner alone.
        rate: Hz.
        about: what it is, as `GLATD` says it; change it until `seal`.

    Raises:
        OSError: the file cannot be made.
    """

    mode: ClassVar[int] = 0o600

    def __init__(self, path: Path, rate: int, about: Mapping[str, Any]) -> None:
        self.about = dict(about)
        super().__init__(path, rate, 1, BITS)

    def add(self, samples: NDArray[np.int16]) -> None:
        """Write samples [n] behind those that are there.

        Raises:
            OSError: they cannot be written.
        """
        self.take(np.empty((0, 1), np.float32), samples[:, None].astype(np.int32))
        self.flush()

    def _header(self) -> bytes:
        plain = super()._header()
        streaminfo = b"fLaC" + bytes([plain[4] & ~_LAST]) + plain[5:]
        said = comments(self.about)
        room = HEADER_BYTES - len(streaminfo) - 8
        if len(said) > room:  # a name of a stream or label cannot be as long as that; a list of spans can
            said = comments({key: value for key, value in self.about.items() if not isinstance(value, list)})
        padding = bytes(room - len(said))
        return streaminfo + _block(_COMMENT, said) + _block(_PADDING | _LAST, padding)


def comments(about: Mapping[str, Any]) -> bytes:
    """The content of a block of Vorbis comments."""
    text = json.dumps(about, ensure_ascii=False, separators=(",", ":"))
    fields = [f"TITLE={about.get('label', '')}", f"DATE={about.get('time', '')}", f"GLATD={text}"]
    vendor = f"glatd {glatd.__version__}".encode()
    parts = [struct.pack("<I", len(vendor)), vendor, struct.pack("<I", len(fields))]
    for field in fields:
        parts += [struct.pack("<I", len(field.encode())), field.encode()]
    return b"".join(parts)


def _block(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + len(content).to_bytes(3, "big") + content


def as_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Samples [n] of full scale +-1 as whole numbers; what is louder is cut off."""
    loudest = (1 << (BITS - 1)) - 1
    whole: NDArray[np.int16] = np.clip(np.rint(samples * np.float32(loudest + 1)), -loudest, loudest).astype(np.int16)
    return whole
