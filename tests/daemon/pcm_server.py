"""Another program that sends raw PCM over TCP in real time."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from tests.daemon.sounds import Floats

RATE = 48_000  # Hz, mono, s16le
PIECE = 960  # samples, 20 ms


class PcmServer:
    """Sends `samples` to whoever connects first, then closes the connection."""

    def __init__(self, samples: Floats) -> None:
        self._data = np.clip(np.round(samples * 32_768), -32_768, 32_767).astype("<i2").tobytes()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def uri(self) -> str:
        """For --source."""
        return f"tcp://127.0.0.1:{self._listening.getsockname()[1]}?rate={RATE}&format=s16le&channels=1"

    def _run(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except OSError:  # closed before anyone came
            return
        with connection:
            began = time.monotonic()
            for number, at in enumerate(range(0, len(self._data), 2 * PIECE), 1):
                if self._stopped.wait(max(0.0, began + number * PIECE / RATE - time.monotonic())):
                    return
                try:
                    connection.sendall(self._data[at : at + 2 * PIECE])
                except OSError:  # the listener was stopped
                    return

    def close(self) -> None:
        """Stop sending."""
        self._stopped.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)


@contextmanager
def sending(samples: Floats) -> Iterator[PcmServer]:
    """A server while the block lasts."""
    server = PcmServer(samples)
    try:
        yield server
    finally:
        server.close()
