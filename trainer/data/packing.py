"""`glatd train pack`: recordings -> packs, in parallel, part by part, and on after a kill.

A part is a file of its own, under its final name only when whole, so what stands under such a name is done. It says
what it was made of, and what of that could not be read.
"""

import csv
import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from glatd.errors import DataError
from glatd.trainer.data.clips import decode
from glatd.trainer.data.listing import Listed
from glatd.trainer.data.pack import RATE, PackHead, PackWriter, read_head
from glatd.trainer.data.vocabulary import Vocabulary

PER_FILE = 2000  # clips: 1.3 GB at 10 s
SECONDS = 10.0  # of a clip
BROKEN = "broken.csv"
ABSENT = "no such file"  # the beginning of a reason
TICK_S = 1.0
Progress = Callable[[str, int, int], None]  # what is being done, done, of how many

# In a worker: clips that all of them are through with.
_done: "Synchronized[int] | None" = None


@dataclass(frozen=True, slots=True)
class Part:
    """A pack to make."""

    path: Path
    listed: tuple[Listed, ...]
    vocabulary: Vocabulary
    samples: int  # of a clip

    @property
    def made_of(self) -> str:
        """Names what is in it, wherever the audio lies."""
        text = json.dumps([[[one.name, one.labels] for one in self.listed], self.vocabulary.names, self.samples, RATE])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Packed:
    """What came of it."""

    files: int
    clips: int
    kept: int  # files that stood there from an earlier run
    broken: tuple[tuple[str, str], ...]  # name and reason


def pack(
    listed: Sequence[Listed],
    out: Path,
    name: str,
    vocabulary: Vocabulary,
    jobs: int,
    progress: Progress,
    seconds: float = SECONDS,
    per_file: int = PER_FILE,
) -> Packed:
    """Write packs of `listed` into `out`, and `broken.csv` beside them; what is whole is not made again.

    Raises:
        DataError: packs of another list stand there, no space is left, or a worker died.
    """
    samples = round(seconds * RATE)
    parts = [
        Part(out / f"{name}-{number:05d}.h5", tuple(listed[first : first + per_file]), vocabulary, samples)
        for number, first in enumerate(range(0, len(listed), per_file))
    ]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the folder {out}: {error.strerror}") from error
    others = sorted(set(out.glob(f"{name}-[0-9]*.h5")) - {part.path for part in parts})
    if others:
        raise DataError(f"{others[0]} is of another, longer list; choose another --out")
    wanted = [part for part in parts if not is_whole(part)]
    known = sum(len(part.listed) for part in parts) - sum(len(part.listed) for part in wanted)
    run_parts(wanted, jobs, lambda done: progress("packing", known + done, len(listed)))
    heads = [read_head(part.path, vocabulary) for part in parts]
    broken = tuple(entry for head in heads for entry in head.broken)
    with (out / BROKEN).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("clip", "reason"), *broken])
    return Packed(len(parts), sum(len(head.names) for head in heads), len(parts) - len(wanted), broken)


def is_whole(part: Part) -> bool:
    """Whether the pack of this part stands there, and no file that it lacked has come since.

    Raises:
        DataError: one of something else does.
    """
    if not part.path.exists():
        return False
    head: PackHead = read_head(part.path, part.vocabulary)
    if head.made_of != part.made_of:
        raise DataError(f"{part.path} is of another list, or of clips of another length; choose another --out")
    lacked = {name for name, reason in head.broken if reason.startswith(ABSENT)}
    return not any(one.name in lacked and one.path is not None for one in part.listed)


def run_parts(parts: Sequence[Part], jobs: int, tell: Callable[[int], None]) -> None:
    """Make the packs, `jobs` at a time, each in a process of its own."""
    if not parts:
        return
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    try:
        with ProcessPoolExecutor(min(jobs, len(parts)), context, _start, (counter,)) as workers:
            running: set[Future[None]] = {workers.submit(write_part, part) for part in parts}
            try:
                while running:
                    ended, running = wait(running, TICK_S, FIRST_COMPLETED)
                    if running:
                        tell(counter.value)
                    for one in ended:
                        one.result()
                tell(counter.value)
            except BaseException:
                workers.shutdown(wait=True, cancel_futures=True)
                raise
    except BrokenProcessPool as error:
        remedy = "the same command goes on; try fewer --jobs"
        raise DataError(f"a worker died, perhaps for want of memory; {remedy}") from error


def _start(counter: "Synchronized[int]") -> None:
    global _done
    _done = counter


def write_part(part: Part) -> None:
    """Decode the clips of a part into its pack.

    Raises:
        DataError: no space is left.
    """
    partial = part.path.with_suffix(".partial")
    name_bytes = max(len(one.name.encode()) for one in part.listed)
    writer: PackWriter | None = None
    try:
        writer = PackWriter(partial, part.vocabulary, part.samples, len(part.listed), name_bytes)
        for one in part.listed:
            if one.path is None:
                writer.leave_out(one.name, f"{ABSENT}: {one.wanted}")
            else:
                try:
                    writer.add(one.name, decode(one.path), one.labels)
                except DataError as error:
                    writer.leave_out(one.name, str(error))
            if _done is not None:
                with _done.get_lock():
                    _done.value += 1
        writer.close(part.made_of)
        os.replace(partial, part.path)
    except (OSError, RuntimeError) as error:  # HDF5 has no type for a full disk
        if writer is not None:
            writer.abandon()
        partial.unlink(missing_ok=True)
        reason = str(error).splitlines()[0]
        raise DataError(f"cannot write {part.path}: {reason}; make space, the same command goes on") from error
