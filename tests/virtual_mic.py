"""Microphones without a sound card: the monitors of null sinks, of a PulseAudio of the test's own."""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.conftest import SHARED

SCRIPT = SHARED / "virtual_mic.sh"
RATE = 48_000  # Hz, of the virtual microphones; mono, s16


class VirtualMic:
    """One sound server with a microphone for each of `names`, mono at 48 kHz. Use it as a context manager.

    What listens has to be a process of its own, started with `environment`, or to be given it.
    """

    def __init__(self, *names: str) -> None:
        if not SCRIPT.is_file():
            pytest.skip("needs ../shared/virtual_mic.sh, which is not beside this checkout")
        # Not pytest's folder: the path of a Unix socket has 108 bytes at most.
        self._folder = Path(tempfile.mkdtemp(prefix="glatd-mic-"))
        self._names = names
        self.environment: dict[str, str] = {}
        self.start()

    def start(self) -> None:
        """Start the server, with the microphones of the beginning; after `kill` on the same socket."""
        shell = subprocess.run(
            [SCRIPT, self._folder, *self._names], stdout=subprocess.PIPE, text=True, timeout=30, check=False
        )
        if shell.returncode:
            log = self._folder / "pulse.log"
            pytest.fail(f"no virtual microphone: {log.read_text() if log.exists() else 'see above'}")
        words = [line.removeprefix("export ").split("=", 1) for line in shell.stdout.splitlines()]
        exported = {name: shlex.split(value)[0] for name, value in words}
        self._server = int(exported.pop("VMIC_PID"))
        self.environment = os.environ | exported

    def __enter__(self) -> "VirtualMic":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def play(self, path: Path, name: str, places: str = "mono") -> None:
        """Play a recording into a microphone, in real time; returns when it has been played."""
        # A suspended microphone would let it wait for ever.
        command = ["paplay", f"--device={name}", f"--channel-map={places}", path]
        subprocess.run(command, env=self.environment, timeout=300, check=True)

    def add(self, name: str, places: str = "mono") -> None:
        """Plug in a microphone that `start` was told of, with channels at these places (`front-left,...`)."""
        channels = places.count(",") + 1
        form = (f"channels={channels}", f"channel_map={places}", f"rate={RATE}", "format=s16le", "norewinds=1")
        self._control("load-module", "module-null-sink", f"sink_name={name}", *form)

    def add_source(self, name: str, of: str) -> None:
        """Plug in a microphone of the server that hears the same as `of`, and that ALSA does not list."""
        form = (f"source_name={name}", f"master={of}.monitor", "remix=no")
        self._control("load-module", "module-remap-source", *form)

    def remove(self, name: str) -> None:
        """Unplug a microphone; the server moves who listens to another one, if there is any."""
        modules = [line.split("\t") for line in self._control("list", "short", "modules").splitlines()]
        (module,) = [words[0] for words in modules if f"_name={name} " in f"{words[2]} "]
        self._control("unload-module", module)

    def listeners(self) -> list[int]:
        """The processes that listen to a microphone, once for each stream."""
        listed = self._control("list", "source-outputs").splitlines()
        return [int(line.split('"')[1]) for line in listed if "application.process.id" in line]

    def suspend(self, name: str, suspended: bool) -> None:
        """Let a microphone give no more samples, or go on; those who listen are not told."""
        self._control("suspend-sink", name, str(int(suspended)))

    def _control(self, *words: str) -> str:
        done = subprocess.run(
            ["pactl", *words], env=self.environment, stdout=subprocess.PIPE, text=True, timeout=10, check=True
        )
        return done.stdout

    def freeze(self) -> None:
        """Let the sound server hang."""
        os.kill(self._server, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self._server, signal.SIGCONT)

    def kill(self) -> None:
        """Let the sound server die."""
        try:
            os.kill(self._server, signal.SIGKILL)
        except ProcessLookupError:
            return
        # It is a child of the script, which has ended: whoever adopted it buries it, perhaps late.
        for _ in range(100):
            if not _is_running(self._server):
                return
            time.sleep(0.02)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False
