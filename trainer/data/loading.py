"""Clips read by other processes: what goes wrong there is told here as it would be without them."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from torch.utils.data import Dataset, default_collate

from glatd.errors import DataError, GlatdError

Item = TypeVar("Item")
DIED = "DataLoader worker"  # how PyTorch begins to tell of one that was killed


class Safe(Dataset[Any]):
    """A data set whose errors are values: PyTorch would join an error of a worker with its traceback into one text."""

    def __init__(self, items: Dataset[Any]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Any:
        try:
            return self._items[index]
        except GlatdError as error:
            return error


def joined(items: list[Any]) -> Any:
    """A batch, or the first error among its items."""
    errors = [item for item in items if isinstance(item, GlatdError)]
    return errors[0] if errors else default_collate(items)


def raising(batches: Iterable[Item]) -> Iterator[Item]:
    """The batches, of which an error is raised.

    Raises:
        GlatdError: what a worker met.
        DataError: a worker was killed.
    """
    try:
        for batch in batches:
            if isinstance(batch, GlatdError):
                raise batch
            yield batch
    except RuntimeError as error:
        if not str(error).startswith(DIED):
            raise
        remedy = "perhaps for want of memory; take fewer --workers"
        raise DataError(f"a process that reads clips was killed, {remedy}") from error
