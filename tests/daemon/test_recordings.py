"""Seventeen recordings that no training has seen: is what sounds in them among the first three tags?"""

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest

from glatd.audio import read_mono
from glatd.daemon.tagger import Tagger
from glatd.engines.engine import Engine
from glatd.messages import Tags
from tests.daemon.processes import glatd, messages
from tests.daemon.sounds import RATE

LEAST = 14  # of 17


@pytest.fixture(scope="module")
def recordings(shared: Path) -> dict[Path, str]:
    """Group `ibm_test`, with the label that each is about."""
    with (shared / "audio" / "corpus.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["group"] == "ibm_test"]
    assert len(rows) == 17
    return {shared / "audio" / row["file"]: row["primary"] for row in rows}


def judge(found: dict[Path, list[Sequence[str]]], recordings: dict[Path, str]) -> list[str]:
    """Those whose label is in the first three of some window; the others are printed."""
    good = []
    for path, label in recordings.items():
        if any(label in labels[:3] for labels in found[path]):
            good.append(path.stem)
        else:
            print(f"{path.stem}: {label!r} not among {sorted({name for labels in found[path] for name in labels[:3]})}")
    print(f"{len(good)} of {len(recordings)}")
    return good


@pytest.fixture(scope="module")
def tagged(engine: Engine, recordings: dict[Path, str]) -> dict[Path, list[Sequence[str]]]:
    """Label names of each window."""
    found: dict[Path, list[Sequence[str]]] = {}
    for path in recordings:
        tagger = Tagger(engine)
        said = tagger.push(read_mono(path, RATE)) + tagger.finish()
        found[path] = [[tag.label for tag in message.tags] for message in said if isinstance(message, Tags)]
    return found


def test_the_true_label_is_among_the_first_three(
    tagged: dict[Path, list[Sequence[str]]], recordings: dict[Path, str]
) -> None:
    assert len(judge(tagged, recordings)) >= LEAST


def test_the_command_says_the_same(tagged: dict[Path, list[Sequence[str]]], recordings: dict[Path, str]) -> None:
    done = glatd("replay", *recordings, "--format", "jsonl")
    assert done.returncode == 0 and done.stderr == ""
    found: dict[Path, list[Sequence[str]]] = {path: [] for path in recordings}
    paths = {path.stem: path for path in recordings}
    for message in messages(done.stdout):
        if message["type"] == "tags":
            found[paths[message["stream"]]].append([tag["label"] for tag in message["tags"]])
    assert found == tagged
