"""Everything: `python -m benchmarks peers`."""

import contextlib
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soxr

from benchmarks.feeder import RATE as FEEDER_RATE
from benchmarks.machine import described, load_average, versions
from benchmarks.peers import aims, live, mn04, quality, turns
from benchmarks.peers.contender import CONTENDERS, OURS, THREADS, Contender, Floats, Parts
from benchmarks.progress import say
from glatd.audio import read_mono
from glatd.engines.load import default_engine
from glatd.engines.manifest import read_manifest

ROOT = Path(__file__).resolve().parent.parent.parent
RECIPE = ROOT / "trainer" / "recipes" / "mn04.toml"
DEMO = ROOT / "demo" / "street.ogg"
SOUND_S = 240  # of real recordings, one after the other
SEED = 71


def recordings(data: Path | None) -> Floats:
    """Real sound at 32 kHz: clips that training never saw in a fixed random order, or what comes with the repo."""
    rate = quality.RATES[0]
    if data is None:
        return read_mono(DEMO, rate)
    from glatd.trainer.corpus import read_corpus
    from glatd.trainer.dataset import test_clips
    from glatd.trainer.recipe import read_recipe

    clips = test_clips(read_corpus(data), read_recipe(RECIPE))
    found: list[Floats] = []
    for number in np.random.default_rng(SEED).permutation(len(clips)):
        found.append(read_mono(clips[number].path, rate))
        if sum(len(clip) for clip in found) >= SOUND_S * rate:
            break
    return np.concatenate(found)


def write_sound(data: Path | None, folder: Path) -> Path:
    """The same sound for every contender, at its rate, and as PCM for the daemon; the path of that."""
    sound = recordings(data)
    for rate in quality.RATES:
        np.asarray(soxr.resample(sound, quality.RATES[0], rate), np.float32).tofile(folder / f"sound-{rate}.f32")
    pcm = folder / "sound.pcm"
    at_feeder = np.clip(soxr.resample(sound, quality.RATES[0], FEEDER_RATE), -1, 1)
    pcm.write_bytes((at_feeder * 32_767).astype("<i2").tobytes())
    return pcm


def present(parts: Parts) -> tuple[list[Contender], dict[str, str]]:
    """Who can run here, and why the others cannot."""
    why = {contender.key: contender.obstacle(parts) for contender in CONTENDERS}
    for key, obstacle in why.items():
        if obstacle:
            print(f"{key} is left out: {obstacle}", file=sys.stderr)
    here = [contender for contender in CONTENDERS if not why[contender.key]]
    return here, {key: obstacle for key, obstacle in why.items() if obstacle}


def measure(
    bundle: Path, engine: Path | None, models: Path | None, data: Path | None, count: int, scenes: int, seconds: float
) -> dict[str, Any]:
    """Everything; without `data` on the recording that comes with the repo, and without mAP.

    Args:
        bundle: weights of GL-AT.
        engine: folder of the engine for glatd and (d); the default one when None.
        models: folder with the others' published files.
        data: folder with corpus.csv and clips/.
        count: turns.
        scenes: for mAP.
        seconds: of each number of streams of the daemon; 0 leaves the daemon out.
    """
    before = load_average()
    arguments = "peers --models MODELS --data CORPUS" + (" --engine DIR" if engine else "")
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        work = Path(name)
        parts = Parts(work, bundle, engine or default_engine(), models)
        listed, left_out = present(parts)
        pcm = write_sound(data, work)
        if any(contender.module == "mn04" for contender in listed):
            say("exporting MN04")
            mn04.prepare(parts)
        started = turns.starts(listed, parts, work, max(1, count // 8))
        processes = [stack.enter_context(turns.Process(contender, parts, work)) for contender in listed]
        rows = turns.take(processes, count)
        for row, process in zip(rows, processes, strict=True):
            row["start_s"] = round(median([*started[process.contender.key], process.start_s]), 2)
            say(f"memory of {process.contender.key}")
            row |= turns.memory(process)
        if data is not None and scenes:
            say(f"mAP on {scenes} scenes")
            given = work / "scenes.npz"
            truth = quality.write_scenes(data, RECIPE, scenes, given)
            trained = [process for process in processes if process.about["trained"]]
            said = {process.contender.key: quality.scores(process, given, work) for process in trained}
            untrained = [process.contender.key for process in processes if not process.about["trained"]]
            maps = quality.judge(truth, said, untrained)
            for row in rows:
                row |= maps[row["contender"]]
        for process in processes:
            process.close()
        say("the daemon as a whole" if seconds else "without the daemon")
        running = live.measure(engine, pcm, seconds, max(1, count // 8)) if seconds else None
        manifest = read_manifest(parts.engine)
        result: dict[str, Any] = {
            "model": manifest.model,
            "engine": manifest.hash,
            "precision": manifest.runtime.precision,
            "threads": THREADS,
            "turns": count,
            "scenes": scenes if data is not None else 0,
            "sound": "the demonstration that comes with glatd" if data is None else "clips that training never saw",
            "ratios": aims.ratios(rows),
            "aims": aims.judge(rows, running, "cnn10" in manifest.model),
            "contenders": rows,
            "left_out": left_out,
            "daemon": running,
        }
    head = described(f"python -m benchmarks {arguments}", before)
    head["versions"] |= versions(("ai-edge-litert",))
    assert result["contenders"][-1]["contender"] == OURS
    return head | result
