"""A folder that is there whole or not at all, whenever a build is killed, and however many build into it at once."""

import contextlib
import ctypes
import errno
import fcntl
import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

YOUNG = 10.0  # s; a folder that was made or moved since may not be locked yet, or be on its way
EXCHANGE = 2  # RENAME_EXCHANGE of Linux' renameat2
HERE = -100  # AT_FDCWD
OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST)  # a folder with something in it is in the way


@contextlib.contextmanager
def work_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` to build in, removed at the end unless it was put in its place.

    What builds that were killed left there is removed first, and an engine that one of them had put aside comes back.

    Raises:
        OSError: it cannot be made.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    sweep(out)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".building", dir=out.parent))
    lock = os.open(work, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # of a network drive without locks
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        work.chmod(0o755)  # mkdtemp makes it private
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        os.close(lock)


def sweep(out: Path) -> None:
    """Remove what builds into `out` left that are no more: their lock is gone with them."""
    for old in out.parent.glob(f".{glob.escape(out.name)}.*.aside"):
        if is_left(old) and not out.exists():
            with contextlib.suppress(OSError):
                os.rename(old, out)
    for left in out.parent.glob(f".{glob.escape(out.name)}.*"):
        if left.suffix in (".building", ".aside") and is_left(left):
            shutil.rmtree(left, ignore_errors=True)


def is_left(folder: Path) -> bool:
    """Whether nobody works in a folder any more."""
    try:
        if time.time() - folder.stat().st_ctime < YOUNG:
            return False
        lock = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def put_in_place(new: Path, out: Path) -> None:
    """Put `new` in the place of `out`, which is at every moment the old one or the new one; then the old one goes.

    Where the system cannot exchange two folders at a stroke, there is a moment without one: a kill just then leaves
    the old one aside, and the next build puts it back.

    Raises:
        OSError: it cannot be put there; what stood there still does.
    """
    for path in new.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())  # a folder that is there after a power cut is whole, too
    while True:
        try:
            os.rename(new, out)  # onto nothing, or an empty folder
            return
        except OSError as error:
            if error.errno not in OCCUPIED:
                raise
        if exchange(new, out):
            shutil.rmtree(new, ignore_errors=True)  # the old one, now
            return
        aside = out.with_name(f"{new.name.removesuffix('.building')}.aside")
        try:
            os.rename(out, aside)
        except FileNotFoundError:  # another build's turn, just now
            continue
        try:
            os.rename(new, out)
        except OSError as error:
            if error.errno in OCCUPIED:  # another build was quicker: what is aside is older than both
                shutil.rmtree(aside, ignore_errors=True)
                continue
            os.rename(aside, out)
            raise
        shutil.rmtree(aside, ignore_errors=True)
        return


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders at a stroke. False where this system or file system cannot."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return bool(call(HERE, os.fsencode(one), HERE, os.fsencode(other), EXCHANGE) == 0)
