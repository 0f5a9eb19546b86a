"""Sixteen streams from real servers for hours, with servers killed, frozen and started again among them.

    python -m tests.soak.live --seconds 7200 --out soak.json

The first of the TCP and of the UDP senders are left alone: they pace by this machine's monotonic clock, so the drift
of their streams is the daemon's. The others fail in turn, one every `--every` seconds.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.servers.hls import Hls
from tests.servers.icecast import Icecast
from tests.servers.pcm import PcmTcp, PcmUdp
from tests.servers.process import Server
from tests.servers.rtp import Rtp
from tests.servers.rtsp import Rtsp
from tests.soak.watch import Daemon, Sample, flatness, sample
from tests.virtual_mic import VirtualMic

ROOT = Path(__file__).resolve().parents[2]
QUIET = ("tcp-1", "udp-1")  # never failed
SETTLE_S = 20.0  # before the first fault
RECOVER_S = 60.0  # at the end, without faults


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done to a server."""

    second: float
    stream: str
    kind: str
    seconds: float


def servers(sound: Path) -> dict[str, Server]:
    """Fourteen of them, by the name of their stream."""
    return {
        **{f"tcp-{number}": PcmTcp(sound) for number in range(1, 5)},
        **{f"udp-{number}": PcmUdp(sound) for number in range(1, 4)},
        **{f"icecast-{number}": Icecast(sound, codec) for number, codec in enumerate(("mp3", "vorbis"), 1)},
        **{f"rtsp-{number}": Rtsp(sound) for number in range(1, 4)},
        "rtp-1": Rtp(sound),
        "hls-1": Hls(sound),
    }


def play_for_ever(mic: VirtualMic, name: str, sound: Path) -> "subprocess.Popen[bytes]":
    """Play into a microphone, again and again."""
    loop = f"while :; do paplay --device={name} {sound}; done"
    return subprocess.Popen(["bash", "-c", loop], env=mic.environment, start_new_session=True)


def end(player: "subprocess.Popen[bytes]") -> None:
    """End what plays, and bury it."""
    os.killpg(player.pid, signal.SIGKILL)
    player.wait()


def fail(server: Server, kind: str, seconds: float) -> None:
    """Do something to a server for some seconds."""
    if kind == "kill":
        server.kill()
        time.sleep(seconds)
        server.start()
    else:
        server.freeze()
        time.sleep(seconds)
        server.thaw()


@contextlib.contextmanager
def everything(
    folder: Path,
) -> Iterator[tuple[dict[str, str], dict[str, str], dict[str, Callable[[str, float], None]]]]:
    """Sixteen streams: their URIs, the daemon's environment, and what makes each of them fail."""
    sound = folder / "street.wav"
    convert = ["ffmpeg", "-v", "error", "-y", "-i", str(ROOT / "demo" / "street.ogg")]
    subprocess.run([*convert, "-ar", "48000", "-ac", "1", "-c:a", "pcm_s16le", str(sound)], check=True)
    with contextlib.ExitStack() as stack:
        mic = stack.enter_context(VirtualMic("vmic_a", "vmic_b"))
        for name in ("vmic_a", "vmic_b"):
            player = play_for_ever(mic, name, sound)
            stack.callback(end, player)
        made = {name: stack.enter_context(server) for name, server in servers(sound).items()}
        uris = {name: server.uri for name, server in made.items()}
        uris |= {"mic-1": "mic:vmic_a", "mic-2": "mic:vmic_b"}

        def of_server(server: Server) -> Callable[[str, float], None]:
            return lambda kind, seconds: fail(server, kind, seconds)

        def suspend(_kind: str, seconds: float) -> None:
            mic.suspend("vmic_b", True)
            time.sleep(seconds)
            mic.suspend("vmic_b", False)

        failing = {name: of_server(server) for name, server in made.items() if name not in QUIET}
        yield uris, mic.environment, failing | {"mic-2": suspend}


def soak(
    seconds: float, every: float, folder: Path, seed: int = 0, settle_s: float = SETTLE_S, recover_s: float = RECOVER_S
) -> dict[str, Any]:
    """Run it; the report."""
    rng = random.Random(seed)
    faults: list[Fault] = []
    samples: list[Sample] = []
    with everything(folder) as (uris, environment, failing):
        config = folder / "glatd.toml"
        lines = ["publish = ''", "node = 'soak'"]
        lines += [f"[[source]]\nname = '{name}'\nuri = '{uri}'" for name, uri in uris.items()]
        config.write_text("\n".join(lines) + "\n")
        command = [sys.executable, "-m", "glatd.cli", "run", "--config", str(config), "--format", "jsonl"]
        daemon = Daemon(command, environment, folder / "daemon.log")
        try:
            began = time.monotonic()
            due = settle_s
            while (now := time.monotonic() - began) < seconds:
                assert daemon.process.poll() is None, (folder / "daemon.log").read_text()[-2000:]
                samples.append(sample(daemon.process.pid, began))
                if now >= due and now < seconds - recover_s:
                    due += every
                    name = rng.choice(sorted(failing))
                    kind, length = rng.choice(["kill", "freeze"]), rng.uniform(0.5, 6.0)
                    started = time.monotonic()
                    failing[name](kind, length)
                    faults.append(Fault(round(now, 1), name, kind, round(time.monotonic() - started, 2)))
                    with (folder / "progress.jsonl").open("a") as file:
                        file.write(json.dumps([asdict(faults[-1]), asdict(samples[-1])]) + "\n")
                time.sleep(min(5.0, max(0.1, due - (time.monotonic() - began))))
            states = daemon.states()
        finally:
            code = daemon.stop()
    return report(daemon, code, states, faults, samples)


def report(
    daemon: Daemon, code: int, states: dict[str, str], faults: list[Fault], samples: list[Sample]
) -> dict[str, Any]:
    """What came of it."""
    streams = {name: ledger.summary() for name, ledger in sorted(daemon.ledgers.items())}
    for name, stream in streams.items():
        of_stream = [fault for fault in faults if fault.stream == name]
        stream["faults"] = len(of_stream)
        stream["faults_s"] = round(sum(fault.seconds for fault in of_stream), 2)
    lates = [node["late_ms"] for node in daemon.nodes]
    return {
        "seconds": samples[-1].second,
        "exit_code": code,
        "streams_at_the_end": states,
        "faults": len(faults),
        "flatness": flatness(samples),
        "cores": round((samples[-1].cpu_s - samples[0].cpu_s) / (samples[-1].second - samples[0].second), 3),
        "late_ms": {
            "median_of_p99": sorted(lates)[len(lates) // 2] if lates else None,
            "worst_p99": max(lates, default=None),
        },
        "policy_steps": daemon.nodes[-1]["steps"] if daemon.nodes else None,
        "streams": streams,
        "trouble": {name: stream["trouble"] for name, stream in streams.items() if stream["trouble"]},
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=7200)
    parser.add_argument("--every", type=float, default=30)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="glatd-soak-"))
    print(f"in {folder}", flush=True)
    found = soak(options.seconds, options.every, folder)
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    head = {
        "date": datetime.date.today().isoformat(),
        "command": f"python -m tests.soak.live --seconds {options.seconds:g} --every {options.every:g} --out FILE",
        "commit": commit.stdout.strip(),
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
    }
    options.out.write_text(json.dumps(head | found, indent=1) + "\n")
    print(json.dumps(found["flatness"]), json.dumps(found["trouble"]), flush=True)


if __name__ == "__main__":
    main()
