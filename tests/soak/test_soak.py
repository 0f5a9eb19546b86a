"""A slice of each soak; the whole of them is for hours (docs/long-tests.md has the figures)."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.soak import fast, live

HOURS = float(os.environ.get("GLATD_SOAK_HOURS", "24"))
SECONDS = float(os.environ.get("GLATD_SOAK_SECONDS", "7200"))


def check_growth(found: dict[str, Any], percent: float) -> None:
    """Nothing grows after the first tenth."""
    grown = found["flatness"]
    assert grown["memory_mb"]["percent"] <= percent, grown
    for what in ("threads", "files", "children"):
        assert grown[what]["to"] <= grown[what]["from"], grown


def check_fast(found: dict[str, Any]) -> None:
    """The books of a soak that is faster than time."""
    books = found["books"]
    assert books["trouble"] == []
    assert found["causes"] == ["the connection ended; it comes back"]
    # Clocks that are off by 100 ppm make an outage that much longer or shorter.
    assert found["lost_s"] == pytest.approx(found["outages_s"], rel=2e-3)
    total = (books["samples"] + books["in_gaps"]) / fast.RATE
    assert total == pytest.approx(3600 * found["stream_hours"], rel=1e-3)


def test_a_slice_faster_than_time() -> None:
    found = fast.soak(hours=0.05, streams=4, connection_s=30)
    check_fast(found)
    assert found["connections"] > 12 and found["times_real_time"] > 1


@pytest.mark.device
def test_a_slice_in_real_time(tmp_path: Path) -> None:
    found = live.soak(seconds=32, every=5, folder=tmp_path, settle_s=8, recover_s=10)
    assert found["exit_code"] == 0 and found["faults"] >= 2
    assert found["trouble"] == {} and len(found["streams"]) == 16
    assert set(found["streams_at_the_end"].values()) <= {"live", "silent"}


@pytest.mark.slow
@pytest.mark.timeout(24 * 3600)
def test_a_day_faster_than_time() -> None:
    found = fast.soak(HOURS, streams=16, connection_s=120)
    check_fast(found)
    check_growth(found, 2.0)
    assert abs(found["clock_moves_ms_per_h"]["worst"]) <= 1.0


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.timeout(24 * 3600)
def test_two_hours_of_sixteen_servers(tmp_path: Path) -> None:
    found = live.soak(SECONDS, every=30, folder=tmp_path)
    assert found["exit_code"] == 0 and found["trouble"] == {}
    check_growth(found, 2.0)
    for name in live.QUIET:
        quiet = found["streams"][name]
        assert quiet["gaps"] == 0 and abs(quiet["moved_ms_per_h"]) <= 1.0, quiet
    for name, stream in found["streams"].items():
        assert stream["lost_s"] <= stream["faults_s"] + stream["faults"], (name, stream)
