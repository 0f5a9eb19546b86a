"""What the commands of the documentation find when they are run: recordings, configurations, a daemon, servers."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from glatd.audio import read_mono
from glatd.clients.feeder import AudioFeeder
from tests.conftest import ROOT, SHARED
from tests.daemon.processes import GLATD, free_endpoint, started
from tests.daemon.sounds import write_wav
from tests.docs.pages import Command
from tests.servers.hooks import receiving
from tests.servers.jetstream import JetStream
from tests.servers.mosquitto import PASSWORD, Mosquitto
from tests.virtual_mic import VirtualMic

PATIENCE_S = 400.0  # for a command to end, or to be up: the machine may be as busy as it likes
BORROWED = ("demo", "trainer", "deploy", "scripts", "Makefile")  # of the checkout
RATE = 32_000  # Hz


class World:
    """Everything that pages share. Use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.publish, self.catchup, self.feed = free_endpoint(), free_endpoint(), free_endpoint()
        self.secured, self._stack = free_endpoint(), ExitStack()
        self.control = f"ipc://{folder}/c"
        self.environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        self._enough = threading.Event()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._enough.set()
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        street = read_mono(ROOT / "demo" / "street.ogg", RATE)
        for name, first, seconds in (("night", 13, 8), ("knock", 13, 5), ("quiet", 0, 4)):
            wave = write_wav(self.folder / f"{name}.wav", street[first * RATE : (first + seconds) * RATE])
            wave.rename(wave.with_suffix(".flac"))  # FFmpeg looks inside
        if (SHARED / "virtual_mic.sh").is_file() and all(map(shutil.which, ("pulseaudio", "pactl"))):
            self.environment |= stack.enter_context(VirtualMic("vmic_a")).environment
            self.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            self.microphone = "vmic_a"
        else:
            self.microphone = ""
        (self.folder / "daemon.toml").write_text(
            f'node = "edge-1"\npublish = "{self.publish}"\ncatchup = "{self.catchup}"\ncontrol = "{self.control}"\n'
            f'journal = "{self.folder}/journal"\nstatus_seconds = 1.0\nevents.on = 0.2\nevents.off = 0.1\n'
            f'[[source]]\nname = "yard"\nuri = "zmq+{self.feed}"\n'
        )
        daemon = stack.enter_context(
            started([*GLATD, "run", "--config", str(self.folder / "daemon.toml"), "--format", "jsonl"])
        )
        recorder = [*GLATD, "run", "--source", f"yard=file:{self.folder}/night.flac", "--publish", free_endpoint()]
        recording = stack.enter_context(started([*recorder, "--record", str(self.folder / "night")]))
        sound = (np.clip(street[14 * RATE : 20 * RATE], -1, 1) * 32_767).astype("<i2").tobytes()
        feeder = threading.Thread(target=self._feed, args=(sound,))
        stack.callback(lambda: (self._enough.set(), feeder.join()))
        feeder.start()
        self.broker, self.guarded = stack.enter_context(Mosquitto()), stack.enter_context(Mosquitto(tls=True))
        self.jetstream, self.receiver = stack.enter_context(JetStream()), stack.enter_context(receiving())
        daemon.wait_for(lambda message: message["type"] == "tags", PATIENCE_S)
        assert recording.process.wait(PATIENCE_S) == 0, recording.errors

    def _feed(self, sound: bytes) -> None:
        """The barking of the demo, over and over, in real time."""
        with closing(AudioFeeder(f"{self.feed}", rate=RATE)) as feeder:
            piece, at = RATE, 0  # bytes: half a second
            while not self._enough.wait(0.5):
                feeder.push(sound[at : at + piece])
                at = (at + piece) % len(sound)

    def page(self, name: str) -> "Place":
        """A folder of its own in which the commands of a page are run, with what they name."""
        place = self.folder / name.replace("/", "_")
        for folder in ("home", "etc", "var", "clients/node/lib"):
            (place / folder).mkdir(parents=True)
        for entry in BORROWED:
            (place / entry).symlink_to(ROOT / entry)
        for entry in ("night.flac", "knock.flac", "quiet.flac"):
            shutil.copy(self.folder / entry, place)
        for target in (place / "night", place / "var" / "night"):
            shutil.copytree(self.folder / "night", target)
        for target in (place / "models" / "glat-mn04", place / "new"):  # as committed: exported by the commands
            target.mkdir(parents=True)
            for entry in ("model.json", "weights.safetensors", "metrics.json"):
                shutil.copy(ROOT / "models" / "glat-mn04" / entry, target)
        (place / "knocks.csv").write_text("filename,onset,offset,event_label\nknock.flac,1.6,6.4,Dog\nquiet.flac,,,\n")
        config = f'publish = "{free_endpoint()}"\n[[source]]\nuri = "file:{place}/night.flac"\n'
        for target in (place / "glatd.toml", place / "etc" / "glatd.toml"):
            target.write_text(config)
        (place / "site.toml").write_text('[[events.rule]]\nlabels = ["Dog"]\non = 0.4\n')
        secret = place / "mqtt.password"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o600)
        shutil.copy(self.guarded.ca, place / "ca.pem")
        return Place(self, place)


