"""Put files out of the page cache, so that the next start reads them from the disk as after a boot."""

import os
from collections.abc import Iterable, Sequence
from importlib.metadata import distribution
from pathlib import Path


def forget(packages: Sequence[str], folders: Iterable[Path] = ()) -> None:
    """Drop the files of installed packages, and those in folders, from memory (Linux; nothing elsewhere).

    Files that another process has mapped stay.
    """
    if not hasattr(os, "posix_fadvise"):
        return
    for package in packages:
        for file in distribution(package).files or []:
            drop(Path(str(file.locate())))
    for folder in folders:
        for path in folder.rglob("*"):
            drop(path)


def drop(path: Path) -> None:
    """Drop a file; what is no file is passed over."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
