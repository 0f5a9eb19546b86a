"""The rules of every stream that runs: those of the configuration, and what was set for it since."""

import logging

from glatd.daemon.events.settings import EventSettings
from glatd.daemon.live_rules import LiveRules
from glatd.daemon.track import Track
from glatd.engines.manifest import Manifest
from glatd.errors import ConfigError

log = logging.getLogger("glatd")


class RuleBook:
    """One request at a time; its rules hold for the loop only once they are handed to it.

    Args:
        settings: of the configuration.
    """

    def __init__(self, settings: EventSettings) -> None:
        self.settings = settings
        self._set: dict[str, tuple[Track, LiveRules]] = {}  # by stream, where rules were changed

    def of(self, track: Track) -> LiveRules:
        """Those of a stream."""
        known, rules = self._set.get(track.name, (None, None))
        if known is track and rules is not None:
            return rules
        stream = track.channel.stream
        manifest = track.announcer.manifest
        hop = stream.hop * stream.sizes.hop
        return LiveRules(self.settings, manifest.labels, manifest.geometry, hop, track.name)

    def keep(self, track: Track, rules: LiveRules) -> None:
        """Remember what was set for a stream."""
        self._set[track.name] = track, rules

    def forget(self, stream: str) -> None:
        """A stream is removed."""
        self._set.pop(stream, None)

    def renewed(self, track: Track, settings: EventSettings, manifest: Manifest) -> LiveRules:
        """Those of a stream by another configuration or engine; nothing is remembered yet.

        What was set for a class that the engine has not is left out, and told.

        Raises:
            ConfigError: what cannot be.
        """
        before = self.of(track)
        new = LiveRules(settings, manifest.labels, manifest.geometry, before.hop, track.name)
        for rule in before.since:
            try:
                new = new.also(rule)
            except ConfigError as error:
                log.warning("%s: what was set since the start is dropped: %s", track.name, error)
        return new

    def adopt(self, settings: EventSettings, renewed: dict[str, tuple[Track, LiveRules]]) -> None:
        """These hold from now on."""
        self.settings = settings
        self._set = {name: (track, rules) for name, (track, rules) in renewed.items() if rules.since}
