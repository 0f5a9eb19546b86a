"""A folder of one's own sounds: a folder of recordings for each, and `background` for what is none of them."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glatd.audio import read_mono
from glatd.errors import DataError, SourceError
from glatd.labels import BACKGROUND
from glatd.trainer.scenes import RATE, active_part

LEAST, MOST = 5, 50  # recordings of a sound
LONGEST_NAME = 64
QUIETEST_DBFS = -80.0  # RMS of the loudest part; less is no recording of a sound


@dataclass(frozen=True, slots=True)
class NewSound:
    """A class to be added."""

    name: str
    files: tuple[Path, ...]
    recordings: tuple[NDArray[np.float32], ...]  # mono at 32 kHz, without their silent ends


@dataclass(frozen=True, slots=True)
class NewSounds:
    """What a folder holds."""

    sounds: tuple[NewSound, ...]  # by name
    background: tuple[NDArray[np.float32], ...]  # mono at 32 kHz
    refused: tuple[str, ...]  # a line for each file that could not be used


def read_new_sounds(folder: Path, known: Collection[str]) -> NewSounds:
    """Read and check the recordings.

    Args:
        known: names that are taken.

    Raises:
        DataError: no folders, too few recordings that can be used, or a name that is taken.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; make one, with a folder of recordings for each new sound in it")
    refused: list[str] = []
    sounds: list[NewSound] = []
    background: tuple[NDArray[np.float32], ...] = ()
    parts = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    for part in parts:
        _check_name(part, known)
    for part in parts:
        files, recordings = _recordings(part, refused)
        if part.name == BACKGROUND:
            background = recordings
            continue
        if len(recordings) < LEAST:
            why = f" ({'; '.join(refused)})" if refused else ""
            raise DataError(f"{part} has {len(recordings)} recordings that can be used, and {LEAST} are needed{why}")
        if len(recordings) > MOST:
            refused += [f"{path.name}: more than {MOST} of {part.name}" for path in files[MOST:]]
        cut = tuple(samples[slice(*active_part(samples))] for samples in recordings[:MOST])
        sounds.append(NewSound(part.name, files[:MOST], cut))
    if not sounds:
        raise DataError(f"{folder} has no folder of recordings in it; make one for each new sound, named as the sound")
    return NewSounds(tuple(sounds), background, tuple(refused))


def _check_name(part: Path, known: Collection[str]) -> None:
    if part.name in known:
        raise DataError(f"{part}: {part.name!r} is a class of the model already; give the folder another name")
    if len(part.name) > LONGEST_NAME or not part.name.isprintable() or ":" in part.name:
        raise DataError(f"{part}: a name has 1 to {LONGEST_NAME} printable characters, no ':'; rename the folder")


def _recordings(part: Path, refused: list[str]) -> tuple[tuple[Path, ...], tuple[NDArray[np.float32], ...]]:
    """Those that can be used; a line in `refused` for each of the others."""
    files: list[Path] = []
    found: list[NDArray[np.float32]] = []
    for path in sorted(path for path in part.iterdir() if path.is_file() and not path.name.startswith(".")):
        try:
            samples = read_mono(path, RATE)
        except SourceError as error:
            refused.append(str(error))
            continue
        loudest = float(np.abs(samples).max(initial=0.0))
        if loudest < 10 ** (QUIETEST_DBFS / 20):
            refused.append(f"{path} is silent")
            continue
        files.append(path)
        found.append(samples)
    return tuple(files), tuple(found)
