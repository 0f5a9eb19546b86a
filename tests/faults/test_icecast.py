"""Icecast and bare RTP, killed, stalled, lossy and damaged: one daemon, a stream for each fault."""

import pytest

from tests.faults.network import DATAGRAMS_AND_ICECAST, WITNESS, Night, spend
from tests.faults.results import FORMS, SECONDS, remembered
from tests.faults.watch import RATE

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module", params=FORMS)
def night(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Night:
    return remembered(
        spend(tmp_path_factory.mktemp("night"), SECONDS[request.param], DATAGRAMS_AND_ICECAST), request.param
    )


RTP_RATE = 48_000  # Hz
# What the first message that tells of a fault begins with.
TOLD = {
    "ice-killed": "reconnecting: http://127.0.0.1:",
    "ice-stalled": "stalled: no audio for",
    "ice-restarted": "reconnecting: http://127.0.0.1:",
    "ice-feeder": "reconnecting: http://127.0.0.1:",
    "ice-damaged": "gap: ",
    "rtp-loss": "gap: not delivered",
    "rtp-damaged": "gap: not delivered",
}


@pytest.mark.parametrize("stream", TOLD)
def test_no_more_is_lost_than_the_fault_explains_and_it_is_told(night: Night, stream: str) -> None:
    night.figures[stream].check(TOLD[stream])


def test_a_stream_beside_them_loses_nothing(night: Night) -> None:
    """One bad source never delays another."""
    night.check_witness(WITNESS)


def test_lost_packets_are_counted_exactly(night: Night) -> None:
    dropped = night.servers["rtp-loss"].relay.dropped
    gaps = [one.message for one in night.watch.of("rtp-loss") if one.message["type"] == "gap"]
    told = sum(gap["end"] - gap["start"] for gap in gaps)
    assert dropped > RTP_RATE / 4
    assert abs(told - dropped * RATE / RTP_RATE) <= len(gaps)  # each end is rounded to a sample
