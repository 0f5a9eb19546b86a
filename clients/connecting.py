"""Connecting a socket: what ZeroMQ cannot connect to is told with what to give instead."""

import zmq

from glatd.config import check_port
from glatd.errors import ConfigError


def connect(socket: "zmq.Socket[bytes]", endpoint: str, give: str = "tcp://HOST:PORT or ipc:///PATH") -> None:
    """Connect to an endpoint.

    Args:
        give: what the endpoint should be, as in "give tcp://HOST:PORT".

    Raises:
        ConfigError: no endpoint that ZeroMQ understands, or a port that cannot be.
    """
    check_port(endpoint)
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        raise ConfigError(f"cannot connect to {endpoint!r}: {error.strerror}; give {give}") from error
