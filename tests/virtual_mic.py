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
    """One sound server with a microphone for each of `names`. Use it as a context manager.

    PortAudio asks for the sound server once, when it starts: what listens has to be a process of its own,
    started with `environment`.
    """

    def __init__(self, *names: str) -> None:
        if not SCRIPT.is_file():
            pytest.skip("needs ../shared/virtual_mic.sh, which is not beside this checkout")
        # Not pytest's folder: the path of a Unix socket has 108 bytes at most.
        self._folder = Path(tempfile.mkdtemp(prefix="glatd-mic-"))
        shell = subprocess.run(
            [SCRIPT, self._folder, *names], stdout=subprocess.PIPE, text=True, timeout=30, check=False
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

    def play(self, path: Path, name: str) -> None:
        """Play a recording into a microphone, in real time; returns when it has been played."""
        # A suspended microphone would let it wait for ever.
        subprocess.run(["paplay", f"--device={name}", path], env=self.environment, timeout=300, check=True)

    def suspend(self, name: str, suspended: bool) -> None:
        """Let a microphone give no more samples, or go on; those who listen are not told."""
        command = ["pactl", "suspend-sink", name, str(int(suspended))]
        subprocess.run(command, env=self.environment, timeout=10, check=True)

    def freeze(self) -> None:
        """Let the sound server hang."""
        os.kill(self._server, signal.SIGSTOP)

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
