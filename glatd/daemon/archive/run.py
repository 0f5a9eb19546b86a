"""One run of `glatd archive`: what is missing is handed to workers, what they tell is kept account of."""

import contextlib
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from glatd.daemon.archive.crew import STOP_SECONDS, Crew
from glatd.daemon.archive.find import Found, Input
from glatd.daemon.archive.layout import BAD, file_name
from glatd.daemon.archive.plan import Estimates, make_shards
from glatd.daemon.archive.progress import Meter, Progress, lasting
from glatd.daemon.archive.reports import At, Bad, Died, Done, Finished, Ready, Report, Safe, Shard
from glatd.daemon.archive.state import Entry, changed, forget, left_of, next_number, read_done, tidy
from glatd.daemon.archive.store import Store
from glatd.errors import ConfigError, EngineError, SourceError

STRIKES = 2  # workers that die over one recording before it is taken for bad
EARLY_DEATHS = 3  # workers in a row that die before they have their engine
KINDS = 5  # suffixes that are told by name
KEEP_BAD_SECONDS = 60.0  # between two writings of the list of bad recordings


@dataclass(slots=True)
class Counts:
    """What this run did."""

    inputs: int = 0
    windows: int = 0
    events: int = 0
    short: int = 0  # recordings below a second


class Run:
    """Tags what is missing.

    Args:
        store: claimed.
        found: what there is to tag.
        part_seconds: of audio in a part of the tables, about.
    """

    def __init__(self, store: Store, found: Found, part_seconds: float) -> None:
        self._store, self._found, self._part_seconds = store, found, part_seconds
        self._stop = threading.Event()
        self._queue: deque[Shard] = deque()
        self._strikes: Counter[str] = Counter()
        self._early_deaths = 0
        self._deaths = False
        self._of: dict[int, dict[str, Input]] = {}  # of each shard under way, what is not safe yet
        self._next = 0
        self._unwritten: dict[str, Done] = {}  # tagged, but not safe
        self._bad_kept = 0.0
        self.bad: dict[str, str] = dict(found.bad)
        self._bad_of_others: dict[str, str] = {}
        self.counts = Counts()
        self.before = 0  # recordings whose rows were there already
        self.changed: list[str] = []
        self.seconds = 0.0  # that the work took
        self.stopped = False

    def stop(self) -> None:
        """Write what is done and end. Only sets a flag, so a signal handler may call it."""
        self._stop.set()

    def missing(self) -> list[Input]:
        """What is to be tagged; rows of recordings that have changed are removed."""
        tidy(self._store)
        done = read_done(self._store)
        self.changed = changed(done, self._found.inputs)
        done = forget(self._store, done, self.changed)
        self._next = next_number(done)
        missing = [item for item in self._found.inputs if item.name not in done]
        self.before = len(self._found.inputs) - len(missing)
        self._note_troubles(done)
        self._bad_of_others = self._read_bad()
        return missing

    def run(
        self,
        missing: Sequence[Input],
        hire: Callable[[], Crew],
        progress: Callable[[Meter], Progress],
    ) -> None:
        """Tag them.

        Args:
            hire: starts the workers.
            progress: shows how far it is.

        Raises:
            GlatdError: no worker can do it, or nothing can be written.
        """
        estimates = Estimates()
        began = time.monotonic()
        crew = hire()
        try:
            estimates.probe(missing)  # while the workers load their engines
            shards = make_shards(missing, estimates, crew.size, self._part_seconds, self._next)
            self._next += len(shards)
            # The longest first: one that is begun last keeps all others waiting.
            self._queue.extend(sorted(shards, key=lambda shard: (-shard.seconds, shard.number)))
            meter = Meter(list(missing), estimates)
            with progress(meter) as shown:
                self._work(crew, meter, shown)
        finally:
            crew.close()
            self.seconds = time.monotonic() - began
            self.keep_bad()
        if self._deaths:
            # One that was only out of reach may have written after all what was given to another one.
            tidy(self._store)
            read_done(self._store)

    def _work(self, crew: Crew, meter: Meter, shown: Progress) -> None:
        until = float("inf")
        while self._queue or self._of:
            if self._stop.is_set() and not self.stopped:
                self.stopped, until = True, time.monotonic() + STOP_SECONDS
                self._queue.clear()
                crew.stop()
            if self.stopped and (time.monotonic() > until or not self._of):
                return
            while self._queue and crew.free:
                shard = self._queue.popleft()
                self._of[shard.number] = {item.name: item for item in shard.inputs}
                crew.give(shard)
            for shard_, report in crew.wait(0.5):
                self._take(shard_, report, meter, shown)
            shown.bad = len(self.bad)
            shown.tick()
            if len(self.bad) and time.monotonic() - self._bad_kept > KEEP_BAD_SECONDS:
                self.keep_bad()

    def _take(self, shard: Shard | None, report: Report, meter: Meter, shown: Progress) -> None:
        if isinstance(report, Ready):
            self._early_deaths = 0
            shown.workers += 1
        elif isinstance(report, Died):
            self._died(shard, report, meter, shown)
        elif shard is None:
            return
        elif isinstance(report, At):
            meter.at(shard.inputs[report.index], report.seconds)
        elif isinstance(report, Done):
            item = shard.inputs[report.index]
            meter.done(item, report.seconds)
            self._unwritten[item.name] = report
            if report.trouble:
                self._tell_bad(item.name, report.trouble, shown)
        elif isinstance(report, Bad):
            item = shard.inputs[report.index]
            meter.done(item, None)
            self._of.get(shard.number, {}).pop(item.name, None)
            self._tell_bad(item.name, report.trouble, shown)
        elif isinstance(report, Safe):
            self._safe(shard, report)
        elif isinstance(report, Finished):
            self._of.pop(shard.number, None)

    def _safe(self, shard: Shard, report: Safe) -> None:
        if not self._store.exists(file_name("inputs", report.part)):
            raise ConfigError(
                f"a worker has written into its own {self._store}, which is not here; give an --out that all machines "
                "share, or a URL such as s3://bucket/archive"
            )
        waiting = self._of.get(shard.number, {})
        for index in report.indices:
            name = shard.inputs[index].name
            waiting.pop(name, None)
            self._count(name)

    def _count(self, name: str) -> None:
        done = self._unwritten.pop(name, None)
        if done is None:
            return
        self.counts.inputs += 1
        self.counts.windows += done.windows
        self.counts.events += done.events
        self.counts.short += not done.windows

    def _died(self, shard: Shard | None, report: Died, meter: Meter, shown: Progress) -> None:
        """A worker is gone: what it has not written is given to another one."""
        self._deaths = True
        if report.error is not None:
            raise report.error
        if report.early and not self.stopped:
            self._early_deaths += 1
            if self._early_deaths >= EARLY_DEATHS and not shown.workers:
                raise EngineError(f"no worker can begin: {report.why}; glatd doctor tells more")
        else:
            shown.workers -= 1
        if shard is None:
            return
        waiting = self._of.pop(shard.number, {})
        left = [item for item in left_of(self._store, shard) if item.name in waiting]
        for name in waiting.keys() - {item.name for item in left}:  # it died between writing and saying so
            self._count(name)
        culprit = shard.inputs[report.at].name if report.at is not None else ""
        for item in left:
            self._unwritten.pop(item.name, None)
            meter.at(item, 0.0)
        if culprit in waiting and shard.careful:
            self._strikes[culprit] += 1
            if self._strikes[culprit] == STRIKES:
                left = [item for item in left if item.name != culprit]
                meter.done(waiting[culprit], None)
                self._tell_bad(culprit, f"{report.why}, {STRIKES} times", shown)
        if self.stopped or not left:
            return
        again = Shard(self._next, tuple(left), shard.seconds, careful=True)
        self._next += 1
        self._queue.appendleft(again)

    def _tell_bad(self, name: str, trouble: str, shown: Progress) -> None:
        self.bad[name] = trouble
        shown.say(f"bad: {trouble}" if name in trouble else f"bad: {name}: {trouble}")

    def _read_bad(self) -> dict[str, str]:
        """What stands in the list of recordings that are not asked for now."""
        asked = {item.name for item in self._found.inputs}
        bad: dict[str, str] = {}
        for line in (self._store.read(BAD) or b"").splitlines():
            with contextlib.suppress(ValueError, KeyError):  # written by hand, perhaps
                entry = json.loads(line)
                bad[entry["file"]] = entry["reason"]
        return {name: reason for name, reason in bad.items() if name not in asked}

    def _note_troubles(self, done: dict[str, Entry]) -> None:
        """Those of recordings that were tagged before: they are no better now."""
        asked = {item.name for item in self._found.inputs}
        for name, entry in done.items():
            if entry.trouble and name in asked:
                self.bad[name] = entry.trouble

    def keep_bad(self) -> None:
        """Write the list of bad recordings; what other runs said of others stays in it."""
        self._bad_kept = time.monotonic()
        bad = self._bad_of_others | self.bad
        lines = [json.dumps({"file": name, "reason": bad[name]}, ensure_ascii=False) for name in sorted(bad)]
        self._store.write(BAD, "".join(f"{each}\n" for each in lines).encode())

    @property
    def exit_code(self) -> int:
        """130 when it was stopped, that of a source's error when a recording is bad, as of a replay; else 0."""
        if self.stopped:
            return 130
        return SourceError.exit_code if self.bad else 0

    def summary(self, heard: float) -> Iterable[str]:
        """What was done and what was not, line by line.

        Args:
            heard: s of audio.
        """
        counts = self.counts
        speed = heard / self.seconds if self.seconds else 0.0
        if counts.inputs:
            many = "recordings" if counts.inputs > 1 else "recording"
            yield (
                f"{counts.inputs:,} {many}, {lasting(heard)} of audio in {lasting(self.seconds)} "
                f"({speed:.1f} times real time): {counts.windows:,} windows, {counts.events:,} events"
            )
        else:
            yield "nothing new to tag"
        if self.before:
            yield f"{self.before:,} were there already"
        if self.changed:
            yield f"{len(self.changed):,} had changed since, and were tagged again"
        if counts.short:
            yield f"{counts.short:,} of less than 1 s, in which nothing is tagged"
        if self._found.twice:
            yield f"{self._found.twice:,} were named twice"
        if self._found.others:
            most = self._found.others.most_common(KINDS)
            kinds = [f"{kind or 'none'} {count:,}" for kind, count in most]
            if rest := self._found.others.total() - sum(count for _, count in most):
                kinds.append(f"others {rest:,}")
            yield f"left out of folders, as no audio by their suffix: {', '.join(kinds)}; a glob takes them in"
        if self.bad:
            yield f"{len(self.bad):,} bad: {self._store}/{BAD} says why"
        if self.stopped:
            yield "stopped before the end; the same command goes on"
