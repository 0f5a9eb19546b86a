"""Writes clips, in a thread of its own: whoever hands audio over never waits for a disk.

What is handed over waits in a queue that is bounded, and so is the number of clips at once. A clip for which there
is no room, in the queue or on the disk, is dropped as a whole, never torn: told once in the log, and in `trouble`
until clips can be written again.
"""

import errno
import fcntl
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glatd.daemon.privacy.clipfile import HEADER_BYTES, ClipFile
from glatd.daemon.privacy.retention import NAME, SUFFIX, UNFINISHED, Kept, Retention
from glatd.errors import ConfigError

QUEUE_BYTES = 16 << 20  # that may wait; 4 minutes of one clip
ITEM_BYTES = 1024  # of what waits beside its audio
MOST_OPEN = 64  # clips at once
RETAIN_SECONDS = 60.0  # between two looks at what is too old
LOOK_SECONDS = 3600.0  # between two looks at what is in the folder
RESERVE_BYTES, RESERVE_SHARE = 64 << 20, 0.05  # of the disk that is left free: whichever is less, as recordings do
CLOSE_SECONDS = 10.0  # for all that waits to be written
PRIVATE = 0o700
TOO_SLOW = "the disk is too slow"

log = logging.getLogger("glatd.clips")


@dataclass(frozen=True, slots=True)
class Begin:
    """A clip begins."""

    id: str
    rate: int  # Hz
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Samples:
    """More of its audio, in order."""

    id: str
    samples: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Finish:
    """It is complete."""

    id: str
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Discard:
    """It is not to be, nor to have been: its event was taken back, or some of it is lacking."""

    id: str


Item = Begin | Samples | Finish | Discard


