"""A daemon that runs is given other engines: no window is missing, none comes twice, and what cannot be is refused."""

import os
import shutil
import signal
import threading
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from glatd.clients.control import Refused, ask
from glatd.errors import GlatdError
from tests.daemon.processes import free_endpoint, glatd, messages
from tests.daemon.swap.box import EVENTS, STREAMS, box, follow_each_other, until
from tests.daemon.swap.conftest import GONE, GROUP, KEPT, NEW, hash_of

TOLERANCE = 1e-5  # of a score: frames are computed in runs of other lengths


def scores(message: dict[str, Any]) -> dict[str, float]:
    return {tag["label"]: tag["score"] for tag in message["tags"]}


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert (found["start"], found["filled"]) == (expected["start"], expected["filled"])
    one, other = scores(found), scores(expected)
    assert one.keys() == other.keys() and len(one) == 527
    assert max(abs(one[label] - other[label]) for label in one) <= TOLERANCE, found["end"]


def replayed(recording: Path, engine: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """What an engine says of a recording that it has for itself from the start, by stream and end."""
    done = glatd("replay", recording, "--engine", engine, "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    return {(m["stream"], m["end"]): m for m in messages(done.stdout) if m["type"] == "tags"}


@pytest.mark.timeout(300)  # it runs in real time, and then once more by each engine
def test_engines_follow_each_other_and_each_window_is_that_of_a_fresh_daemon(engines: Path, tmp_path: Path) -> None:
    order: Sequence[str] = ("tiny", "tiny", "half", "other", "relabelled")
    record = tmp_path / "recording"
    with box(tmp_path, engine=str(engines / order[0]), record=str(record), top=0) as daemon:
        daemon.hears_on(hash_of(engines / order[0]), 3)
        for before, name in pairwise(order):
            told = daemon.swap(engines / name)
            assert (told["engine"], told["before"]) == (hash_of(engines / name), hash_of(engines / before))
            daemon.hears_on(told["engine"])
        node = daemon.process.wait_for(lambda m: m["type"] == "node" and m["swaps"] == len(order) - 1)
        assert (node["engine"], node["trouble"]) == (hash_of(engines / order[-1]), "")
        assert daemon.process.end(signal.SIGTERM) == 0
        assert not [line for line in daemon.process.errors if "ERROR" in line or "Traceback" in line]
        assert len(daemon.said("took over from")) == len(order) - 1

    fresh = {name: replayed(record, engines / name) for name in set(order)}
    compared = glatd("replay", record, "--engine", engines / "other", "--expect", record)
    assert compared.returncode == 0, compared.stdout
    assert f"that the engine {hash_of(engines / 'tiny')} looked at; replay with that one to compare" in compared.stdout
    of = {hash_of(engines / name): name for name in order}
    for stream in STREAMS:
        windows = daemon.windows(stream)
        follow_each_other(windows)
        seen = dict.fromkeys(m["engine"] for m in windows)
        assert list(seen) == [hash_of(engines / name) for name in order[1:]]
        for window in windows:
            same(window, fresh[of[window["engine"]]][stream, window["end"]])
        assert {m["type"] for m in daemon.process.messages if m["stream"] == stream} <= {"tags", "status", "event"}

        events = [m for m in daemon.process.messages if (m["type"], m["stream"]) == ("event", stream)]
        kept, gone = ([(m["phase"], m["cause"]) for m in events if m["label"] == label] for label in (KEPT, GONE))
        phases = [phase for phase, _ in kept if phase != "update"]
        assert phases == ["start", "end"] and len({m["id"] for m in events if m["label"] == KEPT}) == 1, kept
        assert ("end", "the engine was changed, and the new one has no such class") in gone
        assert not [m for m in events if m["label"] == NEW]  # no rule tells it


REFUSED = {
    "damaged": "is damaged",
    "lying": "does not answer as the network that it was built from",
    "forged": "certificate.json has version None",
    "slow": "wants 16000 Hz, and the streams are resampled to 32000 Hz",
    "large": "not enough memory for tiny",
    "nowhere": "is no engine",
}


def test_what_cannot_take_over_is_refused_in_a_line_and_the_old_engine_stays(engines: Path, tmp_path: Path) -> None:
    metrics = free_endpoint().replace("tcp://", "http://")
    journal = tmp_path / "journal"
    with box(tmp_path, engine=str(engines / "tiny"), metrics=metrics, journal=str(journal)) as daemon:
        own = hash_of(engines / "tiny")
        daemon.hears_on(own)
        for name, said in REFUSED.items():
            with pytest.raises(Refused, match=said):
                daemon.swap(engines / name)
        told = glatd("control", daemon.endpoint, "engine", engines / "lying")
        assert told.returncode == 1 and told.stderr.count("\n") == 1 and "build it again" in told.stderr
        node = daemon.process.wait_for(lambda m: m["type"] == "node" and "lying" in m["trouble"])
        assert (node["engine"], node["swaps"]) == (own, 0)
        assert read(f"{metrics}/healthz").startswith(f"ok, but engine {engines / 'lying'} was refused: ")
        found = read(f"{metrics}/metrics")
        assert f"glatd_engine_refusals_total {len(REFUSED) + 1}.0" in found and "glatd_trouble 1.0" in found
        # The same line twice is told once.
        until(lambda: len(daemon.said(f"the engine stays tiny {own}: ")) >= len(REFUSED), "logged")

        # A rule for a class that the engine has not: as at the start.
        rule = f'[[events.rule]]\nlabels = ["{GONE}"]\nchildren = false\non = 0.9\n'
        daemon.reload(events=rule)
        until(lambda: daemon.said("events are told by the rules of the configuration"), "other rules")
        with pytest.raises(Refused, match=f"has no class '{GONE}'"):
            daemon.swap(engines / "relabelled")
        daemon.hears_on(own)

        # The next one that can take over is no trouble any more.
        reply = glatd("control", daemon.endpoint, "engine", engines / "other")
        new = hash_of(engines / "other")
        assert (reply.returncode, reply.stdout) == (0, f"other {new} has taken over from {own}\n")
        daemon.process.wait_for(lambda m: m["type"] == "node" and m["engine"] == new and not m["trouble"])
        assert read(f"{metrics}/healthz") == "ok\n"
        assert f'engine="{new}"' in read(f"{metrics}/metrics")
        daemon.hears_on(new)
        assert daemon.process.end(signal.SIGTERM) == 0
        for stream in STREAMS:
            follow_each_other(daemon.windows(stream))
        assert not [line for line in daemon.process.errors if "Traceback" in line]


def test_the_configuration_changes_the_engine_and_the_rules_of_events(engines: Path, tmp_path: Path) -> None:
    engine = Path(shutil.copytree(engines / "tiny", tmp_path / "engine"))
    with box(tmp_path, engine=str(engine)) as daemon:
        daemon.hears_on(hash_of(engines / "tiny"))
        daemon.process.wait_for(lambda m: m["type"] == "event" and (m["label"], m["phase"]) == (GONE, "start"))

        daemon.reload(top=3)  # nothing that concerns the engine
        until(lambda: daemon.said("need a restart to change: top"), "told of what needs a restart")
        daemon.reload(events=EVENTS.replace(f'"{GROUP}", ', ""))
        daemon.process.wait_for(lambda m: m["type"] == "event" and (m["label"], m["cause"]) == (GONE, "muted"))
        assert not daemon.said("took over")

        # The folder is the same, and what is in it is not: as `glatd engine build` leaves it.
        shutil.rmtree(engine)
        shutil.copytree(engines / "other", engine)
        daemon.reload()
        daemon.hears_on(hash_of(engines / "other"))
        # One that cannot be, in the file: told, and the rest of the file holds.
        daemon.reload(engine=str(engines / "damaged"), events=EVENTS.replace(f', "{KEPT}"', ""))
        until(lambda: daemon.said("is damaged"), "refused")
        daemon.process.wait_for(lambda m: m["type"] == "event" and (m["label"], m["cause"]) == (KEPT, "muted"))
        with pytest.raises(Refused, match="is damaged"):
            ask(daemon.endpoint, "reload", timeout=60)
        daemon.write(engine=str(engines / "tiny"))
        told = glatd("control", daemon.endpoint, "reload")
        now = f"engine tiny {hash_of(engines / 'tiny')}"
        assert told.stdout == f"reloaded no source has changed; needs a restart: top; {now}\n"
        daemon.hears_on(hash_of(engines / "tiny"))
        assert daemon.process.end(signal.SIGTERM) == 0
        for stream in STREAMS:
            follow_each_other(daemon.windows(stream))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_end_in_the_middle_of_a_swap_leaves_everything_whole(
    engines: Path, tmp_path: Path, number: signal.Signals
) -> None:
    journal = tmp_path / "journal"
    settings = {"engine": str(engines / "tiny"), "journal": str(journal)}
    with box(tmp_path, **settings) as daemon:
        daemon.process.wait_for(lambda m: m["type"] == "event" and m["phase"] == "start")

        def swap(name: str) -> None:
            with suppress(GlatdError):  # nobody answers
                ask(daemon.endpoint, "engine", engine=str(engines / name), timeout=5)

        for name in 10 * ("other", "tiny"):  # so small an engine may be there before anybody has looked
            asking = threading.Thread(target=swap, args=(name,))
            asking.start()
            while asking.is_alive() and not loads(daemon.endpoint):
                pass
            if asking.is_alive():
                break
            asking.join()
        assert daemon.process.end(number) == (-number if number == signal.SIGKILL else 0)
        asking.join()
    with box(tmp_path, **settings) as daemon:
        daemon.hears_on(hash_of(engines / "tiny"))
        told = [m for m in daemon.process.messages if m["type"] == "event"]
        ended = [m for m in told if m["phase"] == "end"]
        assert bool(ended) == (number == signal.SIGKILL)  # by the daemon itself, or by the next one
        assert told[0]["offset"] > 1
        assert daemon.process.end(signal.SIGTERM) == 0


def loads(endpoint: str) -> bool:
    """Whether an engine is being loaded: then another is not."""
    with pytest.raises(Refused) as refused:
        ask(endpoint, "engine", engine="/nowhere")
    return "another engine is being loaded" in str(refused.value)


@pytest.mark.parametrize("swaps", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_what_the_old_engine_had_is_given_back(engines: Path, tmp_path: Path, swaps: int) -> None:
    with box(tmp_path, engine=str(engines / "tiny")) as daemon:
        daemon.hears_on(hash_of(engines / "tiny"))
        held = []
        for number in range(swaps):
            name = ("other", "tiny")[number % 2]
            daemon.swap(engines / name)
            daemon.hears_on(hash_of(engines / name), 1)
            node = daemon.process.wait_for(lambda m, n=number: m["type"] == "node" and m["swaps"] == n + 1)
            held.append((node["memory_mb"], threads(daemon.process.process.pid)))
        # The first ones warm up what is shared; then none may leave anything behind.
        assert held[-1][0] - held[1][0] < 5 + 0.5 * swaps, held
        assert held[-1][1] <= held[1][1] + 2, held


def threads(process: int) -> int:
    return len(os.listdir(f"/proc/{process}/task"))


def read(url: str) -> str:
    """A page."""
    with urllib.request.urlopen(url, timeout=30) as page:
        text: str = page.read().decode()
    return text
