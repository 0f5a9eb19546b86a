"""Checks of what glatd binds, and of the programs that sources need."""

import fcntl
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import zmq

from glatd.clients.control import ask
from glatd.clients.keys import probe
from glatd.daemon.control import check_private
from glatd.daemon.doctor.finding import Finding, error, failure, ok, warning
from glatd.daemon.endpoint import TAKEN, bind
from glatd.daemon.security.access import Access, check_reach, is_local, make_access
from glatd.errors import ConfigError, GlatdError

_ANSWER_S = 2.0
_GREETING = b"\xff"  # first byte of ZMTP, the protocol of ZeroMQ
_FFMPEG = ("srt:",)  # schemes that PyAV's own FFmpeg does not speak


def keys(folder: str) -> Iterator[Finding]:
    """Whether the keys of the node can be used, and are for its user alone."""
    if not folder:
        yield ok("keys", "none: whoever reaches a socket may use it")
        return
    try:
        access = make_access(folder, False)
    except ConfigError as raised:
        yield failure("keys", raised)
        return
    many = access.keyring.allowed.count() if access.keyring else 0
    if many:
        yield ok("keys", f"{folder}: {many} {'client' if many == 1 else 'clients'}")
    else:
        yield warning("keys", f"{folder}: nobody is let in", f"glatd keys add NAME --dir {folder}")


def publisher(endpoint: str, folder: str = "", insecure: bool = False) -> Iterator[Finding]:
    """Whether the endpoint to publish on is free, and who reaches it.

    Args:
        folder: of keys; "" for none.
        insecure: whether it was said that other machines are let in without keys.
    """
    if not endpoint:
        yield ok("publish", "nothing is published")
        return
    try:
        if not folder:
            check_reach(endpoint, f"cannot publish on {endpoint}", "--publish", Access(insecure=insecure))
        _try(endpoint, zmq.XPUB, "publish", "--publish")
    except ConfigError as raised:
        if TAKEN in str(raised) and _speaks_zeromq(endpoint):
            yield warning("publish", f"{endpoint} is in use by a ZeroMQ program", "if that is not glatd: stop it")
        else:
            yield failure("publish", raised)
        return
    if not folder and not is_local(endpoint):
        yield warning(
            "publish", f"{endpoint} is free, and everyone in the network may listen: there are no keys",
            "make keys (glatd keys init), or shut the port in the firewall",
        )  # fmt: skip
    else:
        yield ok("publish", f"{endpoint} is free")


def control(endpoint: str, folder: str = "") -> Iterator[Finding]:
    """Whether the control socket can be bound, or which glatd answers there.

    Args:
        folder: of keys; "" for none.
    """
    if not endpoint:
        yield ok("control", "off")
        return
    try:
        if not folder:
            check_private(endpoint)
        _try(endpoint, zmq.ROUTER, "be controlled", "control")
    except ConfigError as raised:
        if TAKEN not in str(raised):
            yield failure("control", raised)
            return
        try:
            version = ask(endpoint, "version", timeout=_ANSWER_S).get("glatd")
        except GlatdError:
            if probe(endpoint) == "CURVE":
                yield ok("control", f"{endpoint}: a glatd with keys is running")
            else:
                yield failure("control", raised)
        else:
            yield ok("control", f"{endpoint}: glatd {version} is running")
        return
    yield ok("control", f"{endpoint} is free")


def ffmpeg(uris: Sequence[str]) -> Iterator[Finding]:
    """The program, where a source needs it."""
    needing = [uri for uri in uris if uri.lower().startswith(_FFMPEG)]
    if not needing:
        return
    program = shutil.which("ffmpeg")
    if program is None:
        yield error("ffmpeg", "missing, srt:// needs it", "apt-get install ffmpeg")
        return
    command = [program, "-hide_banner", "-loglevel", "error", "-protocols"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False, stdin=subprocess.DEVNULL)
    if "srt" in done.stdout.split():
        yield ok("ffmpeg", f"{program}, with srt")
    else:
        yield error("ffmpeg", f"{program} was built without srt", "apt-get install ffmpeg, which has it")


def _try(endpoint: str, kind: int, purpose: str, option: str) -> None:
    """Bind and let go, without leaving a file: root's would be in the way of the service."""
    if endpoint.startswith("ipc://"):
        _try_path(Path(endpoint.removeprefix("ipc://")), f"cannot {purpose} on {endpoint}", option)
        return
    with zmq.Context() as context, context.socket(kind) as probe:
        probe.linger, probe.ipv6 = 0, "[" in endpoint
        bind(probe, endpoint, purpose, option)


def _try_path(path: Path, what: str, option: str) -> None:
    if not os.path.isdir(path.parent):  # Path.is_dir raises where it may not look
        raise ConfigError(f"{what}: there is no folder {path.parent}; make it, or choose another {option}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"{what}: {path.parent} cannot be written to; chown it, or choose another {option}")
    try:
        with Path(f"{path}.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return
    except BlockingIOError as error_:
        raise ConfigError(f"{what}: {TAKEN}; stop the other program or choose another {option}") from error_
    except OSError as error_:
        raise ConfigError(f"{what}: {error_.strerror}: {path}.lock; ask as the user that glatd runs as") from error_


def _speaks_zeromq(endpoint: str) -> bool:
    """Whether what holds an address greets as ZeroMQ does."""
    if endpoint.startswith("ipc://"):
        return True  # no other program has such a lock
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    host = host.strip("[]")
    try:
        with socket.create_connection(
            ("127.0.0.1" if host in ("*", "0.0.0.0") else host, int(port)), _ANSWER_S
        ) as peer:
            peer.settimeout(_ANSWER_S)
            return peer.recv(1) == _GREETING
    except (OSError, ValueError):
        return False
