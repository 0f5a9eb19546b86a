"""`glatd train sweep`: the number of crops and their length, the paper's Fig. 2; what is done is not done again."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from glatd.errors import ConfigError, DataError
from glatd.trainer.bundle import read_bundle
from glatd.trainer.data.clips import open_clips
from glatd.trainer.data.vocabulary import own_vocabulary
from glatd.trainer.evaluation import evaluate_clips, write_json
from glatd.trainer.frontend import FrontendSpec
from glatd.trainer.glat import Glat
from glatd.trainer.looker import Network, find_device
from glatd.trainer.progress import Progress
from glatd.trainer.weak.recipe import ClipRecipe
from glatd.trainer.weak.report import JSON, Picture
from glatd.trainer.weak.train import fit_clips

FILE, PICTURE = "sweep.json", "sweep.png"
MADE_OF = "made-of.json"  # in the folder of a setting: what its result is of
CROPS = (1, 2, 3, 4, 5, 6, 7)  # N
SECONDS = (1.0, 2.0, 3.0, 4.0, 5.0, 10.0)  # tau


@dataclass(frozen=True, slots=True)
class Setting:
    """One place of the figure."""

    crops: int  # N
    seconds: float  # tau

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"n{self.crops}-t{self.seconds:g}"


def settings(recipe: ClipRecipe, front: FrontendSpec, crops: Sequence[int], seconds: Sequence[float]) -> list[Setting]:
    """N at the recipe's tau, then tau at the recipe's N; each place once."""
    tau = recipe.glat.crop * front.hop / front.rate
    return list(dict.fromkeys([Setting(n, tau) for n in crops] + [Setting(recipe.glat.crops, t) for t in seconds]))


def at(recipe: ClipRecipe, front: FrontendSpec, setting: Setting) -> ClipRecipe:
    """The recipe with another N and tau.

    Raises:
        ConfigError: crops longer than the window.
    """
    crop = round(setting.seconds * front.rate / front.hop)
    if not 0 < crop <= recipe.glat.window or setting.crops < 1:
        window = recipe.glat.window * front.hop / front.rate
        raise ConfigError(f"{setting.crops} crops of {setting.seconds:g} s do not go into a window of {window:g} s")
    return replace(recipe, glat=replace(recipe.glat, crops=setting.crops, crop=crop))


def sweep(
    recipe: ClipRecipe,
    folder: Path,
    out: Path,
    trained: Path | None,
    crops: Sequence[int],
    seconds: Sequence[float],
    workers: int,
    device: str,
    progress: Progress,
) -> dict[str, dict[str, float]]:
    """Train by the recipe at each setting, or judge one trained network at each, and write figures and a picture.

    Args:
        out: a folder for each setting, `sweep.json` and `sweep.png`.
        trained: a bundle to judge at every setting, in place of training at each; its window, classifier, labels and
            rule of choice are its own.

    Returns:
        By setting: crops, seconds, and the mAP of each way of looking; in the first of torchrun's processes.

    Raises:
        DataError: results of another recipe, seed, data or bundle stand there.
    """
    network = None if trained is None else _Trained(trained)
    if network is not None:
        recipe = replace(recipe, glat=network.model.spec)  # its own window, classifier and rule
        front = network.model.global_stream.frontend
    else:
        front = recipe.backbone.make(1).frontend
    first = int(os.environ.get("RANK", "0")) == 0  # of torchrun's processes; alone it is the only one
    wanted = [(setting, at(recipe, front, setting)) for setting in settings(recipe, front, crops, seconds)]
    found: dict[str, dict[str, float]] = {}
    for number, (setting, changed) in enumerate(wanted, 1):
        place = out / setting.name
        if first:
            _claim(place, changed, folder, network)
        if not (place / JSON).exists():
            if first:
                progress.say(f"{number} of {len(wanted)}: {setting.crops} crops of {setting.seconds:g} s")
            if network is None:
                fit_clips(changed, folder, place, place / "work", None, workers, device, progress)
            elif first:
                network.judge(changed, folder, place / JSON, workers, device)
        if first:
            tree = json.loads((place / JSON).read_text(encoding="utf-8"))
            figures = {way: float(values["map"]) for way, values in tree["ways"].items()}
            found[setting.name] = {"crops": setting.crops, "seconds": setting.seconds} | figures
            (out / FILE).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if first:
        _draw(out / PICTURE, recipe, front, found)
    return found


class _Trained:
    """A network of a bundle, to be judged with other crops; everything else of it stays."""

    def __init__(self, bundle: Path) -> None:
        self.model, self._described = read_bundle(bundle)
        self.weights = self._described.weights_sha256

    def judge(self, recipe: ClipRecipe, folder: Path, path: Path, workers: int, device: str) -> None:
        """By the test clips of the recipe, into a file."""
        labels = self._described.labels
        changed = Glat(self.model.global_stream, recipe.glat)
        changed.local_stream.load_state_dict(self.model.local_stream.state_dict())
        audio = folder / recipe.data.audio if recipe.data.audio else None
        clips = open_clips([folder / name for name in recipe.data.test], audio, own_vocabulary(labels))
        write_json(path, evaluate_clips(Network(changed, labels, find_device(device)), clips, workers=workers))


def _claim(place: Path, recipe: ClipRecipe, folder: Path, network: _Trained | None) -> None:
    """Say in a setting's folder what its result is of, or see that it is of the same.

    Raises:
        DataError: it is of something else.
    """
    text = json.dumps([asdict(recipe), str(folder.resolve())])
    made_of = {
        "recipe": hashlib.sha256(text.encode()).hexdigest()[:16],
        "weights": None if network is None else network.weights,
    }
    path = place / MADE_OF
    if not path.exists() and not (place / JSON).exists():
        place.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(made_of) + "\n", encoding="utf-8")
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = None
    if known != made_of:
        raise DataError(f"{place} is of another recipe, seed, data or bundle; choose another --out")


def _draw(path: Path, recipe: ClipRecipe, front: FrontendSpec, found: dict[str, dict[str, float]]) -> None:
    """Two lines in one picture: over N below, over tau above."""
    tau, way = recipe.glat.crop * front.hop / front.rate, f"{recipe.glat.grid}/fused"
    with Picture(path, "N, crops", f"mAP ({way})") as axes:
        over_n = sorted((one["crops"], one[way]) for one in found.values() if one["seconds"] == tau)
        axes.plot(*zip(*over_n, strict=True), "o-", color="tab:blue", label=f"N crops of {tau:g} s")
        above = axes.twiny()
        over_tau = sorted((one["seconds"], one[way]) for one in found.values() if one["crops"] == recipe.glat.crops)
        (line,) = above.plot(*zip(*over_tau, strict=True), "s--", color="tab:orange")
        line.set_label(f"{recipe.glat.crops} crops of tau")
        above.set_xlabel("tau, s")
        above.legend(loc="lower right")
