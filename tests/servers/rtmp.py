"""RTMP, as a streaming program serves it: FFmpeg listens and plays to one listener after the other."""

from pathlib import Path

from tests.servers.process import Server, ffmpeg, listens


class Rtmp(Server):
    """AAC in FLV; each listener hears the sound from its start.

    Args:
        sound: played in a loop; a tone if None.
        video: whether a picture goes along.
    """

    needs = ("ffmpeg",)

    def __init__(self, sound: Path | None = None, video: bool = False) -> None:
        super().__init__()
        self._sound, self._video = sound, video

    @property
    def uri(self) -> str:
        """The stream."""
        return f"rtmp://127.0.0.1:{self.port}/live/tone"

    def commands(self) -> None:
        """FFmpeg serves one listener and ends: it is started again and again."""
        picture = ["-c:v", "flv1", "-b:v", "100k"] if self._video else ["-vn"]
        output = [*picture, "-c:a", "aac", "-b:a", "128k", "-ar", "48000", "-f", "flv", "-listen", "1", self.uri]
        command = ffmpeg(self._sound, *output, video=self._video)
        self.run(["bash", "-c", 'while :; do "$@"; sleep 0.05; done', "bash", *command])
        self.wait_for(lambda: listens(self.port), "RTMP")
