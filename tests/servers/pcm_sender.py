"""Sends raw PCM (s16le) in real time, over TCP to whoever connects, or over UDP; run by pcm.py.

The samples follow the monotonic clock: what it does not send at its time is lost (`drop`), or comes at
once later (`hold`). Orders on stdin, one a line: `drop SECONDS`, `hold SECONDS`, `pace TIMES`, `flip` (a
port of its own from then on, UDP).
"""

import argparse
import array
import math
import selectors
import socket
import sys
import threading
import time
import wave

PIECE_S = 0.02


class Orders:
    """What was last asked for on stdin."""

    def __init__(self) -> None:
        self.pace = 1.0
        self.drop_until = self.hold_until = 0.0  # monotonic seconds
        self.flip = False

    def read(self) -> None:
        for line in sys.stdin:
            word, *values = line.split()
            value = float(values[0]) if values else 0.0
            now = time.monotonic()
            if word == "drop":
                self.drop_until = now + value
            elif word == "hold":
                self.hold_until = now + value
            elif word == "pace":
                self.pace = value
            elif word == "flip":
                self.flip = True


def tone(rate: int, channels: int) -> bytes:
    """One second of 440 Hz at a tenth of full scale; it fits end to end."""
    wave_ = [round(3276 * math.sin(2 * math.pi * 440 * at / rate)) for at in range(rate)]
    return array.array("h", [value for value in wave_ for _ in range(channels)]).tobytes()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--udp", action="store_true")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=int, default=48_000)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--sound")
    options = parser.parse_args()
    rate, channels = options.rate, options.channels
    if options.sound:
        with wave.open(options.sound, "rb") as file:
            rate, channels = file.getframerate(), file.getnchannels()
            data = file.readframes(file.getnframes())
    else:
        data = tone(rate, channels)
    frame = 2 * channels
    orders = Orders()
    threading.Thread(target=orders.read, daemon=True).start()

    selector = selectors.DefaultSelector()
    clients: list[socket.socket] = []
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if not options.udp:
        listening = socket.create_server(("127.0.0.1", options.port))
        listening.setblocking(False)
        selector.register(listening, selectors.EVENT_READ)

    at = 0  # samples sent or dropped
    due = time.monotonic()
    while True:
        due += PIECE_S / orders.pace
        while (left := due - time.monotonic()) > 0:
            if options.udp:
                time.sleep(left)
            elif selector.select(left):
                client, _ = listening.accept()
                client.settimeout(5.0)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients.append(client)
        if time.monotonic() < orders.hold_until:
            time.sleep(orders.hold_until - time.monotonic())
        samples = round((at / rate + PIECE_S) * rate) - at
        first = at * frame % len(data)
        piece = data[first : first + samples * frame]
        piece += data[: samples * frame - len(piece)]
        at += samples
        if time.monotonic() < orders.drop_until:
            continue
        if orders.flip:
            datagrams.close()
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            orders.flip = False
        if options.udp:
            try:
                datagrams.sendto(piece, ("127.0.0.1", options.port))
            except OSError:  # nobody listens, says ICMP
                continue
        for client in list(clients):
            try:
                client.sendall(piece)
            except OSError:
                clients.remove(client)
                client.close()


main()
