"""The loop with several streams: overload met rung by rung, batches filled, quiet windows skipped, all counted."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import pytest

from glatd.audio import Block
from glatd.daemon.assembly import Assembly
from glatd.daemon.settings import Settings, SourceSettings
from glatd.daemon.sources.base import Source
from glatd.daemon.track import Track
from glatd.engines.engine import Engine, Floats, Glance
from glatd.engines.load import load_engine
from glatd.errors import ConfigError
from glatd.messages import Gap, Message, Node, Status, Tags
from tests.daemon.sounds import RATE, noise

STEP = RATE // 10


class Paced(Source):
    """Sound in real time, in blocks of 0.1 s."""

    live: ClassVar[bool] = True

    def __init__(self, name: str, samples: Floats, paced: bool = True) -> None:
        super().__init__(f"test:{name}", name, True)
        self.samples, self.paced = samples, paced

    def blocks(self) -> Iterator[Block]:
        began = time.monotonic()
        for start in range(0, len(self.samples) - STEP + 1, STEP):
            due = began + (start + STEP) / RATE
            if self.paced and self._stopped.wait(max(0.0, due - time.monotonic())):
                return
            yield Block(start, self.samples[start : start + STEP].reshape(-1, 1), RATE, time.monotonic())


class File(Paced):
    """As fast as it is taken."""

    live: ClassVar[bool] = False

    def __init__(self, name: str, samples: Floats) -> None:
        super().__init__(name, samples, paced=False)


class Slow(Engine):
    """An engine that takes so long for each call, and remembers what it was asked."""

    def __init__(self, engine: Engine, seconds: float, most_windows: int = 1) -> None:
        self.__dict__.update(engine.__dict__)
        self.seconds, self.most_windows = seconds, most_windows
        self.asked: list[tuple[int, int | None]] = []  # windows, crops

    def look_globally(self, frames: Floats, audible: Floats, crops: int | None = None) -> Glance:
        """As the engine, later."""
        self.asked.append((len(frames), crops))
        time.sleep(self.seconds)
        return super().look_globally(frames, audible, crops)


def run(engine: Engine, settings: Settings, sources: list[Source], live: bool = True) -> list[Message]:
    """All that is said until every source has ended."""
    messages: list[Message] = []
    assembly = Assembly(settings, engine)
    tracks = [
        assembly.track(source, None, SourceSettings(source.uri, source.name, reconnect=False)) for source in sources
    ]
    loop = assembly.loop(tracks, [messages.append], live)
    guard = threading.Timer(100, loop.stop)
    guard.start()
    loop.run()
    guard.cancel()
    assert not loop.stopping
    return messages


def check_books(messages: list[Message]) -> None:
    """What was received and lost adds up; windows are numbered without a hole; every window is accounted for."""
    for name in {message.stream for message in messages if isinstance(message, Status)}:
        of_stream = [message for message in messages if message.stream == name]
        last = [message for message in of_stream if isinstance(message, Status)][-1]
        tags = [message for message in of_stream if isinstance(message, Tags)]
        gaps = [message for message in of_stream if isinstance(message, Gap)]
        assert last.lost == sum(gap.end - gap.start for gap in gaps)
        assert [tag.seq for tag in tags] == list(range(len(tags))) and last.windows == len(tags)
        # One window a hop, but the first, which has less than 1 s, and one at the end.
        hops = -(-(last.samples + last.lost) // (96 * 320))
        assert len(tags) + last.skipped + last.dropped == hops - 1


def test_overload_is_met_rung_by_rung_and_told(engine: Engine) -> None:
    """Four streams want 4.2 windows/s of an engine that does 2.5."""
    slow = Slow(engine, 0.4)
    sources: list[Source] = [Paced(f"s{number}", noise(14 * RATE, number)) for number in range(4)]
    messages = run(slow, Settings(publish="", status_seconds=1.0, local="top-k"), sources)
    nodes = [message for message in messages if isinstance(message, Node)]
    policies = list(dict.fromkeys(node.policy for node in nodes))
    assert policies[:3] == ["full", "3 crops", "1 crop"] or policies[:2] == ["3 crops", "1 crop"]
    assert "every 2nd hop" in policies
    assert max(node.steps for node in nodes) >= 3 and nodes[-1].skipped > 0
    crops = [asked for _, asked in slow.asked]
    assert crops[0] == 5 and 3 in crops and 1 in crops
    assert not [message for message in messages if isinstance(message, Gap)]  # no audio was lost for it
    check_books(messages)


def test_without_the_policy_everything_is_looked_at_late(engine: Engine) -> None:
    sources: list[Source] = [Paced(f"s{number}", noise(5 * RATE, number)) for number in range(2)]
    messages = run(Slow(engine, 0.6), Settings(publish="", overload=False), sources)
    last = [message for message in messages if isinstance(message, Status)][-1]
    assert last.skipped == last.dropped == 0 and last.late_ms > 1000
    check_books(messages)


def test_a_batch_is_filled_while_windows_may_wait(engine: Engine) -> None:
    sounds = [noise(6 * RATE, number) for number in range(3)]
    alone = run(engine, Settings(publish=""), [File(f"s{number}", sound) for number, sound in enumerate(sounds)], False)
    batching = Slow(engine, 0.0, most_windows=8)
    together = run(
        batching, Settings(publish="", latency=0.5), [Paced(f"s{number}", sound) for number, sound in enumerate(sounds)]
    )
    sizes = [windows for windows, _ in batching.asked]
    assert max(sizes) == 3 and sum(sizes) / len(sizes) > 2

    def scores(messages: list[Message]) -> dict[tuple[str, int], list[float]]:
        return {
            (message.stream, message.end): [tag.score for tag in message.tags]
            for message in messages
            if isinstance(message, Tags)
        }

    one, other = scores(alone), scores(together)
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_allclose(one[key], other[key], atol=1e-5)
    check_books(together)


@pytest.mark.parametrize("local", ["top-k", "all"])
def test_windows_side_by_side_say_what_they_say_one_after_the_other(
    engine: Engine, local: Literal["top-k", "all"]
) -> None:
    """To the last digit, in order, and for every stream: the streams share threads and nothing else."""
    sounds = [noise((9 + number) * RATE, number) for number in range(4)]

    def said(lanes: Engine) -> dict[str, list[Tags]]:
        sources: list[Source] = [File(f"s{number}", sound) for number, sound in enumerate(sounds)]
        messages = run(lanes, Settings(publish="", top=0, local=local), sources, live=False)
        check_books(messages)
        tags = [replace(message, session="", time="") for message in messages if isinstance(message, Tags)]
        return {source.name: [tag for tag in tags if tag.stream == source.name] for source in sources}

    one, beside = said(engine), said(load_engine(lanes=2))
    assert one == beside
    assert [len(one[f"s{number}"]) for number in range(4)] == [9, 10, 11, 12]


def test_windows_as_quiet_as_the_gate_skip_the_networks(engine: Engine) -> None:
    sound = noise(60 * RATE, level=1e-4)
    sound[20 * RATE : 21 * RATE] += noise(RATE, 1, level=0.5)
    asked = Slow(engine, 0.0)
    messages = run(asked, Settings(publish="", gate=-60.0), [File("yard", sound)], live=False)
    tags = [message for message in messages if isinstance(message, Tags)]
    quiet = [message for message in tags if message.quiet]
    assert len(asked.asked) == len(tags) - len(quiet) and len(quiet) > 30
    assert all(not message.tags and not message.crops for message in quiet)
    for message in tags:
        holds_it = message.end > 20 * RATE and message.start < 21 * RATE
        assert not (message.quiet and holds_it)
    last = [message for message in messages if isinstance(message, Status)][-1]
    assert last.quiet == len(quiet)
    check_books(messages)


def test_what_fails_as_another_engine_takes_over_leaves_everything_as_it_was(engine: Engine) -> None:
    """A dashboard asks its front end; there is no half of a turn."""

    def fails(engine: Engine) -> None:
        raise RuntimeError("no bands")

    loop = Assembly(Settings(publish=""), engine).loop([], [], live=False)
    loop.turned = fails
    with pytest.raises(RuntimeError, match="no bands"):
        loop.turn(Engine(engine.manifest, engine.graphs), lambda track: pytest.fail("there is no stream"))
    assert loop.engine is engine


def test_streams_can_be_added_muted_and_removed_by_name(engine: Engine) -> None:
    assembly = Assembly(Settings(publish=""), engine)

    def track(name: str, seconds: int) -> Track:
        source = Paced(name, noise(seconds * RATE))
        return assembly.track(source, None, SourceSettings(source.uri, name, reconnect=False))

    messages: list[Message] = []
    loop = assembly.loop([track("a", 60)], [messages.append], live=True)
    assert loop.ask(lambda: None).cancel()  # whoever waits no more is no trouble
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        loop.ask(lambda: loop.add(track("b", 60))).result(20)
        with pytest.raises(ConfigError, match="already"):
            loop.ask(lambda: loop.add(track("b", 60))).result(20)
        loop.ask(lambda: loop.mute("a", True)).result(20)
        with pytest.raises(ConfigError, match="no stream 'x'; there are: a, b"):
            loop.ask(lambda: loop.remove("x")).result(20)
        time.sleep(1.0)
        loop.ask(lambda: loop.mute("a", False)).result(20)
        loop.ask(lambda: loop.remove("b")).result(20)
        until = time.monotonic() + 20
        while "b" in loop.tracks and time.monotonic() < until:
            time.sleep(0.05)
        assert set(loop.tracks) == {"a"}
        time.sleep(1.0)
    finally:
        loop.stop()
        thread.join(20)
    (gap,) = [message for message in messages if isinstance(message, Gap)]
    assert gap.stream == "a" and gap.cause == "muted" and 0.8 * RATE < gap.end - gap.start < 10 * RATE
    states = [message.state for message in messages if isinstance(message, Status) and message.stream == "a"]
    assert list(dict.fromkeys(states)) == ["starting", "live", "muted", "stopped"]
    (removed,) = [message for message in messages if isinstance(message, Status) and message.reason == "removed"]
    assert removed.stream == "b" and removed.state == "ended"
