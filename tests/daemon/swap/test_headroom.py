"""How much memory there is for another engine: by the machine, and by its container."""

from dataclasses import replace
from pathlib import Path

import pytest

from glatd.daemon.headroom import BASE, check_room, free_bytes
from glatd.engines.manifest import FileEntry, read_manifest
from glatd.errors import EngineError


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """/proc/meminfo with 2 GiB, and a control group with 1 GiB of which half is taken, a quarter of that by files."""
    (tmp_path / "meminfo").write_text("MemTotal: 4194304 kB\nMemAvailable:   2097152 kB\nHugePages_Total:  0\n")
    (tmp_path / "memory.max").write_text(f"{1 << 30}\n")
    (tmp_path / "memory.current").write_text(f"{1 << 29}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {1 << 27}\n")
    return tmp_path


def test_the_narrower_of_machine_and_container_counts(machine: Path) -> None:
    meminfo = machine / "meminfo"
    assert free_bytes(meminfo, machine) == (1 << 29) + (1 << 27)
    (machine / "memory.max").write_text("max\n")
    assert free_bytes(meminfo, machine) == 1 << 31
    assert free_bytes(meminfo, machine / "none") == 1 << 31
    assert free_bytes(machine / "none", machine / "none") is None
    assert free_bytes() is not None  # of the machine that tests


def test_an_engine_that_fits_is_not_refused_and_another_is(engines: Path) -> None:
    manifest = read_manifest(engines / "tiny")
    check_room(manifest)
    large = replace(manifest, files=(FileEntry("x", 10**12, ""),))
    with pytest.raises(EngineError, match=rf"may need {(8 * 10**12 + BASE) / 1e6:.0f} MB, and \d+ MB are free"):
        check_room(large)
