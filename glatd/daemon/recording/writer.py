"""Writes a recording while the daemon runs, and never delays it.

Sources and the loop only put what they have into bounded queues; one thread writes. What does not fit, because the
disk is slow, is left out of the recording and told in its index as a gap ("writer too slow"); so is what comes while
the disk is full ("disk full"). The daemon goes on in either case.

What survives: a kill at any moment, all but the last FLUSH_SECONDS and the start of a FLAC frame (0.1 s); a loss of
power, all but the last SYNC_SECONDS, since segments, indices and messages are synced that often, and when they are
closed. A reader checks each second that was written by its CRC-32, so what a loss of power has torn is a gap.
"""

import contextlib
import errno
import logging
import os
import threading
import time
from collections import deque
from pathlib import Path

from glatd.audio import Block, Missing
from glatd.daemon.outage import Outage
from glatd.daemon.recording.layout import CANNOT_WRITE, DISK_FULL, HEADER, SAID, TOO_SLOW, Header, write_header
from glatd.daemon.recording.lines import LineFile, as_line, sync_folder
from glatd.daemon.recording.tape import SEGMENT_SECONDS, Lose, Tape
from glatd.errors import ConfigError
from glatd.messages import Message
from glatd.render import as_json

log = logging.getLogger("glatd")

TURN_SECONDS = 0.2  # between two looks at the queues
FLUSH_SECONDS = 1.0
SYNC_SECONDS = 30.0
RETRY_SECONDS = 5.0  # after it could not be written to
ROOM_SECONDS = 0.2  # between two looks whether a full disk has room again
QUEUE_SECONDS = 10.0  # of a stream's audio that may wait
QUEUE_BYTES = 16 << 20  # of it at most; float32
QUEUE_MESSAGES = 10_000
RESERVE_BYTES, RESERVE_SHARE = 64 << 20, 0.05  # of the disk that is left free: whichever is less
CLOSE_SECONDS = 10.0  # for all that waits to be written

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class StreamRecorder:
    """Takes the audio of one stream, on the stream's own sample clock. None of its calls blocks or fails.

    A block's samples must not be changed afterwards; they are not copied.
    """

    def __init__(self, name: str, uri: str) -> None:
        self.name, self.uri = name, uri
        self.dropped = 0  # samples, because the writer was too slow
        self._lock = threading.Lock()
        self._queue: deque[Block | Missing | Lose | Outage] = deque()
        self._bytes = 0
        self._closed = False

    def take(self, block: Block) -> None:
        """Record a block. One that starts ahead of the end of the one before it tells of lost audio."""
        size = block.samples.nbytes
        channels = block.samples.shape[1]
        most = min(QUEUE_BYTES, int(QUEUE_SECONDS * block.rate) * channels * 4)
        with self._lock:
            if self._bytes and self._bytes + size > most:
                self.dropped += len(block.samples)
                self._lose(Lose(block.start + len(block.samples), block.rate, TOO_SLOW))
            else:
                self._bytes += size
                self._queue.append(block)

    def gap(self, missing: Missing) -> None:
        """Audio that did not come, and why."""
        with self._lock:
            self._queue.append(missing)

    def lose(self, block: Block, cause: str) -> None:
        """A block that came but did not enter the stream, for example because it is muted."""
        with self._lock:
            self._lose(Lose(block.start + len(block.samples), block.rate, cause))

    def outage(self, outage: Outage) -> None:
        """Events have ended for want of audio; a replay must end them alike."""
        with self._lock:
            self._queue.append(outage)

    def close(self) -> None:
        """The stream has ended."""
        with self._lock:
            self._closed = True

    def fetch(self) -> tuple[list[Block | Missing | Lose | Outage], bool]:
        """What has come since the last call, and whether that was the end; for the writer."""
        with self._lock:
            items = list(self._queue)
            self._queue.clear()
            self._bytes = 0
            return items, self._closed

    def _lose(self, lost: Lose) -> None:
        if self._queue and isinstance(self._queue[-1], Lose) and self._queue[-1].cause == lost.cause:
            self._queue.pop()
        self._queue.append(lost)


