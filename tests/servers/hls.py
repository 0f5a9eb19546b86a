"""HLS, as a web server has it: segments that FFmpeg writes, served by Python's own web server."""

import sys
from pathlib import Path

from tests.servers.process import Server, ffmpeg

SEGMENT_S = 1


class Hls(Server):
    """A live playlist with segments of 1 s, AAC in MPEG-TS.

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
        """The playlist."""
        return f"http://127.0.0.1:{self.port}/live.m3u8"

    def commands(self) -> None:
        """The web server and the writer; served from the third segment on, as players expect."""
        self.run([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "-d", self.folder, str(self.port)])
        playlist = self.folder / "live.m3u8"
        playlist.unlink(missing_ok=True)
        picture = ["-c:v", "mpeg2video", "-g", "10"] if self._video else ["-vn"]
        output = [*picture, "-c:a", "aac", "-b:a", "128k", "-f", "hls", "-hls_time", str(SEGMENT_S)]
        output += [
            "-hls_list_size",
            "5",
            "-hls_flags",
            "delete_segments+temp_file",
            "-hls_start_number_source",
            "epoch",
        ]
        self.run(ffmpeg(self._sound, *output, playlist, video=self._video))
        self.wait_for_port()
        self.wait_for(lambda: playlist.exists() and playlist.read_text().count("#EXTINF") >= 3, "three segments")
