"""The curves of a run: a line of JSON each, and the same for TensorBoard; a run that goes on drops what it repeats."""

import json
import os
from pathlib import Path
from typing import Any

from glatd.errors import DataError

FILE, FOLDER = "history.jsonl", "tensorboard"
EVERY = 20  # steps between two losses that are kept


class History:
    """Kept in `work`; one process of several has it."""

    def __init__(self, work: Path, step: int) -> None:
        from tensorboardX import SummaryWriter

        self._path = work / FILE
        kept = [entry for entry in read(work) if entry["step"] <= step]
        partial = self._path.with_suffix(".partial")
        partial.write_text("".join(json.dumps(entry) + "\n" for entry in kept), encoding="utf-8")
        partial.replace(self._path)
        self._board = SummaryWriter(str(work / FOLDER), purge_step=step + 1)
        self._sums: dict[str, float] = {}
        self._count = 0

    def losses(self, step: int, values: dict[str, float]) -> None:
        """Those of one step; their means are kept now and then."""
        self._count += 1
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        if step % EVERY == 0:
            self.add(step, {name: total / self._count for name, total in self._sums.items()})
            self._sums, self._count = {}, 0

    def add(self, step: int, values: dict[str, float]) -> None:
        """Values at a step."""
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step} | values) + "\n")
            for name, value in values.items():
                self._board.add_scalar(name, value, step)
        except OSError as error:
            raise DataError(
                f"cannot write {self._path}: {error.strerror}; make space, the same command goes on"
            ) from error

    def close(self) -> None:
        """Write what TensorBoard has not had yet."""
        self._board.close()


def read(work: Path) -> list[dict[str, Any]]:
    """All entries; a last line that a kill cut short is none."""
    path = work / FILE
    if not path.exists():
        return []
    entries = []
    for line in path.read_text(encoding="utf-8").split(os.linesep):
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return entries
