"""`SignalMonitor`: made faults are named with their figure, sound that is in order is not accused."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soxr

from glatd.audio import read_mono
from glatd.daemon.diagnosis import SignalMonitor
from glatd.trainer.corpus import read_corpus
from tests.daemon.sounds import ODD_SIZES, Floats, noise, pieces

RATE = 48_000


def findings(samples: Floats, rate: int = RATE) -> tuple[str, ...]:
    """What is said after all of float32 [n] or [n, channels]."""
    monitor = SignalMonitor()
    monitor.take(samples.reshape(len(samples), -1), rate)
    return monitor.findings()


def second_by_second(samples: Floats, rate: int = RATE) -> list[tuple[str, ...]]:
    """What is said after each second."""
    monitor, said = SignalMonitor(), []
    for at in range(0, len(samples), rate):
        monitor.take(samples[at : at + rate].reshape(rate, -1), rate)
        said.append(monitor.findings())
    return said


def quantised(samples: Floats, bits: int = 16) -> Floats:
    full = np.float32(2 ** (bits - 1))
    return (np.clip(np.round(samples * full), -full, full - 1) / full).astype(np.float32)


def brown(seconds: int, rate: int = RATE, seed: int = 0) -> Floats:
    """Dark sound over the noise of a microphone: 6 dB an octave from 60 Hz, like a room or a street."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(seconds * rate))
    frequency = np.fft.rfftfreq(seconds * rate, 1 / rate)
    dark = np.fft.irfft(spectrum / (1 + (frequency / 60)), seconds * rate)
    dark *= 0.05 / np.sqrt(np.mean(dark**2))
    return quantised((dark + 1e-4 * rng.standard_normal(len(dark))).astype(np.float32))