class Place:
    """Where the commands of one page run, one after the other; those that last go on until `stop`."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world, self._folder = world, folder
        self._environment = world.environment | {"HOME": str(folder / "home")}
        self._lasting: list[tuple[Command, subprocess.Popen[str], Path]] = []

    def words(self, command: Command) -> str:
        """The command with the hosts, ports and folders of this world in the place of the page's."""
        world, text = self._world, command.bare
        for pattern, value in (
            (r"ipc:///run/glatd/control|\bENDPOINT\b", world.control),
            (r"/var/lib/glatd\b", f"{self._folder}/var"),
            (r"/etc/glatd\b", f"{self._folder}/etc"),
            (r"tcp://(node|0\.0\.0\.0):5555", world.secured),
            (r"--keys phone\.key", "--keys keys/phone.key"),
            (r"--out tcp://127\.0\.0\.1:5555", f"--out {free_endpoint()}"),
            (r"tcp://(127\.0\.0\.1|north|south):5555", world.publish),
            (r"tcp://127\.0\.0\.1:5557", world.catchup),
            (r"mqtts://glatd@homeassistant\.local:8883", world.guarded.uri),
            (r"mqtt://(host|127\.0\.0\.1)(?=\s|$)", world.broker.uri),
            (r"https://(host|example\.org)/heard", world.receiver.url),
            (r"nats://127\.0\.0\.1:4222", world.jetstream.uri),
            (r"tgram://TOKEN/CHAT", world.receiver.url.replace("http", "json", 1)),
            (r"--at (71\.5|4512\.3)", "--at 4"),
            (r"\bBUNDLE\b", "models/glat-mn04"),
            (r" \[DIR\]", ""),
            (r"--out DIR\b", "--out built"),
            (r"--engine DIR \.\.\.", f"--engine {ROOT}/engines/default --source mic:"),
            (r"mic:(USB)?(?=\s|$)", f"mic:{world.microphone}" if world.microphone else "file:night.flac"),
        ):
            text = re.sub(pattern, value, text)
        if re.match(r"glatd run\b(?!.*--(publish|config))", text):
            text += f" --publish {free_endpoint()}"
        if re.match(r"glatd hub\b(?!.*--out)", text):
            text += f" --out {free_endpoint()}"
        if re.match(r"glatd bridge\b(?!.*--(publish|test))", text):
            text += f" --publish {world.publish}"
        return text

    def run(self, command: Command, codes: tuple[int, ...], patience: float = PATIENCE_S) -> None:
        """To its end, which must come with one of these exit codes."""
        process, log = self._start(command)
        try:
            code = process.wait(patience)
        except subprocess.TimeoutExpired:
            self._kill(process)
            pytest.fail(f"{command}\ndid not end\n{log.read_text(errors='replace')[-2000:]}")
        said = log.read_text(errors="replace")
        assert code in codes and "Traceback" not in said, f"{command}\nexit code {code}\n{said[-2000:]}"

    def start(self, command: Command) -> None:
        """Until it is up: it then takes SIGTERM to end well."""
        process, log = self._start(command)
        self._lasting.append((command, process, log))
        until = time.monotonic() + PATIENCE_S
        while not any(map(takes_sigterm, members(process.pid))):
            said = log.read_text(errors="replace")[-2000:]
            assert process.poll() is None, f"{command}\nended with {process.returncode}\n{said}"
            assert time.monotonic() < until, f"{command}\nis not up\n{said}"
            time.sleep(0.2)

    def stop(self) -> None:
        """End what lasts: each must still run, and end well."""
        for command, process, log in self._lasting:
            assert process.poll() is None, f"{command}\nended\n{log.read_text(errors='replace')[-2000:]}"
        for _, process, _ in self._lasting:
            for member in filter(takes_sigterm, members(process.pid)):
                os.kill(member, signal.SIGTERM)
        lasting, self._lasting = self._lasting, []
        for command, process, log in lasting:
            code = process.wait(PATIENCE_S)
            said = log.read_text(errors="replace")
            assert code == 0 and "Traceback" not in said, f"{command}\nexit code {code}\n{said[-2000:]}"

    def close(self) -> None:
        """Kill what was left."""
        for _, process, _ in self._lasting:
            self._kill(process)
        self._lasting.clear()

    def _start(self, command: Command) -> tuple["subprocess.Popen[str]", Path]:
        log = self._folder / f"line-{command.line}.log"
        with log.open("w") as out:
            process = subprocess.Popen(
                ["bash", "-c", self.words(command)], cwd=self._folder, env=self._environment, text=True,
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        return process, log

    @staticmethod
    def _kill(process: "subprocess.Popen[str]") -> None:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def members(session: int) -> list[int]:
    """The processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(") ")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def takes_sigterm(pid: int) -> bool:
    """Whether a process has a handler for it, as glatd has once it has begun."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    (caught,) = re.findall(r"^SigCgt:\s*(\w+)", status, re.M)
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)
