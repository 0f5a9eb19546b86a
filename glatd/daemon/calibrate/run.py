"""`glatd calibrate`: from recordings to rules."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glatd.daemon.assembly import make_engine
from glatd.daemon.calibrate.calibrate import by_labels, by_rate
from glatd.daemon.calibrate.report import as_table, as_toml, in_words, total
from glatd.daemon.calibrate.site import listen
from glatd.daemon.calibrate.truth import read_truth
from glatd.daemon.replay import Part, plan
from glatd.daemon.settings import read_settings
from glatd.daemon.sources.file import FileSource
from glatd.errors import ConfigError

USUAL_RATE = 0.2  # false alarms an hour
EVERY = 5.0  # s between two lines of progress


def run(
    recordings: Sequence[Path],
    rate: float | None,
    labels: Path | None,
    streams: Sequence[str],
    rules: Path | None,
    given: Mapping[str, Any],
) -> str:
    """The rules as TOML; what they rest on goes to stderr.

    Args:
        rate: false alarms an hour and class; None for the usual rate, or for no limit where there are labels.
        streams: the only ones to listen to; empty for all.
        rules: configuration whose [events] hold; None for the recorded ones.
        given: engine and hop; None where they were not given.

    Raises:
        GlatdError: what cannot be read, or does not fit together.
    """
    events = None if rules is None else read_settings(rules).events
    parts = plan(recordings, streams, {**given, "top": 1, "events": events})
    if not parts:
        raise ConfigError("there is nothing to listen to; name a recording, or a folder of some")
    called = {part.source.name: _aliases(part) for part in parts}
    if labels is not None and len(called) < len(parts):
        twice = next(name for name in called if sum(part.source.name == name for part in parts) > 1)
        raise ConfigError(
            f"there are two recordings of {twice}, which the labels cannot tell apart; give one at a time"
        )
    engine = make_engine(parts[0].settings)
    truth = None if labels is None else read_truth(labels, called, engine.manifest.names)
    if truth is not None and truth.unmarked:
        _tell(f"not in {labels}, so taken to have none of its sounds: {', '.join(truth.unmarked)}")
    site = listen(parts, engine, truth.labels if truth else (), _tell, EVERY)
    if not site.hours:
        raise ConfigError("there is no audio in it; name a recording that has some")
    progress = _Seldom(EVERY)
    if truth is None:
        rate = rate or USUAL_RATE
        found = by_rate(site, rate, progress)
        aim = f"at most {rate:g} false alarms an hour and class"
    else:
        found = by_labels(site, truth, rate, progress)
        aim = f"best event F1 on {labels}"
        aim += f", with at most {rate:g} false alarms an hour and class" if rate is not None else ""
    for line in [*as_table(found, site), "", *in_words(found, site, rate)]:
        _tell(line)
    if truth is not None:
        _tell(f"F1 of all these events together: {total(found).f1:.2f}")
    return as_toml(found, site, aim, streams, beside=truth is not None)


def _aliases(part: Part) -> tuple[str, ...]:
    source = part.source
    if isinstance(source, FileSource):
        return source.name, source.path.name, source.path.stem
    return (source.name,)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class _Seldom:
    """Tells a line now and then."""

    def __init__(self, every: float) -> None:
        self._every, self._told = every, time.monotonic()

    def __call__(self, line: str) -> None:
        if time.monotonic() - self._told >= self._every:
            self._told = time.monotonic()
            _tell(line)
