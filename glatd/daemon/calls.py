"""Functions that other threads want called in the loop's thread."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from glatd.errors import GlatdError

T = TypeVar("T")


class Calls:
    """Those that wait for their turn."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Callable[[], Any], Future[Any]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def ask(self, function: Callable[[], T]) -> "Future[T]":
        """Have a function called; from any thread. What it raises is raised where the future is asked."""
        future: Future[T] = Future()
        self._waiting.append((function, future))
        return future

    def answer(self) -> None:
        """Call what waits; in the loop's thread."""
        for _ in range(len(self._waiting)):  # what is asked meanwhile has its turn in the next pass
            function, future = self._waiting.popleft()
            if not future.set_running_or_notify_cancel():
                continue  # whoever asked waits no more; from here on he cannot take it back
            try:
                future.set_result(function())
            except Exception as error:
                future.set_exception(error)


def answered(future: "Future[T]", seconds: float) -> T:
    """What comes of a function that the loop was asked to call.

    One that the loop has not come to in time is never called, so that whoever is told so may ask again. One that it has
    begun with is waited for.

    Raises:
        GlatdError: the loop has not come to it in so many seconds. All else is what the function raises.
    """
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.cancel():
            raise GlatdError(f"the loop does not answer within {seconds:g} s; see the log") from None
        return future.result()
