"""A night full of trouble: one daemon, a stream for each fault of a network, all of them at about the same time."""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.daemon.processes import running
from tests.faults.servers import DamagedIcecast, LossyRtp, MutePcm, NamelessPcm, own_names
from tests.faults.watch import Figures, Watch, measure
from tests.servers.icecast import Icecast
from tests.servers.pcm import PcmTcp
from tests.servers.process import Server
from tests.servers.rtsp import Rtsp

TAGS = 3  # of every stream, before the first fault and after the last
FOUND_OUT_S = 21.0  # after which a sender that fell behind is known to have lost what it did not send
LOSS = 0.2  # share of the RTP packets
DAMAGED = 0.05  # share of the RTP packets with a header of garbage, or of what a connection brings
FLOOD = 5.0  # times as fast as real time
WITNESS = "witness"


def killed(server: Any, seconds: float) -> None:
    server.kill()
    time.sleep(seconds)
    server.start()


def restarted(server: Any, _: float) -> None:
    server.restart()


def stalled(server: Any, seconds: float) -> None:
    server.freeze()
    time.sleep(seconds)
    server.thaw()


def feeder_killed(server: Any, seconds: float) -> None:
    server.feeder.end()
    time.sleep(seconds)
    server.feed()


def flooding(server: Any, seconds: float) -> None:
    server.flood(FLOOD)
    time.sleep(seconds)
    server.flood(1.0)


def losing(server: Any, seconds: float) -> None:
    server.relay.drop(LOSS)
    time.sleep(seconds)
    server.relay.drop(0.0)


def damaging(server: Any, seconds: float) -> None:
    server.relay.spoil(DAMAGED)
    time.sleep(seconds)
    server.relay.spoil(0.0)


def dropping(server: Any, seconds: float) -> None:
    server.drop(seconds)
    time.sleep(seconds)


def nothing(_: Any, seconds: float) -> None:
    time.sleep(seconds)


def spoken(server: Any, seconds: float) -> None:
    time.sleep(seconds)
    server.speak()


def named(server: Any, seconds: float) -> None:
    time.sleep(seconds)
    server.become_known()


HIDDEN = (dropping, damaging)  # what is lost without a word of the sender is found by the clock alone


@dataclass(frozen=True, slots=True)
class Row:
    """A stream, and what happens to it."""

    stream: str
    fault: str  # in words
    make: Callable[[], Server]
    provoke: Callable[[Any, float], None]  # returns when a new listener would be served again
    from_the_start: bool = False  # whether it is there when the daemon starts
    at_least: float = 0.0  # s, where a shorter fault would be over before it can be noticed


DATAGRAMS_AND_ICECAST = [
    Row(WITNESS, "none: a stream beside those of Icecast and RTP", PcmTcp, nothing),
    Row("ice-killed", "Icecast killed, started again", Icecast, killed),
    Row("ice-stalled", "Icecast stalled (SIGSTOP), goes on", Icecast, stalled),
    Row("ice-restarted", "Icecast restarted", Icecast, restarted),
    Row("ice-feeder", "what feeds Icecast killed, started again", Icecast, feeder_killed),
    Row("ice-damaged", "garbage in an Icecast stream (MP3)", DamagedIcecast, damaging),
    Row("rtp-loss", f"{LOSS:.0%} of the RTP packets lost", LossyRtp, losing),
    Row("rtp-damaged", f"garbage for a header in {DAMAGED:.0%} of the RTP packets", LossyRtp, damaging),
]
CAMERAS_AND_PCM = [
    Row(WITNESS, "none: a stream beside those of cameras and PCM", PcmTcp, nothing),
    Row("cam-killed", "RTSP camera killed, started again", Rtsp, killed),
    Row("cam-stalled", "RTSP camera stalled (SIGSTOP), goes on", Rtsp, stalled),
    Row("cam-restarted", "RTSP camera restarted", Rtsp, restarted),
    Row("cam-video", "none: a camera that also sends video", partial(Rtsp, video=True), nothing),
    Row("pcm-drop", "a PCM sender drops sound, connection kept", PcmTcp, dropping),
    Row("pcm-flood", f"a PCM sender floods, {FLOOD:g} x real time", PcmTcp, flooding),
    Row("pcm-mute", "a PCM server accepts and sends nothing at first", MutePcm, spoken, True, 14),
    Row("pcm-name", "a host whose name does not resolve at first", NamelessPcm, named, True),
]


