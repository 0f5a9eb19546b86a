"""Raw PCM from a real socket server that sends pieces of odd sizes."""

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from glatd.audio import Block
from glatd.daemon.sources.pcm import PcmFormat
from glatd.daemon.sources.pcm_tcp import TcpPcmSource
from glatd.errors import SourceError


@contextmanager
def server(serve: Callable[[socket.socket], object]) -> Iterator[int]:
    """A server of one connection; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)

        def run() -> None:
            connection, _ = listening.accept()
            with connection:
                serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(10)
        assert not thread.is_alive()


def sender(data: bytes, sizes: tuple[int, ...]) -> Callable[[socket.socket], None]:
    def send(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        at = 0
        for size in itertools.cycle(sizes):
            if at >= len(data):
                return
            connection.sendall(data[at : at + size])
            at += size

    return send


def receive(data: bytes, pcm: PcmFormat, sizes: tuple[int, ...] = (1, 7, 3, 1000, 2, 333)) -> list[Block]:
    with server(sender(data, sizes)) as port:
        return list(TcpPcmSource("127.0.0.1", port, pcm).blocks())


def encode(values: np.ndarray, encoding: str) -> bytes:
    """Whole numbers of the encoding's own scale as its bytes."""
    if encoding == "s24le":
        return np.ascontiguousarray(values.astype("<i4")).view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    return values.astype({"u8": "u1", "s16le": "<i2", "s32le": "<i4", "f32le": "<f4"}[encoding]).tobytes()


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize(
    ("encoding", "low", "high"),
    [("u8", 0, 2**8), ("s16le", -(2**15), 2**15), ("s24le", -(2**23), 2**23), ("s32le", -(2**31), 2**31)],
)
def test_integers_arrive_exactly_however_they_are_cut(
    encoding: str, low: int, high: int, channels: int
) -> None:
    values = np.random.default_rng(1).integers(low, high, 3000 * channels)
    values[:2] = low, high - 1
    blocks = receive(encode(values, encoding), PcmFormat(16_000, encoding, channels))
    heard = np.concatenate([block.samples for block in blocks])
    middle = (low + high) / 2
    scaled = (values - middle) / ((high - low) / 2)
    np.testing.assert_array_equal(heard, scaled.astype(np.float32).reshape(-1, channels))


def test_blocks_follow_each_other_and_know_when_they_came() -> None:
    values = np.random.default_rng(2).standard_normal(4001).astype(np.float32)
    begin = time.monotonic()
    blocks = receive(
        values.tobytes() + b"\x01\x02", PcmFormat(48_000, "f32le", 1)
    )  # half a sample is no sample
    assert [block.start for block in blocks] == list(
        np.cumsum([0] + [len(block.samples) for block in blocks[:-1]])
    )
    assert {block.rate for block in blocks} == {48_000}
    assert {block.samples.dtype for block in blocks} == {np.dtype(np.float32)}
    arrivals = [block.arrival for block in blocks if block.arrival is not None]
    assert len(arrivals) == len(blocks) and begin <= arrivals[0] and arrivals == sorted(arrivals)
    np.testing.assert_array_equal(np.concatenate([block.samples for block in blocks])[:, 0], values)


def test_nobody_listening_is_an_error_that_names_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(SourceError, match=f"tcp://127.0.0.1:{port}.*refused.*check"):
        list(TcpPcmSource("127.0.0.1", port, PcmFormat()).blocks())


def test_an_unknown_host_is_an_error() -> None:
    with pytest.raises(SourceError, match=r"tcp://no-such-host\.invalid:5000"):
        list(TcpPcmSource("no-such-host.invalid", 5000, PcmFormat()).blocks())


def test_a_connection_that_breaks_is_an_error() -> None:
    def reset(connection: socket.socket) -> None:
        connection.sendall(bytes(200))
        time.sleep(0.2)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    with server(reset) as port:
        blocks = TcpPcmSource("127.0.0.1", port, PcmFormat()).blocks()
        assert len(next(blocks).samples) == 100
        with pytest.raises(SourceError, match="connection lost"):
            next(blocks)


def stop_soon(source: TcpPcmSource) -> float:
    """Stops a source that gives nothing; how many seconds it took to end."""
    stopped = []

    def stop() -> None:
        stopped.append(time.monotonic())
        source.stop()
        source.stop()

    timer = threading.Timer(0.3, stop)
    timer.start()
    assert list(source.blocks()) == []
    timer.join()
    return time.monotonic() - stopped[0]


def test_stop_ends_a_silent_connection() -> None:
    over = threading.Event()
    with server(lambda connection: over.wait(10)) as port:
        assert stop_soon(TcpPcmSource("127.0.0.1", port, PcmFormat())) < 0.5
        over.set()


def test_stop_ends_an_attempt_to_connect() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        time.sleep(0.1)
        assert stop_soon(TcpPcmSource("127.0.0.1", full.getsockname()[1], PcmFormat())) < 0.5
        for client in waiting:
            client.close()


def test_a_stopped_source_stays_stopped() -> None:
    source = TcpPcmSource("127.0.0.1", 1, PcmFormat())
    source.stop()
    assert list(source.blocks()) == []
