"""What the dashboard remembers is what was said, and what it rehearses is what would be said."""

import itertools
import json
import struct
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs the extra web")

from glatd.audio import read_mono
from glatd.config import build
from glatd.daemon.events.settings import EventSettings
from glatd.daemon.events.tape import Quiet
from glatd.daemon.privacy.settings import BlankSettings
from glatd.daemon.stream import Window
from glatd.daemon.web.asking import Refused
from glatd.daemon.web.feed import MOST_WAITING, Feed
from glatd.daemon.web.kept import Kept
from glatd.daemon.web.memory import Memory
from glatd.daemon.web.rehearsal import Trial, rehearse
from glatd.daemon.web.spectrogram import HEAD, mel_hz
from glatd.daemon.web.timeline import as_json
from glatd.engines.engine import Engine
from glatd.errors import ConfigError
from glatd.messages import Event, Tags
from tests.conftest import ROOT
from tests.daemon.driver import offline_frames
from tests.daemon.web.heard import Heard, hear

STREET = ROOT / "demo" / "street.ogg"
EVENTS = EventSettings(on=0.3, off=0.2)


@pytest.fixture(scope="module")
def street(engine: Engine) -> Heard:
    """The recording in demo/, with many events."""
    return hear(engine, STREET, events=EVENTS, top=0)


def events_of(heard: Heard) -> list[Event]:
    return [message for message in heard.messages if isinstance(message, Event)]


def spans(events: Sequence[Event], label: str) -> list[tuple[int, int | None, float]]:
    """Onset, end and peak of what was told of a class and not taken back."""
    last = {event.id: event for event in events if event.label == label}
    return sorted((event.onset, event.offset_time, event.peak) for event in last.values() if event.phase != "retract")


def tried(heard: Heard, **fields: Any) -> dict[str, Any]:
    kept = heard.board.kept_of("yard")
    trial = Trial.of({"stream": "yard"} | fields)
    board = heard.board
    return rehearse(trial, heard.rules, kept.turns(), kept.whole, tuple(board.events), board.manifest, lambda: None)


def as_spans(found: list[dict[str, Any]]) -> list[tuple[int, int | None, float]]:
    return sorted((one["onset"], one["end"], one["peak"]) for one in found)


def test_with_the_rules_as_they_are_a_rehearsal_tells_what_was_told(street: Heard) -> None:
    labels = sorted({event.label for event in events_of(street)})
    assert len(labels) >= 5
    for label in labels:
        found = tried(street, label=label, threshold=EVENTS.on)
        real = spans(events_of(street), label)
        assert as_spans(found["actual"]) == real, label
        # What goes on at the end of the stream is ended there; a rehearsal does not know that the stream is over.
        fired = as_spans(found["fired"])
        assert [one[0::2] for one in fired] == [one[0::2] for one in real], label
        assert all(end in (known, None) for (_, end, _), (_, known, _) in zip(fired, real, strict=True)), label
    assert found["seconds"] == pytest.approx(40, abs=1)


@pytest.mark.parametrize(
    "trials",  # neither says nor suppresses the other, so that one run shows both
    [
        {"Dog": (0.15, {}), "Vehicle": (0.2, {"confirm": [3, 10], "hold": 1.0})},
        {"Animal": (0.12, {}), "Train": (0.55, {})},
    ],
)
def test_what_is_rehearsed_is_what_its_rule_then_tells(
    street: Heard, engine: Engine, trials: dict[str, tuple[float, dict[str, Any]]]
) -> None:
    found = {label: tried(street, label=label, threshold=on, **others) for label, (on, others) in trials.items()}
    rules = [rule for one in found.values() for rule in tomllib.loads(one["toml"])["events"]["rule"]]
    real = hear(engine, STREET, events=replace(EVENTS, rule=build(EventSettings, {"rule": rules}, "toml").rule), top=1)
    for label, one in found.items():
        expected = spans(events_of(real), label)
        assert [span[0::2] for span in as_spans(one["fired"])] == [span[0::2] for span in expected], label
        assert one["toml"].endswith("\n") and {span["label"] for span in one["fired"]} <= {label}


def test_a_group_that_is_no_class_means_all_below_it(street: Heard) -> None:
    found = tried(street, label="Sounds of things", threshold=0.3)
    assert len({one["label"] for one in found["fired"]}) > 1 and "children = true" in found["toml"]


