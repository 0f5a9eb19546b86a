"""What other threads ask of the loop is done, or it is not and never will be; whoever asked knows which."""

import threading

import pytest

from glatd.daemon import manage
from glatd.daemon.assembly import Assembly
from glatd.daemon.calls import Calls, answered
from glatd.daemon.manage import Manager
from glatd.daemon.settings import Settings
from glatd.engines.engine import Engine
from glatd.errors import GlatdError
from tests.daemon.sounds import noise
from tests.daemon.test_loop import File


def test_what_the_loop_has_not_come_to_in_time_is_never_done() -> None:
    calls, done = Calls(), list[str]()
    with pytest.raises(GlatdError, match=r"does not answer within 0\.01 s"):
        answered(calls.ask(lambda: done.append("late")), 0.01)
    calls.answer()
    assert not done


def test_what_it_has_begun_with_is_waited_for() -> None:
    calls, begun, asked = Calls(), threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        asked.wait(60)
        return "done"

    future = calls.ask(slow)
    threading.Thread(target=calls.answer, daemon=True).start()
    assert begun.wait(60)
    threading.Timer(0.2, asked.set).start()
    assert answered(future, 0.01) == "done"


def test_what_it_raises_is_raised_here() -> None:
    def fails() -> None:
        raise TimeoutError("of its own")

    calls = Calls()
    future = calls.ask(fails)
    calls.answer()
    with pytest.raises(TimeoutError, match="of its own"):
        answered(future, 1)


def test_a_request_that_was_refused_for_lateness_happens_no_more(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a loop that hangs, or has not begun yet."""
    assembly = Assembly(Settings(publish=""), engine)
    track = assembly.track(File("yard", noise(1)), None)
    loop = assembly.loop([track], [], live=False)
    manager = Manager(assembly, loop, None)
    monkeypatch.setattr(manage, "ANSWER_SECONDS", 0.01)
    with pytest.raises(GlatdError, match="does not answer"):
        manager.mute("yard", True)
    loop._calls.answer()
    assert not track.worker.muted
