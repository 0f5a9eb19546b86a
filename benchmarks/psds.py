"""PSDS, of the scores that the decider goes by, and of thresholded windows of the global stream alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import minutes
from glatd.daemon.events.hearing import Hearing, Told
from glatd.daemon.events.settings import EventSettings
from glatd.engines.engine import Engine

HOLD = EventSettings().hold  # s
GRID = 0.04  # s a score of PSDS
# As in DCASE 2023, task 4.
PSDS: dict[str, dict[str, float]] = {
    "psds1": {"dtc_threshold": 0.7, "gtc_threshold": 0.7, "alpha_ct": 0.0, "alpha_st": 1.0, "max_efpr": 100.0},
    "psds2": {
        "dtc_threshold": 0.1,
        "gtc_threshold": 0.1,
        "cttc_threshold": 0.3,
        "alpha_ct": 0.5,
        "alpha_st": 1.0,
        "max_efpr": 100.0,
    },
}


def measure(
    engine: Engine,
    labels: Sequence[str],
    heard: Sequence[Sequence[Hearing]],
    sounds: Sequence[Sequence[minutes.Sound]],
    lag: float,
) -> dict[str, Any]:
    """PSDS1 and PSDS2 of minutes; empty, but for a word, where sed-scores-eval is not installed.

    Args:
        heard: what was heard in each minute.
        sounds: what sounded in it.
        lag: s that windows are late.
    """
    try:
        from sed_scores_eval.base_modules.scores import create_score_dataframe
        from sed_scores_eval.intersection_based import psds
    except ImportError as error:
        return {"left_out": f"needs {error.name}"}
    times = np.arange(round(minutes.SECONDS / GRID) + 1) * GRID
    truth = {str(number): joined(of) for number, of in enumerate(sounds)}
    durations = dict.fromkeys(truth, minutes.SECONDS)
    indices = [engine.manifest.names.index(label) for label in labels]
    result: dict[str, Any] = {"parameters": PSDS, "grid_s": GRID}
    for name in ("events", "windows"):
        frames = {}
        for number, hearings in enumerate(heard):
            made = of_decider(hearings, indices) if name == "events" else of_global(hearings, indices, lag)
            frames[str(number)] = create_score_dataframe(made, times, list(labels))
        result[name] = {
            which: round(float(psds(frames, truth, durations, **asked)[0]), 3) for which, asked in PSDS.items()
        }
    return result


def joined(sounds: Sequence[minutes.Sound]) -> list[tuple[float, float, str]]:
    """Onset, offset and label; sounds of one class that touch are one, as sed-scores-eval wants it."""
    found: list[tuple[float, float, str]] = []
    for sound in sorted(sounds, key=lambda sound: (sound.label, sound.onset)):
        if found and found[-1][2] == sound.label and sound.onset <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], sound.offset), sound.label
        else:
            found.append((sound.onset, sound.offset, sound.label))
    return found


def of_decider(hearings: Sequence[Hearing], indices: Sequence[int]) -> NDArray[np.float64]:
    """[T, C] What the decider goes by: the best fused score of the looks that hold a class active there.

    Active is what it takes for one event: runs of the activations, from their onset, moved to the audio's own step, to
    their offset, with pauses shorter than `hold`.
    """
    scores = np.zeros((round(minutes.SECONDS / GRID), len(indices)))
    for hearing in hearings:
        rate = hearing.sizes.rate
        for column, index in enumerate(indices):
            heard = hearing.heard(index, Told())
            spans: list[list[int]] = []
            for run in heard.runs:
                if spans and run.onset - spans[-1][1] < HOLD * rate:
                    spans[-1][1] = run.offset
                else:
                    spans.append([run.onset, run.offset])
            for onset, offset in spans:
                part = scores[max(0, round(onset / rate / GRID)) : max(0, round(offset / rate / GRID)), column]
                np.maximum(part, heard.fused, out=part)
        hearing.forget()
    return scores


def of_global(hearings: Sequence[Hearing], indices: Sequence[int], lag: float) -> NDArray[np.float64]:
    """[T, C] The global score of each window over the hop that ends `lag` before it does."""
    scores = np.zeros((round(minutes.SECONDS / GRID), len(indices)))
    before = 0
    for hearing in hearings:
        end = hearing.window.end / hearing.sizes.rate - lag
        last = max(0, round(end / GRID))
        scores[before:last] = hearing.global_[list(indices)]
        before = last
    return scores
