"""What the loop hands over to the dashboard's thread: references and short copies, in a queue that is bounded.

The loop's side never waits. At the end of a pass it wakes the other thread, at most once; where nobody looks, once
a second. What does not fit because that thread is stuck is left out, and counted.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glatd.daemon.tagging import Seen
from glatd.daemon.track import Track
from glatd.daemon.web.spectrogram import Scale, mel_hz, scale_of
from glatd.engines.engine import Engine
from glatd.engines.manifest import Manifest
from glatd.messages import Message, Tags

MOST_WAITING = 1000  # items; the larger half of them are 0.15 MB each
MANY = 200  # that wait, and are handed over though nobody looks
IDLE_S = 1.0  # between two hand-overs when nobody looks


@dataclass(frozen=True, slots=True)
class Frames:
    """Mel frames of a stream, a copy."""

    stream: str
    first: int
    frames: NDArray[np.float32]  # [n, M]


@dataclass(frozen=True, slots=True)
class Look:
    """What the networks saw in a window; its arrays are the look's own, and nobody changes them."""

    stream: str
    seen: Seen
    wall: float  # UNIX seconds of the window's end


@dataclass(frozen=True, slots=True)
class Sound:
    """Audio of a stream that somebody listens to, a copy."""

    stream: str
    first: int  # sample
    samples: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Engaged:
    """Another engine has taken over; what follows is its own."""

    manifest: Manifest
    scale: Scale
    mel_hz: tuple[float, ...]  # centres of the bands


Item = Message | Frames | Look | Sound | Engaged


class Feed:
    """A sink of the loop, and what it calls after each look and each pass.

    Args:
        tracks: of the loop, by stream.
        hop: samples a mel frame.

    Attributes:
        wake: has the items taken, in the dashboard's thread; may be called from any.
        eager: whether somebody looks. Set by the dashboard's thread, as is
        listened: the streams that somebody listens to.
        lost: items for which there was no room.
    """

    def __init__(self, tracks: Mapping[str, Track], hop: int) -> None:
        self._tracks, self._hop = tracks, hop
        self._items: deque[Item] = deque()
        self._frames: dict[str, int] = {}  # by stream, the mel frame up to which they were handed over
        self._sound: dict[str, int] = {}  # by stream, the sample up to which it was
        self._woken = 0.0  # monotonic s
        self._asked = False  # whether a wake is under way
        self.wake: Callable[[], None] = lambda: None
        self.eager = False
        self.listened: frozenset[str] = frozenset()
        self.lost = 0

    def __call__(self, message: Message) -> None:
        """Hand a message over, with the newest mel frames where it is one of a window."""
        if isinstance(message, Tags):
            self._hand_frames(message)
        self._put(message)

    def saw(self, track: Track, seen: Seen) -> None:
        """Hand a look over."""
        self._put(Look(track.name, seen, track.announcer.clock.at(seen.window.end)))

    def turn(self, engine: Engine) -> None:
        """Another engine takes over: hand over what it is. Its front end is run for that, and may fail; then nothing
        was handed over."""
        engaged = Engaged(engine.manifest, scale_of(engine), tuple(mel_hz(engine)))
        self._hop = engine.sizes.hop
        self._frames.clear()
        self._items.append(engaged)  # whatever the room: what follows would mean nothing without it

    def look(self) -> None:
        """The end of a pass: hand over what somebody listens to, and wake the other side if there is reason."""
        if self.listened or self._sound:
            self._hand_sound()
        if not self._items or self._asked:
            return
        now = time.monotonic()
        if self.eager or len(self._items) >= MANY or now - self._woken >= IDLE_S:
            self._asked, self._woken = True, now
            self.wake()

    def connect(self, wake: Callable[[], None]) -> None:
        """The other side is there; until now nobody was woken, so whatever was asked of nobody is asked again."""
        self.wake = wake
        self._asked = False

    def take(self) -> list[Item]:
        """All that waits. In the dashboard's thread."""
        self._asked = False  # first: what comes from now on wakes again
        return [self._items.popleft() for _ in range(len(self._items))]

    def _put(self, item: Item) -> None:
        if len(self._items) >= MOST_WAITING:
            self.lost += 1
        else:
            self._items.append(item)

    def _hand_frames(self, message: Tags) -> None:
        track = self._tracks.get(message.stream)
        if track is None:
            return
        ring, end = track.channel.stream.frames, -(-message.end // self._hop)
        before = self._frames.get(message.stream, end)
        first = max(ring.start, end - track.channel.stream.sizes.window, before if before < end else -(1 << 62))
        if first < end <= ring.end:
            self._put(Frames(message.stream, first, ring.view(first, end).copy()))
        self._frames[message.stream] = end

    def _hand_sound(self) -> None:
        listened = self.listened
        self._sound = {name: sample for name, sample in self._sound.items() if name in listened}
        for name in listened:
            track = self._tracks.get(name)
            if track is None:
                continue
            wave = track.channel.stream.wave
            first = self._sound.get(name, wave.end)
            first = max(wave.start, first if first <= wave.end else wave.end)
            if first < wave.end:
                self._put(Sound(name, first, wave.view(first, wave.end).copy()))
            self._sound[name] = wave.end
