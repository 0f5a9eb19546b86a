"""Functions that other threads want called in the loop's thread."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class Calls:
    """Those that wait for their turn."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Callable[[], Any], Future[Any]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def ask(self, function: Callable[[], Any]) -> "Future[Any]":
        """Have a function called; from any thread. What it raises is raised where the future is asked."""
        future: Future[Any] = Future()
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
