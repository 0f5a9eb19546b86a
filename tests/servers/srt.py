"""SRT, as a field encoder sends it: FFmpeg makes MPEG-TS, srt-live-transmit serves it."""

from pathlib import Path

from tests.servers.process import Server, ffmpeg, listens


class Srt(Server):
    """AAC in MPEG-TS; one listener after the other.

    Args:
        sound: played in a loop; a tone if None.
        video: whether a picture goes along.
    """

    needs = ("ffmpeg", "srt-live-transmit")

    def __init__(self, sound: Path | None = None, video: bool = False) -> None:
        super().__init__()
        self._sound, self._video = sound, video

    @property
    def uri(self) -> str:
        """As glatd takes it: it is glatd that calls."""
        return f"srt://127.0.0.1:{self.port}"

    def commands(self) -> None:
        """The server of packets, and their maker."""
        inner = f"udp://127.0.0.1:{self.port + 1}"
        server = f"srt://127.0.0.1:{self.port}?mode=listener&latency=120"
        self.run(["srt-live-transmit", "-q", "-a:yes", inner, server])
        picture = ["-c:v", "mpeg2video"] if self._video else ["-vn"]
        output = [*picture, "-c:a", "aac", "-b:a", "128k", "-f", "mpegts", f"{inner}?pkt_size=1316"]
        self.run(ffmpeg(self._sound, *output, video=self._video))
        self.wait_for(lambda: listens(self.port, udp=True), "SRT")