def tone(seconds: float, frequency: float, level: float = 0.5, rate: int = RATE) -> Floats:
    return (level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize(
    "samples",
    [
        noise(30 * RATE),
        brown(30),
        brown(30) * np.float32(0.01) + noise(30 * RATE, level=3e-4),
        quantised(tone(30, 50.0, 0.999)),
        quantised(tone(30, 997.0, 0.999)),
        quantised(tone(30, 4_000.0, 0.3) + noise(30 * RATE, level=1e-4)),
        quantised(tone(30, 120.0, 0.9), 8),
        quantised(noise(30 * RATE, level=0.02), 8),
    ],
    ids=["white", "dark", "quiet room", "hum at full scale", "tone at full scale", "beep", "8-bit hum", "8-bit noise"],
)
def test_what_is_in_order_is_not_accused(samples: Floats) -> None:
    assert all(said == () for said in second_by_second(samples))


def test_dead_is_told_after_ten_seconds_and_taken_back_after_three_of_sound() -> None:
    sound = noise(60 * RATE)
    sound[5 * RATE : 20 * RATE] = 0
    sound[21 * RATE : 22 * RATE] = 0  # a crackle between, as of a plug that is moved
    said = second_by_second(sound)
    assert all(one == () for one in said[:14])
    assert said[14] == ("dead: digital silence for 10 s",)
    assert said[16] == ("dead: digital silence for 12 s",)
    assert [bool(one) for one in said[19:26]] == [True] * 5 + [False] * 2
    assert all(one == () for one in said[25:])


def test_a_noise_gate_is_no_dead_input() -> None:
    sound = noise(60 * RATE).reshape(60, RATE)
    sound[np.arange(60) % 9 != 0] = 0
    assert all(said == () for said in second_by_second(sound.ravel()))


def test_a_stuck_converter_is_dead_too() -> None:
    assert findings(np.full(12 * RATE, 0.25, np.float32)) == ("dead: constant at 25 % of full scale for 12 s",)


def test_very_quiet_comes_and_goes_with_five_decibels_between() -> None:
    rng = np.random.default_rng(0)
    gains = [1e-4 * 10 ** (-5 / 20)] * 25 + [1e-4 * 10 ** (3 / 20)] * 5 + [1e-4 * 10 ** (8 / 20)] * 5
    sound = np.concatenate([gain * rng.standard_normal(RATE) for gain in gains]).astype(np.float32)
    said = second_by_second(sound)
    assert all(one == () for one in said[:19])
    assert said[24] == ("very quiet: -85 dBFS",)
    assert said[29][0].startswith("very quiet: -8")  # -77 dBFS: not enough to take it back
    assert said[30] == ()


@pytest.mark.parametrize(("gain", "at"), [(1.0, "full scale"), (0.43, "43 % of full scale")])
def test_flat_tops_are_clipping_at_any_height(gain: float, at: str) -> None:
    loud = quantised(np.float32(gain) * np.clip(6 * noise(20 * RATE, level=0.25), -1, 1))
    (said,) = findings(np.repeat(loud, 4)[: 20 * RATE])  # repeated: noise of 6 kHz, whose tops last
    assert said.startswith("clipping: ") and said.endswith(f" % of samples at {at}")


def test_the_share_that_is_clipped_is_measured() -> None:
    (said,) = findings(np.clip(tone(20, 997.0, 1.0 / np.cos(np.pi * 0.1)), -1, 1))
    assert said == "clipping: 20 % of samples at full scale"


def test_clipping_on_one_side_of_one_channel() -> None:
    quiet, loud = noise(15 * RATE, 1), tone(15, 440.0, 0.8)
    (said,) = findings(np.stack([quiet, np.maximum(loud, -0.75)], 1))
    assert said.startswith("clipping: ") and said.endswith("75 % of full scale")


def test_clipping_stays_until_it_is_gone() -> None:
    seconds = [tone(1, 997.0, 2.0 if at < 20 else 0.5) for at in range(40)]
    said = second_by_second(np.clip(np.concatenate(seconds), -1, 1))
    assert [bool(one) for one in said] == [True] * 29 + [False] * 11


@pytest.mark.parametrize("offset", [0.12, -0.12])
def test_offset(offset: float) -> None:
    said = second_by_second(noise(30 * RATE) + np.float32(offset))
    assert said[8] == ()
    assert all(one == ("DC offset: 12 % of full scale",) for one in said[9:])


def test_wind_is_no_offset() -> None:
    """0.3 Hz at half of full scale: the mean of a second is large, of ten it is not."""
    assert all(said == () for said in second_by_second(tone(40, 0.3) + noise(40 * RATE)))


@pytest.mark.parametrize(
    ("inner", "outer", "limit"),
    [(8_000, 48_000, 4.0), (8_000, 44_100, 4.0), (8_000, 16_000, 4.0), (16_000, 48_000, 8.0)],
)
@pytest.mark.parametrize("bits", [16, None], ids=["16 bit", "float"])
def test_sound_that_was_sampled_lower_before(inner: int, outer: int, limit: float, bits: int | None) -> None:
    low = quantised(noise(30 * inner))
    high = soxr.resample(low, inner, outer)
    (said,) = findings(high if bits is None else quantised(high, bits), outer)
    kind, kilohertz = said.split("nothing above ")
    assert kind == "band-limited: "
    assert float(kilohertz.removesuffix(" kHz")) == pytest.approx(limit, abs=0.25)


def test_a_narrow_band_stays_told_through_quiet_and_clicks_and_ends_with_wide_sound() -> None:
    narrow = quantised(soxr.resample(noise(40 * 8_000), 8_000, RATE))
    silence = quantised(noise(40 * RATE, level=1e-4))
    narrow[35 * RATE + 100] = 0.9  # a lost packet
    said = second_by_second(np.concatenate([narrow, silence, noise(40 * RATE, 1)]))
    told = [any(finding.startswith("band-limited") for finding in one) for one in said]
    assert told.index(True) < 16
    assert told[16:80] == [True] * 64
    assert not any(told[90:])


def test_a_native_telephone_rate_is_told_at_once() -> None:
    assert findings(noise(8_000, level=0.05), 8_000) == ("band-limited: nothing above 4.0 kHz, sampled at 8000 Hz",)
    assert findings(noise(16_000 * 30), 16_000) == ()


def test_dead_channels_are_named() -> None:
    stereo = np.stack([noise(15 * RATE), np.zeros(15 * RATE, np.float32)], 1)
    assert findings(stereo) == ("one of 2 channels is dead: 2",)
    four = np.stack(
        [np.zeros(15 * RATE, np.float32), noise(15 * RATE), noise(15 * RATE, 1), np.zeros(15 * RATE, np.float32)], 1
    )
    assert findings(four) == ("2 of 4 channels are dead: 1, 4",)
    assert findings(np.zeros((15 * RATE, 2), np.float32)) == ("dead: digital silence for 15 s",)


def test_samples_that_are_no_numbers_are_told_and_harm_nothing_else() -> None:
    sound = noise(20 * RATE) + np.float32(0.12)
    sound[::100] = np.nan
    sound[50::1000] = np.inf
    sound[60::1000] = 3e38
    said = findings(sound)
    assert said[0] == "not finite: 1.2 % of samples"
    assert said[1].startswith("DC offset: 12 %")
    assert findings(np.full(20 * RATE, np.nan, np.float32)) == ("dead: digital silence for 20 s",)


def faulty() -> Floats:
    """Two channels with one fault after the other."""
    left, right = noise(60 * RATE, 3), noise(60 * RATE, 4)
    left[5 * RATE : 18 * RATE] = 0
    right[20 * RATE : 30 * RATE] = np.clip(9 * right[20 * RATE : 30 * RATE], -0.3, 0.3)
    right[30 * RATE + 7 : 31 * RATE] = np.nan
    left[35 * RATE : 50 * RATE] += 0.2
    return np.stack([left, right], 1)


@pytest.mark.parametrize("sizes", [(480,), tuple(size for size in ODD_SIZES if size > 1), (RATE * 7 + 1,)], ids=str)
def test_blocks_of_odd_sizes_change_nothing(sizes: Sequence[int]) -> None:
    samples = faulty()
    monitor, told = SignalMonitor(), []
    taken = 0
    for piece in pieces(samples, sizes):
        monitor.take(piece, RATE)
        if taken // RATE != (taken + len(piece)) // RATE:
            told.append(((taken + len(piece)) // RATE, monitor.findings(), monitor.level_dbfs))
        taken += len(piece)
    whole = SignalMonitor()
    reference: list[tuple[tuple[str, ...], float]] = [((), -120.0)]
    for at in range(60):
        whole.take(samples[at * RATE : (at + 1) * RATE], RATE)
        reference.append((whole.findings(), whole.level_dbfs))
    assert told == [(second, *reference[second]) for second, _, _ in told]
    assert len({said for _, said, _ in told}) > 3


def test_another_rate_or_number_of_channels_starts_afresh() -> None:
    monitor = SignalMonitor()
    monitor.take(np.zeros((12 * RATE, 1), np.float32), RATE)
    assert monitor.findings()
    monitor.take(noise(16_000)[:, None], 16_000)
    assert monitor.findings() == ()
    monitor.take(np.zeros((16_000 * 11, 2), np.float32), 16_000)
    assert monitor.findings() == ("dead: digital silence for 11 s",)
    monitor.take(np.zeros((0, 2), np.float32), 16_000)
    assert monitor.findings()


def test_the_level_is_that_of_the_last_second_without_its_offset() -> None:
    monitor = SignalMonitor()
    assert monitor.level_dbfs == -120.0
    monitor.take(np.stack([tone(1, 997.0), 0.3 + tone(1, 100.0, 0.01)], 1), RATE)
    assert monitor.level_dbfs == pytest.approx(-9.03, abs=0.01)
    monitor.take(np.zeros((RATE, 2), np.float32), RATE)
    assert monitor.level_dbfs == -120.0


def test_it_costs_next_to_nothing() -> None:
    """0.04 % of a core was measured; the limit leaves room for a slow and busy machine."""
    monitor, block = SignalMonitor(), noise(480)[:, None]
    blocks = [block * np.float32(0.5 + 0.001 * at) for at in range(300)]
    shares = []
    for _ in range(5):
        start = time.thread_time()
        for one in blocks:
            monitor.take(one, RATE)
        shares.append((time.thread_time() - start) / 3)
    assert min(shares) < 0.004


def accused(paths: Sequence[Path]) -> float:
    """The share of clips, laid end over end for 30 s, that anything is said of."""
    count = 0
    for path in paths:
        count += bool(findings(np.resize(read_mono(path, 32_000), 30 * 32_000), 32_000))
    return count / len(paths)


def test_hardly_any_real_clip_is_accused(shared: Path) -> None:
    clips = [clip.path for clip in read_corpus(shared / "audio")]
    assert accused(clips[::20]) <= 0.05


@pytest.mark.slow
def test_hardly_any_of_all_clips_is_accused(shared: Path) -> None:
    """1.7 % were measured, and of those most do have the fault."""
    assert accused([clip.path for clip in read_corpus(shared / "audio")]) <= 0.02


def test_real_clips_through_a_telephone_are(shared: Path) -> None:
    clips = [clip.path for clip in read_corpus(shared / "audio")][7::60]
    told = 0
    for path in clips:
        sound = np.resize(read_mono(path, 32_000), 20 * 32_000)
        low = quantised(soxr.resample(sound * np.float32(0.9 / np.abs(sound).max()), 32_000, 8_000))
        told += any("band-limited" in said for said in findings(quantised(soxr.resample(low, 8_000, RATE))))
    assert told >= 0.85 * len(clips)
