"""PCM that another service pushes over ZeroMQ: glatd binds a PULL socket, any program connects a PUSH.

A message has two frames: a msgpack map, and raw interleaved samples of at most 1 MiB. The map:

    {"v": 1, "rate": 48000, "format": "s16le", "channels": 1, "start": 96000}

`format` is one of u8, s16le, s24le, s32le, f32le. `start`, which may be left out, counts the samples (of one
channel) since the program began: a jump ahead is audio that was lost. Without it, loss is found by
counting samples against the clock. Further keys are ignored; a greater `v` is refused. Messages that are
none are refused and counted. `glatd.clients.feeder` sends it.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from glatd.audio import Block
from glatd.daemon.security.access import LOCAL, Access, check_reach
from glatd.daemon.sources.base import Source, pick_channel, safe_name
from glatd.daemon.sources.flood import FloodMeter
from glatd.daemon.sources.lag import LagMeter
from glatd.daemon.sources.pcm import ENCODINGS, MOST_CHANNELS, RATES, PcmFormat
from glatd.errors import ConfigError, ProtocolError, SourceError

if TYPE_CHECKING:
    from glatd.daemon.endpoint import Endpoint

log = logging.getLogger("glatd")

VERSION = 1
MOST_BYTES = 1 << 20  # of a frame; ZeroMQ drops whoever sends more
_MOST_HEADER = 1024  # bytes
_MOST_WAITING = 32  # messages; beyond, senders wait or drop
_SILENT_S = 10.0
_POLL_S = 0.1  # how late a stop is seen
_LONGEST_LOST_S = 60.0  # a longer jump of `start` is another program, not lost audio


@dataclass(frozen=True, slots=True)
class Pushed:
    """One message."""

    pcm: PcmFormat
    start: int | None  # samples since the sender began
    data: bytes  # whole samples of every channel, at least one


def parse_pushed(frames: Sequence[bytes]) -> Pushed:
    """The message that these frames are.

    Raises:
        ProtocolError: they are none, or of a newer version.
    """
    if len(frames) != 2:
        raise ProtocolError(f"{len(frames)} frames, not a header and samples")
    header, data = frames
    table = _unpack(header)
    version = _count(table, "v", 1, 2**31)
    if version > VERSION:
        raise ProtocolError(f"version {version}, this glatd knows {VERSION}; upgrade glatd")
    encoding = table.get("format", "s16le")
    if not isinstance(encoding, str) or encoding not in ENCODINGS:
        raise ProtocolError(f"format = {_short(encoding)}, not one of {', '.join(ENCODINGS)}")
    rate = _count(table, "rate", *RATES)
    channels = _count(table, "channels", 1, MOST_CHANNELS) if "channels" in table else 1
    start = _count(table, "start", 0, 2**62) if "start" in table else None
    pcm = PcmFormat(rate, encoding, channels)
    if not data or len(data) % pcm.frame_bytes or len(data) > MOST_BYTES:
        raise ProtocolError(f"{len(data)} bytes of samples, not a multiple of {pcm.frame_bytes} up to {MOST_BYTES}")
    return Pushed(pcm, start, data)


def _unpack(header: bytes) -> dict[Any, Any]:
    import msgpack

    if len(header) > _MOST_HEADER:
        raise ProtocolError(f"a header of {len(header)} bytes, at most {_MOST_HEADER} are read")
    try:
        table = msgpack.unpackb(header)
    except Exception as error:  # msgpack has many, among them ValueError and UnicodeDecodeError
        raise ProtocolError(f"the header is not msgpack ({type(error).__name__})") from error
    if not isinstance(table, dict):
        raise ProtocolError(f"the header is {_short(table)}, not a map")
    return table


def _count(table: dict[Any, Any], key: str, least: int, most: int) -> int:
    value = table.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ProtocolError(f"{key} = {_short(value)}, not a whole number from {least} to {most}")
    return value


def _short(value: object) -> str:
    return repr(value)[:60]


class ZmqPcmSource(Source):
    """What programs push to `endpoint`; one program at a time.

    Args:
        endpoint: to bind, tcp://ADDRESS:PORT.
        channel: 1 for the first; None for all of them.
    """

    live: ClassVar[bool] = True

    def __init__(self, endpoint: str, name: str | None = None, channel: int | None = None) -> None:
        only = f"?channel={channel}" if channel else ""
        default = safe_name(endpoint.partition("://")[2], "zmq")
        super().__init__(f"zmq+{endpoint}{only}", name or default, name is not None)
        self._endpoint, self._channel = endpoint, channel
        self._access = LOCAL
        self.refused = 0  # messages that were none, since the source was made

    def guard(self, access: Access) -> None:
        """Let in those who have a key with the right to feed, or without keys this machine alone.

        Raises:
            ConfigError: as `Source.guard`.
        """
        check_reach(self._endpoint, f"{self.uri}: cannot listen there", "an address", access)
        self._access = access

    def blocks(self) -> Iterator[Block]:
        """One block for each message; never ends by itself.

        Raises:
            SourceError: the address cannot be bound, no samples for 10 s, a rate or format that changes, a
                program that is faster than its rate for long.
        """
        import zmq

        from glatd.daemon.endpoint import Endpoint, Purpose

        if self._stopped.is_set():
            return
        purpose = Purpose("listen", "address", "feed", MOST_BYTES, _MOST_WAITING, 0)
        try:
            bound = Endpoint(zmq.PULL, self._endpoint, purpose, self._access)
        except ConfigError as error:
            raise SourceError(f"{self.uri}: {error}") from error
        with closing(bound):
            yield from self._receive(bound)

    def _receive(self, bound: "Endpoint") -> Iterator[Block]:
        heard = time.monotonic()
        why = ""
        place: Place | None = None
        while not self._stopped.is_set():
            if not bound.socket.poll(round(1000 * _POLL_S)) or not (frames := bound.receive()):
                self._check_silence(heard, why)
                continue
            now = time.monotonic()
            try:
                pushed = parse_pushed(frames)
            except ProtocolError as error:
                if not why:
                    log.warning("%s: a message was refused: %s", self.uri, error)
                self.refused += 1
                why = str(error)
                self._check_silence(heard, why)
                continue
            heard = now
            samples = pick_channel(pushed.pcm.decode(pushed.data), self._channel, self.uri)
            if place is None:
                place = Place(self.uri, pushed.pcm)
            start = place.of(pushed, len(samples), now)
            yield Block(start, samples, pushed.pcm.rate, now, pushed.pcm.bits)

    def _check_silence(self, heard: float, why: str) -> None:
        if time.monotonic() - heard > _SILENT_S:
            refused = f" ({self.refused} messages were refused, the last because of {why})" if why else ""
            raise SourceError(f"{self.uri}: no audio for {_SILENT_S:.0f} s{refused}; check the program that pushes it")


class Place:
    """Where what is pushed belongs in the stream."""

    def __init__(self, where: str, pcm: PcmFormat) -> None:
        self._where, self._pcm = where, pcm
        self._lag, self._flood = LagMeter(pcm.rate), FloodMeter(where, pcm.rate)
        self._end = 0  # of the stream, in samples
        self._next: int | None = None  # the sender's `start` that should come
        self._heard = 0.0

    def of(self, pushed: Pushed, samples: int, now: float) -> int:
        """The index of a message of so many samples that came at a monotonic time.

        Raises:
            SourceError: a rate or format that changed, or a flood.
        """
        pcm = pushed.pcm
        if pcm != self._pcm:
            raise SourceError(
                f"{self._where}: the sound changes from {self._pcm.query} to {pcm.query}; it is opened again"
            )
        self._flood.push(samples, now)
        if pushed.start is None:
            self._end += self._lag.lost(now, self._end + samples, False)
        elif self._next is not None:
            jump = pushed.start - self._next
            if not 0 <= jump <= _LONGEST_LOST_S * pcm.rate:  # another program, or this one started again
                jump = max(0, round((now - self._heard) * pcm.rate) - samples)
            self._end += jump
        self._next = None if pushed.start is None else pushed.start + samples
        self._heard = now
        start = self._end
        self._end += samples
        return start
