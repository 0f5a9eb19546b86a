"""`glatd train finetune`: sounds of one's own, added to a network that stays as it is.

The network's last layer gets a row for each new sound, fitted on what the network knows of its recordings (laid into
scenes) against a thousand scenes of other sounds and one's own background. Everything else stays bit for bit, so the
classes there were say what they said, but for crops that a new sound wins.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

import glatd
from glatd.engines.build import build_engine
from glatd.errors import ConfigError
from glatd.trainer.backbones import make_backbone
from glatd.trainer.backbones.spec import Backbone
from glatd.trainer.bundle import read_bundle, write_bundle
from glatd.trainer.contrast import FILE as CONTRAST
from glatd.trainer.contrast import read_contrast
from glatd.trainer.export import export
from glatd.trainer.glat import Glat
from glatd.trainer.newsounds import NewSounds, read_new_sounds
from glatd.trainer.placing import gather
from glatd.trainer.rows import Rows
from glatd.trainer.trial import Heads, Trial, fit_heads, try_out

SEED = 1
REPORT = "added.json"
BUNDLE, ENGINE = "bundle", "engine"


def finetune(folder: Path, base: Path, out: Path, progress: Callable[[str, int, int], None]) -> list[Trial]:
    """Add the sounds of a folder to a bundle; writes `out/bundle` and `out/engine`.

    Args:
        folder: a folder of 5 to 50 recordings for each new sound, and maybe `background`.
        base: bundle to begin with; one that this made may be added to again.
        out: folder to make.

    Raises:
        DataError: recordings that cannot be used, or a base without `contrast.npz`.
        ConfigError: `out` is something else, or a backbone that no class can be added to.
        EngineError: a damaged base.
    """
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / BUNDLE / REPORT).is_file())):
        raise ConfigError(f"{out} is something else (it has no {BUNDLE}/{REPORT}); choose another --out")
    model, described = read_bundle(base)
    new = read_new_sounds(folder, described.labels)
    for line in new.refused:
        print(f"left out: {line}", file=sys.stderr, flush=True)
    contrast = read_contrast(base, model)
    material = gather(model, new, contrast, SEED, progress)
    names = [sound.name for sound in new.sounds]
    decay, shift, trials = try_out(material, names, [len(sound.recordings) for sound in new.sounds])
    grown = grow(model, fit_heads(material, decay).shifted(shift))
    bundle = out / BUNDLE
    write_bundle(
        bundle,
        grown,
        f"{described.name}+{len(names)}",
        described.provenance | {"added": "; ".join(names), "added_with": f"glatd {glatd.__version__}"},
        described.licence,
        labels=(*described.labels, *names),
    )
    (bundle / CONTRAST).write_bytes((base / CONTRAST).read_bytes())
    (bundle / REPORT).write_text(json.dumps(_report(new, decay, trials), indent=1, ensure_ascii=False) + "\n")
    progress("graphs and engine", 0, 1)
    export(bundle)
    build_engine(bundle, out / ENGINE)
    progress("graphs and engine", 1, 1)
    return trials


def grow(model: Glat, heads: Heads) -> Glat:
    """The same network with more classes, in evaluation mode."""
    classes = int(model.global_stream.config["classes"])
    grown = Glat(make_backbone(model.global_stream.config | {"classes": classes + len(heads.window.bias)}), model.spec)
    streams = (
        (model.global_stream, grown.global_stream, heads.window),
        (model.local_stream, grown.local_stream, heads.crop),
    )
    with torch.no_grad():
        for old, new, rows in streams:
            _copy(old, new, rows)
    return grown.eval()


def _copy(old: Backbone, new: Backbone, rows: Rows) -> None:
    state = old.state_dict()
    last = {id(value): key for key, value in old.named_parameters()}
    layer = old.output
    assert isinstance(layer.bias, nn.Parameter)
    for parameter, added in ((layer.weight, rows.weight), (layer.bias, rows.bias)):
        key = last[id(parameter)]
        state[key] = torch.cat([state[key], added])
    new.load_state_dict(state)


def _report(new: NewSounds, decay: float, trials: list[Trial]) -> dict[str, object]:
    return {
        "sounds": [
            asdict(trial) | {"files": [path.name for path in sound.files]}
            for trial, sound in zip(trials, new.sounds, strict=True)
        ],
        "background_recordings": len(new.background),
        "refused": list(new.refused),
        "decay": decay,
        "seed": SEED,
    }


def table(trials: list[Trial]) -> list[str]:
    """For people: how well each sound was heard in recordings that were kept out."""
    width = max(5, *(len(trial.name) for trial in trials))
    lines = [f"{'sound':{width}}  recordings  heard when kept out  in scenes  false alarms"]
    for trial in trials:
        lines.append(
            f"{trial.name:{width}}  {trial.recordings:10}  {f'{trial.heard} of {trial.recordings}':>19}  "
            f"{trial.scenes:9.0%}  {trial.false_alarms:12.2%}"
        )
    return lines
