"""Tell a running glatd to add, remove or mute a stream, or to change a rule: one request, one reply."""

import os
from contextlib import closing
from pathlib import Path
from typing import Any

import msgpack
import zmq

from glatd.clients.connecting import connect
from glatd.clients.keys import Handshakes, Keys, given_keys, use_keys
from glatd.errors import ConfigError, GlatdError, ProtocolError

VERSION = 1
LONGEST_SECONDS = 1e6  # what ZeroMQ's milliseconds hold in 32 bits, about


class Refused(GlatdError):
    """The daemon answered that it cannot do it; the text is its own."""


def ask(
    endpoint: str, do: str, *, timeout: float = 15.0, keys: Keys | Path | str | None = None, **values: str
) -> dict[str, Any]:
    """Send a request to the control socket of a daemon and wait for its reply.

    >>> ask("ipc:///run/glatd/control", "add", source="yard=mic:USB")  # doctest: +SKIP
    {'name': 'yard'}

    Args:
        endpoint: what the daemon's configuration says under `control`.
        do: version, list, reload; add (source=); remove, mute, unmute (stream=); rules (stream=, label=);
            set (stream=, label=, key=, value=); engine (engine=).
        timeout: seconds to wait; an engine may need more.
        keys: of this client, or the file that `glatd keys add` made for it.

    Returns:
        What the reply says beside `v` and `ok`.

    Raises:
        ConfigError: no endpoint that ZeroMQ understands, keys that cannot be used, or that the daemon refuses.
        Refused: the daemon cannot do it, and says why; or nobody answers.
        ProtocolError: a reply that is none, or of a newer version.
    """
    if not 0 <= timeout <= LONGEST_SECONDS:
        raise ConfigError(f"timeout = {timeout!r} must be seconds from 0 to {LONGEST_SECONDS:g}")
    check_path(endpoint)
    keys = given_keys(keys)
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger, socket.ipv6 = 0, True
        use_keys(socket, keys)
        handshakes = Handshakes(socket, endpoint, keys)
        with closing(handshakes):
            connect(socket, endpoint, "what glatd.toml has under control")
            socket.send(msgpack.packb({"v": VERSION, "do": do, **values}))
            if not handshakes.wait(round(1000 * timeout)):
                raise Refused(
                    f"nobody answers on {endpoint} within {timeout:g} s; is glatd running, "
                    "with that control in its configuration?"
                )
            return read_reply(socket.recv_multipart())


def check_path(endpoint: str) -> None:
    """Look at an ipc path first: ZeroMQ would only wait.

    Raises:
        Refused: there is none, or it is another user's.
    """
    path = endpoint.removeprefix("ipc://")
    if path == endpoint:
        return
    if not os.path.exists(path):
        raise Refused(f"there is no socket {path}; is glatd running, with that control in its configuration?")
    if not os.access(path, os.W_OK):
        raise Refused(f"the socket {path} is another user's; ask as the user that glatd runs as, or as root")


def read_reply(frames: list[bytes]) -> dict[str, Any]:
    """What a reply says.

    Raises:
        Refused, ProtocolError: as `ask`.
    """
    try:
        (payload,) = frames
        reply = msgpack.unpackb(payload)
        version, ok = reply.pop("v"), reply.pop("ok")
        if not ok:
            raise Refused(str(reply["error"]))
    except GlatdError:
        raise
    except Exception as error:  # msgpack raises errors of many kinds
        raise ProtocolError(
            f"a reply that is none: {type(error).__name__}: {error}; is this glatd's control?"
        ) from error
    if version != VERSION:
        raise ProtocolError(f"a reply of version {version!r}; this glatd knows {VERSION}: upgrade it")
    return dict(reply)
