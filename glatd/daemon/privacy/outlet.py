"""The only way by which the audio of a stream leaves memory: into clips of its events, and into a recording.

It is told of every window, looked at or not, and of everything that is lost. Without clips and recordings it does
nothing. In the loop's thread.
"""

import fnmatch
from collections.abc import Sequence

from glatd.daemon.privacy.classes import classes
from glatd.daemon.privacy.cutter import Clips, Cut, Cutter
from glatd.daemon.privacy.settings import BlankSettings, ClipSettings
from glatd.daemon.privacy.veil import Blank, Veil
from glatd.daemon.privacy.withheld import Withheld
from glatd.daemon.stream import Stream, Window
from glatd.daemon.tagging import Seen
from glatd.daemon.worker import Recording
from glatd.engines.manifest import LabelEntry, Manifest
from glatd.messages import Event


class Outlet:
    """Of one stream.

    Args:
        cutter: of its clips; None for none.
        veil: what must not be written; None where everything may be.
        withheld: its recording, where that has to wait for the verdict; None where there is none, or it need not.
    """

    def __init__(
        self, stream: Stream, cutter: Cutter | None = None, veil: Veil | None = None, withheld: Withheld | None = None
    ) -> None:
        self._stream, self._cutter, self._veil, self._withheld = stream, cutter, veil, withheld

    def turn(self, stream: Stream, manifest: Manifest, settings: tuple[ClipSettings, BlankSettings]) -> None:
        """Go on with the stream behind another engine.

        Raises:
            ConfigError: labels that the engine has not; nothing has changed then.
        """
        cut, rule = make_cut(settings[0], manifest), make_rule(settings[1], manifest) if self._veil else None
        self._stream = stream
        if self._cutter is not None:
            self._cutter.turn(stream, cut)
        if self._veil is not None and rule is not None:
            self._veil.turn(rule, manifest.geometry)

    def looked(self, seen: Seen, events: list[Event]) -> list[Event]:
        """A look, and the events that it brought; these with the names of their clips."""
        if self._veil is not None:
            self._veil.looked(seen)
        return self._go_on(seen.window, events)

    def passed(self, window: Window, events: list[Event]) -> list[Event]:
        """A window that the networks did not look at, and the events that it brought all the same."""
        if self._veil is not None:
            self._veil.passed(window.end)
        return self._go_on(window, events)

    def lost(self, start: int, end: int) -> None:
        """Samples [start, end) are lost; call before the stream passes over them."""
        if self._veil is not None:
            self._veil.lost(start, end)
        if self._cutter is not None and self._stream.is_fresh_start(end - start):
            self._cutter.close()  # the ring is about to be emptied

    def ended(self, events: list[Event]) -> list[Event]:
        """Events that something else than a look has ended."""
        return events if self._cutter is None else self._cutter.told(events)

    def close(self, events: list[Event]) -> list[Event]:
        """The stream ends here, and these events with it."""
        if self._veil is not None and self._stream.finished:
            self._veil.finish()
        if self._cutter is not None:
            events = self._cutter.told(events)
            self._cutter.close()
        if self._withheld is not None and self._veil is not None:
            self._withheld.finish(self._veil.spans)
        return events

    def _go_on(self, window: Window, events: list[Event]) -> list[Event]:
        if self._cutter is not None:
            events = self._cutter.told(events)
            self._cutter.go_on(window.end)
        if self._withheld is not None and self._veil is not None:
            self._withheld.release(self._veil.decided, self._veil.spans)
        return events


def make_outlet(
    stream: Stream,
    name: str,
    manifest: Manifest,
    settings: tuple[ClipSettings, BlankSettings],
    clips: Clips | None,
    recording: Recording | None,
) -> tuple[Outlet, Recording | None]:
    """The outlet of a stream, and what its source is to be recorded by.

    Args:
        name: of the stream.
        manifest: of the engine.
        clips: writes clips down; None to keep none.
        recording: of the stream; None to make none.

    Raises:
        ConfigError: labels that the engine has not.
    """
    kept, blank = settings
    veil = None
    if is_veiled(name, blank) and (clips is not None or recording is not None):
        veil = Veil(make_rule(blank, manifest), manifest.geometry)
    cutter = None
    if clips is not None and _named(name, kept.streams):
        cutter = Cutter(stream, clips, make_cut(kept, manifest), veil)
    withheld = Withheld(recording, manifest.geometry.rate) if recording is not None and veil is not None else None
    return Outlet(stream, cutter, veil, withheld), withheld or recording


def make_cut(kept: ClipSettings, manifest: Manifest) -> Cut:
    """What is kept of which events.

    Raises:
        ConfigError: labels that the engine has not.
    """
    rolls = (round(seconds * manifest.geometry.rate) for seconds in (kept.pre_roll, kept.post_roll, kept.longest))
    return Cut(kept_mids(kept, manifest.labels), *rolls)


def make_rule(blank: BlankSettings, manifest: Manifest) -> Blank:
    """What is speech.

    Raises:
        ConfigError: labels that the engine has not.
    """
    found = classes(blank.labels, manifest.labels, "blank.labels")
    return Blank(found, blank.threshold, round(blank.margin * manifest.geometry.rate))


def check_labels(kept: ClipSettings, blank: BlankSettings, labels: Sequence[LabelEntry]) -> None:
    """Refuse labels that an engine has not, also where nothing is to be kept yet.

    Raises:
        ConfigError: naming the key, the label and the nearest that is known.
    """
    kept_mids(kept, labels)
    if blank.speech:
        classes(blank.labels, labels, "blank.labels")


def kept_mids(kept: ClipSettings, labels: Sequence[LabelEntry]) -> frozenset[str]:
    """Mids of the classes of whose events clips are kept.

    Raises:
        ConfigError: labels that the engine has not.
    """
    meant = classes(kept.labels, labels, "clips.labels") if kept.labels else range(len(labels))
    return frozenset(labels[index].mid for index in meant)


def is_veiled(stream: str, blank: BlankSettings) -> bool:
    """Whether a stream's speech must not leave memory."""
    return blank.speech and _named(stream, blank.streams)


def _named(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)
