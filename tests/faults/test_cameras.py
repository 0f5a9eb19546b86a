"""RTSP cameras and senders of PCM, killed, stalled, flooding, mute: one daemon, a stream for each fault."""

import pytest

from tests.faults.network import CAMERAS_AND_PCM, WITNESS, Night, spend
from tests.faults.results import FORMS, SECONDS, remembered

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module", params=FORMS)
def night(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Night:
    return remembered(spend(tmp_path_factory.mktemp("night"), SECONDS[request.param], CAMERAS_AND_PCM), request.param)


# What the first message that tells of a fault begins with.
TOLD = {
    "cam-killed": "reconnecting: ",
    "cam-stalled": "stalled: no audio for",
    "cam-restarted": "reconnecting: ",
    "pcm-drop": "stalled: no audio for",
    "pcm-flood": "reconnecting: tcp://127.0.0.1:",
    "pcm-mute": "reconnecting: tcp://127.0.0.1:",
    "pcm-name": "reconnecting: tcp://cupboard.test:",
}


@pytest.mark.parametrize("stream", TOLD)
def test_no_more_is_lost_than_the_fault_explains_and_it_is_told(night: Night, stream: str) -> None:
    night.figures[stream].check(TOLD[stream])


@pytest.mark.parametrize("stream", [WITNESS, "cam-video"])
def test_a_stream_beside_them_loses_nothing(night: Night, stream: str) -> None:
    """One bad source never delays another."""
    night.check_witness(stream)


def test_of_a_camera_that_sends_video_only_the_sound_is_asked_for(night: Night) -> None:
    assert not night.asked


def test_what_is_wrong_is_told_by_name(night: Night) -> None:
    assert "x as fast as its rate says" in night.figures["pcm-flood"].told
    assert "no audio for 10 s" in night.figures["pcm-mute"].told
