"""Where the tables lie: a folder, or a prefix of an object store, by one interface.

A file appears whole or not at all: in a folder by a rename, in a store because its uploads are so.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import fsspec

from glatd.daemon.recording.lines import sync_folder
from glatd.errors import ConfigError, GlatdError

WORK = ".work"  # folder of what is being written; readers of tables pass over names that begin with a dot


def filesystem(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path there.

    Raises:
        ConfigError: none is known, or its package is not installed.
    """
    try:
        store, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{url}: {error}") from error
    return store, str(path)


class Store:
    """A folder of tables.

    Args:
        place: path or URL; made when something is put there.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._lock: IO[str] | None = None
        self._drafts: Path | None = None
        self.folder: Path | None = None
        if "://" in place and not place.startswith("file://"):
            self._store, self._root = filesystem(place)
        else:
            self.folder = Path(os.path.abspath(place.removeprefix("file://")))

    def __str__(self) -> str:
        return self.place

    def claim(self) -> None:
        """Keep other runs out, and remove what one that was killed has left half done. In an object store nobody can.

        Raises:
            ConfigError: another run is at work there, or it cannot be written to.
        """
        if self.folder is None:
            return
        work = self.folder / WORK
        with self.writing():
            work.mkdir(parents=True, exist_ok=True)
            self._lock = (work / "lock").open("w")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigError(f"another run is writing into {self}; wait for it, or give another --out") from error
            for left in work.iterdir():
                if left.name != "lock":
                    left.unlink()

    def release(self) -> None:
        """Let others in again."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def list(self, folder: str) -> list[str]:
        """Names of the files in one of its folders, sorted."""
        if self.folder is not None:
            inner = self.folder / folder
            return sorted(each.name for each in inner.iterdir() if each.is_file()) if inner.is_dir() else []
        self._store.invalidate_cache()
        try:
            found = self._store.ls(f"{self._root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        return sorted(str(name).rpartition("/")[2] for name in found)

    def exists(self, name: str) -> bool:
        """Whether there is such a file, for whoever looks from outside."""
        if self.folder is not None:
            return (self.folder / name).is_file()
        self._store.invalidate_cache()
        return bool(self._store.exists(f"{self._root}/{name}"))

    def read(self, name: str) -> bytes | None:
        """The bytes of a small file; None if there is none."""
        try:
            if self.folder is not None:
                return (self.folder / name).read_bytes()
            content: bytes = self._store.cat_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return None
        return content

    @contextlib.contextmanager
    def draft(self, name: str) -> Iterator[Path]:
        """A path to write a file to; it becomes `name` when the block ends well, and is removed else."""
        path = self.scratch() / name.replace("/", "-")
        try:
            yield path
            if path.exists():
                self.put(path, name)
        finally:
            path.unlink(missing_ok=True)

    def scratch(self) -> Path:
        """A folder for drafts; on the same disk where the tables lie on one."""
        if self.folder is None:
            if self._drafts is None:
                self._drafts = Path(tempfile.mkdtemp(prefix="glatd-"))
                weakref.finalize(self, shutil.rmtree, self._drafts, ignore_errors=True)
            return self._drafts
        work = self.folder / WORK
        work.mkdir(parents=True, exist_ok=True)
        return work

    def put(self, draft: Path, name: str) -> None:
        """Turn a draft into a file that holds also after a loss of power.

        Raises:
            ConfigError: it cannot be written.
        """
        with self.writing():
            if self.folder is None:
                self._store.put_file(str(draft), f"{self._root}/{name}")
                draft.unlink()
                return
            with draft.open("rb") as written:
                os.fsync(written.fileno())
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            draft.replace(target)
            sync_folder(target.parent)

    def write(self, name: str, content: bytes) -> None:
        """A small file, in place of what it was before."""
        with self.writing(), self.draft(name) as path:
            path.write_bytes(content)

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""
        with self.writing():
            if self.folder is not None:
                (self.folder / name).unlink(missing_ok=True)
            elif self.exists(name):
                self._store.rm_file(f"{self._root}/{name}")

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Errors of the disk or the store become one that says what to do."""
        try:
            yield
        except Exception as error:
            # A disk says no by an OSError; stores have errors of their own.
            if isinstance(error, GlatdError) or (self.folder is not None and not isinstance(error, OSError)):
                raise
            number = getattr(error, "errno", None)  # pyarrow tells the same in a line of its own
            why = os.strerror(number) if number else str(error) or type(error).__name__
            raise ConfigError(
                f"cannot write into {self}: {why}; make room or check its permissions, and run "
                "the same command again: what is there already stays"
            ) from error

    def dataset(self) -> tuple[str, Any]:
        """Path and file system as pyarrow takes them."""
        if self.folder is not None:
            return str(self.folder), None
        return self._root, self._store
