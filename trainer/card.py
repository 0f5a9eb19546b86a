"""The model card of a bundle: what it was made of, what it can do, and how to make it again."""

import json
from dataclasses import asdict
from pathlib import Path

from glatd.labels import audioset
from glatd.trainer.bundle import BundleModel
from glatd.trainer.exam import Exam, Table
from glatd.trainer.metrics import Report
from glatd.trainer.recipe import Recipe

WAYS = {
    "global": "global stream alone (10 s)",
    "clip/local": "local stream, 5 crops, grid `clip`",
    "stream/local": "local stream, 5 crops, grid `stream`",
    "clip/fused": "**fused, grid `clip`** (as published)",
    "stream/fused": "**fused, grid `stream`** (as the daemon runs it)",
    "random/fused": "fused, 5 random crops in place of the selection",
    "all/fused": "fused, all 8 windows of 3 s at 1 s steps",
}


COLUMNS = ("trained", "base_trained", "kept_out", "base_kept_out")


def write_card(folder: Path, recipe: Recipe, recipe_path: Path, described: BundleModel, exam: Exam) -> None:
    """Write CARD.md, and metrics.json with the figures of every class."""
    (folder / "metrics.json").write_text(json.dumps(metrics(exam), indent=1) + "\n", encoding="utf-8")
    (folder / "CARD.md").write_text(card(folder, recipe, recipe_path, described, exam), encoding="utf-8")


def metrics(exam: Exam) -> dict[str, object]:
    """Every figure, average precision by label name."""
    names = [label.name for label in audioset()]

    def plain(reports: dict[str, Report]) -> dict[str, object]:
        return {
            way: asdict(report)
            | {"per_class": {names[c]: round(value, 4) for c, value in report.per_class.items()}}
            | {"auc": {names[c]: round(value, 4) for c, value in report.auc.items()}}
            | {"without": [names[c] for c in report.without]}
            for way, report in reports.items()
        }

    def of(table: Table) -> dict[str, object]:
        return asdict(table) | {name: plain(getattr(table, name)) for name in COLUMNS}

    return asdict(exam) | {"short": of(exam.short), "long": of(exam.long)}


def rows(table: Table) -> list[str]:
    """mAP by way of looking, beside the base model's in the same two-stream network."""
    lines = [
        "| mAP | classes with training clips | base model there | kept-out classes | base model there |",
        "|---|---|---|---|---|",
    ]
    for way, text in WAYS.items():
        lines.append(f"| {text} | " + " | ".join(f"{getattr(table, name)[way].map:.3f}" for name in COLUMNS) + " |")
    return lines


def seconds(table: Table) -> str:
    """Durations of the sounds in its scenes."""
    return f"{table.spec.shortest:g} to {table.spec.longest:g} s"


def card(folder: Path, recipe: Recipe, recipe_path: Path, described: BundleModel, exam: Exam) -> str:
    """The card's text."""
    fused = exam.short.trained["stream/fused"]
    data, loss, optim = recipe.data, recipe.loss, recipe.optim
    licences = ", ".join(f"{name} ({count})" for name, count in exam.licences.items())
    untrained = len(audioset()) - exam.trained_classes
    base = described.provenance["base"]
    snr, keep = exam.short.spec.snr, recipe.blend
    recipe_name = "/".join(recipe_path.parts[-3:])
    return f"""# {described.name}

Two-stream Global-Local Attention network (Wang, Zou, Wang, ICASSP 2021) with MN04 (EfficientAT) in
both streams: 527 AudioSet classes, 32 kHz, windows of 10 s, {recipe.glat.crops} crops of 3 s.

## Figures

Scenes of 10 s mixed from {exam.test_clips} clips that training never saw (fold
{", ".join(map(str, data.test_folds))}, and every fold of the classes kept out); weak labels, all labels of a clip
counted. {fused.classes} classes with training clips occur in them, {fused.left_out} do not. Kept out of
training altogether: {"; ".join(data.kept_out)}. "Base model there" is MN04 as published in both
streams, under the same selection.

{exam.short.scenes} scenes of short sounds ({seconds(exam.short)}, 1 to 3 a scene, some over a lasting one,
SNR {snr[0]:g} to {snr[1]:g} dB), the recipe's `test_scenes`:

{chr(10).join(rows(exam.short))}

{exam.long.scenes} scenes as training has them ({seconds(exam.long)}):

{chr(10).join(rows(exam.long))}

Fused on grid `stream`, short sounds, classes with training clips: mAUC {fused.mauc:.3f}, d-prime
{fused.d_prime:.2f}. Figures by class: `metrics.json`.

What was not trained is kept: on the test clips, the global stream's scores differ from the base
model's by {exam.drift:.4f} on average over the {untrained} classes without training clips (worst class
{exam.drift_worst:.3f}).

The scenes are mixed from single events, so the figures say how well short sounds are found among
others; they are no AudioSet figures. One choice was made looking at the unseen clips: how much of the
training to keep (below), on 240 other scenes of them and on 17 recordings of no fold; so the figures
lean to the good side by a little.

## Data and licences

{exam.train_clips} clips, folds {", ".join(map(str, data.train_folds))}, all under licences that allow it:
{licences}. Their authors stand in NOTICE. Rendered instruments that the base model ranks beyond
place 10 for their own label are left out, in training and in test.

Both streams start at `{base}` of EfficientAT (MIT, (c) 2022 Florian Schmid; see NOTICE).
These weights: {described.licence}.

## Training

{data.train_scenes} scenes, {optim.steps} steps of {optim.batch}, Adam {optim.learning_rate:g}, BatchNorm frozen
and folded into the convolutions. Losses: BCE of both streams on the weak labels (paper eq. 4 to 6);
BCE of the fused scores (weight {loss.fused:g}); distillation towards the base model on the isolated
events, on the mixed scene (global stream) and on the crops (local stream), so that classes without
clips stay; frame scores (weight {loss.frame:g}) and crops (weight {loss.crop:g}) against when each
sound was mixed in, so that selection finds it. The running mean of the weights is then blended with the
base model's, {keep.global_stream:g} of it in the global stream and {keep.local_stream:g} in the
local one: fully trained, the network took every sound for one of those it was trained on.

To make it again (a run that was stopped goes on where it was):

    glatd train fit {recipe_name} --init {base} --data CORPUS --out {folder.name}
"""
