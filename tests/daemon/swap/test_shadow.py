"""An engine beside the live one: compared on the same windows, never in its way."""

import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from glatd.daemon.assembly import Assembly
from glatd.daemon.settings import Settings
from glatd.daemon.shadow import Shadow, is_new
from glatd.daemon.tagging import Seen, step
from glatd.daemon.track import Track
from glatd.engines.engine import Engine
from glatd.engines.load import load_engine
from glatd.messages import Message, Tags
from tests.conftest import ROOT
from tests.daemon.processes import free_endpoint
from tests.daemon.sounds import RATE, noise
from tests.daemon.swap.box import STREAMS, box, follow_each_other, until
from tests.daemon.swap.conftest import hash_of
from tests.daemon.swap.test_swap import read
from tests.daemon.test_loop import File

LOOK: Any = None  # which is not looked into


def test_a_shadow_is_compared_and_told_and_the_live_engine_goes_on(engines: Path, tmp_path: Path) -> None:
    metrics = free_endpoint().replace("tcp://", "http://")
    settings = {"engine": str(engines / "tiny"), "shadow": str(engines / "half"), "metrics": metrics}
    with box(tmp_path, **settings) as daemon:
        node = daemon.process.wait_for(lambda m: m["type"] == "node" and m["shadow_windows"] >= 4)
        # On this machine float32 either way, or bfloat16: near each other.
        assert node["shadow"] == hash_of(engines / "half")
        assert node["shadow_top5"] > 0.7 and node["shadow_max"] < 0.2 and node["shadow_mean"] < 0.02

        # Another network behind another front end, with other scores.
        daemon.reload(shadow=str(engines / "other"))
        other = hash_of(engines / "other")
        node = daemon.process.wait_for(
            lambda m: m["type"] == "node" and m["shadow"] == other and m["shadow_windows"] >= 4
        )
        assert node["shadow_max"] > 0.5 and node["engine"] == hash_of(engines / "tiny")
        found = read(f"{metrics}/metrics")
        named = set(re.findall(r"`(glatd_shadow_\w+)`", (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")))
        assert len(named) == 5 and named == set(re.findall(r"(?m)^# TYPE (glatd_shadow_\w+)", found))

        # It takes over, and is compared with itself: the very same.
        daemon.swap(engines / "other")
        node = daemon.process.wait_for(
            lambda m: (
                m["type"] == "node" and m["engine"] == other and m["shadow_windows"] >= 4 and m["shadow_max"] < 0.1
            )
        )
        assert (node["shadow_top5"], node["shadow_decisions"]) == (1.0, 0) and node["shadow_max"] < 1e-5

        daemon.reload(shadow=str(engines / "damaged"))
        daemon.process.wait_for(
            lambda m: m["type"] == "node" and "shadow" in m["trouble"] and "is damaged" in m["trouble"]
        )
        daemon.reload(shadow="")
        daemon.process.wait_for(lambda m: m["type"] == "node" and not m["trouble"] and not m["shadow"])
        assert daemon.process.end(signal.SIGTERM) == 0
        for stream in STREAMS:
            follow_each_other(daemon.windows(stream))
        assert not [line for line in daemon.process.errors if "Traceback" in line]


def test_what_it_has_no_time_for_is_dropped_and_counted(engines: Path) -> None:
    """A recording runs as fast as it goes, and the shadow is asked for the last time while it still loads, or looks."""
    settings = Settings(engine=str(engines / "tiny"), shadow=str(engines / "other"), threads=1, status_seconds=1e6)
    engine: Engine = load_engine(engines / "tiny", 1)
    messages: list[Message] = []
    assembly = Assembly(settings, engine)
    track = assembly.track(File("night", noise(60 * RATE)), None)
    loop = assembly.loop([track], [messages.append], live=False)
    shadow = Shadow(settings, engine.manifest, loop.tracks, lambda: False)
    until(lambda: shadow.hash, "loaded")
    loop.compare = shadow.offer
    loop.run()
    windows = sum(isinstance(message, Tags) for message in messages)
    until(
        lambda: shadow.figures.windows + shadow.dropped + 1 >= windows, "all are accounted for"
    )  # the last has no hop
    assert windows > 60 and shadow.figures.windows >= 1
    shadow.close()


def test_while_the_live_engine_is_overloaded_everything_is_dropped(engines: Path) -> None:
    settings = Settings(engine=str(engines / "tiny"), shadow=str(engines / "other"), threads=1)
    engine = load_engine(engines / "tiny", 1)
    track = Assembly(settings, engine).track(File("night", noise(RATE)), None)
    shadow = Shadow(settings, engine.manifest, {"night": track}, lambda: True)
    shadow.offer(track, LOOK)
    assert shadow.dropped == 0  # it loads: there is nothing yet to be dropped
    until(lambda: shadow.hash, "loaded")
    shadow.offer(track, LOOK)
    assert (shadow.dropped, shadow.figures.windows) == (1, 0)
    shadow.close()


def test_a_reload_takes_up_what_was_built_anew_or_refused(engines: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(engines / "tiny", tmp_path / "next"))
    settings = Settings(engine=str(engines / "tiny"), shadow=str(folder), threads=1)
    live = load_engine(engines / "tiny", 1).manifest

    def begun() -> Shadow:
        shadow = Shadow(settings, live, {}, lambda: False)
        until(lambda: shadow.hash or shadow.refused, "loaded or refused")
        shadow.close()
        return shadow

    assert is_new(settings, None) and not is_new(Settings(), None)
    shadow = begun()
    assert shadow.hash and not is_new(settings, shadow)
    assert is_new(Settings(), shadow) and is_new(replace(settings, shadow=str(engines / "tiny")), shadow)
    shutil.rmtree(folder)
    assert is_new(settings, shadow)
    shutil.copytree(engines / "damaged", folder)
    refused = begun()
    assert refused.refused and is_new(settings, refused)
    shutil.rmtree(folder)
    shutil.copytree(engines / "other", folder)
    assert is_new(settings, shadow)


def test_streams_that_are_gone_are_forgotten(engines: Path) -> None:
    settings = Settings(engine=str(engines / "tiny"), shadow=str(engines / "other"), threads=1)
    engine = load_engine(engines / "tiny", 1)
    assembly = Assembly(settings, engine)
    tracks = {name: assembly.track(File(name, noise(RATE)), None) for name in ("night", "gone")}
    shadow = Shadow(settings, engine.manifest, tracks, lambda: False)
    until(lambda: shadow.hash, "loaded")
    for track in list(tracks.values()):
        shadow.offer(track, looked(engine, track))
    assert shadow._given.keys() == {"night", "gone"}
    del tracks["gone"]
    shadow.offer(tracks["night"], looked(engine, tracks["night"]))
    assert shadow._given.keys() == {"night"}
    shadow.close()


def looked(engine: Engine, track: Track) -> Seen:
    """The next look at a stream."""
    stream = track.channel.stream
    while not (seen := step(engine, [stream])):
        stream.append(noise(stream.wanted()))
    return seen[0]
