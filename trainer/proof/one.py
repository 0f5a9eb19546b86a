"""One run of a proof: train by its recipe, judge what was stored by every way of looking, keep the figures.

`glatd train proof` starts it in a process of its own: `python -m glatd.trainer.proof.one PLAN SCENES OUT RUN DEVICE`.
"""

import os
import platform
import sys
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from glatd.errors import GlatdError
from glatd.trainer.bundle import read_bundle
from glatd.trainer.data.clips import Clips, open_clips
from glatd.trainer.data.vocabulary import read_classes
from glatd.trainer.evaluation import Windows
from glatd.trainer.judge import BATCH, judge
from glatd.trainer.looker import Looker, Network, find_device
from glatd.trainer.metrics import evaluate
from glatd.trainer.progress import Progress
from glatd.trainer.proof.plan import MORE, OWN, PLACES, Run, heard, read_plan
from glatd.trainer.proof.results import path_of, write_result
from glatd.trainer.proof.scenes import CLASSES, TEST, made_of
from glatd.trainer.weak.launch import make_fabric
from glatd.trainer.weak.train import train_bundle


def run_one(run: Run, scenes: Path, out: Path, random: int, device: str, progress: Progress) -> None:
    """Train where there is something to train, judge, and write the result; a run that was killed goes on.

    Args:
        scenes: folder of `make_scenes`.
        out: of the whole proof.
        random: crops by chance, beside as many as the network chooses.
    """
    began = time.monotonic()
    bundle, trained = run.bundle, dict[str, Any]()
    if run.recipe is not None:
        work = out / "runs" / run.name
        bundle = work / "bundle"
        fabric = make_fabric(run.recipe.precision, device)
        train_bundle(run.recipe, scenes, bundle, work, None, 0, fabric, progress)
        trained = {
            "steps": run.recipe.optim.steps,
            "batch": run.recipe.optim.batch * run.recipe.optim.accumulate,
            "heard_s": heard(run.recipe),
            "training_s": round(time.monotonic() - began, 1),  # since it last went on
        }
    assert bundle is not None
    model, described = read_bundle(bundle)
    vocabulary = read_classes(scenes / CLASSES)
    clips = open_clips([scenes / TEST], None, vocabulary)
    began = time.monotonic()
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    looker = Network(model, described.labels, find_device(device))
    # A network of more classes is judged by those that the scenes have.
    columns = [described.labels.index(name) for name in vocabulary.names]
    scores = {way: values[:, columns] for way, values in look(looker, clips, PLACES[run.row], random, progress).items()}
    truth = clips.labels.matrix()
    reports = {way: evaluate(truth, values) for way, values in scores.items()}
    front, spec = model.global_stream.frontend, model.spec
    result = {
        "run": run.name,
        "network": run.network,
        "row": run.row,
        "seed": run.seed,
        "fingerprint": run.fingerprint(made_of(scenes)),
        "parameters": sum(value.numel() for value in model.global_stream.parameters()),
        "crops": spec.crops,
        "crop_s": spec.crop * front.hop / front.rate,
        "choose": spec.choose,
        "more": random,
        "machine": f"{platform.machine()} of {os.cpu_count()} cores, {device}, a run on {torch.get_num_threads()}",
        **trained,
        "judging_s": round(time.monotonic() - began, 1),
        "scenes": len(clips),
        "classes": reports["global"].classes,
        "ways": {way: {"map": one.map, "mauc": one.mauc, "d_prime": one.d_prime} for way, one in reports.items()},
        "average_precision": {
            way: {vocabulary.names[one]: value for one, value in reports[way].per_class.items()}
            for way in dict.fromkeys(("global", OWN[run.row]))
        },
    }
    write_result(path_of(out, run), result)


def look(
    looker: Looker, clips: Clips, places: Collection[str], random: int, progress: Progress
) -> Mapping[str, NDArray[Any]]:
    """Scores of all clips by way of looking, as of `judge`; their frames are computed once."""
    batches = [
        (frames, torch.zeros(len(frames), dtype=torch.int64))
        for frames in map(looker.frames, DataLoader(Windows(clips, looker.samples), BATCH))
    ]
    scores = judge(looker, batches, places=places, progress=lambda done: progress("judging", done, len(clips)))
    if MORE not in places:
        return scores
    more = judge(looker, batches, random=random, places=["random"])
    return scores | {f"{MORE}/{what}": more[f"random/{what}"] for what in ("local", "fused")}


def follow_parent() -> None:
    """End with the process that started this one, whatever ended it: its end of standard input closes."""

    def wait() -> None:
        while os.read(0, 1):  # not sys.stdin, whose lock the end of the process would wait for
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main(arguments: list[str]) -> int:
    """As a process."""
    plan, scenes, out, name, device = arguments
    follow_parent()
    torch.set_num_threads(1)
    read = read_plan(Path(plan))
    try:
        run_one(read.run(name), Path(scenes), Path(out), read.file.random, device, Progress())
    except GlatdError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
