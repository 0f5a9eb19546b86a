"""One stream as the loop sees it: its source's thread, its channel, the window that is due, its health."""

import math
import time
import zlib
from dataclasses import dataclass

from glatd.daemon.announce import Announcer, Counts
from glatd.daemon.batching import Due
from glatd.daemon.channel import Channel
from glatd.daemon.events.decider import Decider
from glatd.daemon.events.rules import Rules
from glatd.daemon.gate import LevelGate, loudest
from glatd.daemon.outage import Outage, Outages
from glatd.daemon.overload import Rung
from glatd.daemon.privacy.outlet import Outlet
from glatd.daemon.privacy.settings import BlankSettings, ClipSettings
from glatd.daemon.stream import Stream
from glatd.daemon.tagging import Seen
from glatd.daemon.worker import Worker
from glatd.engines.manifest import Manifest
from glatd.messages import Event, Gap, Status, Tags

STALL_SECONDS = 2.0  # without a block, beside what the source's jitter explains
BUSY_SCORE = 0.3  # of any class in the last window that was looked at: an event may be in progress
LEAVE_SECONDS = 2.0  # for a source that was asked to end; after that it is left behind
DEAD = "dead"  # how the finding of digital silence begins


@dataclass(frozen=True, slots=True)
class Turn:
    """What a stream goes on with behind another engine: made beside the stream, of which nothing changes by that."""

    manifest: Manifest
    stream: Stream  # as of `Stream.turned`
    gate: LevelGate  # of a stream that begins
    rules: Rules
    kept: tuple[ClipSettings, BlankSettings]


