"""How much memory there is: by the machine, by a container, and by the service that glatd runs in."""

from pathlib import Path

import pytest

from glatd.daemon.limits import KINDS, Kind, free_bytes

GIB = 1 << 30
MACHINE = 2 * GIB


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with 2 GiB free, and no control groups."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(f"MemTotal: 8388608 kB\nMemAvailable:   {MACHINE >> 10} kB\n\n")
    return tmp_path


def group(root: Path, kind: Kind, path: str, limit: int | str, used: int = 0, files: int | None = None) -> None:
    """A control group of that limit."""
    folder = root / "sys/fs/cgroup" / kind.folder / path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / kind.limit).write_text(f"{limit}\n")
    (folder / kind.used).write_text(f"{used}\n")
    if files is not None:
        (folder / "memory.stat").write_text(f"anon 5\n{kind.files} {files}\n")


def is_in(root: Path, *lines: str) -> None:
    (root / "proc/self/cgroup").write_text("".join(f"{line}\n" for line in lines))


def test_where_nothing_is_told_nothing_is_known(root: Path, tmp_path: Path) -> None:
    assert free_bytes(root) == MACHINE
    assert free_bytes(tmp_path / "none") is None
    assert free_bytes() is not None  # of the machine that tests
    (root / "proc/meminfo").write_text("MemFree: 1024 kB\n")
    assert free_bytes(root) == 1 << 20  # of an old kernel


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_container_the_topmost_group_is_the_limit(root: Path, kind: Kind) -> None:
    group(root, kind, "", GIB, GIB // 2, files=GIB // 4)
    assert free_bytes(root) == GIB // 2 + GIB // 4  # what is read from files can be read again
    is_in(root, f"0:{kind.controllers}:/")
    assert free_bytes(root) == GIB // 2 + GIB // 4
    is_in(root, f"0:{kind.controllers}:/../../elsewhere", "junk:junk:junk")
    assert free_bytes(root) == GIB // 2 + GIB // 4
    group(root, kind, "", "max")
    assert free_bytes(root) == MACHINE


@pytest.mark.parametrize("kind", KINDS)
def test_the_limit_of_a_service_or_of_its_slice_is_seen(root: Path, kind: Kind) -> None:
    is_in(root, "4:cpu,cpuacct:/", f"1:{kind.controllers}:/system.slice/glatd.service")
    group(root, kind, "system.slice/glatd.service", GIB, GIB // 4)
    group(root, kind, "system.slice/other.service", 1)
    assert free_bytes(root) == GIB - GIB // 4
    group(root, kind, "system.slice", GIB, GIB)
    assert free_bytes(root) == 0
    group(root, kind, "system.slice", GIB, GIB + 1)
    assert free_bytes(root) == 0
