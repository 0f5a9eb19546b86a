"""What is wrong with an input: dead, very quiet, clipping, offset, band-limited.

A `SignalMonitor` sits between a source and its resampler and hears every sample at the source's own
rate and channels. Blocks are only copied; once a second the second is examined as a whole, so the
cost does not depend on the size of the blocks. What it finds is told with the figure that was
measured, and with two thresholds each, or a time, so that it does not come and go.

Measured on 1372 clips of single sounds, each laid end over end for 30 s: 24 (1.7 %) have a finding. 13
of them do have an offset, of 17 to 37 %; 11 end at 5.4 to 8.8 kHz, among them 7 that were sampled at
16 kHz. Of 458 clips made worse on purpose, the telephone's band is found in 95 %, 16 kHz sampling in 91 %,
and clipping of 0.2 % or more of the samples in 96 % (6 dB too much), 98 % (12 dB) and 99 % (20 dB).

It does not know: what was lost before the source (packets, overruns), a microphone that hears only its
own noise above -80 dBFS, clipping that a resampler or a lossy codec has rounded off afterwards, and
band limits between 10 kHz and half the sampling rate, which hardly matter to the networks.
"""

from collections import deque
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from numpy.typing import NDArray

from glatd.daemon.bandlimit import EDGE_DB, EDGE_HIGHEST_HZ, FRAME, NO_EDGE_DB, band_levels, edge

Floats = NDArray[np.float32]

QUIETEST = -120.0  # dBFS, what digital silence is called
LOUDEST = 1e6  # beyond it a sample is as good as infinite; the same limit as in `ingest`

# A camera with a noise gate gives exact zeros between sounds; for 10 s on end it rarely does.
DEAD_SECONDS = 10
ALIVE_SECONDS = 3  # of sound until it counts as alive again: a plug that is moved crackles for less

# A microphone that works gives at least its own noise, -75 dBFS at the usual gain even in a silent room;
# one that is muted or not plugged in leaves the noise of the converter, -85 dBFS and less.
QUIET_DBFS, AUDIBLE_DBFS = -80.0, -75.0
QUIET_SECONDS = 20  # the loudest of so many

# Flat tops: 0.1 % is 10 ms of them in 10 s, which is heard as distortion; a peak that touches full scale
# now and then is normal.
CLIPPED_SHARE, UNCLIPPED_SHARE = 1e-3, 2e-4
CLIPPED_SECONDS = 10
FLAT = 2e-3  # of the peak: as high as this is "at the peak"; analogue clipping keeps some noise on top
NEAR = 4e-2  # of the peak: what lies between FLAT and this is "just below it"
# At the peak there is a third as much of a sine as just below it, less of any other sound; of a clipped
# sound there is more. Of mu-law, whose steps are 3 % of the peak, 1.5 % of the clips look clipped.
FLAT_RATIO = 1.0
FLAT_RUN = 3  # samples on end; two can be chance
FLAT_LEAST = 0.1  # of full scale: below it, coarse steps of 8 bits look flat
FULL_SCALE = 0.99  # of full scale: 127/128 is the most that 8 bits hold

# Sound cards have up to 1 %; more is a broken input, and takes room from the sound.
OFFSET, NO_OFFSET = 0.03, 0.02  # of full scale
OFFSET_SECONDS = 10  # the median of so many: wind moves the mean of one second, not of ten

BAD_SHARE = 1e-3  # of samples that are no numbers, over CLIPPED_SECONDS

# Where a band ends is judged by spectra of the loudest frame in every other second.
SPECTRUM_SECONDS = 2  # from one to the next
SPECTRA = 15
SPECTRA_LEAST = 7  # before anything is said
SPECTRA_BUT = 1  # of the spectra may hold more: a lost packet is a click over all frequencies
SPECTRUM_DBFS = -55.0  # level of a frame that is worth looking at


@dataclass(frozen=True, slots=True)
class Second:
    """What one second of one channel was like."""

    constant: bool
    level: float  # dBFS, without the offset
    offset: float  # of full scale
    clipped: float  # share of the samples that are flat tops
    peak: float  # of full scale, of the flat tops if there are any
    bad: float  # share of samples that are NaN, infinite or beyond LOUDEST


def dbfs(power: float) -> float:
    """Decibels of a mean square, at least QUIETEST."""
    return float(10 * np.log10(max(power, 10 ** (QUIETEST / 10))))


def flat_tops(samples: Floats, peak: float) -> int:
    """How many samples are flat tops at the largest value `peak` > 0 of float32 [n]; 0 if it is no clipping."""
    at_peak = samples >= np.float32(peak * (1 - FLAT))
    count = int(np.count_nonzero(at_peak))
    if count < FLAT_RUN:
        return 0
    below = int(np.count_nonzero(samples >= np.float32(peak * (1 - NEAR)))) - count
    if count < FLAT_RATIO * below:
        return 0
    edges = np.flatnonzero(np.diff(at_peak, prepend=False, append=False))
    runs = edges[1::2] - edges[::2]
    return int(runs[runs >= FLAT_RUN].sum())


