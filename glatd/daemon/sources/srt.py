"""SRT, through a process of FFmpeg: PyAV's wheel does not speak it."""

import os
import select
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import ClassVar

from glatd.audio import Block
from glatd.daemon.sources.base import Source
from glatd.daemon.sources.decoding import live_blocks
from glatd.errors import SourceError

_OPEN_S = 10.0  # the handshake, and until FFmpeg knows what it is
_SILENT_S = 10.0
_POLL_S = 0.1  # how late a stop is seen
_END_S = 0.25
_STDERR_BYTES = 4096


class SrtSource(Source):
    """The first audio track of `srt://`, at its own rate.

    FFmpeg only carries the packets, as they are, into a pipe; they are decoded here, as those of other
    network streams, because only their time stamps tell what was lost on the way.

    Args:
        url: as FFmpeg takes it; a passphrase in it can be seen in the machine's list of processes.
        shown: the same as it may be printed.
        channel: 1 for the first; None for all of them.
    """

    live: ClassVar[bool] = True

    def __init__(self, url: str, shown: str, name: str, named: bool, channel: int | None = None) -> None:
        super().__init__(shown, name, named)
        self._url = url
        self._channel = channel

    def blocks(self) -> Iterator[Block]:
        """Blocks as they are decoded; ends when the sender ends the stream.

        Raises:
            SourceError: no ffmpeg, no connection within 10 s, no audio in it, no audio for 10 s, and what
                FFmpeg says in its last line.
        """
        if self._stopped.is_set():
            return
        program = shutil.which("ffmpeg")
        if program is None:
            raise SourceError(
                f"{self.uri}: SRT needs the program ffmpeg, which is missing; run: apt-get install ffmpeg"
            )
        command = [program, "-nostdin", "-hide_banner", "-loglevel", "error"]
        command += ["-probesize", "500000", "-analyzeduration", "300000", "-i", self._url]
        command += ["-map", "0:a:0", "-c", "copy", "-f", "nut", "-flush_packets", "1", "pipe:1"]
        try:
            # A group of its own: Ctrl-C in a terminal is for glatd, which then ends it.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
            )
        except OSError as error:
            raise SourceError(f"{self.uri}: {program} does not start, {error.strerror}; install it again") from error
        carrier = Carrier(process, self._stopped)
        try:
            yield from self._decode(carrier)
        finally:
            carrier.close()

    def _decode(self, carrier: "Carrier") -> Iterator[Block]:
        import av

        try:
            options = {"probesize": "500000", "analyzeduration": "100000"}
            with av.open(carrier, "r", format="nut", options=options, metadata_errors="replace") as container:
                carrier.limit = _SILENT_S
                for block in live_blocks(container, self.uri, self._channel):
                    if self._stopped.is_set():
                        return
                    yield block
        except (av.error.FFmpegError, OSError) as error:
            if self._stopped.is_set():
                return
            raise SourceError(f"{self.uri}: {self._why(carrier, str(error))}") from error
        if not self._stopped.is_set() and (carrier.silent or carrier.complaint):
            raise SourceError(f"{self.uri}: {self._why(carrier, '')}")

    def _why(self, carrier: "Carrier", otherwise: str) -> str:
        if carrier.silent:
            return f"no audio for {carrier.limit:.0f} s; check the sender and the network"
        # FFmpeg names the address, with its passphrase.
        said = carrier.complaint.removeprefix(f"{self._url}: ").replace(self._url, self.uri) or otherwise
        if "matches no streams" in said:
            return "no audio track; switch the sound on at the sender"
        if "Protocol not found" in said:
            return "this ffmpeg was built without SRT; install another one (Debian's has it)"
        return f"{said}; check the address, the passphrase and the sender"


class Carrier:
    """The pipe from FFmpeg as a file that PyAV reads; never waits beyond its limit or a stop.

    Attributes:
        limit: seconds without a byte after which the file ends.
        silent: whether it ended for that.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", stopped: threading.Event) -> None:
        self.limit = _OPEN_S
        self.silent = False
        self._process, self._stopped = process, stopped
        self._stderr = b""
        assert process.stdout is not None and process.stderr is not None
        self._out, self._err = process.stdout.fileno(), process.stderr.fileno()
        self._open = {self._out, self._err}

    @property
    def complaint(self) -> str:
        """The last line that FFmpeg wrote to its stderr."""
        lines = self._stderr.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, as soon as there are some; none at the end."""
        heard = time.monotonic()
        while self._out in self._open and not self._stopped.is_set():
            ready, _, _ = select.select(list(self._open), [], [], _POLL_S)
            if self._err in ready:
                self._hear_stderr()
            if self._out in ready:
                data = os.read(self._out, size)
                if data:
                    return data
                self._open.discard(self._out)
                while self._err in self._open:  # it has ended or is about to; what was its last word?
                    self._hear_stderr()
                return b""
            if time.monotonic() - heard > self.limit:
                self.silent = True
                return b""
        return b""

    def _hear_stderr(self) -> None:
        data = os.read(self._err, _STDERR_BYTES)
        self._stderr = (self._stderr + data)[-_STDERR_BYTES:]
        if not data:
            self._open.discard(self._err)

    def close(self) -> None:
        """End the process, if it has not ended, and bury it; after a stop without waiting for that."""
        for pipe in self._process.stdout, self._process.stderr:
            if pipe is not None:
                pipe.close()
        self._process.terminate()
        if self._stopped.is_set():
            threading.Thread(target=self._bury, name="bury ffmpeg", daemon=True).start()
        else:
            self._bury()

    def _bury(self) -> None:
        """It was asked to end: one that is killed does not tell the sender, who then waits for it."""
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
