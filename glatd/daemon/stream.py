"""One stream inside the loop: its rings, its integer clock, and the windows that are due.

Positions are samples at the engine's rate and mel frames, both counted from the start of the
stream. What is not real audio (before the start, in gaps, after the end) is digital silence
through the front end, and `Window` says how much of it there is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glatd.daemon.crops import LocalScores
from glatd.daemon.features import Features
from glatd.daemon.ring import Ring
from glatd.engines.manifest import Geometry
from glatd.errors import DataError

Floats = NDArray[np.float32]
AFRESH_SECONDS = 10  # a gap this long starts the stream afresh
LEAST_SECONDS = 1  # a window with less real audio is not published
EVER = 1 << 62  # samples; before the start and after the end of everything
SPARE_SECONDS = 1  # of samples that are kept although no frame needs them any more: another front end may


@dataclass(frozen=True, slots=True)
class Window:
    """A window that is due: mel frames [end_frame - window, end_frame)."""

    end_frame: int
    start: int  # sample
    end: int  # sample; the last one of a finite stream for its last window
    real: int  # samples of real audio in it


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of a stream, in samples: enough for another front end to go on where it is."""

    samples: Floats  # [n] the newest, a view
    start: int  # of these
    gaps: tuple[tuple[int, int], ...]  # [start, end) that are not real, oldest first
    last_end: int  # of the last window that was due; -1 for none
    next_end: int  # of the next one


