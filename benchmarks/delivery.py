"""Events through the journal and the publisher to three subscribers: how many a second, and how late.

python -m benchmarks delivery. The producer is a process of its own with the daemon's journal, publisher and keys;
each subscriber is one too. A pass of the loop is 10 ms: its events are one commit. Figures count what every one of
the subscribers got; what ZeroMQ dropped would be asked for again, and makes a rate "not held" here.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import msgpack
import zmq

from benchmarks.machine import described, load_average
from glatd.clients.cursor import MemoryCursor
from glatd.clients.events import EventStream
from glatd.clients.keys import read_keys, use_keys
from glatd.daemon.journal.catchup import CatchUp
from glatd.daemon.journal.journal import Journal
from glatd.daemon.journal.upkeep import Upkeep
from glatd.daemon.publish import Publisher
from glatd.daemon.security import keyring
from glatd.daemon.security.access import make_access
from glatd.messages import Event

SUBSCRIBERS = 3
PASS_S = 0.01  # of the loop
FLAT_OUT = 100_000  # events
RATE_S = 10.0
LATENCY_S = 20.0
START_S = 30.0


def event(number: int, now: float) -> Event:
    """An event as the daemon makes it; `onset` has the monotonic time in us."""
    return Event(
        "edge-1", "0123456789abcdef", "yard", "2026-01-01T00:00:25.920000Z", offset=0, id=f"{number // 2:x}",
        phase="end" if number % 2 else "start", label="Dog", mid="/m/0bt9lr", rate=32_000, onset=round(1e6 * now),
        offset_time=None, peak=0.93, mean=0.88,
        evidence={"crop": [604_800, 700_800], "global": 0.84, "local": 0.93, "fused": 0.91, "chosen_for": "Dog"},
        cause="", onset_at="2026-01-01T00:00:20.000000Z",
    )  # fmt: skip


def produce(folder: str, publish: str, catchup: str, keys: str, sync: str, count: int, rate: float) -> None:
    """Publish so many events, at a rate or, with 0, as fast as it goes; then print the seconds that it took."""
    access = make_access(keys, False)
    with (
        closing(Journal(Path(folder), sync == "full")) as journal,
        closing(Upkeep(journal, days=1, megabytes=1000)),
        closing(Publisher(publish, access)) as publisher,
        closing(CatchUp(catchup, journal, "edge-1", access)),
    ):
        publisher.packed = journal.packed
        # XPUB does not say from whom: subscriptions to one topic come as one.
        publisher.wait_for_subscriber(START_S, threading.Event())
        print("ready", flush=True)
        sys.stdin.readline()
        began, number = time.monotonic(), 0
        while number < count:
            now = time.monotonic()
            due = min(count, int((now - began) * rate) if rate else number + 200)
            for each in journal.append([event(index, time.monotonic()) for index in range(number, due)]):
                publisher(each)
            number = max(number, due)
            if rate:
                time.sleep(max(0.0, PASS_S - (time.monotonic() - now)))
        print(time.monotonic() - began, time.process_time(), flush=True)
        signal.pause()


def subscribe(publish: str, keys: str, count: int) -> None:
    """Take so many events, or what comes until 2 s of quiet; print how many, when the last came, and how late."""
    late: list[int] = []
    last, got = 0.0, 0
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.rcvhwm, socket.linger = 10_000, 0
        use_keys(socket, read_keys(Path(keys)) if keys else None)
        socket.subscribe("event/")
        socket.connect(publish)
        print("ready", flush=True)
        while got < count and socket.poll(2000 if got else 60_000):
            with contextlib.suppress(zmq.Again):
                while got < count:
                    payload = socket.recv_multipart(zmq.DONTWAIT)[1]
                    last = time.monotonic()
                    late.append(round(1e6 * last) - msgpack.unpackb(payload)["onset"])
                    got += 1
    late.sort()
    print(json.dumps({"got": got, "last": last, "late_us": [late[int(q * (len(late) - 1))] for q in (0.5, 0.99, 1)]}))


@contextlib.contextmanager
def process(*arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """This module in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.delivery", *map(str, arguments)]
    made = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent
    )
    try:
        yield made
    finally:
        made.kill()
        made.communicate()


