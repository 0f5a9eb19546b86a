"""The classes that clips are labelled with: AudioSet's 527, or one's own."""

import difflib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from glatd.errors import DataError
from glatd.labels import audioset, own_mid


@dataclass(frozen=True)
class Vocabulary:
    """C classes, in the order of a network's outputs."""

    names: tuple[str, ...]
    mids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @functools.cached_property
    def _by_name(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    @functools.cached_property
    def _by_mid(self) -> dict[str, int]:
        return {mid: index for index, mid in enumerate(self.mids)}

    def named(self, name: str, where: str) -> int:
        """Index of a class by name.

        Args:
            where: the label stands, as in "train.csv, line 7".

        Raises:
            DataError: no such class; the nearest name is in the message.
        """
        return _known(self._by_name, name, where)

    def of_mid(self, mid: str, where: str) -> int:
        """Index of a class by machine id, as `named`."""
        return _known(self._by_mid, mid, where)


def _known(table: Mapping[str, int], key: str, where: str) -> int:
    if key not in table:
        near = difflib.get_close_matches(key, table, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else "labels that are not AudioSet's need a file of --classes"
        raise DataError(f"{where}: unknown label {key!r}; {hint}")
    return table[key]


@functools.cache
def audioset_vocabulary() -> Vocabulary:
    """AudioSet's 527 classes."""
    return Vocabulary(tuple(label.name for label in audioset()), tuple(label.mid for label in audioset()))


def own_vocabulary(names: Sequence[str]) -> Vocabulary:
    """Classes of one's own; AudioSet's where `names` is AudioSet's list, or empty."""
    known = audioset_vocabulary()
    if not names or tuple(names) == known.names:
        return known
    mids = dict(zip(known.names, known.mids, strict=True))
    return Vocabulary(tuple(names), tuple(mids.get(name) or own_mid(name) for name in names))


def read_classes(path: Path) -> Vocabulary:
    """Names, one a line.

    Raises:
        DataError: not there, empty, or a name twice.
    """
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise DataError(f"cannot read the classes {path}: {error.strerror}; check the path") from error
    if twice := {name for name in names if names.count(name) > 1}:
        raise DataError(f"{path} names {sorted(twice)[0]!r} twice; a class is one line")
    if not names:
        raise DataError(f"{path} names no class; write one name a line")
    return own_vocabulary(names)
