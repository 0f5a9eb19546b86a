"""What lies on the disk: any bytes in a recording are audio, a gap, or an error of the house."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from glatd.audio import Block, Missing
from glatd.daemon.recording.expected import Expected
from glatd.daemon.recording.layout import HEADER, INDEX, SAID
from glatd.daemon.recording.reader import open_recording
from glatd.messages import Gap, Status, Tag, Tags, to_map
from tests.daemon.recording.making import blocks, exact, record
from tests.fuzz.exploring import explore_bytes, seconds

RATE = 8_000
MOST = 10 * RATE  # samples that a recording of 2 s may be read as, whatever is in it


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """In memory, where there is some for it: files are written thousands of times."""
    at = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=at) as folder:
        yield Path(folder)


def made(folder: Path, bits: int | None) -> Path:
    """A recording of 2 s with a gap in its middle."""
    samples = exact(2 * RATE, 2, bits)
    if bits is None:
        samples = np.nan_to_num(samples, nan=0.5).astype(np.float32)
    items: list[Block | Missing] = [*blocks(samples[:RATE], [160], RATE, bits, came=100.0)]
    items.append(Missing(RATE + 800, RATE, "not delivered"))
    items += blocks(samples[RATE:], [160], RATE, bits, start=RATE + 800, came=101.1)
    record(folder, items)
    return folder


def read(recording: Path) -> None:
    """All of it, and what it gives is what a stream takes."""
    for source in open_recording(recording).streams:
        count = 0
        for piece in source.blocks():
            assert type(piece.rate) is int and piece.rate > 0
            if isinstance(piece, Missing):
                assert type(piece.end) is int and isinstance(piece.cause, str)
            else:
                assert type(piece.start) is int and piece.samples.dtype == np.float32 and piece.samples.ndim == 2
                assert piece.wall is None or isinstance(piece.wall, float)
                count += len(piece.samples)
        assert count <= MOST


def damaging(recording: Path, path: Path) -> Callable[[bytes], None]:
    """Reads the recording with these bytes in the place of one of its files."""

    def look(data: bytes) -> None:
        path.write_bytes(data)
        read(recording)

    look.__qualname__ = f"damaging.{path.name}"
    return look


@seconds
@pytest.mark.parametrize("bits", [16, None], ids=["flac", "wav"])
def test_an_index(place: Path, bits: int | None, seconds: float) -> None:
    recording = made(place / f"index{bits}", bits)
    path = recording / "stream-yard" / INDEX
    try:
        explore_bytes(damaging(recording, path), [path.read_bytes()], seconds)
    finally:
        shutil.rmtree(recording)


@seconds
def test_a_header(place: Path, seconds: float) -> None:
    recording = made(place / "header", 16)
    path = recording / HEADER
    try:
        explore_bytes(damaging(recording, path), [path.read_bytes()], seconds)
    finally:
        shutil.rmtree(recording)


@seconds
def test_segments(place: Path, seconds: float) -> None:
    """Damage in a file that the index still takes for whole is found by its checksum."""
    recording = made(place / "segment", 16)
    path = recording / "stream-yard" / "000001.flac"
    try:
        explore_bytes(damaging(recording, path), [path.read_bytes()], seconds)
    finally:
        shutil.rmtree(recording)


@seconds
def test_what_was_said(place: Path, seconds: float) -> None:
    head = ("edge-1", "s1", "yard", "2026-01-01T00:00:25.920000Z")
    said = [
        Status(*head, state="starting", uri="", engine="e", rate=32_000, samples=0, lost=0, windows=0, late_ms=0.0),
        Tags(
            *head, seq=0, start=-1, end=5, rate=32_000, filled=1.0, level_dbfs=-3.0, engine="e",
            tags=(Tag("Dog", "/m/0bt9lr", 0.9, 0.9, 0.9),), crops=(),
        ),
        Gap(*head, start=1, end=2, rate=32_000, cause="overload"),
    ]  # fmt: skip
    path = place / SAID

    def look(data: bytes) -> None:
        path.write_bytes(data)
        expected = Expected(path)
        for stream in expected.streams:
            assert isinstance(expected.of(stream), list)

    explore_bytes(look, ["".join(json.dumps(to_map(message)) + "\n" for message in said).encode()], seconds)
