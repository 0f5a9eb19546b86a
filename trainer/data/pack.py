"""Packs: HDF5 files in the layout of PANNs, so that each side reads the other's.

`audio_name` [N] bytes, `waveform` [N, samples] int16 (32767 is full scale), `target` [N, C] bool, and the attribute
`sample_rate`. Packs that were made here have `broken` besides (what was left out, and why), `classes` where these are
not AudioSet's, and the attribute `made_of`, a hash of the list that they hold.

Source of the layout: qiuqiangkong/audioset_tagging_cnn `utils/dataset.py`. A row is a chunk, so that a pack can be
written clip by clip; nothing is compressed, since a training step would wait for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from glatd.errors import DataError
from glatd.trainer.data.labels import Labels
from glatd.trainer.data.vocabulary import Vocabulary, audioset_vocabulary

RATE = 32_000  # Hz
FULL_SCALE = 32_767
SUFFIXES = (".h5", ".hdf5")
ROWS = 4096  # targets that are read at a time


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Float samples, full scale +-1, beyond which they are clipped, as PANNs does."""
    return np.rint(np.clip(samples, -1.0, 1.0) * FULL_SCALE).astype(np.int16)


def fitted(samples: NDArray[Any], length: int) -> NDArray[Any]:
    """The first `length` samples, zeros behind them where there are fewer."""
    return samples[:length] if len(samples) >= length else np.pad(samples, (0, length - len(samples)))


class PackWriter:
    """A pack that grows clip by clip. Its last bytes are written by `close`.

    Args:
        path: the file, which is made anew.
        samples: of a clip.
        most: clips at most.
    """

    def __init__(self, path: Path, vocabulary: Vocabulary, samples: int, most: int, name_bytes: int) -> None:
        self._file = h5py.File(path, "w")
        self._clips, self._broken = 0, list[str]()
        self._file.attrs["sample_rate"] = np.int32(RATE)
        sizes: dict[str, tuple[tuple[int, ...], Any]] = {
            "audio_name": ((), f"S{max(20, name_bytes)}"),
            "waveform": ((samples,), np.int16),
            "target": ((len(vocabulary),), np.bool_),
        }
        for name, (row, kind) in sizes.items():
            chunks = (1, *row) if name == "waveform" else (min(most, 256), *row)
            self._file.create_dataset(name, (most, *row), kind, maxshape=(most, *row), chunks=chunks)
        if vocabulary.names != audioset_vocabulary().names:  # a worker has a copy of it
            self._file.create_dataset("classes", data=list(vocabulary.names), dtype=h5py.string_dtype())

    def add(self, name: str, samples: NDArray[np.float32], labels: Sequence[int]) -> None:
        """One clip more; it is cut or padded to the pack's length."""
        waveform, row = self._file["waveform"], self._clips
        waveform[row] = to_int16(fitted(samples, waveform.shape[1]))
        target = np.zeros(self._file["target"].shape[1], bool)
        target[list(labels)] = True
        self._file["target"][row] = target
        self._file["audio_name"][row] = name.encode()
        self._clips += 1

    def leave_out(self, name: str, reason: str) -> None:
        """Note a clip that could not be read."""
        self._broken.append(f"{name}\t{reason}")

    def close(self, made_of: str) -> None:
        """Cut to what was added."""
        for name in ("audio_name", "waveform", "target"):
            self._file[name].resize(self._clips, axis=0)
        self._file.create_dataset("broken", data=self._broken, shape=(len(self._broken),), dtype=h5py.string_dtype())
        self._file.attrs["made_of"] = made_of
        self._file.close()

    def abandon(self) -> None:
        """Let go of the file as it is."""
        try:
            self._file.close()
        except (OSError, RuntimeError):  # no space for what it still had in memory
            self._file.id.close() if self._file.id.valid else None


@dataclass(frozen=True, slots=True)
class PackHead:
    """What a pack holds, without its sound."""

    path: Path
    names: tuple[str, ...]
    labels: Labels
    broken: tuple[tuple[str, str], ...]  # name and reason
    made_of: str  # "" of a pack that was not made here


def open_pack(path: Path) -> h5py.File:
    """An open pack.

    Raises:
        DataError: not there, or no HDF5 file.
    """
    try:
        return h5py.File(path, "r")
    except OSError as error:
        reason = "no such file" if not path.exists() else "it is no HDF5 file, or was cut short"
        raise DataError(f"cannot read the pack {path}: {reason}; make it again with `glatd train pack`") from error


def read_head(path: Path, vocabulary: Vocabulary) -> PackHead:
    """Names and labels of a pack, checked.

    Raises:
        DataError: a data set that is missing or has another shape or type, another rate, or other classes.
    """
    with open_pack(path) as file:
        for name, dimensions in (("audio_name", 1), ("waveform", 2), ("target", 2)):
            if name not in file or len(file[name].shape) != dimensions:
                raise DataError(f"the pack {path} lacks the {dimensions}-dimensional data set {name!r}; is it PANNs'?")
        clips = {len(file[name]) for name in ("audio_name", "waveform", "target")}
        if len(clips) != 1:
            raise DataError(f"the pack {path} has data sets of {sorted(clips)} clips; make it again")
        if file["waveform"].dtype not in (np.int16, np.float32):
            raise DataError(f"the pack {path} has waveforms of type {file['waveform'].dtype}; they must be int16")
        rate = int(file.attrs.get("sample_rate", RATE))
        if rate != RATE:
            raise DataError(f"the pack {path} has {rate} Hz; networks hear {RATE} Hz: make it again from the audio")
        width = file["target"].shape[1]
        own = tuple(text.decode() for text in file["classes"]) if "classes" in file else None
        if width != len(vocabulary) or (own is not None and own != vocabulary.names):
            raise DataError(f"the pack {path} has {width} classes that are not the {len(vocabulary)} asked for")
        rows = list[NDArray[np.intp]]()
        for first in range(0, len(file["target"]), ROWS):
            clip, found = np.nonzero(file["target"][first : first + ROWS])
            size = min(ROWS, len(file["target"]) - first)
            rows += np.split(found, np.cumsum(np.bincount(clip, minlength=size))[:-1])
        broken = [text.decode().partition("\t") for text in file["broken"]] if "broken" in file else []
        return PackHead(
            path=path,
            names=tuple(name.decode() for name in file["audio_name"]),
            labels=Labels.of((row.tolist() for row in rows), width),
            broken=tuple((name, reason) for name, _, reason in broken),
            made_of=str(file.attrs.get("made_of", "")),
        )