@dataclass(slots=True)
class Night:
    """What was seen."""

    watch: Watch
    servers: dict[str, Any]
    figures: dict[str, Figures] = field(default_factory=dict)
    faults: dict[str, tuple[float, float]] = field(default_factory=dict)  # monotonic s, begin and end
    late: dict[str, float] = field(default_factory=dict)  # s, of the witness's windows: before and in the faults
    asked: set[str] = field(default_factory=set)  # cameras whose picture was asked for
    code: int | None = None

    def check_witness(self, stream: str) -> None:
        """A stream without a fault: nothing lost, nothing to tell, and the daemon ended well."""
        figures = self.figures[stream]
        assert figures.lost == 0 and figures.noticed is None and figures.adds_up, figures
        assert self.code == 0
        assert not [line for line in self.watch.daemon.errors if "Traceback" in line or "ERROR" in line]


def spend(folder: Path, seconds: float, chosen: Sequence[Row]) -> Night:
    """Run it.

    Args:
        folder: for files.
        seconds: that each fault lasts.
        chosen: one of them the witness.
    """
    hosts = folder / "hosts"
    hosts.write_text("")
    with ExitStack() as stack:
        servers: dict[str, Any] = {row.stream: row.make() for row in chosen}
        for server in servers.values():
            if isinstance(server, NamelessPcm):
                server.hosts = hosts
        with ThreadPoolExecutor(len(chosen)) as pool:
            list(pool.map(stack.enter_context, servers.values()))
        config = folder / "glatd.toml"
        sources = [f"[[source]]\nname = '{name}'\nuri = '{server.uri}'\n" for name, server in servers.items()]
        config.write_text("publish = ''\nstatus_seconds = 2.0\nlatency = 0.05\n" + "".join(sources))
        began = time.monotonic()
        command = ("run", "--config", config, "--format", "jsonl")
        daemon = stack.enter_context(running(*command, environment=os.environ | own_names(hosts)))
        night = Night(Watch(daemon), servers)

        def happen(row: Row) -> None:
            """One fault, until the stream is well again."""
            if not row.from_the_start:
                night.watch.wait_for_tags(row.stream, 0.0, TAGS)
                all_live.wait(60)
            at = began if row.from_the_start else time.monotonic()
            row.provoke(servers[row.stream], max(seconds, row.at_least))
            over = time.monotonic()
            night.faults[row.stream] = at, over
            night.watch.wait_for_tags(row.stream, over, TAGS)

        all_live = threading.Barrier(sum(not row.from_the_start for row in chosen))
        with ThreadPoolExecutor(len(chosen)) as pool:
            list(pool.map(happen, chosen))
        if seconds > FOUND_OUT_S and any(row.provoke in HIDDEN for row in chosen):
            time.sleep(FOUND_OUT_S)
        night.asked = {name for name, server in servers.items() if getattr(server, "video_was_asked_for", False)}
        night.code = daemon.end(signal.SIGTERM)
        for row in chosen:
            night.figures[row.stream] = measure(night.watch, row.stream, row.fault, *night.faults[row.stream])
        night.late = lateness(night.watch, *night.faults[WITNESS])
    return night


def lateness(watch: Watch, began: float, over: float) -> dict[str, float]:
    """The latest window of the witness, in s, by what the daemon says of it in its status."""
    late = [(one.at, one.message["late_ms"] / 1000) for one in watch.of(WITNESS) if one.state == "live"]
    return {
        "before": max((value for at, value in late if at < began), default=0.0),
        "meanwhile": max((value for at, value in late if began <= at <= over + 2), default=0.0),
    }
