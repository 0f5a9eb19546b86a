"""The level gate: what it may skip, by traces of levels and by nights of real sound."""

from pathlib import Path

import numpy as np
import pytest

from glatd.daemon.gate import MEMORY_WINDOWS, LevelGate, loudest
from glatd.engines.engine import Engine
from glatd.errors import ConfigError
from tests.daemon.nights import Night, recorded, watch
from tests.daemon.sounds import Floats, noise

HOPS = 11
MINUTE = 6 * HOPS


def run(gate: LevelGate, levels: list[float]) -> list[bool]:
    return [gate.quiet(level) for level in levels]


def around(level: float, count: int, spread: float = 0.2, seed: int = 0) -> list[float]:
    return list(level + spread * np.random.default_rng(seed).standard_normal(count))


def test_off_skips_nothing() -> None:
    assert not any(run(LevelGate(None, HOPS), [-120.0] * 1000))


def test_a_level_skips_windows_without_a_louder_hop() -> None:
    said = run(LevelGate(-65.0, HOPS), [-70.0] * 5 + [-64.9] + [-65.0] * 20)
    assert said == [True] * 5 + [False] * HOPS + [True] * 10


def test_nothing_is_skipped_in_the_first_minute() -> None:
    said = run(LevelGate("adaptive", HOPS), around(-70, 5 * MINUTE))
    assert not any(said[: MINUTE - 1])
    assert all(said[MINUTE + HOPS :])


def test_anything_loud_is_looked_at_until_it_has_left_the_window() -> None:
    levels = around(-70, 4 * MINUTE)
    levels[2 * MINUTE] = -60.0
    said = run(LevelGate("adaptive", HOPS), levels)
    assert said[2 * MINUTE - 1] and said[2 * MINUTE + HOPS]
    assert not any(said[2 * MINUTE : 2 * MINUTE + HOPS])


def test_a_small_step_is_looked_at_though_it_is_near_the_floor() -> None:
    levels = around(-70, 4 * MINUTE)
    levels[2 * MINUTE] = -68.0
    said = run(LevelGate("adaptive", HOPS), levels)
    assert not any(said[2 * MINUTE : 2 * MINUTE + HOPS])


def test_a_slow_drift_of_the_floor_is_followed() -> None:
    levels = [
        level + drift for level, drift in zip(around(-70, 30 * MINUTE), np.linspace(0, 8, 30 * MINUTE), strict=True)
    ]
    assert np.mean(run(LevelGate("adaptive", HOPS), levels)[2 * MINUTE :]) > 0.95


def test_a_sound_that_fades_in_slowly_is_looked_at() -> None:
    """Half a minute from the floor to 20 dB above it: before it is 6 dB up, in the fifteenth second."""
    fading = [-70 + 20 * at / 31 for at in range(31)]
    said = run(LevelGate("adaptive", HOPS), [*around(-70, 5 * MINUTE), *fading])[5 * MINUTE :]
    assert not any(said[10:])


def test_steady_loud_noise_is_not_quiet() -> None:
    assert not any(run(LevelGate("adaptive", HOPS), around(-45, 20 * MINUTE)))


def test_noise_that_begins_is_looked_at_until_it_has_become_the_floor() -> None:
    said = run(LevelGate("adaptive", HOPS), around(-75, 20 * MINUTE) + around(-60, 20 * MINUTE))[20 * MINUTE :]
    assert not any(said[: 8 * MINUTE])
    assert all(said[11 * MINUTE :])


def test_an_event_in_progress_is_looked_at_though_it_has_become_the_floor() -> None:
    gate = LevelGate("adaptive", HOPS)
    run(gate, around(-60, 20 * MINUTE))
    assert gate.quiet(-60.0) and not gate.quiet(-60.0, busy=True) and gate.quiet(-60.0)


def test_a_quieter_site_is_followed_at_once() -> None:
    """From day to night: the floor falls within the minute, and what was quiet by day is loud at night."""
    said = run(LevelGate("adaptive", HOPS), around(-55, 20 * MINUTE) + around(-75, 2 * MINUTE) + around(-60, MINUTE))
    assert all(said[21 * MINUTE : 22 * MINUTE])
    assert not any(said[22 * MINUTE :])


