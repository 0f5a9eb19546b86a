"""Programs that send raw PCM, s16le, over TCP and UDP, well and badly."""

import subprocess
import sys
import wave
from pathlib import Path

from tests.servers.process import Server

_PROGRAM = Path(__file__).with_name("pcm_sender.py")


class _Sender(Server):
    """Args:
    sound: a WAV file of 16 bits, played in a loop with its own rate and channels; a tone if None.
    rate: Hz, of the tone.
    channels: of the tone.
    """

    def __init__(self, sound: Path | None = None, rate: int = 48_000, channels: int = 1) -> None:
        super().__init__()
        self._sound, self.rate, self.channels = sound, rate, channels
        if sound is not None:
            with wave.open(str(sound), "rb") as file:
                self.rate, self.channels = file.getframerate(), file.getnchannels()

    @property
    def _query(self) -> str:
        return f"127.0.0.1:{self.port}?rate={self.rate}&format=s16le&channels={self.channels}"

    def drop(self, seconds: float) -> None:
        """Send nothing for a while; that sound is lost."""
        self._tell(f"drop {seconds}")

    def hold(self, seconds: float) -> None:
        """Send nothing for a while, and then all of it at once."""
        self._tell(f"hold {seconds}")

    def flood(self, pace: float) -> None:
        """Send so many times as fast as real time; 1.0 ends it."""
        self._tell(f"pace {pace}")

    def _tell(self, order: str) -> None:
        stdin = self.processes[0].stdin
        stdin.write(order.encode() + b"\n")
        stdin.flush()

    def _command(self) -> list[str | Path]:
        sound: list[str | Path] = ["--sound", self._sound] if self._sound else []
        shape = ["--rate", str(self.rate), "--channels", str(self.channels)]
        return [sys.executable, "-S", _PROGRAM, "--port", str(self.port), *shape, *sound]


class PcmTcp(_Sender):
    """A server that sends to whoever connects."""

    @property
    def uri(self) -> str:
        """As glatd takes it."""
        return f"tcp://{self._query}"

    def commands(self) -> None:
        """The sender."""
        self.run(self._command(), stdin=subprocess.PIPE)
        self.wait_for_port()


class PcmUdp(_Sender):
    """A program that sends datagrams of 20 ms, whether anybody listens or not."""

    @property
    def uri(self) -> str:
        """As glatd takes it: it is glatd that listens."""
        return f"udp://{self._query}"

    def commands(self) -> None:
        """The sender."""
        self.run([*self._command(), "--udp"], stdin=subprocess.PIPE)

    def flip(self) -> None:
        """Send from another port from now on, as a sender that was started again."""
        self._tell("flip")