class Track:
    """Everything of one stream; touched by the loop's thread only.

    Args:
        worker: not started.
        gate: of the level.
        decider: of its events; None for none.
        outlet: what of its audio is written down; None for none.
    """

    def __init__(
        self,
        worker: Worker,
        channel: Channel,
        gate: LevelGate,
        decider: Decider | None = None,
        outlet: Outlet | None = None,
    ) -> None:
        self.worker, self.channel, self._gate, self.decider = worker, channel, gate, decider
        self._outlet = outlet or Outlet(channel.stream)
        self.name = worker.source.name
        # Which one of every few hops is looked at under overload: if all streams took the same one, it would be as
        # crowded as before.
        self._turn = zlib.crc32(self.name.encode())
        self._outages = Outages(worker.source.recorded_outages())  # of the run that was recorded
        self.counts = Counts()
        self.due: Due[Track] | None = None
        self.busy = False  # whether the last look found something that may go on
        self._restarts = 0  # of the stream, that the gate knows of
        self.ended = False
        self.left: float | None = None  # monotonic s at which it was asked to end
        self._told: tuple[str, tuple[str, ...], str] = ("starting", (), "")
        self._changed = time.monotonic()  # when its state did

    @property
    def announcer(self) -> Announcer:
        """Of its messages."""
        return self.channel.announcer

    def fetch(self) -> bool:
        """Take what the source has brought; whether that was anything. Call with the loop's condition held."""
        pieces, done = self.worker.fetch()
        self.channel.give(pieces)
        if self.left is not None and time.monotonic() - self.left > LEAVE_SECONDS:
            done = True
        if done and not self.channel.ended:
            self.channel.end()
            return True
        return bool(pieces)

    def hint(self) -> None:
        """Tell the source's thread how much is worth waking the loop for."""
        self.worker.wanted = max(1, self.channel.stream.wanted() - self.channel.pending)

    def may_join(self, patience: float) -> bool:
        """Whether its next window may be due within `patience` seconds."""
        stream = self.channel.stream
        missing = stream.wanted() - self.channel.pending
        return not stream.finished and self.announcer.state == "live" and missing <= patience * stream.sizes.rate

    def look(self, rung: Rung) -> tuple[Tags, list[Event]] | None:
        """Find the next window that is due and leave it in `due`; what is said of one that is too quiet to look at."""
        stream = self.channel.stream
        if stream.restarts != self._restarts:
            self._restarts, self.busy = stream.restarts, False
            self._gate.reset()
        while self.due is None and (window := stream.window_due()) is not None:
            # Asked for every window: it must know all hops.
            quiet = self._gate.setting is not None and self._gate.quiet(loudest(stream.newest(window)), self.busy)
            if not stream.publishable(window):
                self._outlet.passed(window, [])
                continue
            if (window.end_frame // stream.hop + self._turn) % rung.every and not stream.finished:
                self.counts.skipped += 1
                self._outlet.passed(window, [])
            elif quiet:
                self.counts.quiet += 1
                events = [] if self.decider is None else self._waited(window.end) + self.decider.quiet(window)
                return self.announcer.quiet(window, stream.level(window)), self._outlet.passed(window, events)
            elif rung.drop and self.channel.pending >= stream.hop * stream.sizes.hop:
                self.counts.dropped += 1
                self._outlet.passed(window, [])
            else:
                self.due = Due(self, window, self.channel.completed or time.monotonic())
        return None

    def decide(self, seen: Seen) -> list[Event]:
        """The events that a look brings."""
        events = [] if self.decider is None else self._waited(seen.window.end) + self.decider.take(seen)
        return self._outlet.looked(seen, events)

    def gap(self, gap: Gap) -> list[Event]:
        """The events that a gap ends; call before the stream passes over it."""
        events: list[Event] = []
        if self.decider is not None:
            events = self._waited(gap.start + 1) + self.decider.gap(gap.start, gap.end, gap.cause)
        events = self._outlet.ended(events)
        self._outlet.lost(gap.start, gap.end)
        return events

    def close(self, cause: str) -> list[Event]:
        """The events that go on, ended: nothing more is heard of this stream."""
        return self._outlet.close([] if self.decider is None else self.decider.close(cause))

    def change(self, rules: Rules) -> list[Event]:
        """Decide by other rules from now on; the events that end with it."""
        if self.decider is None:
            self.decider = Decider(self.announcer, rules)
            return []
        return self._outlet.ended(self.decider.change(rules))

    def turn(self, turn: Turn) -> list[Event]:
        """Go on behind another engine; the events that end with it. No window may be due."""
        events = [] if self.decider is None else self._outlet.ended(self.decider.turn(turn.manifest, turn.rules))
        self.announcer.manifest = turn.manifest
        self._outlet.turn(turn.stream, turn.manifest, turn.kept)
        self.channel.stream = turn.stream
        if self.decider is None and turn.rules.any:
            self.decider = Decider(self.announcer, turn.rules)
        if turn.gate.hops != self._gate.hops:
            self._gate = turn.gate
        return events

    def lost(self) -> list[Event]:
        """Events that end because nothing is heard for longer than they hold."""
        if self.decider is None or not self.decider.open:
            return []
        state = self.announcer.state
        if state not in ("muted", "reconnecting"):
            return []
        seconds = math.inf if state == "muted" else time.monotonic() - self._changed
        if events := self.decider.lost(seconds, state):
            self.worker.note(Outage(self.decider.end, seconds, state))
        return self._outlet.ended(events)

    def _waited(self, sample: int) -> list[Event]:
        """Events that the recorded run ended by its clock before it came to what ends, or is lost, from a sample on."""
        assert self.decider is not None
        ended = [self.decider.lost(outage.seconds, outage.cause) for outage in self._outages.before(sample)]
        return [event for events in ended for event in events]

    def state(self) -> tuple[str, str]:
        """How the source fares, and why."""
        worker = self.worker
        quiet_for = time.monotonic() - worker.heard
        findings = worker.monitor.findings()
        if worker.muted:
            return "muted", ""
        if worker.phase != "open":
            return worker.phase, worker.reason
        if quiet_for > STALL_SECONDS + 2 * worker.source.jitter and worker.source.live:
            return "stalled", f"no audio for {quiet_for:.0f} s"
        if any(finding.startswith(DEAD) for finding in findings):
            return "silent", "; ".join(findings)
        return "live", ""

    def check(self, now: float) -> Status | None:
        """The message of a change of state or of what is wrong with the signal.

        Args:
            now: UNIX seconds.
        """
        state, reason = self.state()
        findings = self.worker.monitor.findings()
        # Figures in them change all the time.
        seen = state, tuple(finding.split(":")[0] for finding in findings), reason if state == "reconnecting" else ""
        if seen == self._told:
            return None
        if state != self._told[0]:
            self._changed = time.monotonic()
        self._told = seen
        self.announcer.state = state
        return self.status(now, reason or "; ".join(findings))

    def status(self, now: float, reason: str = "") -> Status:
        """How the stream fares at UNIX second `now`."""
        counts, supervisor = self.counts, self.worker.supervisor
        counts.findings = self.worker.monitor.findings()
        if supervisor is not None:
            counts.connections, counts.repeated = supervisor.connections, supervisor.repeated
        return self.announcer.status(self.channel.stream, now, counts, reason)
