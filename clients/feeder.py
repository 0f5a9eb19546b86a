"""Push audio into glatd from any program: the other side of a `zmq+tcp://` source."""

from pathlib import Path
from types import TracebackType

import msgpack
import zmq

from glatd.clients.connecting import connect
from glatd.clients.keys import Handshakes, Keys, given_keys, use_keys
from glatd.errors import ConfigError

VERSION = 1
FORMATS = {"u8": 1, "s16le": 2, "s24le": 3, "s32le": 4, "f32le": 4}  # bytes a sample
MOST_BYTES = 1 << 20  # of a message
_WAITING = 100  # messages that may wait while glatd is busy
_LINGER_MS = 500


class AudioFeeder:
    """Sends interleaved samples, in real time, to a glatd that runs with `--source zmq+tcp://127.0.0.1:5600`.

    >>> with AudioFeeder("tcp://127.0.0.1:5600", rate=48000) as feeder:
    ...     feeder.push(samples)  # bytes of s16le, 20 ms for example

    It never waits. What cannot be sent, because nobody listens or glatd is behind, is lost; the index of
    what follows tells how much. Made, used and closed in one thread.

    Args:
        endpoint: where glatd listens.
        rate: Hz.
        format: of the samples, a key of FORMATS.
        channels: in each sample.
        keys: of this client, or the file that `glatd keys add` made for it.

    Attributes:
        lost: samples that could not be sent.

    Raises:
        ConfigError: no endpoint that ZeroMQ understands, a format that glatd does not, or keys that cannot be used.
    """

    def __init__(
        self,
        endpoint: str,
        rate: int,
        format: str = "s16le",
        channels: int = 1,
        keys: Keys | Path | str | None = None,
    ) -> None:
        if format not in FORMATS:
            raise ConfigError(f"format = {format!r} must be one of {', '.join(FORMATS)}")
        if rate < 1 or channels < 1:
            raise ConfigError(f"rate = {rate!r} and channels = {channels!r} must be whole numbers from 1 on")
        keys = given_keys(keys)
        self.lost = 0
        self._header = {"v": VERSION, "rate": rate, "format": format, "channels": channels}
        self._frame_bytes = FORMATS[format] * channels
        self._start = 0
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.sndhwm, self._socket.linger = _WAITING, _LINGER_MS
        use_keys(self._socket, keys)
        self._handshakes = Handshakes(self._socket, endpoint, keys)
        self._socket.immediate = True  # nothing waits for a glatd that is not there: it would come too late
        try:
            connect(self._socket, endpoint, "tcp://HOST:PORT")
        except ConfigError:
            self.close()
            raise

    def push(self, data: bytes) -> bool:
        """Send whole samples of every channel; False if they were lost.

        Raises:
            ConfigError: a part of a sample, or more than 1 MiB; or glatd refuses this client.
        """
        self._handshakes.check()
        if len(data) % self._frame_bytes or len(data) > MOST_BYTES:
            raise ConfigError(f"{len(data)} bytes must be a multiple of {self._frame_bytes} up to {MOST_BYTES}")
        samples = len(data) // self._frame_bytes
        if samples == 0:
            return True
        header = msgpack.packb(self._header | {"start": self._start})
        self._start += samples
        try:
            self._socket.send_multipart([header, data], zmq.NOBLOCK)
        except zmq.Again:
            self.lost += samples
            return False
        return True

    def close(self) -> None:
        """Send what waits, for half a second at most, and close the socket."""
        self._handshakes.close()
        self._socket.close()
        self._context.term()

    def __enter__(self) -> "AudioFeeder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
