"""Microphones, through PortAudio."""

import re
import time
from collections.abc import Iterator
from typing import ClassVar

from glatd.audio import Block
from glatd.daemon.sources.base import Source, pick_channel, safe_name
from glatd.daemon.sources.capture import Opened, Request
from glatd.daemon.sources.devices import list_input_devices as list_input_devices  # `glatd devices`
from glatd.daemon.sources.lag import LagMeter
from glatd.daemon.sources.pcm import parse_count, parse_query
from glatd.daemon.sources.shared import Reader, fail, join, leave
from glatd.errors import SourceError

_OPEN_S = 20.0  # a process starts, PortAudio looks at every device; on a machine that is very busy
_FIRST_S = 5.0
_STALL_S = 2.0
_POLL_S = 0.1


class MicSource(Source):
    """One microphone, or one channel of it, at its own rate, float32 (exact for 16 and 24 bit), in blocks of 10 ms.

    The device is looked for by name at every opening. Sources that name the same one share it, and a sound
    server that moves the stream to another microphone ends it. Lost audio moves the index on: what found no
    room in a queue of 10 s, exactly; what the driver lost, by counting samples against the monotonic clock,
    when it flags an overflow or when 0.1 s and more are missing (see `LagMeter`).

    Args:
        device: a name as `glatd devices` lists it, a part of one, or empty for the default microphone.
        rate: Hz; None for the device's own. Where a sound server does not tell its own, 48 kHz is taken.
        channels: None for the device's own; one where a sound server does not tell.
        channel: which one to give, 1 for the first; None for all.
    """

    live: ClassVar[bool] = True

    def __init__(
        self,
        device: str = "",
        rate: int | None = None,
        channels: int | None = None,
        name: str | None = None,
        channel: int | None = None,
    ) -> None:
        own = "" if channel is None else f"?channel={channel}"
        super().__init__(f"mic:{device}{own}", name or safe_name(f"{device}_{channel or ''}", "mic"), name is not None)
        self._request = Request(device, rate, channels)
        self._channel = channel
        self._reader: Reader | None = None

    def stop(self) -> None:
        """As `Source.stop`."""
        super().stop()
        if (reader := self._reader) is not None:
            reader.wake()

    def blocks(self) -> Iterator[Block]:
        """Blocks of 10 ms as they come.

        Raises:
            SourceError: no PortAudio library, no such microphone or channel, one that does not open, goes
                away, or gives nothing for 2 s.
        """
        if self._stopped.is_set():
            return
        reader = self._reader = join(self._request)
        try:
            yield from self._read(reader)
        finally:
            self._reader = None
            leave(reader)

    def _read(self, reader: Reader) -> Iterator[Block]:
        opened: Opened | None = None
        meter: LagMeter | None = None
        first = 0  # frame of the device that is this reader's first
        lost = 0  # samples that the driver lost, as far as the clock tells
        heard, limit = time.monotonic(), _OPEN_S
        while not self._stopped.is_set():
            said = reader.take(_POLL_S)
            if said is None:
                if time.monotonic() - heard > limit:
                    raise self._silent(reader, opened, limit)
            elif isinstance(said, Opened):
                opened = said
                if opened.mixed_from and self._channel is not None:
                    raise SourceError(
                        f"microphone {opened.name!r}: the sound server mixes its channels ({opened.mixed_from}) into "
                        "others, so none can be had alone; name the ALSA device instead (see glatd devices)"
                    )
                heard, limit = time.monotonic(), _FIRST_S
            elif opened is not None:
                if meter is None:
                    meter, first = LagMeter(opened.rate), said.start
                    limit = _STALL_S
                heard = time.monotonic()  # not said.heard: the queue of a slow reader is old
                start = said.start - first + lost
                jump = meter.lost(said.heard, start + len(said.samples), said.flagged)
                lost += jump
                samples = pick_channel(said.samples, self._channel, f"microphone {opened.name!r}")
                yield Block(start + jump, samples, opened.rate, said.heard)

    def _silent(self, reader: Reader, opened: Opened | None, seconds: float) -> SourceError:
        """Give the microphone up for all who read it."""
        if opened is None:
            why = f"{self.uri} does not open within {seconds:.0f} s; restart the sound server"
        else:
            why = (
                f"microphone {opened.name!r} stalled: no audio for {seconds:.0f} s; "
                "check that it is not suspended, and the sound server"
            )
        fail(reader.capture, why)
        return SourceError(why)


def parse_mic(text: str, name: str | None) -> MicSource:
    """The microphone of `mic:TEXT`, where TEXT is a device's name, then perhaps `?channel=2`.

    Raises:
        ConfigError: an unknown option, or a value that cannot be.
    """
    device, options = text, ""
    # Names of devices have spaces, colons, brackets and perhaps question marks; options look like options.
    if match := re.fullmatch(r"(.*?)\?(\w+=.*)", text):
        device, options = match.groups()
    where = f"source 'mic:{text}'"
    values = parse_query(options, ("rate", "channels", "channel"), where)
    rate = parse_count(values["rate"], "rate", 8_000, 384_000, where) if "rate" in values else None
    channels = parse_count(values["channels"], "channels", 1, 64, where) if "channels" in values else None
    channel = parse_count(values["channel"], "channel", 1, channels or 64, where) if "channel" in values else None
    return MicSource(device.strip(), rate, channels, name, channel)
