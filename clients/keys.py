"""The keys of a client: its file, a socket that uses it, and a refusal that ends in an error and not in silence.

`glatd keys add NAME` makes the file, which holds the client's key pair and the node's public key. It is TOML and a
secret: whoever can read it is that client. Needs pyzmq, nothing else.
"""

import os
import socket as sockets
import stat
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from glatd.errors import ConfigError

OTHERS = 0o077  # the bits of a file's mode that are for other users
MOST_BYTES = 1 << 20  # of a file of keys
_SUSPECT = 3  # connections in a row that end in the handshake without a word, before it is asked why
_PROBE_S = 2.0
_GREETING = 64  # bytes, of ZMTP 3
_WATCHED = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)


@dataclass(frozen=True, slots=True)
class Keys:
    """Of one client; keys are Z85, 40 characters that stand for 32 bytes."""

    name: str
    public: str
    secret: str
    node: str  # the node's public key: without it, anybody could pretend to be the node

    def __repr__(self) -> str:
        return f"Keys({self.name!r})"  # an error or a log may quote it


def read_keys(path: Path) -> Keys:
    """The keys of a file that `glatd keys add` made.

    Raises:
        ConfigError: unreadable, open to other users, or no such file.
    """
    table = read_secret(path)
    values = {name: table.get(name) for name in ("name", "public", "secret", "node")}
    for name, value in values.items():
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{path} has no {name}; give the file that `glatd keys add` made for this client")
    keys = Keys(**values)  # type: ignore[arg-type]
    for name in ("public", "secret", "node"):
        check_key(getattr(keys, name), f"{path}: {name}")
    return keys


