"""Engines that were built already, by all that they were built from: a second build of the same is a copy."""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glatd.engines.certificate import read_certificate
from glatd.engines.manifest import FILE, check_files, read_manifest
from glatd.errors import EngineError

BYTES = 4 << 30  # kept; the ones that were not asked for the longest go first
DAY = 86_400.0  # s
LOG = logging.getLogger(__name__)


def default_cache() -> Path:
    """Where the user's caches are (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "glatd" / "engines"


def key_of(files: list[Path], settings: Mapping[str, Any]) -> str:
    """Names an engine by the content of all that it is built from, and by what is asked for and with."""
    found = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in sorted(files):
        with path.open("rb") as file:
            found.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return found.hexdigest()[:32]


class Cache:
    """A folder of engines, each under its key.

    Args:
        most: bytes of all of them together.
    """

    def __init__(self, folder: Path, most: int = BYTES) -> None:
        self.folder, self.most = folder, most

    def take(self, key: str, work: Path) -> bool:
        """Copy an engine into the empty folder `work`. False where it is not there; a damaged one is thrown away."""
        entry = self.folder / key
        if not entry.is_dir():
            return False
        try:
            shutil.copytree(entry, work, dirs_exist_ok=True)
            manifest = read_manifest(work)
            check_files(work, manifest)
            read_certificate(work, manifest)
            os.utime(entry)
        except (EngineError, OSError, shutil.Error) as error:
            LOG.warning("an engine in the cache is of no use and is built anew: %s", error)
            shutil.rmtree(entry, ignore_errors=True)
            for path in work.iterdir():
                path.unlink()
            return False
        return True

    def keep(self, key: str, work: Path) -> None:
        """Keep a copy of an engine. A cache that cannot be written is no reason for a build to fail."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=".", dir=self.folder))
            try:
                shutil.copytree(work, partial, dirs_exist_ok=True)
                with contextlib.suppress(OSError):  # another build was faster
                    partial.rename(self.folder / key)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
            self.trim()
        except (OSError, shutil.Error) as error:
            LOG.warning("the engine is not kept in the cache %s: %s", self.folder, error)

    def trim(self) -> None:
        """Throw away the engines that were not asked for the longest, and what builds left that were killed."""
        now = time.time()
        sizes: dict[Path, tuple[float, int]] = {}
        for entry in self.folder.iterdir():
            with contextlib.suppress(OSError):
                used = entry.stat().st_mtime
                if entry.name.startswith("."):
                    if now - used > DAY:
                        shutil.rmtree(entry, ignore_errors=True)
                elif (entry / FILE).is_file():
                    sizes[entry] = used, sum(path.stat().st_size for path in entry.iterdir())
        total = sum(size for _, size in sizes.values())
        for entry, (_, size) in sorted(sizes.items(), key=lambda item: item[1][0]):
            if total <= self.most:
                break
            shutil.rmtree(entry, ignore_errors=True)
            total -= size