def examine(samples: Floats) -> tuple[Second, Floats]:
    """One second of one channel, float32 [n]; and the power of each whole FRAME of it, [n // FRAME]."""
    bad = 0.0
    low, high = float(samples.min()), float(samples.max())
    if not (low >= -LOUDEST and high <= LOUDEST):  # also where one of them is NaN
        good = np.abs(samples) <= LOUDEST
        bad = 1 - np.count_nonzero(good) / len(samples)
        samples = np.where(good, samples, np.float32(0))
        low, high = float(samples.min()), float(samples.max())
    whole = len(samples) // FRAME
    frames = samples[: whole * FRAME].reshape(whole, FRAME)
    rest = samples[whole * FRAME :]
    # Not dot(): BLAS would wake its threads for so much.
    energies: Floats = np.einsum("ij,ij->i", frames, frames)
    energy = float(energies.sum()) + float(np.einsum("i,i->", rest, rest))
    offset = float(samples.mean())
    if low == high:
        return Second(True, QUIETEST, offset, 0.0, 0.0, bad), energies
    above = flat_tops(samples, high) if high >= FLAT_LEAST else 0
    below = flat_tops(-samples, -low) if -low >= FLAT_LEAST else 0
    peak = max(high if above else 0.0, -low if below else 0.0)
    level = dbfs(max(0.0, energy / len(samples) - offset**2))
    return Second(False, level, offset, (above + below) / len(samples), peak, bad), energies / np.float32(FRAME)


@dataclass(slots=True)
class Input:
    """One channel over the last seconds."""

    seconds: deque[Second] = field(default_factory=lambda: deque(maxlen=QUIET_SECONDS))
    constant: int = 0  # seconds on end, up to the last constant one
    sounding: int = 0  # seconds on end
    dead: bool = False

    def take(self, second: Second) -> None:
        """Another second of it."""
        self.seconds.append(second)
        if second.constant:
            self.constant = 1 if self.sounding and not self.dead else self.constant + 1
            self.sounding = 0
        else:
            self.sounding += 1
        if not self.dead:
            self.dead = second.constant and self.constant >= DEAD_SECONDS
        elif self.sounding >= ALIVE_SECONDS:
            self.dead, self.constant = False, 0

    def latest(self, count: int) -> list[Second]:
        """The last `count` seconds, or fewer."""
        return list(self.seconds)[-count:]


