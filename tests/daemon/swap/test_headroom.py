"""Whether there is memory for another engine."""

from dataclasses import replace
from pathlib import Path

import pytest

from glatd.daemon.headroom import BASE, check_room
from glatd.engines.manifest import FileEntry, read_manifest
from glatd.errors import EngineError


def test_an_engine_that_fits_is_not_refused_and_another_is(engines: Path) -> None:
    manifest = read_manifest(engines / "tiny")
    check_room(manifest)
    large = replace(manifest, files=(FileEntry("x", 10**12, ""),))
    with pytest.raises(EngineError, match=rf"may need {(8 * 10**12 + BASE) / 1e6:.0f} MB, and \d+ MB are free"):
        check_room(large)