class Stream:
    """Samples in, windows out. No thread, no socket, no engine.

    Args:
        sizes: geometry of the engine.
        hop: mel frames between the ends of windows, a multiple of the engine's stride.
        silence: [block, M] what the front end makes of digital silence.
    """

    def __init__(self, sizes: Geometry, hop: int, silence: Floats) -> None:
        self.sizes, self.hop, self._silence = sizes, hop, silence
        self.wave = Ring(sizes.window * sizes.hop + sizes.block_samples + SPARE_SECONDS * sizes.rate)
        self.frames = Ring(sizes.window + sizes.lookback + hop + sizes.block, sizes.mels)
        self.local = LocalScores()
        self.features = {trunk.of: Features(trunk, sizes) for trunk in sizes.trunks}
        self.gaps: list[tuple[int, int]] = []  # [start, end) samples that are not real, oldest first
        self.received = 0  # real samples
        self.lost = 0  # samples in gaps
        self.restarts = 0
        self._finished: int | None = None  # sample after the last one
        self._last_given = -1  # end frame of the last window that was due
        self._begin(0)

    @property
    def position(self) -> int:
        """Samples so far, real or lost."""
        return self.wave.end

    @property
    def finished(self) -> bool:
        """Whether `finish` was called."""
        return self._finished is not None

    def wanted(self) -> int:
        """Samples that are missing until the next window is due."""
        last_frame = self.next_end - 1
        return max(0, self.sizes.hop * last_frame + self.sizes.right - self.position)

    def append(self, samples: Floats) -> None:
        """Real audio that follows what was there, at most `wanted()` samples of it."""
        if len(samples) > self.wanted():
            raise DataError(f"{len(samples)} samples at once, but a window is due after {self.wanted()}")
        self.wave.append(samples)
        self.received += len(samples)

    def skip(self, samples: int) -> None:
        """Lost audio, at most `wanted()` samples: the index moves on over digital silence."""
        self._note_gap(self.position, self.position + samples)
        self.wave.append(np.zeros(samples, np.float32))
        self.lost += samples

    def restart(self, samples: int) -> None:
        """A gap of `samples` that is long enough to start afresh."""
        self.lost += samples
        self.restarts += 1
        self._begin(self.position + samples)

    def is_fresh_start(self, gap: int) -> bool:
        """Whether a gap of so many samples starts the stream afresh."""
        return gap >= AFRESH_SECONDS * self.sizes.rate

    def finish(self) -> None:
        """The stream ends here: `window_due` gives what is left, and one window at the end."""
        self._finished = self.position
        self.gaps.append((self.position, EVER))
        whole_blocks = -(-self._last_end() // self.sizes.block) * self.sizes.block
        missing = self.sizes.hop * (whole_blocks - 1) + self.sizes.right - self.position
        self.wave.append(np.zeros(max(0, missing), np.float32))

    def past(self) -> Past:
        """All that it knows; of a stream that has not ended."""
        wave, unit = self.wave, self.sizes.hop
        last = -1 if self._last_given < 0 else unit * self._last_given
        samples = wave.view(wave.start, wave.end)
        return Past(samples, wave.start, tuple(self.gaps), last, unit * self.next_end)

    def go_on(self, past: Past) -> None:
        """Be where another stream is, before anything was appended: the frames of its next window are due at once.

        They are those that this stream would have if it had heard everything from the start. What the other has
        forgotten and they would need (of a longer window) is not real.
        """
        sizes = self.sizes
        next_end = -(-past.next_end // (sizes.hop * self.hop)) * self.hop
        first = (next_end - sizes.window - sizes.lookback) // sizes.block * sizes.block
        needed = sizes.hop * first - sizes.left
        self.gaps = list(past.gaps)
        if needed >= past.start:
            self.wave.reset(needed)
            self.frames.reset(first)
        else:
            begin = max([past.start, *(end for start, end in past.gaps if start == -EVER)])
            self._begin(begin)
            self.gaps += [(max(start, begin), end) for start, end in past.gaps if end > begin]
        self.wave.append(past.samples[self.wave.end - past.start :])
        self.next_end = next_end
        self._last_given = -1 if past.last_end < 0 else past.last_end // sizes.hop

    def turned(self, sizes: Geometry, hop: int, silence: Floats, same_frames: bool) -> "Stream":
        """The same stream behind another engine; of this one nothing changes. It has not ended.

        Args:
            sizes, hop, silence: as for a new one; the same rate.
            same_frames: whether the front end and the window are the same: then the frames are those of this stream.
        """
        new = Stream(sizes, hop, silence)
        if same_frames and sizes.lookback <= self.sizes.lookback:
            new.wave, new.frames, new.gaps = self.wave, self.frames, self.gaps
            new.next_end, new._last_given = self.next_end, self._last_given
        else:
            new.go_on(self.past())
        new.received, new.lost, new.restarts = self.received, self.lost, self.restarts
        new.local.computed, new.local.known = self.local.computed, self.local.known
        return new

    def blocks_due(self) -> list[Floats]:
        """Stretches [block_samples] of samples whose frames can be computed now, in order.

        They are views: compute them and `put_frames` before the next `append`.
        """
        sizes = self.sizes
        due: list[Floats] = []
        frame = self.frames.end
        while True:
            start = sizes.hop * frame - sizes.left
            if start + sizes.block_samples > self.wave.end:
                return due
            due.append(self.wave.view(start, start + sizes.block_samples))
            frame += sizes.block

    def put_frames(self, frames: Floats) -> None:
        """Log-mel frames [n, M] of the blocks that were due."""
        self.frames.append(frames)

    def window_due(self) -> Window | None:
        """The next window whose frames are all there; None when audio must come first."""
        if self._finished is not None and self.sizes.hop * self.next_end > self._finished:
            last = self._last_end()
            if self._last_given == last:
                return None
            self._last_given = last
            return self._window(last)
        if self.frames.end < self.next_end:
            return None
        self._last_given = self.next_end
        self.next_end += self.hop
        return self._window(self._last_given)

    def frames_of(self, window: Window) -> Floats:
        """Log-mel [window, M] of a window, a view."""
        return self.frames.view(window.end_frame - self.sizes.window, window.end_frame)

    def audible(self, window: Window) -> Floats:
        """[F] 1.0 where the middle of an output frame is real audio: a crop may be centred there."""
        sizes = self.sizes
        first = window.end_frame - sizes.window
        middles = np.minimum(np.arange(sizes.frames) * sizes.stride + sizes.stride // 2, sizes.window - 1)
        samples = (first + middles) * sizes.hop
        real = np.ones(sizes.frames, bool)
        for start, end in self.gaps:
            real &= (samples < start) | (samples >= end)
        return real.astype(np.float32)

    def newest(self, window: Window) -> Floats:
        """[n] samples of the newest hop of a window, a view."""
        return self.wave.view(max(self.wave.start, window.end - self.hop * self.sizes.hop), window.end)

    def level(self, window: Window) -> float:
        """RMS of the newest hop in dBFS (0 is a full-scale square wave), at least -120."""
        newest = self.newest(window)
        power = float(np.mean(np.square(newest, dtype=np.float64))) if len(newest) else 0.0
        return float(10 * np.log10(max(power, 1e-12)))

    def publishable(self, window: Window) -> bool:
        """Whether enough of a window is real."""
        return window.real >= LEAST_SECONDS * self.sizes.rate

    def _begin(self, start: int) -> None:
        """Real audio begins at sample `start`; all before it is silence."""
        sizes = self.sizes
        step = sizes.hop * sizes.block
        # One whole block of silence lies before the block in which the first sample is.
        frame = (start // step - 1) * sizes.block
        self.wave.reset(sizes.hop * frame - sizes.left)
        self.wave.append(np.zeros(start - self.wave.end, np.float32))
        rows = np.resize(self._silence, (sizes.window + sizes.lookback, sizes.mels))
        self.frames.reset(frame - len(rows))
        self.frames.append(rows)
        self.local.clear()
        for features in self.features.values():
            features.reset(frame)
        self.gaps = [(-EVER, start)]
        self.next_end = (start // (sizes.hop * self.hop) + 1) * self.hop
        self._last_given = -1

    def _note_gap(self, start: int, end: int) -> None:
        if self.gaps and self.gaps[-1][1] == start:
            start = self.gaps.pop()[0]
        self.gaps.append((start, end))
        oldest = self.position - (self.sizes.window + self.hop) * self.sizes.hop
        self.gaps = [gap for gap in self.gaps if gap[1] > oldest]

    def _last_end(self) -> int:
        """End frame of the last window of a finite stream: the first at or after its last sample."""
        return -(-(self._finished or 0) // self.sizes.hop)

    def _window(self, end_frame: int) -> Window:
        sizes = self.sizes
        start, end = sizes.hop * (end_frame - sizes.window), sizes.hop * end_frame
        missing = sum(max(0, min(end, gap[1]) - max(start, gap[0])) for gap in self.gaps)
        real = end - start - missing
        if self._finished is not None:
            end = min(end, self._finished)
        return Window(end_frame, start, end, real)
