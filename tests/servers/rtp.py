"""RTP without a server: FFmpeg sends datagrams, and an SDP file says what they are."""

from pathlib import Path

from tests.servers.process import Server, ffmpeg


class Rtp(Server):
    """Sends whether anybody listens or not.

    Args:
        sound: played in a loop; a tone if None.
        codec: FFmpeg's name of an encoder, pcm_s16be (L16, exact) or libopus for example.
    """

    needs = ("ffmpeg",)

    def __init__(self, sound: Path | None = None, codec: str = "pcm_s16be") -> None:
        super().__init__()
        self._sound, self._codec = sound, codec

    @property
    def sdp(self) -> Path:
        """The file; the same over all starts."""
        return self.folder / "live.sdp"

    @property
    def uri(self) -> str:
        """As glatd takes it."""
        return f"rtp:{self.sdp}"

    def commands(self) -> None:
        """The sender."""
        to = f"rtp://127.0.0.1:{self.port}?pkt_size=1200"
        self.run(ffmpeg(self._sound, "-vn", "-c:a", self._codec, "-f", "rtp", "-sdp_file", self.sdp, to))
        self.wait_for(lambda: self.sdp.exists() and self.sdp.stat().st_size > 0, "the SDP file")