def line(made: "subprocess.Popen[str]") -> str:
    """The next line that it prints."""
    assert made.stdout is not None
    return made.stdout.readline().strip()


def go(folder: Path, curve: bool, sync: str, count: int, rate: float) -> dict[str, Any]:
    """One run."""
    ring, client = "", ""
    if curve:
        ring = f"{folder}/keys"
        keyring.init(Path(ring))
        client = str(keyring.add(Path(ring), "bench", ["subscribe"]))
    # TCP, as between machines.
    endpoints = [f"tcp://127.0.0.1:{port}" for port in free_ports(2)]
    before = load_average()
    with ExitStack() as stack:
        producer = stack.enter_context(
            process("produce", folder / "journal", *endpoints, ring or "-", sync, count, rate)
        )
        time.sleep(0.5)
        listeners = [
            stack.enter_context(process("subscribe", endpoints[0], client or "-", count)) for _ in range(SUBSCRIBERS)
        ]
        assert [line(each) for each in (*listeners, producer)] == ["ready"] * (SUBSCRIBERS + 1)
        time.sleep(1.0)  # for the subscriptions of the others
        began = time.monotonic()
        assert producer.stdin is not None
        producer.stdin.write("go\n")
        producer.stdin.flush()
        seconds, cpu = map(float, line(producer).split())
        heard = [json.loads(line(each)) for each in listeners]
        stream = catch_up(endpoints, client, count) if not rate else None
    return {
        "curve": curve,
        "sync": sync,
        "asked_per_s": rate or "flat out",
        "published_per_s": round(count / seconds),
        "producer_us": round(1e6 * cpu / count, 1),
        "heard_per_s": round(count / (max(each["last"] for each in heard) - began)),
        "got_live": [each["got"] for each in heard],
        "of": count,
        "late_p50_ms": max(each["late_us"][0] for each in heard) / 1000,
        "late_p99_ms": max(each["late_us"][1] for each in heard) / 1000,
        "late_max_ms": max(each["late_us"][2] for each in heard) / 1000,
        "catch_up_per_s": stream,
        "load_before": before,
    }


def catch_up(endpoints: list[str], client: str, count: int) -> int:
    """Events a second that one `EventStream` takes that was away for all of them."""
    began = time.monotonic()
    with EventStream(endpoints[0], endpoints[1], MemoryCursor(), timeout=10, keys=client or None) as events:
        for _ in range(count):
            next(events)
    return round(count / (time.monotonic() - began))


def free_ports(count: int) -> list[int]:
    """TCP ports that nobody uses now."""
    import socket

    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def measure() -> dict[str, Any]:
    """All runs."""
    before = load_average()
    runs = []
    for curve, sync, count, rate in (
        (False, "normal", FLAT_OUT, 0),
        (True, "normal", FLAT_OUT, 0),
        (True, "normal", int(20_000 * RATE_S), 20_000),
        (True, "normal", int(10_000 * RATE_S), 10_000),
        (False, "normal", int(1000 * LATENCY_S), 1000),
        (True, "normal", int(1000 * LATENCY_S), 1000),
        (True, "full", int(1000 * LATENCY_S), 1000),
    ):
        with tempfile.TemporaryDirectory(prefix="glatd-") as folder:
            os.chmod(folder, 0o700)
            runs.append(go(Path(folder), curve, sync, count, rate))
            print(json.dumps(runs[-1]), file=sys.stderr)
    return described("python -m benchmarks delivery", before) | {"subscribers": SUBSCRIBERS, "runs": runs}


if __name__ == "__main__":
    what, *given = (text if text != "-" else "" for text in sys.argv[1:])
    if what == "produce":
        produce(*given[:5], int(given[5]), float(given[6]))  # type: ignore[misc]
    else:
        subscribe(given[0], given[1], int(given[2]))