class ClipWriter:
    """From its making until `close`. `begin`, `add`, `finish` and `discard` never block and never fail.

    Args:
        folder: for the clips, made with mode 0700.
        days, megabytes: that a clip is kept, and of all clips; 0 for any.

    Attributes:
        trouble: why clips are not kept now; empty when all is well.

    Raises:
        ConfigError: the folder cannot be used, others may look into it, or another glatd uses it.
    """

    def __init__(self, folder: Path, days: float, megabytes: float) -> None:
        self.folder, self.trouble = folder, ""
        check_folder(folder)
        try:
            make_folder(folder)
            self._lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ConfigError(f"cannot keep clips in {folder}: {error.strerror}; name another clips.folder") from error
        try:
            # Another glatd would take unfinished clips for those of a daemon that was killed.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise ConfigError(
                f"the folder of clips {folder} is in use by another glatd; stop it, or name another clips.folder"
            ) from error
        self._retention = Retention(folder, days, megabytes)
        self._came = threading.Condition()
        self._queue: deque[Item] = deque()
        self._bytes = 0  # that wait, in the queue or to be written
        self._open: set[str] = set()  # clips that were begun and neither finished nor discarded
        self._closing = False
        self._lost = 0  # clips, since the last that could be written
        self._files: dict[str, ClipFile] = {}
        self._looked = float("-inf")  # monotonic s
        self._thread = threading.Thread(target=self._run, name="clips", daemon=True)
        self._thread.start()

    def begin(self, identity: str, rate: int, about: Mapping[str, Any]) -> bool:
        """Begin a clip; False if there are too many already.

        Args:
            identity: of the event; the clip's name is made of it.
            about: what it is; any plain values.
        """
        with self._came:
            crowded = len(self._open) >= MOST_OPEN
            if crowded or self._bytes > QUEUE_BYTES:
                self._lose(f"more than {MOST_OPEN} events at once" if crowded else TOO_SLOW, identity)
                return False
            self._open.add(identity)
            self._put(Begin(identity, rate, about))
            return True

    def add(self, identity: str, samples: NDArray[np.int16]) -> bool:
        """More audio of a clip; False if the disk is so slow that the clip was dropped."""
        with self._came:
            if self._bytes + samples.nbytes > QUEUE_BYTES:
                self._lose(TOO_SLOW, identity)
                self._open.discard(identity)
                self._put(Discard(identity))
                return False
            self._put(Samples(identity, samples))
            return True

    def finish(self, identity: str, about: Mapping[str, Any]) -> None:
        """A clip is complete."""
        with self._came:
            self._open.discard(identity)
            self._put(Finish(identity, about))

    def discard(self, identity: str) -> None:
        """Remove a clip, complete or not."""
        with self._came:
            self._open.discard(identity)
            self._put(Discard(identity))

    def close(self) -> None:
        """Write what waits; no longer than CLOSE_SECONDS."""
        with self._came:
            self._closing = True
            self._came.notify()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            log.error("the last clips could not be written into %s within %g s", self.folder, CLOSE_SECONDS)
        os.close(self._lock)

    def _put(self, item: Item) -> None:
        self._bytes += _cost(item)
        self._queue.append(item)
        self._came.notify()

    def _run(self) -> None:
        self._retain(first=True)
        while True:
            with self._came:
                if not self._queue and not self._closing:
                    self._came.wait(RETAIN_SECONDS)
                items = list(self._queue)
                self._queue.clear()
                if not items and self._closing:
                    break
            for item in items:
                self._do(item)
                with self._came:
                    self._bytes -= _cost(item)
            self._retain()
        for identity in list(self._files):  # nobody has finished them; they are kept as far as they go
            self._do(Finish(identity, {}))

    def _do(self, item: Item) -> None:
        """What is asked for; where the disk does not allow it, the clip is dropped, and that is told."""
        try:
            match item:
                case Begin():
                    self._begin(item)
                case Samples() if item.id in self._files:
                    self._files[item.id].add(item.samples)
                case Finish() if item.id in self._files:
                    self._finish(item)
                case Discard():
                    self._drop(item.id)
        except OSError as error:
            self._drop(item.id)
            with self._came:
                self._lose(error.strerror or str(error), item.id)

    def _begin(self, item: Begin) -> None:
        make_folder(self.folder)
        disk = os.statvfs(self.folder)
        if disk.f_bavail * disk.f_frsize < min(RESERVE_BYTES, RESERVE_SHARE * disk.f_blocks * disk.f_frsize):
            raise OSError(errno.ENOSPC, "the disk is as good as full")
        path = self._unfinished(item.id)
        path.unlink(missing_ok=True)
        self._files[item.id] = ClipFile(path, item.rate, item.about)

    def _finish(self, item: Finish) -> None:
        file = self._files[item.id]
        if item.about:
            file.about = dict(item.about)
        file.finish()
        file.seal()
        file.abandon()
        size = file.path.stat().st_size
        file.path.rename(self._complete(item.id))
        del self._files[item.id]
        self._retention.add(Kept(time.time(), size, self._complete(item.id).name))
        with self._came:
            if self.trouble:
                log.warning("clips are kept in %s again; %d were lost", self.folder, self._lost)
            self.trouble, self._lost = "", 0

    def _drop(self, identity: str) -> None:
        file = self._files.pop(identity, None)
        if file is not None:
            file.abandon()
        for path in (self._unfinished(identity), self._complete(identity)):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                log.error("the clip %s cannot be removed: %s; remove it by hand", path, error.strerror)

    def _lose(self, why: str, identity: str) -> None:
        """Note that a clip is lost. With the lock held."""
        self._lost += 1
        if not self.trouble:
            log.error(
                "clips cannot be kept in %s: %s; %s is the first that is lost. Mend it, and they are kept again",
                self.folder, why, identity,
            )  # fmt: skip
            self.trouble = f"clips cannot be kept: {why}"

    def _retain(self, first: bool = False) -> None:
        try:
            if first:
                self._salvage()
            if (now := time.monotonic()) - self._looked >= LOOK_SECONDS:
                self._looked = now
                self._retention.look()
            self._retention.apply(time.time())
        except OSError as error:
            log.error("old clips cannot be removed from %s: %s", self.folder, error.strerror)

    def _salvage(self) -> None:
        """What a kill has cut short is kept as far as it goes: FLAC can be played up to there."""
        for path in self.folder.glob(f"*{SUFFIX}{UNFINISHED}"):
            name = path.name.removesuffix(UNFINISHED)
            if NAME.fullmatch(name):
                if path.stat().st_size > HEADER_BYTES:
                    path.rename(self.folder / name)
                else:
                    path.unlink()

    def _complete(self, identity: str) -> Path:
        return self.folder / f"{identity}{SUFFIX}"

    def _unfinished(self, identity: str) -> Path:
        return self.folder / f"{identity}{SUFFIX}{UNFINISHED}"


def _cost(item: Item) -> int:
    """Bytes of the queue."""
    return ITEM_BYTES + (item.samples.nbytes if isinstance(item, Samples) else 0)


def make_folder(folder: Path) -> None:
    """Make a folder for its owner alone, if it is not there; folders above it as the umask says.

    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)


def check_folder(folder: Path) -> None:
    """Refuse a folder that others may look into, or that cannot be written to. Makes nothing.

    Raises:
        ConfigError: with the remedy.
    """
    if not os.path.exists(folder):
        above = folder.absolute().parent
        while not os.path.exists(above):
            above = above.parent
        if not os.access(above, os.W_OK | os.X_OK):
            raise ConfigError(f"cannot keep clips in {folder}: {above} cannot be written to; name another clips.folder")
        return
    if not folder.is_dir():
        raise ConfigError(f"cannot keep clips in {folder}: it is no folder; name another clips.folder")
    if (mode := folder.stat().st_mode & 0o777) & 0o077:
        raise ConfigError(f"the folder of clips {folder} is open to other users (mode {mode:04o}); chmod 700 {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot keep clips in {folder}: it cannot be written to; name another clips.folder")
