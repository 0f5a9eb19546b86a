"""Calls that may never come back: device drivers, name servers, hosts that do not answer."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_POLL_S = 0.05  # how late a stop is seen


class Abandoned(Exception):
    """The call was given up: `stopped` was set, or the time was over."""


class _Call(Generic[T]):
    """One call in a daemon thread; its result goes to the caller or, when it is late, to `discard`."""

    def __init__(self, function: Callable[[], T], discard: Callable[[T], object]) -> None:
        self._function = function
        self._discard = discard
        self._lock = threading.Lock()
        self._given_up = False
        self._result: list[T] = []
        self._error: BaseException | None = None
        self.done = threading.Event()

    def run(self) -> None:
        try:
            result = self._function()
        except BaseException as error:  # it is raised again in the caller's thread
            self._error = error
        else:
            with self._lock:
                late = self._given_up
                if not late:
                    self._result.append(result)
            if late:
                self._discard(result)
        self.done.set()

    def give_up(self) -> None:
        with self._lock:
            self._given_up = True
            late = self._result.pop() if self._result else None
        if late is not None:
            self._discard(late)

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._result[0]


def call_within(
    seconds: float,
    function: Callable[[], T],
    discard: Callable[[T], object] = id,
    stopped: threading.Event | None = None,
) -> T:
    """Call `function` in a daemon thread and wait for it, for `seconds` at most or until `stopped` is set.

    Args:
        discard: gets the result when it comes too late; what it does happens in either thread.

    Raises:
        Abandoned: it did not come back in time; its thread is left behind.
        whatever `function` raises.
    """
    call = _Call(function, discard)
    threading.Thread(target=call.run, name="patience", daemon=True).start()
    deadline = time.monotonic() + seconds
    while not call.done.wait(min(_POLL_S, max(0.0, deadline - time.monotonic()))):
        if (stopped is not None and stopped.is_set()) or time.monotonic() >= deadline:
            call.give_up()
            raise Abandoned
    return call.result()
