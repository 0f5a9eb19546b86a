"""A sound, a microphone, the daemon, a subscriber: the whole way in real time."""

import csv
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glatd.audio import read_mono
from tests.conftest import needs_shared
from tests.daemon.processes import free_endpoint, glatd, running, started
from tests.daemon.sounds import write_wav
from tests.virtual_mic import RATE, VirtualMic

PLAIN = Path(__file__).with_name("plain_subscriber.py")
HEARD_S = 3.0  # from the start of a sound to its label at a subscriber
PLAYED_S = 5.0
SURE = 0.3  # the recordings below reach twice as much

pytestmark = [pytest.mark.device, needs_shared]


@pytest.fixture(scope="module")
def mic() -> Iterator[VirtualMic]:
    with VirtualMic("vmic_a") as virtual:
        yield virtual


def score(message: dict[str, Any], label: str) -> float:
    """Of a label in a tags message, 0 where it is not among them."""
    return max((tag["score"] for tag in message["tags"] if tag["label"] == label), default=0.0)


def labels_of(shared: Path, clip: str) -> list[str]:
    """The true labels of a recording, the one that it is about first."""
    with (shared / "audio" / "corpus.csv").open(newline="", encoding="utf-8") as file:
        (row,) = [row for row in csv.DictReader(file) if row["file"] == f"clips/ibm/{clip}.ogg"]
    return [row["primary"], *row["labels"].split(";")]


@pytest.mark.parametrize(
    "clip", ["snoring", *(pytest.param(name, marks=pytest.mark.slow) for name in ("birds1", "rain"))]
)
def test_a_sound_at_the_microphone_is_a_label_at_a_subscriber(
    mic: VirtualMic, shared: Path, tmp_path: Path, clip: str
) -> None:
    label, *kin = labels_of(shared, clip)
    recording = read_mono(shared / "audio" / "clips" / "ibm" / f"{clip}.ogg", RATE)
    sound = write_wav(tmp_path / "sound.wav", recording[: round(PLAYED_S * RATE)], RATE)
    endpoint = free_endpoint()
    with (
        started([sys.executable, str(PLAIN), endpoint, ""]) as listener,
        running("run", "--source", "mic:vmic_a", "--publish", endpoint, environment=mic.environment) as daemon,
    ):
        silence = listener.wait_for(lambda message: message["type"] == "tags")
        assert silence["stream"] == "vmic_a" and silence["level_dbfs"] == -120.0
        assert score(silence, label) < SURE / 3
        playing = threading.Thread(target=mic.play, args=(sound, "vmic_a"))
        began = time.monotonic()
        playing.start()
        listener.wait_for(lambda message: message["type"] == "tags" and score(message, label) >= SURE)
        playing.join()
        in_time = [
            message
            for message, arrived in zip(listener.messages, listener.arrivals, strict=True)
            if message["type"] == "tags" and began < arrived <= began + HEARD_S
        ]
        heard = max(in_time, key=lambda message: score(message, label))
        assert score(heard, label) >= SURE
        assert label in [tag["label"] for tag in heard["tags"][:3]]
        others = [tag["score"] for tag in heard["tags"] if tag["label"] not in kin]
        assert max(others) < score(heard, label)
        began = time.monotonic()
        assert daemon.end(signal.SIGTERM) == 0
        assert time.monotonic() - began < 2.0
        assert listener.end() == 0
        last = listener.messages[-1]
        assert (last["state"], last["lost"], last["uri"]) == ("stopped", 0, "mic:vmic_a")


def test_a_microphone_that_is_not_there_is_told_and_waited_for(mic: VirtualMic) -> None:
    options = ("--source", "mic:nosuch", "--publish", "", "--format", "jsonl")
    with running("run", *options, environment=mic.environment) as daemon:
        told = daemon.wait_for(lambda message: "no microphone 'nosuch'; there are: " in message.get("reason", ""))
        assert "vmic_a" in told["reason"]
        assert daemon.end(signal.SIGTERM) == 0


def test_the_microphones_are_listed(mic: VirtualMic) -> None:
    done = glatd("devices", environment=mic.environment)
    assert done.returncode == 0 and done.stderr == ""
    assert any("mic:vmic_a" in line for line in done.stdout.splitlines())
