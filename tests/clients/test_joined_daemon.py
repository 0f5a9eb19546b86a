"""Two microphones of a real daemon hear one dog, the second a little later; a third stands in another place."""

from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import av
import numpy as np
import pytest

from glatd.clients.events import EventStream
from glatd.clients.joined import Joined, SoundJoiner
from tests.conftest import ROOT
from tests.daemon.pcm_server import RATE, sending
from tests.daemon.processes import free_endpoint, running
from tests.daemon.sounds import Floats

DELAY_S = 0.2  # 70 m of way
SECONDS = 8.0  # heard, of which the dog sounds the first few


def dog() -> Floats:
    """The dog of the demo, at the rate of the server."""
    with av.open(str(ROOT / "demo" / "street.ogg")) as recording:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        frames = [part for frame in recording.decode(audio=0) for part in resampler.resample(frame)]
        sound = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    heard = sound[int(13.5 * RATE) : int(18.5 * RATE)]
    return np.concatenate([heard, np.zeros(int((SECONDS - 5.0) * RATE), np.float32)])


@pytest.mark.timeout(400)
def test_one_dog_is_one_event_with_the_evidence_of_both(tmp_path: Path) -> None:
    sound = dog()
    late = np.concatenate([np.zeros(int(DELAY_S * RATE), np.float32), 0.6 * sound])
    publish, catchup = free_endpoint(), free_endpoint()
    config = tmp_path / "glatd.toml"
    with ExitStack() as servers:
        streams = {"yard-1": sound, "yard-2": late, "cellar": late}
        tables = [
            f'[[source]]\nname = "{name}"\nreconnect = false\nuri = "{servers.enter_context(sending(samples)).uri}"\n'
            for name, samples in streams.items()
        ]
        config.write_text(
            f'node = "edge-1"\npublish = "{publish}"\ncatchup = "{catchup}"\njournal = "{tmp_path}/journal"\n'
            '[[events.rule]]\nlabels = ["Animal"]\n' + "\n".join(tables)
        )
        sounds = SoundJoiner([["edge-1/yard-*"]], alike=["Dog"])
        said: list[Joined] = []
        with running("run", "--config", config) as daemon, EventStream(publish, catchup, timeout=150.0) as events:
            over: set[str] = set()
            for event in events:
                said += sounds.take(event)
                over |= {event.stream for m in said if m.phase == "end" for event in m.heard if is_dog(m)}
                if over == set(streams):
                    break
            assert daemon.process.poll() is None or daemon.end() == 0, daemon.errors
    dogs = [message for message in said if is_dog(message)]
    last = {message.id: message for message in dogs}
    where = sorted(sorted(event.stream for event in message.heard) for message in last.values())
    assert ["yard-1", "yard-2"] in where and ["cellar"] in where, where
    joined = next(message for message in last.values() if len(message.heard) == 2)
    assert joined.phase == "end" and joined.peak == max(event.peak for event in joined.heard)
    assert all(event.evidence["crop"] and event.evidence["fused"] > 0 for event in joined.heard)
    first, second = (datetime.fromisoformat(event.onset_at) for event in joined.heard)
    apart = (second - first).total_seconds()
    assert abs(apart - DELAY_S) < 0.3, apart  # the two connections began within some ms of each other
    phases = [message.phase for message in dogs if message.id == joined.id]
    assert phases[0] == "start" and phases.count("start") == 1
    streams_heard = [len(message.heard) for message in dogs if message.id == joined.id]
    assert streams_heard[0] == 1 and max(streams_heard) == 2  # it began with the first


def is_dog(message: Joined) -> bool:
    """Whether what was heard is the dog."""
    return message.label in ("Dog", "Animal", "Bark", "Bow-wow", "Domestic animals, pets", "Yip", "Howl", "Growling")
