"""The microphones that are open, each once, however many sources read from it.

A reader asks for a microphone with `join` and gives it back with `leave`; the first one starts the process
that records it (see `capture`), the last one ends it. What the process says is handed to every reader by
one thread a microphone, so no reader waits for another.
"""

import contextlib
import json
import queue
import struct
import subprocess
import threading
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from glatd.daemon.sources.capture import AUDIO, AUDIO_HEAD, FAILED, FOUND, HEAD, OPENED, Opened, Request, command
from glatd.errors import SourceError

_QUEUE_PIECES = 1000  # 10 s; a reader that is further behind loses audio, not memory
_CLOSE_S = 0.3


@dataclass(frozen=True, slots=True)
class Piece:
    """What one callback of the driver brought; all readers get the same, so nobody may write into it."""

    start: int  # frames since the microphone was opened
    samples: NDArray[np.float32]  # [n, channels]
    heard: float  # monotonic seconds
    flagged: bool  # the driver told that it lost something before


class Reader:
    """One source's own queue of a microphone."""

    def __init__(self, capture: "Capture") -> None:
        self.capture = capture
        self._said: queue.SimpleQueue[Opened | Piece | SourceError | None] = queue.SimpleQueue()

    def give(self, what: Opened | Piece | SourceError) -> None:
        """Hand over; a piece that finds no room is lost."""
        if not isinstance(what, Piece) or self._said.qsize() < _QUEUE_PIECES:
            self._said.put(what)

    def wake(self) -> None:
        """Let `take` return."""
        self._said.put(None)

    def take(self, seconds: float) -> Opened | Piece | None:
        """What comes next: first how the microphone was opened, then pieces; None when there is nothing.

        Raises:
            SourceError: the microphone failed.
        """
        try:
            said = self._said.get(timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(said, SourceError):
            raise said
        return said


class Capture:
    """A microphone that is recorded by a process of its own. Everything but `process` is under `_lock`."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.readers: list[Reader] = []
        self.found = ""  # the device's full name, once it is known
        self.opened: Opened | None = None
        self.process = subprocess.Popen(
            command(request),
            bufsize=0,  # the lock of a buffer would be in the way when the interpreter ends
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # ALSA and PortAudio print what they also return
            start_new_session=True,  # Ctrl-C is for the daemon
        )
        self._heard = threading.Thread(target=self._hear, name="microphone", daemon=True)
        self._heard.start()

    def end(self) -> bool:
        """End the process, so that the device is free; whether that came about."""
        self.process.kill()
        try:
            self.process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:  # a driver may hang in the kernel
            return False
        return True

    def _hear(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        why = ""
        try:
            why = self._messages(self.process.stdout)
        except OSError:  # it died before it could be told to open
            pass
        except (TypeError, ValueError, struct.error) as error:  # its code is read anew at each start
            why = f"the microphone's recording is of another version of glatd ({error}); restart the daemon"
        finally:
            self.process.kill()
            code = self.process.wait()
            self.process.stdout.close()
            with contextlib.suppress(OSError):
                self.process.stdin.close()
            what = self.found or self.request.device or "the default one"
            fail(self, why or f"microphone {what!r}: its recording ended (exit code {code}); check the sound system")

    def _messages(self, pipe: IO[bytes]) -> str:
        """Hand on what the process says until it ends; why it failed, empty where it did not say so."""
        while head := _read(pipe, HEAD.size):
            kind, length = HEAD.unpack(head)
            rest = _read(pipe, length)
            if rest is None:
                break
            if kind == FAILED:
                return rest.decode()
            if kind == FOUND:
                if _is_open_already(self, rest.decode()):
                    break
                assert self.process.stdin is not None
                self.process.stdin.write(b"\n")
            elif kind == OPENED:
                self._give(Opened(**json.loads(rest)))
            elif kind == AUDIO and self.opened is not None:
                self._give(_piece(rest, self.opened.channels))
        return ""

    def _give(self, what: Opened | Piece) -> None:
        with _lock:
            if isinstance(what, Opened):
                self.opened = what
            for reader in self.readers:
                reader.give(what)


_lock = threading.Lock()
_captures: list[Capture] = []  # those that a reader may join
_ending: list[Capture] = []  # those that were killed and still hold their device


def join(request: Request) -> Reader:
    """A reader of the microphone, which is opened if it is not."""
    with _lock:
        capture = next((capture for capture in _captures if capture.request == request), None)
        if capture is None:
            _ending[:] = [ending for ending in _ending if ending.process.poll() is None]
            if any(ending.request == request for ending in _ending):
                raise SourceError(f"microphone {request.device!r}: its driver hangs and holds it; plug it in again")
            try:
                capture = Capture(request)
            except OSError as error:
                raise SourceError(f"no process can be started to record a microphone: {error}") from error
            _captures.append(capture)
        reader = Reader(capture)
        _seat(reader, capture)
        return reader


def leave(reader: Reader) -> None:
    """Give the microphone back; it is closed if nobody else reads it. Takes 0.3 s at most."""
    with _lock:
        capture = reader.capture
        if reader in capture.readers:
            capture.readers.remove(reader)
        last = not capture.readers
        if last and capture in _captures:
            _captures.remove(capture)
    if last and not capture.end():
        with _lock:
            _ending.append(capture)


def fail(capture: Capture, why: str) -> None:
    """Tell every reader that the microphone failed, and let nobody join it any more."""
    with _lock:
        if capture in _captures:
            _captures.remove(capture)
        for reader in capture.readers:
            reader.give(SourceError(why))
        capture.readers.clear()
    capture.process.kill()


def _seat(reader: Reader, capture: Capture) -> None:
    reader.capture = capture
    capture.readers.append(reader)
    if capture.opened is not None:
        reader.give(capture.opened)


def _is_open_already(capture: Capture, name: str) -> bool:
    """Whether the device is open under another of its names; then the readers go there."""
    with _lock:
        capture.found = name
        asked = capture.request
        for other in _captures:
            same = (other.request.rate, other.request.channels) == (asked.rate, asked.channels)
            if other is not capture and other.found == name and same:
                for reader in capture.readers:
                    _seat(reader, other)
                capture.readers.clear()
                if capture in _captures:
                    _captures.remove(capture)
                return True
    return False


def _read(pipe: IO[bytes], size: int) -> bytes | None:
    """So many bytes; None if the pipe ends before."""
    data = pipe.read(size)
    while len(data) < size:
        more = pipe.read(size - len(data))
        if not more:
            return None
        data += more
    return data


def _piece(rest: bytes, channels: int) -> Piece:
    start, heard, flagged = AUDIO_HEAD.unpack_from(rest)
    samples = np.frombuffer(rest, np.float32, offset=AUDIO_HEAD.size).reshape(-1, channels)
    return Piece(start, samples, heard, flagged)