@pytest.mark.parametrize(
    ("fields", "error", "told"),
    [
        ({"label": "Dgo", "threshold": 0.5}, ConfigError, "did you mean 'Dog'"),
        ({"label": "Dog", "threshold": 0.05}, Refused, "0.1 to 1"),
        ({"label": "Dog", "threshold": True}, Refused, "0.1 to 1"),
        ({"label": "Dog", "threshold": 0.5, "seconds": 1e9}, Refused, "10 to 7200"),
        ({"label": "Dog", "threshold": 0.5, "hold": -1}, ConfigError, "hold"),
        ({"label": "Dog", "threshold": 0.5, "schedule": {"a": 1}}, ConfigError, "schedule"),
        ({"label": "", "threshold": 0.5}, Refused, "label"),
    ],
)
def test_a_rehearsal_that_cannot_be_is_refused(
    street: Heard, fields: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        tried(street, **fields)


def test_timelines_are_the_scores_of_the_messages(street: Heard) -> None:
    board, tags = street.board, [message for message in street.messages if isinstance(message, Tags)]
    looks = board.timeline("yard", 1e9, [board.index("Dog"), board.index("Train")])
    told = json.loads("".join(as_json("yard", 32_000, ["Dog", "Train"], looks, board.gaps_of("yard", looks))))
    assert told["end"] == [message.end for message in tags]
    assert told["time"][5] == tags[5].time and told["gaps"] == []
    for label in ("Dog", "Train"):
        scores = [next(tag.score for tag in message.tags if tag.label == label) for message in tags]
        assert told["scores"][label] == pytest.approx(scores, abs=1e-3)
    with pytest.raises(ConfigError, match="did you mean 'Train'"):
        board.index("Trian")


def test_what_the_level_gate_passes_over_is_null(engine: Engine) -> None:
    heard = hear(engine, STREET, events=EVENTS, gate=-10.0)
    _, _, scores = heard.board.timeline("yard", 1e9, [0])
    quiet = [message.quiet for message in heard.messages if isinstance(message, Tags)]
    assert any(quiet) and np.isnan(scores[:, 0]).tolist() == quiet
    kept = heard.board.kept_of("yard")
    assert len(kept.turns()) == len(quiet)


def test_the_spectrogram_is_what_the_network_sees(street: Heard, engine: Engine) -> None:
    scale, mels = street.board.scale, engine.sizes.mels
    picture = street.board._pictures["yard"]
    samples = read_mono(STREET, 32_000)
    at = None
    for stretch in picture.stretches:
        packed = stretch.packed("yard", scale)
        assert packed[:6] == b"\x01\x04yard"
        first, count, bands = HEAD.unpack_from(packed, 6)
        assert (first, bands) == (at if at is not None else first, mels)
        at = first + count
        if at > len(samples) // 320 - 3:
            continue  # the last frames see the silence behind the end
        pixels = packed[6 + HEAD.size :]
        assert len(pixels) == count * bands
        expected = np.frombuffer(scale.bytes_of(offline_frames(engine, samples, first, at)), np.uint8)
        assert np.abs(expected.astype(int) - np.frombuffer(pixels, np.uint8)).max() <= 1
    assert 1000 <= sum(len(stretch.frames) for stretch in picture.stretches) < 1096
    assert HEAD.size == struct.calcsize("<qHH") == 12


def test_where_speech_is_kept_in_no_spectrogram_leaves_either(engine: Engine) -> None:
    heard = hear(engine, STREET, events=EVENTS, gate=-10.0, blank=BlankSettings(speech=True, streams=("y*",)))
    assert heard.board.is_veiled("yard") and not heard.board.is_veiled("gate")
    assert not heard.board._pictures and heard.board.kept_of("yard").turns()


def test_bands_are_where_tones_are_heard(engine: Engine) -> None:
    centres = mel_hz(engine)
    assert len(centres) == engine.sizes.mels
    assert all(low <= high for low, high in itertools.pairwise(centres))
    assert centres[0] < 150 and centres[-1] > 10_000


def test_a_feed_that_nobody_empties_is_bounded_and_says_so(street: Heard) -> None:
    feed = Feed({}, 320)
    for message in street.messages[:3] * MOST_WAITING:
        feed(message)
        feed.look()
    assert feed.lost == 2 * MOST_WAITING and len(feed.take()) == MOST_WAITING


def test_a_feed_wakes_seldom_when_nobody_looks(street: Heard) -> None:
    feed, woken = Feed({}, 320), []
    feed.wake = lambda: woken.append(len(feed.take()))  # type: ignore[func-returns-value]
    for message in street.messages[:20]:
        feed(message)
        feed.look()
    assert len(woken) == 1
    feed.eager = True
    for message in street.messages[:20]:
        feed(message)
        feed.look()
    assert woken[1:] == [20] + 19 * [1]


def test_a_feed_that_had_nobody_to_wake_wakes_who_comes(street: Heard) -> None:
    """On a busy machine the loop may have passed before the dashboard's thread has begun."""
    feed, woken = Feed({}, 320), []
    feed(street.messages[0])
    feed.look()
    feed.connect(lambda: woken.append(len(feed.take())))  # type: ignore[func-returns-value]
    feed.eager = True
    feed.look()
    assert woken == [1]


def test_a_memory_keeps_the_newest_looks_and_begins_anew_with_a_new_stream() -> None:
    memory = Memory(4, 2)
    for look in range(6):
        memory.add(100 * look, float(look), np.array([look / 10, 0.5], np.float32))
    ends, walls, scores = memory.since(3.0, [1, 0])
    assert ends.tolist() == [300, 400, 500] and walls.tolist() == [3.0, 4.0, 5.0]
    assert scores.astype(float)[:, 1] == pytest.approx([0.3, 0.4, 0.5], abs=1e-3)
    assert len(memory.since(0.0, [0])[0]) == 4
    memory.add(100, 9.0, None)
    assert memory.since(0.0, [0])[0].tolist() == [100]


def test_what_is_kept_of_looks_is_bounded() -> None:
    kept = Kept(10)
    for number in range(30):
        kept.quiet(Window(number, 0, 100 * number + 1, 0), float(number))
    assert len(kept.turns()) == 10 and not kept.whole
    turns, whole = kept.since(25.0)
    assert [turn.wall for turn in turns if isinstance(turn, Quiet)] == [25.0, 26.0, 27.0, 28.0, 29.0] and not whole
    kept.quiet(Window(1, 0, 1, 0), 0.0)
    assert len(kept.turns()) == 1 and kept.since(-1.0)[1] and kept.whole