def test_a_noise_gate_in_the_camera_makes_digital_silence_the_floor() -> None:
    levels = [-120.0 if at % 3 else -62.0 for at in range(5 * MINUTE)]
    assert not any(run(LevelGate("adaptive", HOPS), levels))
    assert all(run(LevelGate("adaptive", HOPS), [-120.0] * 3 * MINUTE)[MINUTE + HOPS :])


def test_after_a_long_gap_everything_is_learned_anew() -> None:
    gate = LevelGate("adaptive", HOPS)
    assert run(gate, around(-70, 3 * MINUTE))[-1]
    gate.reset()
    assert gate.threshold is None
    assert run(gate, around(-70, 3 * MINUTE)) == run(LevelGate("adaptive", HOPS), around(-70, 3 * MINUTE))


def test_memory_is_bounded_and_the_floor_is_that_of_the_last_ten_minutes() -> None:
    gate = LevelGate("adaptive", HOPS)
    levels = around(-60, 30 * MINUTE, spread=4)
    run(gate, levels)
    latest = levels[-MEMORY_WINDOWS * HOPS :]
    assert gate._sorted == sorted(latest) and list(gate._levels) == latest
    assert gate.threshold == pytest.approx(np.percentile(latest, 10) + 6, abs=0.1)


def test_a_level_that_is_no_number_is_loud() -> None:
    gate = LevelGate(-60.0, HOPS)
    assert run(gate, [-70.0, float("nan"), *[-70.0] * HOPS]) == [True, *[False] * HOPS, True]


@pytest.mark.parametrize("setting", ["on", "Adaptive", float("nan"), float("inf"), 3.0])
def test_other_settings_are_refused(setting: float) -> None:
    with pytest.raises(ConfigError, match=r"^gate = .*-65"):
        LevelGate(setting, HOPS)


def test_the_level_is_that_of_the_loudest_tenth() -> None:
    assert loudest(np.zeros(30_720, np.float32)) == -120.0
    assert loudest(np.zeros(0, np.float32)) == -120.0
    assert loudest(np.full(3, 0.1, np.float32)) == pytest.approx(-20.0, abs=1e-5)
    late = np.full(30_720, 1e-3, np.float32)
    late[-1_536:] = 0.1  # 48 ms
    assert loudest(late) == pytest.approx(-23.0, abs=0.02)
    assert loudest(late[:-1_536]) == pytest.approx(-60.0, abs=1e-4)
    assert loudest(np.ones(30_725, np.float32) * np.float32(0.5)) == pytest.approx(-6.02, abs=0.01)


def test_a_short_night_loses_nothing_that_the_networks_would_find(engine: Engine, shared: Path) -> None:
    seen = watch(engine, recorded(Night(seed=5, floor=-68, pause=30, minutes=3), shared / "audio"), "adaptive")
    assert seen.windows > 180 and seen.late == seen.lost == ()
    assert seen.skipped > 10


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "night",
    [
        Night(101, -75, 60, 30), Night(102, -68, 60, 30), Night(103, -60, 60, 30), Night(104, -52, 60, 30),
        Night(105, -45, 60, 30), Night(106, -65, 300, 30), Night(107, -70, 20, 30), Night(200, -72, 60, 30),
        Night(201, -65, 60, 30), Night(202, -60, 40, 30), Night(203, -57, 60, 30),
    ],
    ids=lambda night: f"{night.seed}: {night.floor} dBFS, a sound in {night.pause:.0f} s",
)  # fmt: skip
def test_a_night_loses_nothing_that_the_networks_would_find(engine: Engine, shared: Path, night: Night) -> None:
    seen = watch(engine, recorded(night, shared / "audio"), "adaptive")
    assert seen.lost == () and len(seen.late) <= 1
    if night.floor > -50:
        assert seen.skipped == 0


def test_a_fixed_level_loses_nothing_above_it(engine: Engine) -> None:
    sound: Floats = np.concatenate([noise(15 * 32_000, level=1e-5), noise(5 * 32_000), noise(20 * 32_000, level=1e-5)])
    seen = watch(engine, sound, -70.0)
    # 15.36 to 20.16 s are the hops with sound: windows that end from there to 10 s later hold it.
    assert seen.windows - seen.skipped == 16
