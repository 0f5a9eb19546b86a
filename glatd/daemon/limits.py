"""How much memory this process can still have: by the machine, and by the control groups that it is in.

A limit may lie on any group from the process's own up to the topmost that can be seen: `MemoryMax=` of a service on
`system.slice/glatd.service`, that of a container on what looks like the topmost from inside it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Kind(NamedTuple):
    """One version of Linux's control groups: how it calls what is asked of a group."""

    controllers: str  # in the line of /proc/self/cgroup
    folder: str  # below /sys/fs/cgroup
    limit: str
    used: str
    files: str  # of memory.stat: pages of files, which can be read again


KINDS = (
    Kind("", "", "memory.max", "memory.current", "inactive_file"),
    Kind("memory", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def free_bytes(root: Path = Path("/")) -> int | None:
    """The least that any of them leaves; None where nothing tells it.

    Args:
        root: of the file system in which /proc and /sys are.
    """
    found = [_of_machine(root / "proc/meminfo"), *(_left(kind, group) for kind, group in _groups(root))]
    return min((max(0, value) for value in found if value is not None), default=None)


def _of_machine(meminfo: Path) -> int | None:
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines() if line)
        return int((lines.get("MemAvailable") or lines["MemFree"]).split()[0]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return None


def _groups(root: Path) -> Iterator[tuple[Kind, Path]]:
    """The group of this process and those around it, of either kind."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    paths = {name: path for _, names, path in (line.split(":", 2) for line in lines) for name in names.split(",")}
    for kind in KINDS:
        top = root / "sys/fs/cgroup" / kind.folder
        inside = Path(paths.get(kind.controllers, "/").lstrip("/"))
        # A path with ".." leads out of what a container sees, and one of the host's is not there: the topmost is left.
        for group in (inside, *inside.parents) if ".." not in inside.parts else (Path(),):
            yield kind, top / group


def _left(kind: Kind, group: Path) -> int | None:
    try:
        left = int((group / kind.limit).read_text(encoding="ascii"))  # "max" for none
        left -= int((group / kind.used).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    try:
        pages = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
        return left + int(pages[kind.files])
    except (OSError, ValueError, KeyError):
        return left
