"""Labelled clips: the corpus table, the licences that may be shipped, and decoded samples."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glatd.audio import read_mono
from glatd.errors import DataError

# What may go into weights that are shipped. CC-BY-NC, Sampling+ and clips whose terms are only
# described elsewhere may not.
SHIPPABLE = frozenset(
    {
        "CC0",
        "CC-BY",
        "CC BY",
        "CC BY 3.0",
        "CC BY 4.0",
        "MIT",
        "own rendering",
        "Public domain",
        "Public domain (US NPS)",
    }
)
# Rendered instruments that the base model does not recognise at all sound like something else.
WORST_SYNTHETIC_RANK = 10


@dataclass(frozen=True, slots=True)
class Clip:
    """One labelled recording of a single kind of sound."""

    path: Path
    labels: tuple[str, ...]  # AudioSet display names, most specific first
    fold: int  # 0: test only
    group: str
    licence: str  # of this clip
    author: str
    url: str
    recognisable: bool  # False: a rendering that the base model ranks far from its label
    synthetic: bool = False  # rendered, not recorded
    source: str = ""  # the recording that it was cut from, where the table says so

    @property
    def shippable(self) -> bool:
        """Whether weights trained on it may be given away."""
        return self.licence in SHIPPABLE


def read_corpus(folder: Path) -> list[Clip]:
    """The clips listed in `folder/corpus.csv`, in its order.

    Raises:
        DataError: no such table, a missing column, or no rows.
    """
    table = folder / "corpus.csv"
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise DataError(
            f"cannot read {table}: {error.strerror}; --data wants a folder with corpus.csv and clips/"
        ) from error
    try:
        clips = [
            Clip(
                path=folder / row["file"],
                labels=tuple(row["labels"].split(";")),
                fold=int(row["fold"]),
                group=row["group"],
                licence=row["clip_licence"],
                author=row["author"],
                url=row["url"],
                recognisable=row["synthetic"] != "1" or int(row["teacher_rank"]) <= WORST_SYNTHETIC_RANK,
                synthetic=row["synthetic"] == "1",
                source="/".join(filter(None, (row.get("source"), row.get("source_id")))),
            )
            for row in rows
        ]
    except KeyError as error:
        raise DataError(f"{table} lacks the column {error}") from error
    if not clips:
        raise DataError(f"{table} lists no clips")
    return clips


def load_clips(
    clips: Sequence[Clip], rate: int, progress: Callable[[int], None] | None = None
) -> list[NDArray[np.float32]]:
    """Decoded mono samples of every clip, at `rate` Hz."""
    decoded = []
    for index, clip in enumerate(clips):
        decoded.append(read_mono(clip.path, rate))
        if progress is not None:
            progress(index + 1)
    return decoded
