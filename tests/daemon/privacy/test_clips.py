"""Clips of events: the very samples, for as long as they are wanted, and for nobody else."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glatd.daemon.events.settings import EventSettings
from glatd.daemon.privacy.cutter import Cut, Cutter
from glatd.daemon.privacy.settings import ClipSettings
from glatd.daemon.settings import Settings
from glatd.daemon.stream import Stream
from glatd.engines.engine import Engine
from glatd.messages import Event
from tests.daemon.driver import HOP
from tests.daemon.events.barking import Barking, barks
from tests.daemon.privacy.listened import Listened, listened
from tests.daemon.sounds import RATE, Floats, noise

NOTHING_ELSE = replace(EventSettings(), hold=1.0)


@pytest.fixture(scope="module")
def barking(engine: Engine) -> Barking:
    return Barking(engine)


def settings(folder: Path, **clips: object) -> Settings:
    kept = replace(ClipSettings(folder=str(folder / "clips"), pre_roll=1.0, post_roll=0.5), **clips)
    return Settings(node="edge-1", publish="", events=NOTHING_ELSE, clips=kept)


@pytest.fixture(scope="module")
def run(barking: Barking, tmp_path_factory: pytest.TempPathFactory) -> tuple[Listened, Path]:
    """Two barks, the second of 24 s, of which 15 are kept; and the end of the recording in a third."""
    folder = tmp_path_factory.mktemp("clips")
    sound = barks(50.3, (4.0, 5.5), (14.0, 38.0), (48.0, 60.0))
    return listened(barking, folder, sound, settings(folder, longest=15.0)), folder / "clips"


def test_a_clip_holds_the_samples_of_its_event_bit_for_bit(run: tuple[Listened, Path]) -> None:
    said, _ = run
    starts = [event for event in said.events if event.phase == "start"]
    ends = {event.id: event for event in said.events if event.phase == "end"}
    assert [event.label for event in starts] == ["Dog"] * 3 and set(said.clips) == {event.id for event in starts}
    for event, length in zip(starts, (None, 15 * RATE, None), strict=True):
        clip, end = said.clips[event.id], ends[event.id]
        first, last = clip.about["start"], clip.about["end"]
        assert first == event.onset - RATE
        assert last - first == length if length else last == min(end.offset_time + RATE // 2, len(said.samples))  # type: ignore[operator]
        assert np.array_equal(clip.samples, said.samples[first:last])
        assert clip.about["silent"] == [] and clip.about["silent_seconds"] == 0
        assert (clip.about["id"], clip.about["stream"], clip.about["node"]) == (event.id, "yard", "edge-1")
        assert (clip.tags["TITLE"], clip.tags["DATE"]) == ("Dog", event.onset_at)


def test_every_message_of_the_event_names_it(run: tuple[Listened, Path]) -> None:
    said, folder = run
    assert {event.phase for event in said.events} >= {"start", "end"}
    for event in said.events:
        assert (folder / event.evidence["clip"]).is_file()
        assert event.evidence["crop"] and event.evidence["chosen_for"] in ("Dog", "Animal")  # what was most there


def test_clips_are_for_their_owner_alone(run: tuple[Listened, Path]) -> None:
    _, folder = run
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_only_of_the_classes_and_streams_that_are_named(barking: Barking, tmp_path: Path) -> None:
    sound = barks(8.0, (3.0, 5.0))
    for number, (kept, many) in enumerate(
        [({"labels": ("Animal",)}, 1), ({"labels": ("Vehicle", "Music")}, 0), ({"streams": ("gate*", "y")}, 0)]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        said = listened(barking, folder, sound, settings(folder, **kept))
        assert len(said.clips) == many and len(said.of("Dog")) == 2
        assert all(("clip" in event.evidence) == bool(many) for event in said.events)


def test_without_a_folder_nothing_is_written(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    opened: list[str] = []
    real = os.open

    def watched(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            opened.append(str(path))
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", watched)
    said = listened(Barking(engine), tmp_path, barks(8.0, (3.0, 5.0)), Settings(publish=""))
    assert said.of("Dog") and "clip" not in said.events[0].evidence
    assert opened == [] and not list((tmp_path / "empty").iterdir())


class Kept:
    """Stands where the writer would."""

    def __init__(self, full: bool = False) -> None:
        self.full = full
        self.asked: list[tuple[str, str]] = []
        self.samples: dict[str, list[NDArray[np.int16]]] = {}
        self.about: dict[str, Mapping[str, Any]] = {}

    def begin(self, identity: str, rate: int, about: Mapping[str, Any]) -> bool:
        self.asked.append(("begin", identity))
        self.samples[identity] = []
        return not self.full

    def add(self, identity: str, samples: NDArray[np.int16]) -> bool:
        self.samples[identity].append(samples)
        return len(self.samples[identity]) < 4

    def finish(self, identity: str, about: Mapping[str, Any]) -> None:
        self.asked.append(("finish", identity))
        self.about[identity] = about

    def discard(self, identity: str) -> None:
        self.asked.append(("discard", identity))


EVENT = Event(
    "edge-1", "s1", "yard", "", offset=0, id="ab" * 10, phase="start", label="Dog", mid="/m/0bt9lr", rate=RATE,
    onset=2 * RATE, offset_time=None, peak=0.9, mean=0.9, evidence={"crop": [0, 3 * RATE]}, cause="",
)  # fmt: skip
CUT = Cut(frozenset({EVENT.mid}), RATE, RATE, 60 * RATE)


def ended(seconds: float, cause: str = "") -> Event:
    return replace(EVENT, phase="end", offset_time=round(seconds * RATE), cause=cause)


@pytest.fixture
def stream(engine: Engine, silent: Floats) -> Stream:
    """With some 5 s in its ring."""
    made = Stream(engine.sizes, HOP, silent)
    grow(made, 5)
    return made


def grow(stream: Stream, seconds: float) -> None:
    """More noise, without the networks."""
    stream.wave.append(noise(round(seconds * RATE), seed=stream.position))


def test_a_clip_of_an_event_that_is_taken_back_is_removed(stream: Stream) -> None:
    for complete in (False, True):
        kept = Kept()
        cutter = Cutter(stream, kept, replace(CUT, longest=2 * RATE if complete else 60 * RATE), None)
        (begun,) = cutter.told([EVENT])
        assert begun.evidence["clip"] == f"{EVENT.id}.flac"
        cutter.go_on(stream.position + 5 * RATE)
        assert (("finish", EVENT.id) in kept.asked) == complete
        (taken_back,) = cutter.told([replace(EVENT, phase="retract")])
        assert "clip" not in taken_back.evidence and kept.asked[-1] == ("discard", EVENT.id)
        (later,) = cutter.told([replace(EVENT, phase="end", offset_time=0)])
        assert "clip" not in later.evidence


def test_it_goes_on_with_the_stream_until_what_follows_the_end_has_come(stream: Stream) -> None:
    kept = Kept()
    cutter = Cutter(stream, kept, CUT, None)
    cutter.told([EVENT])
    cutter.go_on(stream.position)
    cutter.told([ended(4.8)])
    cutter.go_on(stream.position)
    assert ("finish", EVENT.id) not in kept.asked
    grow(stream, 2)
    cutter.go_on(stream.position)
    assert kept.asked[-1] == ("finish", EVENT.id)
    assert (kept.about[EVENT.id]["start"], kept.about[EVENT.id]["end"]) == (RATE, round(5.8 * RATE))
    assert sum(map(len, kept.samples[EVENT.id])) == round(4.8 * RATE)


def test_what_a_mute_or_a_lost_connection_ended_is_complete_with_what_there_is(stream: Stream) -> None:
    kept = Kept()
    cutter = Cutter(stream, kept, CUT, None)
    cutter.told([EVENT])
    cutter.go_on(3 * RATE)
    (told,) = cutter.told([ended(4.9, "muted")])
    assert kept.asked[-1] == ("finish", EVENT.id) and kept.about[EVENT.id]["end"] == 5 * RATE
    assert told.evidence["clip"]


def test_lost_audio_is_silence_that_is_told(stream: Stream) -> None:
    kept = Kept()
    stream._note_gap(3 * RATE, 4 * RATE)
    cutter = Cutter(stream, kept, CUT, None)
    cutter.told([EVENT, ended(4.5, "removed")])
    assert kept.about[EVENT.id]["silent"] == [[3 * RATE, 4 * RATE, "lost"]]
    assert not np.concatenate(kept.samples[EVENT.id])[2 * RATE : 3 * RATE].any()


def test_before_the_stream_and_the_ring_there_is_nothing(stream: Stream) -> None:
    for onset, first in ((RATE // 2, 0), (2 * RATE, RATE)):
        kept = Kept()
        Cutter(stream, kept, CUT, None).told([replace(EVENT, onset=onset), ended(4.5, "removed")])
        assert kept.about[EVENT.id]["start"] == first
    grow(stream, 10)
    grow(stream, 10)
    kept = Kept()
    Cutter(stream, kept, CUT, None).told([EVENT, ended(20, "removed")])
    assert kept.about[EVENT.id]["start"] == stream.wave.start > 2 * RATE


def test_where_it_cannot_be_kept_no_name_is_told(stream: Stream) -> None:
    cutter = Cutter(stream, Kept(full=True), CUT, None)
    assert "clip" not in cutter.told([EVENT])[0].evidence
    kept = Kept()
    cutter = Cutter(stream, kept, CUT, None)
    cutter.told([EVENT])
    for _ in range(11):
        grow(stream, 1)
        cutter.go_on(stream.position)
    assert len(kept.samples[EVENT.id]) == 4  # the fourth was too much
    assert "clip" not in cutter.told([ended(9)])[0].evidence