def read_secret(path: Path) -> dict[str, object]:
    """A TOML file that nobody but its owner may read.

    Raises:
        ConfigError: it cannot be read, others could, or it is no TOML.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & OTHERS:
                raise ConfigError(f"{path} can be used by other users (mode {mode:04o}); chmod 600 {path}")
            return tomllib.loads(file.read(MOST_BYTES).decode())
    except OSError as error:
        raise ConfigError(f"cannot read the keys {path}: {error.strerror}; make them with `glatd keys`") from error
    except (ValueError, RecursionError) as error:  # what it says may be a piece of a secret
        raise ConfigError(
            f"{path} is no file of keys ({type(error).__name__}); make it anew with `glatd keys`"
        ) from None


def check_key(key: str, where: str) -> None:
    """Refuse what is no key.

    Raises:
        ConfigError: it is not 40 characters of Z85. The text does not quote it.
    """
    try:
        good = len(key) == 40 and len(z85.decode(key.encode("ascii"))) == 32
    except Exception:  # of struct, of an index, of ASCII
        good = False
    if not good:
        raise ConfigError(f"{where} is no key of 40 characters; make the file anew with `glatd keys`")


def use_keys(socket: "zmq.Socket[bytes]", keys: Keys | None) -> None:
    """Encrypt all connections of a socket; to be called before `connect`."""
    if keys is not None:
        socket.curve_publickey, socket.curve_secretkey = keys.public.encode(), keys.secret.encode()
        socket.curve_serverkey = keys.node.encode()


def given_keys(keys: "Keys | Path | str | None") -> Keys | None:
    """Keys, or those of the file that was given.

    Raises:
        ConfigError: as `read_keys`.
    """
    return read_keys(Path(keys)) if isinstance(keys, (str, Path)) else keys


def keys_for(keys: "Keys | Path | str | Mapping[str, Keys | Path | str | None] | None", endpoint: str) -> Keys | None:
    """Keys for one endpoint of several: those for all, or what a mapping has for it.

    Raises:
        ConfigError: as `read_keys`, or the mapping has nothing for it.
    """
    if isinstance(keys, Mapping):
        if endpoint not in keys:
            raise ConfigError(f"keys= has none for {endpoint}; give one file for all, or one for each endpoint")
        return given_keys(keys[endpoint])
    return given_keys(keys)


class Handshakes:
    """Watches a connecting socket: ZeroMQ itself would be refused again and again for ever, without a word.

    Made, used and closed in the socket's thread, and made before it connects.

    Attributes:
        met: whether the other side has been there.
    """

    def __init__(self, socket: "zmq.Socket[bytes]", endpoint: str, keys: Keys | None) -> None:
        self._socket, self._endpoint, self._keys = socket, endpoint, keys
        self._monitor = socket.get_monitor_socket(_WATCHED)
        self.met = False
        self._failed = 0  # in a row, without a reason
        self._poller = zmq.Poller()
        self._poller.register(socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)

    @property
    def monitor(self) -> "zmq.Socket[bytes]":
        """Can be read when `check` has something to look at."""
        return self._monitor

    def wait(self, milliseconds: int | None) -> bool:
        """Wait until the socket can be read; whether it can. What has come is read before a refusal is told.

        Args:
            milliseconds: longest wait; None waits for ever.

        Raises:
            ConfigError: the node refuses this client, and will go on to.
        """
        until = None if milliseconds is None else time.monotonic() + milliseconds / 1000
        while True:
            left = None if until is None else max(0, round(1000 * (until - time.monotonic())))
            ready = dict(self._poller.poll(left))
            if self._socket in ready:
                return True
            if not ready:
                return False
            self.check()

    def check(self) -> None:
        """Look at what has become of the connections, without waiting.

        Raises:
            ConfigError: as `wait`.
        """
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)
            kind, value = int(event["event"]), int(event["value"])
            if kind == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._failed, self.met = 0, True
            elif kind == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                raise ConfigError(self._refused())
            elif value == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
                raise ConfigError(self._mismatch())
            else:
                self._failed += 1
                if self._failed >= _SUSPECT:
                    self._failed = 0
                    self._ask_why()

    def close(self) -> None:
        """Stop watching; before the socket is closed."""
        self._poller.unregister(self._monitor)
        self._socket.disable_monitor()
        self._monitor.close(0)

    def _ask_why(self) -> None:
        """A node that is being restarted behind a forwarded port hangs up in the same way as one with other keys."""
        mechanism = probe(self._endpoint)
        if mechanism is None:
            return
        if (mechanism == "CURVE") != (self._keys is not None):
            raise ConfigError(self._mismatch())
        if self._keys is not None:
            raise ConfigError(
                f"{self._endpoint} is another node than the one that the keys of {self._keys.name!r} are for, "
                "or its key has changed; get a new file from `glatd keys add` there"
            )

    def _refused(self) -> str:
        name = self._keys.name if self._keys else "this client"
        return (
            f"{self._endpoint} refuses {name!r}: its key is unknown or revoked there, or lacks the right for this; "
            "see `glatd keys list` and the log there"
        )

    def _mismatch(self) -> str:
        if self._keys is None:
            return f"{self._endpoint} asks for keys; give the file that `glatd keys add NAME` made there (--keys FILE)"
        return f"{self._endpoint} has no keys, so nobody could tell who it is; leave the keys out, or give it some"


def probe(endpoint: str) -> str | None:
    """How a ZeroMQ socket wants to be greeted: "NULL", "CURVE" ...; None where there is none that answers."""
    # The signature and the version alone: whoever reads it then tells its mechanism, and has nothing to refuse yet.
    greeting = b"\xff" + bytes(8) + b"\x7f\x03"
    said = b""
    try:
        with _connected(endpoint) as peer:
            peer.sendall(greeting)
            while len(said) < _GREETING and (more := peer.recv(_GREETING - len(said))):
                said += more
    except (OSError, ValueError):
        return None
    if len(said) < _GREETING or said[:1] != b"\xff" or said[9:10] != b"\x7f":
        return None
    return said[12:32].rstrip(b"\0").decode("ascii", "replace")


def _connected(endpoint: str) -> sockets.socket:
    if endpoint.startswith("ipc://"):
        peer = sockets.socket(sockets.AF_UNIX)
        try:
            peer.settimeout(_PROBE_S)
            peer.connect(endpoint.removeprefix("ipc://"))
        except OSError:
            peer.close()
            raise
        return peer
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    return sockets.create_connection((host.strip("[]"), int(port)), _PROBE_S)
