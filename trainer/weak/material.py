"""What a run reads: the clips of a recipe, and what is told of them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glatd.errors import ConfigError, DataError
from glatd.trainer.data.clips import Clips, open_clips
from glatd.trainer.data.labels import Labels
from glatd.trainer.data.pack import FULL_SCALE, RATE
from glatd.trainer.data.vocabulary import Vocabulary, audioset_vocabulary, read_classes
from glatd.trainer.identity import NONE
from glatd.trainer.progress import Progress
from glatd.trainer.weak.recipe import ClipRecipe

NAMED = 5  # classes without a clip that are told by name
HEARD = 10 * RATE  # samples by which two clips of one name are compared
COMPARED = 100  # clips of one name that are compared, spread over all of them
LEAST_BIT = 2 / FULL_SCALE  # by which a pack and the file that it was made of may differ


@dataclass(frozen=True, slots=True)
class Material:
    """What a run reads."""

    vocabulary: Vocabulary
    train: Clips
    test: Clips
    backgrounds: Clips | None

    @property
    def identity(self) -> dict[str, str]:
        """What a network is trained by, by name."""
        return {
            "classes": hashlib.sha256("\n".join(self.vocabulary.names).encode()).hexdigest()[:16],
            "training clips": self.train.fingerprint(),
            "backgrounds": self.backgrounds.fingerprint() if self.backgrounds else NONE,
        }


class SomeClips(Clips):
    """At most so many of some clips, evenly spread over them."""

    def __init__(self, clips: Clips, most: int) -> None:
        spread = np.linspace(0, len(clips) - 1, most or len(clips)).astype(int)
        chosen: list[int] = np.unique(spread).tolist()
        self._clips, self._chosen = clips, chosen
        self.names = [clips.names[clip] for clip in chosen]
        self.labels = Labels.of(
            (np.flatnonzero(clips.labels.row(clip)).tolist() for clip in chosen), clips.labels.classes
        )

    def samples(self, clip: int, length: int) -> NDArray[np.float32]:
        return self._clips.samples(self._chosen[clip], length)


def open_material(recipe: ClipRecipe, folder: Path) -> Material:
    """The data of a recipe.

    Raises:
        DataError: it cannot be used, or a test clip is one of those that train.
    """
    data = recipe.data
    vocabulary = read_classes(folder / data.classes) if data.classes else audioset_vocabulary()
    audio = folder / data.audio if data.audio else None

    def some(names: tuple[str, ...]) -> Clips:
        return open_clips([folder / name for name in names], audio, vocabulary)

    if not data.train or not data.test:
        raise ConfigError(f"{recipe.name}: data.train and data.test must each name a pack or a CSV")
    train, test = some(data.train), some(data.test)
    backgrounds = some(data.backgrounds) if data.backgrounds else None
    check_apart(test, train, "train")
    if backgrounds is not None:
        check_apart(test, backgrounds, "backgrounds")
    return Material(vocabulary, train, test, backgrounds)


def check_apart(test: Clips, others: Clips, where: str) -> None:
    """See that no test clip is among `others`: of one name and of one sound. Names alone may meet by chance.

    Raises:
        DataError: one is; the first of them is named.
    """
    there = {name: clip for clip, name in enumerate(others.names)}
    both = [(clip, there[name]) for clip, name in enumerate(test.names) if name in there]
    for place in np.unique(np.linspace(0, len(both) - 1, min(COMPARED, len(both))).astype(int)):
        mine, other = both[place]
        heard = test.samples(mine, HEARD)
        if heard.any() and np.abs(heard - others.samples(other, HEARD)).max() <= LEAST_BIT:
            raise DataError(
                f"{len(both):,} test clips have the names of clips of data.{where}, and {test.names[mine]} is the same "
                "recording: what is judged by them is no figure; take them out of one of the lists"
            )


def tell_material(material: Material, progress: Progress) -> None:
    """What the data has, and what it lacks."""
    for what, clips in (("train", material.train), ("test", material.test)):
        lost = f", {len(clips.missing):,} of the list are not there" if clips.missing else ""
        progress.say(f"{what}: {len(clips):,} clips{lost}")
    without = [material.vocabulary.names[one] for one in np.flatnonzero(material.train.labels.counts() == 0)]
    if without:
        more = f", and {len(without) - NAMED} more" if len(without) > NAMED else ""
        progress.say(f"{len(without)} classes have no training clip: {'; '.join(without[:NAMED])}{more}")
