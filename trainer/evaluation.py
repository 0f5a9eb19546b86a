"""`glatd train eval` on labelled clips: how well each way of looking does, as a table and as JSON."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from glatd.errors import DataError
from glatd.trainer.data.clips import Clips
from glatd.trainer.data.examples import alone
from glatd.trainer.data.loading import Safe, joined, raising
from glatd.trainer.judge import BATCH, Batch, judge
from glatd.trainer.looker import Looker
from glatd.trainer.metrics import Report, d_prime, evaluate, precision_at

RECALLS = np.linspace(0.0, 1.0, 101)
NAMED = 5  # classes without a positive that a table names


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of it."""

    clips: int
    missing: int  # clips that the list names and are not there
    crops: int  # K
    random: int  # random crops
    labels: tuple[str, ...]
    positives: NDArray[np.int64]  # [C]
    reports: Mapping[str, Report]  # by way of looking, the keys of `judge`
    curves: Mapping[str, NDArray[np.float64]]  # precision at each of `RECALLS`, mean over classes


class Windows(Dataset[Tensor]):
    """The samples of each clip, in order."""

    def __init__(self, clips: Clips, samples: int) -> None:
        self._clips, self._samples = clips, samples

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, clip: int) -> Tensor:
        return torch.from_numpy(self._clips.samples(clip, self._samples))


def batches(looker: Looker, clips: Clips, workers: int, batch: int = BATCH) -> Iterator[Batch]:
    """Frames of all clips in order, none of them silent at its start."""
    windows = Safe(Windows(clips, looker.samples))
    start = alone if workers else None
    read: DataLoader[Tensor] = DataLoader(windows, batch, num_workers=workers, collate_fn=joined, worker_init_fn=start)
    for samples in raising(read):
        yield looker.frames(samples), torch.zeros(len(samples), dtype=torch.int64)


def evaluate_clips(
    looker: Looker,
    clips: Clips,
    random: int | None = None,
    workers: int = 0,
    seed: int = 0,
    places: Collection[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Judge by all clips; those of another length than a window are cut or padded with silence.

    Args:
        random: crops at random places; as many as the network chooses when None.
        places: as of `judge`.

    Raises:
        DataError: a clip that cannot be read, scores that are no numbers, or no class that can be judged.
    """
    scores = judge(looker, batches(looker, clips, workers), seed, random, places, progress)
    truth = clips.labels.matrix()
    for way, values in scores.items():
        if not np.isfinite(values).all():
            clip = clips.names[int(np.argwhere(~np.isfinite(values))[0, 0])]
            raise DataError(f"the scores ({way}) of {clip} are no numbers; was the network trained with NaN?")
    reports = {way: evaluate(truth, values) for way, values in scores.items()}
    if not next(iter(reports.values())).classes:
        raise DataError(f"none of the {len(clips)} clips tells two classes apart; is this the right list?")
    return Evaluation(
        clips=len(clips),
        missing=len(clips.missing),
        crops=looker.crops,
        random=looker.crops if random is None else random,
        labels=looker.labels,
        positives=clips.labels.counts(),
        reports=reports,
        curves={way: mean_curve(truth, values, list(reports[way].per_class)) for way, values in scores.items()},
    )


def mean_curve(truth: NDArray[np.bool_], scores: NDArray[np.float32], classes: list[int]) -> NDArray[np.float64]:
    """Precision at each of `RECALLS`, mean over classes."""
    curves: NDArray[np.float64] = np.mean([precision_at(RECALLS, truth[:, c], scores[:, c]) for c in classes], 0)
    return curves


def named(way: str, found: Evaluation) -> str:
    """What a way of looking is called in a table."""
    where, _, what = way.rpartition("/")
    if not where:
        return "global"
    places = {
        "classes": f"{found.crops} crops, one a class",
        "sounds": f"{found.crops} crops, one a sound",
        "even": f"{found.crops} crops, evenly spread",
        "random": f"{found.random} random crops",
        "all": "all windows",
    }
    return f"{what}, {places.get(where, f'{found.crops} crops, grid {where}')}"


def table(found: Evaluation) -> list[str]:
    """Lines for people: macro figures, a way a line (Table 2 of the paper)."""
    width = max(len(named(way, found)) for way in found.reports)
    lines = [f"{'':{width}}    mAP   mAUC  d-prime"]
    for way, report in found.reports.items():
        lines.append(f"{named(way, found):{width}}  {report.map:.4f} {report.mauc:.4f}  {report.d_prime:.3f}")
    some = next(iter(found.reports.values()))
    lines.append(f"{found.clips:,} clips, {some.classes} classes judged")
    if found.missing:
        lines.append(f"{found.missing:,} clips of the list are not there, and were left out")
    if some.without:
        names = [found.labels[one] for one in some.without]
        more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
        lines.append(f"left out of the macro, without a positive (or a negative): {'; '.join(names[:NAMED])}{more}")
    return lines


def as_tree(found: Evaluation) -> dict[str, object]:
    """Everything, classes by name."""

    def per_class(report: Report) -> dict[str, object]:
        return {
            found.labels[one]: {
                "ap": precision,
                "auc": report.auc[one],
                "d_prime": d_prime(report.auc[one]),
                "positives": int(found.positives[one]),
            }
            for one, precision in report.per_class.items()
        }

    some = next(iter(found.reports.values()))
    return {
        "clips": found.clips,
        "missing": found.missing,
        "crops": found.crops,
        "random_crops": found.random,
        "judged": some.classes,
        "left_out": [found.labels[one] for one in some.without],
        "ways": {
            way: {"map": report.map, "mauc": report.mauc, "d_prime": report.d_prime, "per_class": per_class(report)}
            for way, report in found.reports.items()
        },
    }


def write_json(path: Path, found: Evaluation) -> None:
    """`as_tree` in a file, which is there only when whole."""
    text = json.dumps(as_tree(found), indent=1, ensure_ascii=False)
    partial = path.with_suffix(".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)