class SignalMonitor:
    """Listens to one stream as its source gives it.

    `take` belongs to the source's thread; `findings` and `level_dbfs` may be read from any.
    At 48 kHz in blocks of 10 ms it costs 0.04 % of a core for one channel, 0.06 % for two.
    """

    def __init__(self) -> None:
        self._rate = 0
        self._buffer: Floats = np.zeros((0, 0), np.float32)
        self._filled = 0
        self._inputs: list[Input] = []
        self._spectra: deque[Floats] = deque(maxlen=SPECTRA)
        self._seconds = 0
        self._band = ""  # the finding
        self._raised: set[str] = set()
        self._findings: tuple[str, ...] = ()
        self._level = QUIETEST

    @property
    def level_dbfs(self) -> float:
        """RMS of the loudest channel in the last whole second, without its offset; at least -120."""
        return self._level

    def findings(self) -> tuple[str, ...]:
        """What is wrong now, each as `kind: figure`, for example `very quiet: -85 dBFS`; empty when nothing is."""
        return self._findings

    def take(self, samples: Floats, rate: int) -> None:
        """Hear a block, float32 [n, channels] at `rate` Hz. Another rate or number of channels starts afresh."""
        count, channels = samples.shape
        if rate != self._rate or channels != len(self._inputs):
            self._begin(rate, channels)
        end = self._filled + count
        if end < rate:  # all there is to do 99 times in 100
            self._buffer[:, self._filled : end] = samples.T
            self._filled = end
            return
        at = 0
        while at < count:
            piece = samples[at : at + rate - self._filled]
            self._buffer[:, self._filled : self._filled + len(piece)] = piece.T
            self._filled += len(piece)
            at += len(piece)
            if self._filled == rate:
                self._filled = 0
                self._listen()

    def _begin(self, rate: int, channels: int) -> None:
        self._rate, self._filled = rate, 0
        self._buffer = np.zeros((channels, rate), np.float32)
        self._inputs = [Input() for _ in range(channels)]
        self._seconds = 0
        self._band = ""
        if rate <= EDGE_HIGHEST_HZ:
            self._band = f"band-limited: nothing above {rate / 2000:.1f} kHz, sampled at {rate} Hz"
        self._spectra.clear()
        self._raised.clear()
        self._findings = (self._band,) if self._band else ()

    def _listen(self) -> None:
        """Examine the second in the buffer."""
        loudest, power = 0, 0.0
        where = 0
        levels = []
        for channel, heard in enumerate(self._inputs):
            second, powers = examine(self._buffer[channel])
            heard.take(second)
            levels.append(second.level)
            if not second.bad and len(powers) and powers.max() > power:
                loudest, power, where = channel, float(powers.max()), int(powers.argmax())
        self._level = max(levels)
        self._seconds += 1
        worth = self._seconds % SPECTRUM_SECONDS == 0 and levels[loudest] > QUIETEST and dbfs(power) >= SPECTRUM_DBFS
        if worth and self._rate > EDGE_HIGHEST_HZ:
            frame = self._buffer[loudest, where * FRAME : (where + 1) * FRAME]
            self._spectra.append(band_levels(frame, self._rate))
            self._band = self._judge_band()
        self._findings = tuple(self._judge())

    def _judge(self) -> list[str]:
        """All findings, the gravest first."""
        dead = [channel for channel, heard in enumerate(self._inputs) if heard.dead]
        found = []
        if dead and len(dead) == len(self._inputs):
            return [_dead(self._inputs[0])]
        if dead:
            which = ", ".join(str(channel + 1) for channel in dead)
            number = "one" if len(dead) == 1 else str(len(dead))
            verb = "is" if len(dead) == 1 else "are"
            found.append(f"{number} of {len(self._inputs)} channels {verb} dead: {which}")
        alive = [heard for heard in self._inputs if not heard.dead]
        for said in (_bad(alive), self._quiet(alive), self._clipping(alive), self._offset(alive), self._band):
            if said:
                found.append(said)
        return found

    def _hold(self, kind: str, raised: bool, cleared: bool) -> bool:
        """Whether a finding stands: from `raised` until `cleared`."""
        if kind in self._raised:
            if cleared:
                self._raised.discard(kind)
        elif raised:
            self._raised.add(kind)
        return kind in self._raised

    def _quiet(self, alive: list[Input]) -> str:
        levels = [max(second.level for second in heard.seconds) for heard in alive]
        loudest, long = max(levels), len(alive[0].seconds) == QUIET_SECONDS
        if not self._hold("quiet", long and loudest <= QUIET_DBFS, loudest > AUDIBLE_DBFS):
            return ""
        mean = max(dbfs(float(np.mean([10 ** (second.level / 10) for second in heard.seconds]))) for heard in alive)
        return f"very quiet: {mean:.0f} dBFS"

    def _clipping(self, alive: list[Input]) -> str:
        recent = [heard.latest(CLIPPED_SECONDS) for heard in alive]
        shares = [sum(second.clipped for second in seconds) / CLIPPED_SECONDS for seconds in recent]
        share = max(shares)
        if not self._hold("clipping", share >= CLIPPED_SHARE, share < UNCLIPPED_SHARE):
            return ""
        peak = max(second.peak for second in recent[shares.index(share)])
        where = "full scale" if peak >= FULL_SCALE else f"{100 * peak:.0f} % of full scale"
        return f"clipping: {_percent(share)} of samples at {where}"

    def _offset(self, alive: list[Input]) -> str:
        if len(alive[0].seconds) < OFFSET_SECONDS:
            return ""
        medians = [abs(median(second.offset for second in heard.latest(OFFSET_SECONDS))) for heard in alive]
        offset = max(medians)
        if not self._hold("offset", offset >= OFFSET, offset < NO_OFFSET):
            return ""
        return f"DC offset: {_percent(offset)} of full scale"

    def _judge_band(self) -> str:
        if len(self._spectra) < SPECTRA_LEAST:
            return ""
        spectrum = np.sort(np.stack(self._spectra), axis=0)[-1 - SPECTRA_BUT]
        sharp, blunt = (edge(spectrum, self._rate, drop) for drop in (EDGE_DB, NO_EDGE_DB))
        if not self._hold("band", sharp is not None, blunt is None):
            return ""
        return f"band-limited: nothing above {(sharp or blunt or 0.0) / 1000:.1f} kHz"


def _dead(heard: Input) -> str:
    offset = heard.seconds[-1].offset
    what = "digital silence" if abs(offset) < NO_OFFSET else f"constant at {_percent(abs(offset))} of full scale"
    return f"dead: {what} for {heard.constant} s"


def _bad(alive: list[Input]) -> str:
    share = max(sum(second.bad for second in heard.latest(CLIPPED_SECONDS)) / CLIPPED_SECONDS for heard in alive)
    return f"not finite: {_percent(share)} of samples" if share >= BAD_SHARE else ""


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"