class Recorder:
    """Writes a recording; also a sink of messages.

    Args:
        folder: of the recording, made here; see `new_recording`.
        header: of the recording.
        segment_seconds: of audio in a file.
        reserve: bytes of the disk to leave free.

    Raises:
        ConfigError: the folder cannot be written to, or holds a recording.
    """

    def __init__(
        self, folder: Path, header: Header, segment_seconds: float = SEGMENT_SECONDS, reserve: int | None = None
    ) -> None:
        self.folder, self._session, self._seconds = folder, header.session, segment_seconds
        if (folder / HEADER).exists():
            raise ConfigError(f"{folder} holds a recording already; name another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._said = LineFile(folder / SAID)
            write_header(folder, header)
        except OSError as error:
            raise ConfigError(
                f"cannot record into {folder}: {error.strerror}; name a folder that can be written"
            ) from error
        disk = os.statvfs(folder)
        self._reserve = min(RESERVE_BYTES, int(RESERVE_SHARE * disk.f_blocks * disk.f_frsize))
        self._reserve = self._reserve if reserve is None else reserve
        self._lock = threading.Lock()  # of what other threads touch: the next three
        self._new: list[StreamRecorder] = []
        self._messages: deque[Message] = deque()
        self._unsaid = 0  # messages that were not written down
        self._lines: list[str] = []  # of what was said, to be written
        self._tapes: dict[StreamRecorder, Tape | None] = {}  # None: it cannot be made as long as the disk is full
        self._early: dict[StreamRecorder, Lose] = {}  # what was lost before there was a folder for it
        self._suspended = ""  # the cause
        self._crowded = False  # whether the disk was full when it was looked at last
        self._since = 0.0
        self._slow: set[StreamRecorder] = set()
        self._closing = threading.Event()
        self._flushed = self._synced = self._tried = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str:
        """Why nothing is recorded now; empty when all is well."""
        return self._suspended

    def stream(self, name: str, uri: str) -> StreamRecorder:
        """Begin to record a stream.

        Args:
            uri: fit for printing.
        """
        recorder = StreamRecorder(name, uri)
        with self._lock:
            self._new.append(recorder)
        return recorder

    def __call__(self, message: Message) -> None:
        """Write down what was said."""
        with self._lock:
            if len(self._messages) >= QUEUE_MESSAGES:
                self._unsaid += 1
            else:
                self._messages.append(message)

    def close(self) -> None:
        """Write what waits and close all files; no longer than CLOSE_SECONDS."""
        self._closing.set()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            log.error("the recording %s could not be finished within %g s", self.folder, CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._closing.wait(TURN_SECONDS):
            self._turn(time.monotonic())
        now = time.monotonic()
        self._flushed = self._tried = 0.0  # a last try
        self._turn(now)
        for recorder, tape in self._tapes.items():
            self._end(recorder, tape)
        with contextlib.suppress(OSError):  # the last seconds of what was said may be lost with the power
            self._said.sync()
        self._said.close()

    def _turn(self, now: float) -> None:
        if self._suspended and now - self._tried >= (ROOM_SECONDS if self._crowded else RETRY_SECONDS):
            self._tried = now
            self._resume()
        self._begin()
        for recorder, tape in list(self._tapes.items()):
            items, closed = recorder.fetch()
            for item in items:
                self._write(recorder, tape, item)
            if closed:
                self._end(recorder, self._tapes.pop(recorder))
        self._say()
        if now - self._flushed >= FLUSH_SECONDS and not self._suspended:
            self._flushed = now
            self._flush(now)

    def _begin(self) -> None:
        """Make the folders of streams that are new, or could not be made before."""
        with self._lock:
            new, self._new = self._new, []
        self._tapes |= dict.fromkeys(new)
        for recorder in [recorder for recorder, tape in self._tapes.items() if tape is None]:
            if self._suspended:
                return
            try:
                tape = Tape(self.folder, recorder.name, recorder.uri, self._session, self._seconds)
            except OSError as error:
                self._suspend(error)
            else:
                self._tapes[recorder] = tape
                if recorder in self._early:
                    tape.write(self._early.pop(recorder))

    def _write(self, recorder: StreamRecorder, tape: Tape | None, item: Block | Missing | Lose | Outage) -> None:
        if isinstance(item, Outage):
            if tape is not None:
                tape.note_outage(item)
            return
        if isinstance(item, Lose) and item.cause == TOO_SLOW:
            if recorder not in self._slow:
                log.error("%s: the disk is too slow to record it; what is left out is a gap there", recorder.name)
            self._slow.add(recorder)
        elif isinstance(item, Block):
            self._slow.discard(recorder)
        if tape is None:
            end = item.start + len(item.samples) if isinstance(item, Block) else item.end
            self._early[recorder] = Lose(end, item.rate, self._suspended)
            return
        try:
            tape.write(item)
        except OSError as error:
            self._suspend(error)
            tape.write(item)  # notes what is lost

    def _say(self) -> None:
        with self._lock:
            messages, unsaid = list(self._messages), self._unsaid
            self._messages.clear()
            if self._suspended:
                self._unsaid += len(messages)
                return
            self._unsaid = 0
        if unsaid:
            self._lines.append(as_line({"v": 1, "type": "unrecorded", "messages": unsaid}))
        self._lines += map(as_json, messages)
        if not self._lines:
            return
        try:
            self._said.append(self._lines)
        except OSError as error:
            with self._lock:
                self._unsaid += unsaid + len(messages)
            self._suspend(error)
        self._lines.clear()

    def _flush(self, now: float) -> None:
        tapes = [tape for tape in self._tapes.values() if tape is not None]
        try:
            for tape in tapes:
                tape.flush()
            if now - self._synced >= SYNC_SECONDS:
                self._synced = now
                for tape in tapes:
                    tape.sync()
                self._said.sync()
                sync_folder(self.folder)
            if self._free() < self._reserve:
                raise OSError(errno.ENOSPC, "the disk is as good as full")
        except OSError as error:
            self._suspend(error)

    def _free(self) -> int:
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize

    def _suspend(self, error: OSError) -> None:
        cause = DISK_FULL if error.errno in _FULL else CANNOT_WRITE
        for tape in self._tapes.values():
            if tape is not None:
                tape.suspend(cause)
        if not self._suspended:
            self._since = time.monotonic()
            log.error(
                "recording into %s stops: %s; make room, and it goes on by itself (all else goes on meanwhile)",
                self.folder,
                error.strerror,
            )
        self._suspended = cause
        self._tried = time.monotonic()
        self._has_room()

    def _has_room(self) -> bool:
        try:
            # Some of what was freed must be for the recording, or it stops again at once.
            self._crowded = self._suspended == DISK_FULL and self._free() < 2 * self._reserve
        except OSError:
            return False
        return not self._crowded

    def _resume(self) -> None:
        if not self._has_room():
            return
        log.warning("recording into %s goes on; %.0f s were not recorded", self.folder, time.monotonic() - self._since)
        self._suspended = ""
        for tape in self._tapes.values():
            if tape is not None:
                tape.resume()

    def _end(self, recorder: StreamRecorder, tape: Tape | None) -> None:
        if tape is None:
            return
        try:
            tape.close()
        except OSError as error:
            log.error("the end of %s could not be recorded: %s", recorder.name, error.strerror)


def new_recording(folder: Path) -> Path:
    """Where a recording asked to be in `folder` goes: `folder` itself, or a `run-N` in it if it holds one already.

    So a service that is started again goes on recording, each run by itself.
    """
    if not (folder / HEADER).exists():
        return folder
    number = 2
    while (folder / f"run-{number}").exists():
        number += 1
    return folder / f"run-{number}"
