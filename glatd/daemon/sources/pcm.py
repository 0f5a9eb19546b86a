"""Raw interleaved PCM: what its bytes mean, and what a URI says about them."""

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray

from glatd.daemon.sources.base import pick_channel
from glatd.errors import ConfigError

ENCODINGS = {"s16le": 2, "s24le": 3, "s32le": 4, "f32le": 4, "u8": 1}  # bytes a sample
_KEYS = ("rate", "format", "channels", "channel")
RATES = (8_000, 384_000)  # Hz, what the resampler is tested for
MOST_CHANNELS = 64


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """How raw samples are written."""

    rate: int = 48_000  # Hz
    encoding: str = "s16le"  # a key of ENCODINGS
    channels: int = 1
    channel: int | None = None  # the only one taken, 1 for the first; None: all

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return ENCODINGS[self.encoding] * self.channels

    @property
    def bits(self) -> int | None:
        """As in `Block`; float32 cannot hold more than 24."""
        return {"u8": 8, "s16le": 16, "s24le": 24}.get(self.encoding)

    @property
    def query(self) -> str:
        """As `parse_format` reads it."""
        only = f"&channel={self.channel}" if self.channel else ""
        return f"rate={self.rate}&format={self.encoding}&channels={self.channels}{only}"

    def decode(self, data: bytes | bytearray | memoryview) -> NDArray[np.float32]:
        """Whole frames of bytes -> float32 [n, channels], or [n, 1] if one is chosen.

        Integers are divided by 2 ** (bits - 1).
        """
        if self.encoding == "f32le":
            samples = np.frombuffer(data, "<f4").astype(np.float32)
        elif self.encoding == "s16le":
            samples = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(2**15)
        elif self.encoding == "s32le":
            samples = np.frombuffer(data, "<i4").astype(np.float32) / np.float32(2**31)
        elif self.encoding == "u8":
            samples = np.frombuffer(data, np.uint8).astype(np.float32) / np.float32(2**7) - np.float32(1)
        else:  # s24le: into the upper three bytes of an int32, which float32 still holds exactly
            wide = np.zeros((len(data) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            samples = wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
        return pick_channel(samples.reshape(-1, self.channels), self.channel, self.query)


def parse_format(query: str, where: str) -> PcmFormat:
    """What `rate=48000&format=s16le&channels=1` says; what it leaves out is as in this example.

    Args:
        query: the part of a URI after `?`.
        where: what to call the URI in errors.

    Raises:
        ConfigError: an unknown or repeated key, or a value that cannot be.
    """
    values = parse_query(query, _KEYS, where)
    encoding = values.get("format", "s16le")
    if encoding not in ENCODINGS:
        raise ConfigError(f"{where}: unknown format {encoding!r}; {nearest(encoding, ENCODINGS)}")
    rate = parse_count(values.get("rate", "48000"), "rate", *RATES, where)
    channels = parse_count(values.get("channels", "1"), "channels", 1, MOST_CHANNELS, where)
    channel = parse_count(values["channel"], "channel", 1, channels, where) if "channel" in values else None
    return PcmFormat(rate, encoding, channels, channel)


def parse_query(query: str, keys: tuple[str, ...], where: str) -> dict[str, str]:
    """The values of a query string, of which each of `keys` may come once."""
    values: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in keys:
            raise ConfigError(f"{where}: unknown key {key!r}; {nearest(key, keys)}")
        if key in values:
            raise ConfigError(f"{where}: {key!r} is given twice; leave one")
        values[key] = value
    return values


def parse_count(text: str, key: str, least: int, most: int, where: str) -> int:
    """A whole number between `least` and `most`."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise ConfigError(f"{where}: {key}={text!r} must be a whole number from {least} to {most}")
    return int(text)


def nearest(word: str, known: Collection[str]) -> str:
    """The remedy for a misspelt word."""
    near = difflib.get_close_matches(word.lower(), known, 1, 0.5)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
