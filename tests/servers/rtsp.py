"""A camera: an RTSP server with sound, and with a picture if wanted."""

import subprocess
from pathlib import Path

from tests.servers.process import Process, Server

_PROGRAM = Path(__file__).with_name("rtsp_camera.py")
_DEBIAN = Path("/usr/bin/python3")  # whose packages have GStreamer


class Rtsp(Server):
    """gst-rtsp-server under Debian's own Python; all listeners hear the same.

    Args:
        sound: a WAV file of 16 bits, played in a loop; a tone if None.
        codec: l16 (exact), pcmu, pcma or opus.
        video: whether a picture goes along; `video_was_asked_for` tells by whom it is taken.
        login: `user:password` that is asked for.
    """

    def __init__(
        self, sound: Path | None = None, codec: str = "l16", video: bool = False, login: str | None = None
    ) -> None:
        super().__init__()
        self._sound, self._codec, self._video, self._login = sound, codec, video, login

    def lacking(self) -> list[str]:
        """As in `Server`."""
        check = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
        done = subprocess.run([_DEBIAN, "-c", check], capture_output=True, check=False) if _DEBIAN.exists() else None
        return [] if done is not None and done.returncode == 0 else ["gst-rtsp-server for Debian's python3"]

    @property
    def uri(self) -> str:
        """Of the one stream."""
        login = f"{self._login}@" if self._login else ""
        return f"rtsp://{login}127.0.0.1:{self.port}/live"

    @property
    def camera(self) -> Process:
        """The server's process."""
        return self.processes[0]

    def commands(self) -> None:
        """The camera."""
        command: list[str | Path] = [_DEBIAN, _PROGRAM, "--port", str(self.port), "--codec", self._codec]
        command += ["--sound", self._sound] if self._sound else []
        command += ["--video"] if self._video else []
        command += ["--login", self._login] if self._login else []
        self.run(command, stdin=subprocess.PIPE)
        self.wait_for_port()

    def lose(self, share: float) -> None:
        """From now on, so large a share of the packets of audio does not leave the camera."""
        self._tell(f"lose {share}")

    @property
    def video_was_asked_for(self) -> bool:
        """Whether someone has set the picture up, since the camera was made."""
        return "asked for /live/stream=1" in self.camera.log.read_text()

    def _tell(self, order: str) -> None:
        self.camera.stdin.write(order.encode() + b"\n")
        self.camera.stdin.flush()
