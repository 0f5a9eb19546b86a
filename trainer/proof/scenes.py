"""Scenes of recorded clips, folds apart, in packs: what every run of a proof trains and is judged by.

Most clips of the corpus are shorter than a scene: padded with silence, random crops and all windows would be judged
by how often they meet nothing. So test clips are scenes, too, several sounds over a background, and no recording is in
both halves. Rendered instruments are left out: their folds share one set of samples.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from glatd.errors import DataError
from glatd.trainer.corpus import Clip, load_clips, read_corpus
from glatd.trainer.data.pack import RATE, PackWriter, read_head
from glatd.trainer.data.vocabulary import Vocabulary, own_vocabulary, read_classes
from glatd.trainer.progress import Progress
from glatd.trainer.scenes import MARGIN, SCENE, Pool, SceneSpec, mix

TRAIN, TEST, CLASSES = "train.h5", "test.h5", "classes.txt"
NAME_BYTES = 20


@dataclass(frozen=True, slots=True)
class ProofScenes:
    """The scenes of a plan."""

    train_folds: tuple[int, ...]
    test_folds: tuple[int, ...]
    train: int  # scenes
    test: int
    seed: int
    least: int  # clips of a kind of sound on either side; kinds with fewer are left out
    mixing: SceneSpec  # but never with silence at the start


@dataclass(frozen=True, slots=True)
class Halves:
    """Clips to train by and to judge by, and the classes that they are labelled with."""

    train: tuple[Clip, ...]
    test: tuple[Clip, ...]
    vocabulary: Vocabulary


def split(clips: Sequence[Clip], spec: ProofScenes) -> Halves:
    """Recorded clips by fold, of the kinds of sound (first labels) that both sides have; classes are their labels.

    Raises:
        DataError: folds or recordings that are on both sides, or nothing left.
    """
    if shared := set(spec.train_folds) & set(spec.test_folds):
        raise DataError(f"fold {min(shared)} is to train by and to judge by; give each fold one side")
    recorded = [clip for clip in clips if not clip.synthetic]
    train, test = ([clip for clip in recorded if clip.fold in folds] for folds in (spec.train_folds, spec.test_folds))
    sources = {clip.source for clip in train if clip.source} & {clip.source for clip in test if clip.source}
    if sources:
        raise DataError(f"the recording {min(sources)!r} is in folds of both sides; give all of it to one fold")
    counts = [Counter(clip.labels[0] for clip in side) for side in (train, test)]
    kinds = {kind for kind in counts[0] if min(count[kind] for count in counts) >= spec.least}
    train, test = ([clip for clip in side if clip.labels[0] in kinds] for side in (train, test))
    if not kinds:
        raise DataError(
            f"no kind of sound has {spec.least} recorded clips in folds {spec.train_folds} and {spec.test_folds}"
        )
    names = [{name for clip in side for name in clip.labels} for side in (train, test)]
    return Halves(tuple(train), tuple(test), own_vocabulary(sorted(names[0] & names[1])))


def fingerprint(halves: Halves, spec: ProofScenes) -> str:
    """Names scenes by everything that they are made from."""
    sides = [[[clip.path.name, clip.labels] for clip in side] for side in (halves.train, halves.test)]
    text = json.dumps([sides, asdict(spec), SCENE, RATE])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def make_scenes(corpus: Path, spec: ProofScenes, out: Path, progress: Progress) -> str:
    """Write `train.h5`, `test.h5` and `classes.txt` into `out`, or take what stands there; returns their fingerprint.

    Args:
        corpus: folder with corpus.csv and clips/.

    Raises:
        DataError: scenes of another plan stand there, or there is no space.
    """
    halves = split(read_corpus(corpus), spec)
    wanted = fingerprint(halves, spec)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / CLASSES).write_text("\n".join(halves.vocabulary.names) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write into {out}: {error.strerror}") from error
    for name, clips, count, seed in (
        (TRAIN, halves.train, spec.train, spec.seed),
        (TEST, halves.test, spec.test, spec.seed + 1),
    ):
        path = out / name
        if path.exists():
            if read_head(path, halves.vocabulary).made_of != wanted:
                raise DataError(f"{path} has scenes of another plan or corpus; choose another --out")
            continue
        _render(path, clips, count, seed, replace(spec.mixing, late_start=0.0), halves.vocabulary, wanted, progress)
    return wanted


def made_of(folder: Path) -> str:
    """The fingerprint of the scenes in a folder; "" where there are none yet."""
    if not (folder / TEST).exists():
        return ""
    return read_head(folder / TEST, read_classes(folder / CLASSES)).made_of


def _render(
    path: Path,
    clips: Sequence[Clip],
    count: int,
    seed: int,
    mixing: SceneSpec,
    vocabulary: Vocabulary,
    wanted: str,
    progress: Progress,
) -> None:
    samples = load_clips(clips, RATE, lambda done: progress(f"decoding clips for {path.name}", done, len(clips)))
    pool = Pool(samples, [clip.labels[0] for clip in clips])
    known = {name: index for index, name in enumerate(vocabulary.names)}
    rows = [[known[name] for name in clip.labels if name in known] for clip in clips]
    partial = path.with_suffix(".partial")
    writer = PackWriter(partial, vocabulary, SCENE, count, NAME_BYTES)
    try:
        for index in range(count):
            scene = mix(pool, seed, index, mixing)
            heard = sorted({one for event in scene.events for one in rows[event.clip]})
            writer.add(f"{index}.wav", np.ascontiguousarray(scene.samples[MARGIN : MARGIN + SCENE]), heard)
            progress(f"mixing {path.name}", index + 1, count)
        writer.close(wanted)
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # HDF5 has no type for a full disk
        writer.abandon()
        partial.unlink(missing_ok=True)
        raise DataError(
            f"cannot write {path}: {str(error).splitlines()[0]}; make space, the same command goes on"
        ) from error
