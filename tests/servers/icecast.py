"""Icecast with a feeder, as an internet radio or a network encoder serves it."""

import urllib.error
import urllib.request
from pathlib import Path

from tests.servers.process import Process, Server, ffmpeg

# What an encoder is told, by the codec's name: the format and its MIME type.
_CODECS = {
    "mp3": ("libmp3lame", "mp3", "audio/mpeg"),
    "vorbis": ("libvorbis", "ogg", "audio/ogg"),
    "opus": ("libopus", "ogg", "audio/ogg"),
    "aac": ("aac", "adts", "audio/aac"),
    "flac": ("flac", "ogg", "audio/ogg"),
}

# As root, Icecast refuses to run unless it is told to become someone else.
_CONFIGURATION = """<icecast>
  <limits>
    <clients>100</clients><sources>4</sources><queue-size>524288</queue-size>
    <source-timeout>10</source-timeout><burst-size>{burst}</burst-size>
  </limits>
  <authentication>
    <source-password>hackme</source-password><relay-password>hackme</relay-password>
    <admin-user>admin</admin-user><admin-password>hackme</admin-password>
  </authentication>
  <hostname>127.0.0.1</hostname>
  <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
  <paths>
    <basedir>{folder}</basedir><logdir>{folder}</logdir><webroot>/usr/share/icecast2/web</webroot>
    <adminroot>/usr/share/icecast2/admin</adminroot>
  </paths>
  <logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog><loglevel>3</loglevel></logging>
  <security>
    <chroot>0</chroot>
    <changeowner><user>nobody</user><group>nogroup</group></changeowner>
  </security>
</icecast>
"""


class Icecast(Server):
    """Serves one mount.

    Args:
        sound: played in a loop; a tone if None.
        codec: one of mp3, vorbis, opus, aac, flac.
        burst: bytes that a new listener gets at once.
    """

    needs = ("icecast2", "ffmpeg")

    def __init__(self, sound: Path | None = None, codec: str = "mp3", burst: int = 65_536) -> None:
        super().__init__()
        self._sound, self._codec, self._burst = sound, codec, burst

    @property
    def uri(self) -> str:
        """The mount."""
        return f"http://127.0.0.1:{self.port}/live"

    @property
    def server(self) -> Process:
        """Icecast itself; killed alone, the feeder ends too."""
        return self.processes[0]

    @property
    def feeder(self) -> Process:
        """What sends to Icecast; killed alone, listeners see the end of the stream."""
        return self.processes[1]

    def commands(self) -> None:
        """Icecast, then the feeder."""
        file = self.folder / "icecast.xml"
        file.write_text(_CONFIGURATION.format(port=self.port, folder=self.folder, burst=self._burst))
        self.folder.chmod(0o777)  # it becomes another user
        self.run(["icecast2", "-c", file])
        self.wait_for_port()
        self.feed()

    def feed(self) -> None:
        """Start the feeder, or another one after it was killed."""
        self.processes[1:] = []
        encoder, container, kind = _CODECS[self._codec]
        to = f"icecast://source:hackme@127.0.0.1:{self.port}/live"
        output = ["-vn", "-c:a", encoder, "-b:a", "128k", "-flush_packets", "1", "-content_type", kind]
        if container == "ogg":
            output += ["-page_duration", "100000"]  # us; a second by default
        self.run(ffmpeg(self._sound, *output, "-f", container, to))
        self.wait_for(self._is_on_air, "the mount")

    def _is_on_air(self) -> bool:
        try:
            with urllib.request.urlopen(self.uri, timeout=2.0) as answer:
                return bool(answer.read(1))
        except (urllib.error.URLError, OSError):
            return False
