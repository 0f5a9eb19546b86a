"""Labelled clips as training and evaluation read them, wherever they are: packs, or files that are decoded."""

import hashlib
import os
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from glatd.audio import read_mono
from glatd.errors import DataError, SourceError
from glatd.trainer.data.labels import Labels
from glatd.trainer.data.listing import Listed, read_listing
from glatd.trainer.data.pack import FULL_SCALE, RATE, SUFFIXES, fitted, open_pack, read_head
from glatd.trainer.data.vocabulary import Vocabulary

MOST_OPEN = 64  # packs, in a process


class Clips(ABC):
    """N labelled clips.

    Attributes:
        missing: what the list names and is not there; it is in no count.
    """

    names: Sequence[str]
    labels: Labels
    missing: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def fingerprint(self) -> str:
        """Names which clips these are, with which labels."""
        found = hashlib.sha256("\n".join(self.names).encode())
        for part in (self.labels.ends, self.labels.flat):
            found.update(part.tobytes())
        return found.hexdigest()[:16]

    @abstractmethod
    def samples(self, clip: int, length: int) -> NDArray[np.float32]:
        """The first `length` samples at 32 kHz, silence behind them where the clip is shorter.

        Raises:
            DataError: a clip that cannot be read, has no samples, or NaN among them.
        """


class FileClips(Clips):
    """Recordings in a folder, decoded whenever they are asked for."""

    def __init__(self, listed: Sequence[Listed], classes: int) -> None:
        there = [clip for clip in listed if clip.path is not None]
        self.paths = [clip.path for clip in there if clip.path is not None]
        self.names = [clip.name for clip in there]
        self.labels = Labels.of((clip.labels for clip in there), classes)
        self.missing = [clip.wanted for clip in listed if clip.path is None]

    def samples(self, clip: int, length: int) -> NDArray[np.float32]:
        try:
            decoded = decode(self.paths[clip])
        except DataError as error:
            remedy = "take it out of the list, or make a pack, which leaves such files out: `glatd train pack`"
            raise DataError(f"{error}; {remedy}") from error
        whole: NDArray[np.float32] = fitted(decoded, length)
        return whole


def decode(path: Path) -> NDArray[np.float32]:
    """All samples of a recording, mono at 32 kHz.

    Raises:
        DataError: it cannot be read, or has none.
    """
    try:
        decoded = read_mono(path, RATE)
    except SourceError as error:
        raise DataError(str(error)) from error
    if not len(decoded):
        raise DataError(f"{path} has 0 samples")
    return decoded


class OpenPacks:
    """The packs that this process has open, the least used of which is closed for another: there may be a thousand."""

    def __init__(self) -> None:
        self._forget()

    def __call__(self, path: Path) -> h5py.File:
        """The open file."""
        if self._process != os.getpid():  # forked: the files are the parent's
            self._forget()
        if path not in self._files:
            if len(self._files) == MOST_OPEN:
                self._files.popitem(last=False)[1].close()
            self._files[path] = open_pack(path)
        self._files.move_to_end(path)
        return self._files[path]

    def _forget(self) -> None:
        self._files: OrderedDict[Path, h5py.File] = OrderedDict()
        self._process = os.getpid()

    def __reduce__(self) -> tuple[type["OpenPacks"], tuple[()]]:
        return OpenPacks, ()  # open files stay in their process


class PackedClips(Clips):
    """The clips of a pack; each process opens the file itself."""

    def __init__(self, path: Path, vocabulary: Vocabulary, files: OpenPacks) -> None:
        head = read_head(path, vocabulary)
        self.path, self.names, self.labels = path, head.names, head.labels
        self._files = files

    def samples(self, clip: int, length: int) -> NDArray[np.float32]:
        file = self._files(self.path)
        try:
            stored = file["waveform"][clip, :length]
        except OSError as error:
            remedy = "make the pack again with `glatd train pack`"
            raise DataError(f"{self.path}: {self.names[clip]} cannot be read ({error}); {remedy}") from error
        samples = stored.astype(np.float32)
        if stored.dtype == np.int16:
            samples /= FULL_SCALE
        elif not np.isfinite(samples).all():
            raise DataError(
                f"{self.path}: {self.names[clip]} has samples that are NaN or infinite; make the pack again"
            )
        whole: NDArray[np.float32] = fitted(samples, length)
        return whole


class JoinedClips(Clips):
    """Several, one after the other."""

    def __init__(self, parts: Sequence[Clips]) -> None:
        self._parts, self._ends = parts, list(accumulate(map(len, parts)))
        self.names = [name for part in parts for name in part.names]
        self.labels = Labels.joined([part.labels for part in parts])
        self.missing = [name for part in parts for name in part.missing]

    def samples(self, clip: int, length: int) -> NDArray[np.float32]:
        part = bisect_right(self._ends, clip)
        return self._parts[part].samples(clip - (self._ends[part - 1] if part else 0), length)


def open_clips(data: Sequence[Path], audio: Path | None, vocabulary: Vocabulary) -> Clips:
    """Clips of packs (files, or folders of them) and of CSVs with a folder of audio.

    Args:
        audio: folder of the audio that the CSVs name; each CSV's own when None.

    Raises:
        DataError: nothing there, or nothing that can be read.
    """
    parts: list[Clips] = []
    files = OpenPacks()
    for path in data:
        if path.is_dir():
            packs = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
            if not packs:
                raise DataError(f"{path} has no pack (*.h5, *.hdf5); name a pack, a folder of packs, or a CSV")
            parts += [PackedClips(file, vocabulary, files) for file in packs]
        elif path.suffix in SUFFIXES:
            parts.append(PackedClips(path, vocabulary, files))
        else:
            parts.append(FileClips(read_listing(path, audio, vocabulary), len(vocabulary)))
    found = parts[0] if len(parts) == 1 else JoinedClips(parts)
    if not len(found):
        lost = (
            f"none of the {len(found.missing)} files is there, such as {found.missing[0]}" if found.missing else "empty"
        )
        raise DataError(f"{', '.join(map(str, data))}: no clips ({lost}); --audio names the folder of the audio")
    return found
