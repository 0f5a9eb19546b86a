"""What was heard at a site, noted once, on which thresholds are tried."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from glatd.daemon.calibrate.matching import COLLAR, Counts, match
from glatd.daemon.calibrate.thresholds import LOWEST, OFF_SHARE, off_of
from glatd.daemon.events.rehearse import Progress, Tell, length_of, rehearse
from glatd.daemon.events.rules import Rules, resolve
from glatd.daemon.events.settings import RuleSettings
from glatd.daemon.events.tape import Looked, Noting, Turn, decide
from glatd.daemon.replay import Part
from glatd.daemon.tagging import hop_frames
from glatd.engines.engine import Engine
from glatd.engines.manifest import Manifest
from glatd.messages import Event

FLOOR = OFF_SHARE * LOWEST  # below the lowest lower threshold nothing needs to be kept
Thresholds = Mapping[int, float]  # class -> upper one; above 1 where it is not told


@dataclass(frozen=True, slots=True)
class Listened:
    """A stream, and what was heard in it."""

    name: str
    seconds: float  # of real audio
    turns: Sequence[Turn]
    rules: Rules


@dataclass(frozen=True, slots=True)
class Site:
    """All of them."""

    streams: tuple[Listened, ...]
    manifest: Manifest

    @property
    def hours(self) -> float:
        """Of real audio."""
        return sum(stream.seconds for stream in self.streams) / 3600

    def heard(self) -> list[int]:
        """Classes that may be told and that any look gave LOWEST or more, in the order in which they are decided."""
        found: set[int] = set()
        for stream in self.streams:
            for turn in stream.turns:
                if isinstance(turn, Looked):
                    scores = turn.hearing.scores
                    found |= {i for i in turn.hearing.rows or () if scores[i] >= LOWEST and stream.rules.on[i] <= 1}
        return sorted(found, key=self.streams[0].rules.order.__getitem__) if found else []

    def usual(self, index: int) -> float:
        """The upper threshold that a class has had; the lowest, where streams differ."""
        return min(stream.rules.of[index].on for stream in self.streams)

    def told(self, index: int, on: float, others: Thresholds) -> Iterator[tuple[Listened, list[Event]]]:
        """What each stream would be told of a class at an upper threshold.

        Args:
            others: thresholds of the classes that were decided on before: some say or suppress this one.
        """
        mid = self.manifest.labels[index].mid
        for stream in self.streams:
            rules = stream.rules
            if rules.on[index] > 1:
                continue
            around = {*rules.below[index], *(other for part in rules.suppressed[index] for other in part.by)}
            chosen = {other: (float(rules.on[other]), float(rules.off[other])) for other in around - others.keys()}
            chosen |= {other: (others[other], off_of(others[other])) for other in around & others.keys()}
            chosen[index] = on, off_of(on)
            limited = rules.only({other: pair for other, pair in chosen.items() if pair[0] <= 1})
            events = decide(stream.turns, limited, self.manifest, stream.name)
            yield stream, [event for event in events if event.mid == mid]

    def peaks(self, index: int, on: float, others: Thresholds) -> list[float]:
        """The peak scores of the events that would have been told, those too that are taken back."""
        peaks: dict[str, float] = {}
        for _, events in self.told(index, on, others):
            peaks |= {event.id: event.peak for event in events}
        return list(peaks.values())

    def counts(self, index: int, on: float, known: Mapping[str, Sequence[float]], collar: float = COLLAR) -> Counts:
        """How right they would have been, by their onsets.

        Args:
            known: stream -> onsets in s of what did sound.
        """
        counts = Counts()
        for stream, events in self.told(index, on, {}):
            taken = {event.id for event in events if event.phase == "retract"}
            onsets = {event.id: event.onset / event.rate for event in events if event.id not in taken}
            counts += match(list(onsets.values()), known.get(stream.name, ()), collar)
        return counts

    def forget(self) -> None:
        """What was worked out of the classes so far."""
        for stream in self.streams:
            for turn in stream.turns:
                if isinstance(turn, Looked):
                    turn.hearing.forget()


def listen(parts: Sequence[Part], engine: Engine, named: Sequence[str], tell: Tell, every: float = 5.0) -> Site:
    """Hear every part once.

    Args:
        named: labels that are told, whatever the rules say, and whatever more specific classes are told.
        tell: gets a line now and then, and one of each thing that is wrong with the audio.
        every: s between two lines.

    Raises:
        GlatdError: a part that cannot be read.
    """
    streams = []
    for part in parts:
        source, events = part.source, part.settings.events
        if named:
            told = RuleSettings(labels=tuple(named), children=False, publish=True)
            events = replace(events, rule=(*events.rule, told))
        hop = hop_frames(engine, part.settings.hop) * engine.sizes.hop
        rules = resolve(events, engine.manifest.labels, engine.sizes, hop, source.name)
        noting, seconds = rehearse(
            part,
            engine,
            lambda announcer, rules: Noting(announcer, rules, FLOOR),
            float("inf"),
            Progress(source.name, length_of(source), tell, every),
            lambda error: tell(str(error)),
        )
        streams.append(Listened(source.name, seconds, noting.turns, rules))
    return Site(tuple(streams), engine.manifest)
