"""Files of tensors: nothing but tensors and plain values is read, and what is written is whole or not there."""

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from glatd.errors import DataError


def read_tensors(path: Path) -> Any:
    """What is in a file of `torch.save`, on the CPU.

    Raises:
        DataError: not there, damaged, or it holds more than tensors and plain values.
    """
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except OSError as error:
        raise DataError(f"cannot read the checkpoint {path}: {error.strerror or error}") from error
    except (RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        reason = (str(error) or "it is empty").splitlines()[0]
        raise DataError(f"{path} is no checkpoint of plain tensors: {reason}") from error


def write_whole(path: Path, state: dict[str, Any]) -> None:
    """A file under its name only when it is whole and on the disk.

    Raises:
        DataError: it cannot be written; what stood there stays.
    """
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # of torch's writer, where the disk is full
        partial.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        stays = f"the last good one stays, {path}" if path.exists() else "there is none yet"
        raise DataError(
            f"cannot write a checkpoint: {reason} ({stays}); make space, the same command goes on"
        ) from error
