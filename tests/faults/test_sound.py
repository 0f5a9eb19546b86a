"""Microphones and sound servers: suspended, unplugged, hung and killed, one after the other under one daemon."""

import signal
import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.daemon.processes import running
from tests.faults.results import FORMS, SECONDS, SOUND, keep
from tests.faults.watch import Figures, Watch, measure
from tests.virtual_mic import VirtualMic

pytestmark = [pytest.mark.device, pytest.mark.timeout(600)]

A, B = "vmic_a", "vmic_b"
TAGS = 2  # of a microphone, before and after each fault

Fault = Callable[[VirtualMic, float], None]


def suspended(mic: VirtualMic, seconds: float) -> None:
    mic.suspend(A, True)
    time.sleep(seconds)
    mic.suspend(A, False)


def unplugged(mic: VirtualMic, seconds: float) -> None:
    mic.remove(A)
    time.sleep(seconds)
    mic.add(A)


def stopped(mic: VirtualMic, seconds: float) -> None:
    mic.freeze()
    time.sleep(seconds)
    mic.thaw()


def killed(mic: VirtualMic, seconds: float) -> None:
    mic.kill()
    time.sleep(seconds)
    mic.start()


FAULTS: dict[str, tuple[str, Fault]] = {
    "suspended": ("microphone suspended by the sound server, and back", suspended),
    "unplugged": ("microphone unplugged while another exists, and plugged in", unplugged),
    "stopped": ("sound server stopped (SIGSTOP), goes on", stopped),
    "killed": ("sound server killed, started again", killed),
}


@pytest.fixture(scope="module", params=FORMS)
def measured(request: pytest.FixtureRequest) -> dict[tuple[str, str], Figures]:
    """The figures of each fault and microphone."""
    sources = [f"--source={name}=mic:{name}" for name in (A, B)]
    faults: dict[str, tuple[float, float]] = {}
    with VirtualMic(A, B) as mic:
        command = ("run", *sources, "--publish", "", "--format", "jsonl")
        with running(*command, environment=mic.environment) as daemon:
            watch = Watch(daemon)
            well = partial(_wait_for_both, watch)
            well(0.0)
            for name, (_, provoke) in FAULTS.items():
                began = time.monotonic()
                provoke(mic, SECONDS[request.param])
                faults[name] = began, time.monotonic()
                well(faults[name][1])
            assert daemon.end(signal.SIGTERM) == 0
    ends = [*[began for began, _ in faults.values()][1:], float("inf")]
    figures = {}
    for (name, (began, over)), until in zip(faults.items(), ends, strict=True):
        for stream in (A, B):
            figures[name, stream] = measure(watch, stream, FAULTS[name][0], began, over, until)
        keep(figures[name, A], request.param, SOUND)
    return figures


def _wait_for_both(watch: Watch, since: float) -> None:
    for stream in (A, B):
        watch.wait_for_tags(stream, since, TAGS)


@pytest.mark.parametrize("name", FAULTS)
def test_no_more_is_lost_than_the_fault_explains_and_it_is_told(
    measured: dict[tuple[str, str], Figures], name: str
) -> None:
    measured[name, A].check("")


@pytest.mark.parametrize("name", ["suspended", "unplugged"])
def test_the_other_microphone_hears_on(measured: dict[tuple[str, str], Figures], name: str) -> None:
    other = measured[name, B]
    assert other.lost == 0 and other.noticed is None, other
