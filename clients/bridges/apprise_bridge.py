"""Notifications by Apprise: to a telephone, a mailbox, a chat, or 140 other services; seldom enough to be read."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from glatd.clients.bridges.apprise_pace import Kept, Pace
from glatd.clients.bridges.apprise_services import Services
from glatd.clients.bridges.apprise_text import Template, began
from glatd.clients.bridges.base import Bridge, BridgeSettings
from glatd.clients.bridges.secret import secret_lines
from glatd.errors import ConfigError
from glatd.messages import Event
from glatd.schedule import Schedule

CLIP_S = 10.0  # that the clip of an event that has ended is waited for
CLIP_TURN_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class AppriseSettings(BridgeSettings):
    """What notifications are told beside what every bridge is."""

    phase: tuple[str, ...] = ("start",)
    url: tuple[str, ...] = ()  # of services, as Apprise knows them
    url_file: str = ""  # with one a line, mode 0600: such URLs are passwords, and a command line is for all to see
    title: str = "{label} on {stream}"
    text: str = "{at:%a %H:%M:%S} on {node}, {peak:.0%} sure"
    every: float = 60.0  # s from one notification of a class and stream to the next; what comes between is counted
    quiet: str = ""  # "22:00-07:00": nothing is told then, and afterwards how much there was; local time
    quiet_days: tuple[str, ...] = ()  # "sat", on which that begins; all when empty
    oldest: float = 3600.0  # s; of what is older when it comes here, only the number is told
    give_up: float = 300.0  # s for which one notification is tried
    clips: str = ""  # folder of the node's clips, if it is on this machine: an event's clip is sent along


class AppriseBridge(Bridge):
    """Tells each event at once or, where there are many, how many there were.

    An event that is only counted has been dealt with when its number was told: after a kill it comes again.

    Raises:
        ConfigError: settings that cannot be.
    """

    def __init__(self, settings: AppriseSettings, name: str = "apprise") -> None:
        for key in ("every", "oldest", "give_up"):
            if not 0 <= getattr(settings, key) <= 1e7:
                raise ConfigError(f"{key} = {getattr(settings, key):g} must be 0 to 1e7 seconds")
        try:
            self._quiet = Schedule.read(settings.quiet, settings.quiet_days) if settings.quiet else None
        except ValueError as error:
            raise ConfigError(str(error).replace("schedule", "quiet", 1)) from None
        self._clips = Path(os.path.expanduser(settings.clips)) if settings.clips else None
        self._template = Template(settings.title, settings.text)
        self._pace, self._oldest = Pace(settings.every), settings.oldest
        super().__init__(settings, name)
        urls = settings.url + (secret_lines(settings.url_file, "URLs for Apprise") if settings.url_file else ())
        self.services = Services(urls, settings.give_up, self.stop)

    def test(self) -> None:
        """Notify all, to see whether it works.

        Raises:
            ConfigError: one has not taken it.
        """
        if not self.services.tell("glatd can notify you", "This is a test.", once=True):
            raise ConfigError("not all services have taken the test; what they say stands above")

    def send(self, event: Event, done: Callable[[], None]) -> None:
        """Tell it, or keep it to be counted."""
        now = time.monotonic()
        old = time.time() - began(event).timestamp() > self._oldest
        if old or self._is_quiet() or not self._pace.may(event, now):
            self._pace.keep(event, done, now)
        elif self.services.tell(*self._template.about(event), self._clip(event)):
            self._pace.told(event, now)
            done()

    def turn(self) -> None:
        """Tell how many there were, of what has waited long enough."""
        if self._pace.kept and not self._is_quiet():
            self._tell_kept(self._pace.due(time.monotonic()))

    def close(self) -> None:
        """Tell what is kept, rather than at the next start, if it can be told now."""
        if self._pace.kept and not self._is_quiet():
            self._tell_kept(self._pace.due(time.monotonic(), everything=True), once=True)

    def _tell_kept(self, kinds: list[Kept], once: bool = False) -> None:
        if kinds and self.services.tell(*self._template.about_many(kinds), once=once):
            now = time.monotonic()
            for kept in kinds:
                self._pace.told(kept.last, now)
                for done in kept.done:
                    done()

    def _clip(self, event: Event) -> Path | None:
        """The file of an event's sound. It is complete a little after the end of the sound, which is waited for."""
        name = event.evidence.get("clip")
        if self._clips is None or not isinstance(name, str) or Path(name).name != name:
            return None
        path = self._clips / name
        for _ in range(round(CLIP_S / CLIP_TURN_S) if event.phase == "end" else 0):
            if path.is_file() or self.stop.wait(CLIP_TURN_S):
                break
        return path if path.is_file() else None

    def _is_quiet(self) -> bool:
        return self._quiet is not None and self._quiet.holds(time.time())
