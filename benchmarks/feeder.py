"""Sends real-time PCM to many listeners from one thread: python -S -m benchmarks.feeder COUNT PCM

PCM is a file of s16le, mono, at `RATE`. Prints the ports, one a stream; then, for each listener that comes, a line
`STREAM BEGAN AHEAD`: monotonic seconds at which it came, and seconds of sound that it got at once, another share
of a hop for each, so that windows of all streams fall due at all times. At the end of its standard input it prints
its CPU seconds, and by how much it was ever late, and ends.
"""

import resource
import select
import socket
import sys
import time

RATE = 48_000  # Hz
PIECE_S = 0.02  # as packets of RTP are
SLOTS = 10  # of a turn of the wheel: not all streams at once
SPREAD_S = 0.96  # a hop
GOLDEN = 0.618  # multiples of it fill an interval evenly


class Stream:
    """One listener's sound."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setblocking(False)
        self.connection: socket.socket | None = None
        self.at = 0  # byte of the sound
        self.owed = 0  # bytes that it should have and could not take yet

    def accept(self) -> None:
        """Take a listener; it gets its start at the next turn."""
        self.connection, _ = self.listening.accept()
        self.connection.setblocking(False)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ahead = int(self.number * GOLDEN % 1.0 * SPREAD_S * RATE)
        self.owed = 2 * ahead
        print(self.number, time.monotonic(), ahead / RATE, flush=True)

    def send(self, sound: memoryview, count: int) -> None:
        """Send `count` bytes more, and what is owed."""
        if self.connection is None:
            return
        self.owed += count
        while self.owed:
            piece = sound[self.at : self.at + self.owed]
            try:
                sent = self.connection.send(piece)
            except BlockingIOError:
                return
            except OSError:
                self.connection = None
                return
            self.owed -= sent
            self.at = (self.at + sent) % len(sound)


def main() -> None:
    """Feed until standard input ends."""
    streams = [Stream(number) for number in range(int(sys.argv[1]))]
    with open(sys.argv[2], "rb") as file:
        sound = memoryview(file.read())
    print(*(stream.listening.getsockname()[1] for stream in streams), flush=True)
    waiting = {stream.listening: stream for stream in streams}
    count = 2 * round(PIECE_S * RATE)
    due, slot, latest = time.monotonic(), 0, 0.0
    poll = select.poll()
    for listening in [*waiting, sys.stdin]:
        poll.register(listening, select.POLLIN)
    by_number = {listening.fileno(): stream for listening, stream in waiting.items()}
    while True:
        due += PIECE_S / SLOTS
        left = due - time.monotonic()
        latest = max(latest, -left)
        for number, _ in poll.poll(max(0, round(1000 * left))):
            if number not in by_number:
                usage = resource.getrusage(resource.RUSAGE_SELF)
                print(usage.ru_utime + usage.ru_stime, latest, flush=True)
                return
            by_number[number].accept()
        if (left := due - time.monotonic()) > 0:
            time.sleep(left)
        for stream in streams[slot::SLOTS]:
            stream.send(sound, count)
        slot = (slot + 1) % SLOTS


if __name__ == "__main__":
    main()
