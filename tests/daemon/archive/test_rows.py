"""What stands in the tables is what `glatd replay` says, to the last digit that it says."""

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.daemon.archive.tables import Row, archive, bad, rows
from tests.daemon.processes import glatd, messages
from tests.daemon.recording.making import blocks, record
from tests.daemon.sounds import RATE, noise

pytestmark = pytest.mark.timeout(600)

Messages = dict[str, list[dict[str, Any]]]  # by file


@pytest.fixture(scope="module")
def replayed(recordings: Path, low_rules: Path) -> Messages:
    """Every message about each recording, with the scores of all classes."""
    paths = sorted(path for path in recordings.rglob("*") if path.suffix.lower() == ".wav")
    done = glatd("replay", *paths, "--format", "jsonl", "--scores", "all", "--rules", low_rules)
    of: Messages = {}
    for message in messages(done.stdout):
        of.setdefault(message["stream"], []).append(message)
    assert len(of) == len(paths)
    return {str(path): said for path, said in zip(paths, of.values(), strict=True)}


def of_type(said: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [message for message in said if message["type"] == kind]


def same(value: float, said: float, digits: int = 6) -> bool:
    """A float32 of the table is what was said, once it is rounded as that was."""
    return round(value, digits) == said


def test_every_window_is_a_row_with_the_same_numbers(tagged: Path, replayed: Messages) -> None:
    found = rows(tagged, "windows")
    assert [row["file"] for row in found] == [
        file for file in sorted(replayed) for _ in of_type(replayed[file], "tags")
    ]
    labels = [label["name"] for label in json.loads((tagged / "archive.json").read_text())["labels"]]
    said = [tags for file in sorted(replayed) for tags in of_type(replayed[file], "tags")]
    for row, tags in zip(found, said, strict=True):
        for key in ("seq", "start", "end", "quiet"):
            assert row[key] == tags[key]
        assert (row["start_s"], row["end_s"]) == (tags["start"] / RATE, tags["end"] / RATE)
        assert same(row["filled"], tags["filled"]) and same(row["level_dbfs"], tags["level_dbfs"], 2)
        assert row["time"] is None  # nobody knows when a file was recorded
        assert len(row["tags"]) == 10
        for tag, other in zip(row["tags"], tags["tags"], strict=False):
            assert tag["label"] == other["label"]
            assert all(same(tag[key], other[key]) for key in ("score", "global", "local"))
        for crop, other in zip(row["crops"], tags["crops"], strict=True):
            assert [crop[key] for key in ("label", "start", "end")] == [other[key] for key in ("label", "start", "end")]
            assert same(crop["activation"], other["activation"])
        scores = dict(zip(labels, row["scores"], strict=True))
        assert all(same(scores[tag["label"]], tag["score"]) for tag in tags["tags"])


def test_every_event_is_a_row_with_its_evidence(tagged: Path, replayed: Messages) -> None:
    of: dict[str, list[Row]] = {}
    for row in rows(tagged, "events"):
        of.setdefault(row["file"], []).append(row)
    assert list(of) == sorted(of) and sum(map(len, of.values())) > 5
    for file, messages_ in replayed.items():
        ended = [event for event in of_type(messages_, "event") if event["phase"] == "end"]
        ended.sort(key=lambda event: (event["onset"], event["offset_time"], event["mid"]))
        for row, event in zip(of.get(file, []), ended, strict=True):
            assert [row[key] for key in ("label", "mid", "onset", "offset", "cause")] == [
                event[key] for key in ("label", "mid", "onset", "offset_time", "cause")
            ]
            evidence = event["evidence"]
            assert [row["crop_start"], row["crop_end"]] == evidence["crop"]
            assert row["chosen_for"] == evidence["chosen_for"] and row["onset_at"] is None
            assert row["onset_s"] == event["onset"] / RATE and row["offset_s"] == event["offset_time"] / RATE
            for key, value in {**{key: evidence[key] for key in ("global", "local", "fused")}, **event}.items():
                if key in ("global", "local", "fused", "peak", "mean"):
                    assert same(row[key], value)


def test_each_recording_is_a_row_and_what_was_lost_is_told(tagged: Path, replayed: Messages, recordings: Path) -> None:
    found = {row["file"]: row for row in rows(tagged, "inputs")}
    assert list(found) == sorted(replayed)
    for file, row in found.items():
        path = Path(file)
        assert (row["size"], row["stamp"]) == (path.stat().st_size, str(path.stat().st_mtime_ns))
        assert row["windows"] == len(of_type(replayed[file], "tags"))
    gap = found[str(recordings / "gap.wav")]
    (said,) = of_type(replayed[gap["file"]], "gap")
    assert gap["gaps"] == [{key: said[key] for key in ("start", "end", "cause")}]
    assert gap["lost_s"] == (said["end"] - said["start"]) / RATE and "cannot be used" in gap["trouble"]
    assert bad(tagged) == {gap["file"]: gap["trouble"]}


@pytest.mark.parametrize("table", ["windows", "events", "inputs"])
def test_a_table_explains_itself(tagged: Path, table: str) -> None:
    described = json.loads(pq.read_schema(next((tagged / table).iterdir())).metadata[b"glatd"])
    whole = json.loads((tagged / "archive.json").read_text())
    assert len(whole["labels"]) == 527
    assert described == {key: value for key, value in whole.items() if table == "windows" or key != "labels"}
    assert {"engine", "model", "precision", "rate", "hop", "crops", "scores", "events", "glatd"} <= set(described)
    assert described["events"]["on"] == 0.02


def test_half_the_size_for_half_the_digits(recordings: Path, tagged: Path, tmp_path: Path) -> None:
    done = archive(recordings / "a.wav", "--out", tmp_path, "--scores", "half", "--jobs", "1")
    assert done.returncode == 0, done.stderr
    schema = pq.read_schema(next((tmp_path / "windows").iterdir()))
    assert str(schema.field("scores").type) == "fixed_size_list<element: halffloat>[527]"
    first = rows(tmp_path, "windows")[0]
    exact = next(row for row in rows(tagged, "windows") if row["file"] == first["file"])
    assert all(abs(half - score) <= 0.0005 for half, score in zip(first["scores"], exact["scores"], strict=True))


def test_a_recording_of_glatd_is_one_input_a_stream_and_has_its_dates(tmp_path: Path) -> None:
    samples = noise(2 * RATE, 6).reshape(-1, 1)
    began = time.monotonic() - 3600
    stream = record(tmp_path / "recordings" / "rec", blocks(samples, [1600], RATE, None, came=began)).folder
    done = archive(tmp_path / "recordings", "--out", tmp_path / "out", "--jobs", "1")
    assert done.returncode == 0, done.stderr
    said = of_type(messages(glatd("replay", stream.parent, "--local", "all", "--format", "jsonl").stdout), "tags")
    found = rows(tmp_path / "out", "windows")
    assert {row["file"] for row in found} == {str(stream)} and len(said) == 2
    assert abs(found[0]["time"].timestamp() - (time.time() - 3600)) < 600
    assert [row["time"] for row in found] == [datetime.fromisoformat(tags["time"]) for tags in said]
    for row, tags in zip(found, said, strict=True):
        assert all(same(tag["score"], other["score"]) for tag, other in zip(row["tags"], tags["tags"], strict=True))
