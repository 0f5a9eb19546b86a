"""The control socket: streams come and go, rules and the engine are changed, while the daemon runs.

A ROUTER in a thread of its own. A request is one msgpack map `{"v": 1, "do": NAME, ...}`, its reply
`{"v": 1, "ok": true, ...}` or `{"v": 1, "ok": false, "error": TEXT}`; what was asked for has been done when the
reply comes. One that takes long (an engine is loaded) keeps no other waiting. Without keys it binds on loopback or on
an ipc path that the daemon's user alone may use, and nowhere else; with keys a client needs the right to control.
"""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

import msgpack
import zmq

from glatd.daemon.answering import Answering
from glatd.daemon.endpoint import Endpoint, Purpose
from glatd.daemon.security.access import LOCAL, Access, is_local
from glatd.errors import ConfigError, GlatdError, ProtocolError
from glatd.redact import redact

VERSION = 1
LARGEST_REQUEST = 16_384  # bytes; ZeroMQ hangs up on whoever sends more
WAITING = 100  # requests and replies that may wait
LINGER_MS = 200  # for a last reply to leave
POLL_MS = 200  # how late a stop is seen

# What each request takes beside `v` and `do`, all of it text.
REQUESTS: Mapping[str, tuple[str, ...]] = {
    "version": (),
    "list": (),
    "reload": (),
    "add": ("source",),
    "remove": ("stream",),
    "mute": ("stream",),
    "unmute": ("stream",),
    "rules": ("stream", "label"),
    "set": ("stream", "label", "key", "value"),
    "engine": ("engine",),
}

log = logging.getLogger("glatd.control")

Reply = Mapping[str, Any]
# Does what was asked for, in the control socket's thread; its result goes into the reply. A future's, when it comes.
Command = Callable[..., "Reply | Future[dict[str, Any]]"]


class Control(Answering):
    """Answers requests until it is closed.

    Args:
        endpoint: ipc:///PATH or tcp://127.0.0.1:PORT; with keys any address.
        commands: by name, those of `REQUESTS`; called with the request's values, by position. A GlatdError
            becomes the reply.
        access: the keys of the node.

    Raises:
        ConfigError: the endpoint is taken, is none, or can be reached from other machines and there are no keys.
    """

    def __init__(self, endpoint: str, commands: Mapping[str, Command], access: Access = LOCAL) -> None:
        check_private(endpoint, access)
        self._commands = commands
        self._awaited: list[tuple[list[bytes], Future[dict[str, Any]]]] = []  # who asked, and what comes of it
        purpose = Purpose("be controlled", "control", "control", LARGEST_REQUEST, WAITING, LINGER_MS)
        super().__init__("control", endpoint, purpose, access, leave=1.0)

    def _serve(self, bound: Endpoint) -> None:
        while not self._stopped.is_set():
            if bound.socket.poll(POLL_MS) and (frames := bound.receive()):
                self._answer(bound.socket, frames)
            for envelope, future in [each for each in self._awaited if each[1].done()]:
                self._awaited.remove((envelope, future))
                _send(bound.socket, envelope, _packed(future.result))

    def _answer(self, router: "zmq.Socket[bytes]", frames: list[bytes]) -> None:
        # [who] and, from a REQ socket, an empty frame; then the request.
        *envelope, payload = frames

        def reply() -> Reply:
            if len(envelope) not in (1, 2):
                raise ProtocolError(f"a request of {len(envelope)} frames; send one msgpack map")
            do, values = parse_request(payload)
            found = self._commands[do](*values)
            if isinstance(found, Future):
                self._awaited.append((envelope[:2], found))
                return {}
            return found

        awaited = len(self._awaited)
        packed = _packed(reply)
        if len(self._awaited) == awaited:
            _send(router, envelope[:2], packed)


def _packed(reply: Callable[[], Reply]) -> bytes:
    """What is sent of what comes, or of the error that comes instead."""
    try:
        packed: bytes = msgpack.packb({"v": VERSION, "ok": True, **reply()})
    except GlatdError as error:
        return refusal(str(error))
    except Exception as error:  # one request must not end the others
        log.exception("a request failed: %s", error)
        return refusal(f"{type(error).__name__}: {error}; see the log of glatd")
    return packed


def _send(router: "zmq.Socket[bytes]", envelope: list[bytes], packed: bytes) -> None:
    try:
        router.send_multipart([*envelope, packed], zmq.DONTWAIT)
    except zmq.ZMQError as error:
        log.warning("a reply could not be sent: %s", error)


def refusal(text: str) -> bytes:
    """The reply to what cannot be done."""
    packed: bytes = msgpack.packb({"v": VERSION, "ok": False, "error": redact(text)}, unicode_errors="replace")
    return packed


def parse_request(payload: bytes) -> tuple[str, list[str]]:
    """What is to be done, and its values in the order of `REQUESTS`.

    Raises:
        ProtocolError: no msgpack map, a newer version, an unknown request, a value that is missing or too many.
    """
    try:
        request = msgpack.unpackb(payload)
    except Exception as error:  # msgpack raises errors of many kinds
        raise ProtocolError(
            f"a request of {len(payload)} bytes is no msgpack: {str(error) or type(error).__name__}"
        ) from error
    if not isinstance(request, dict):
        raise ProtocolError(f"a request must be a map, this is a {type(request).__name__}")
    version, do = request.pop("v", None), request.pop("do", None)
    if type(version) is not int or version < 1:
        raise ProtocolError(f'a request needs its version, "v": {VERSION}')
    if version > VERSION:
        raise ProtocolError(f"a request of version {version}; this glatd knows {VERSION}: upgrade it")
    if not isinstance(do, str) or do not in REQUESTS:
        raise ProtocolError(f"unknown request {shown(do)}; known: {', '.join(REQUESTS)}")
    values = []
    for name in REQUESTS[do]:
        value = request.pop(name, None)
        if not isinstance(value, str) or not value:
            raise ProtocolError(f'{do} needs "{name}", a text; this is {shown(value)}')
        values.append(value)
    if request:
        raise ProtocolError(
            f"{do} takes {' and '.join(REQUESTS[do]) or 'nothing'}, not {', '.join(map(shown, request))}"
        )
    return do, values


def shown(value: object) -> str:
    """A value of a request in an error, not longer than a line."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def check_private(endpoint: str, access: Access = LOCAL) -> None:
    """Refuse an endpoint that others could reach, if nobody is asked for a key; saying it twice does not help here.

    Raises:
        ConfigError: without keys neither an ipc path nor a loopback address; a path that is not absolute.
    """
    where = f"control = {endpoint!r}"
    if endpoint.startswith("ipc://"):
        if not endpoint.startswith("ipc:///"):  # ZeroMQ would take a name or a relative path, or @NAME for all users
            raise ConfigError(f"{where} needs an absolute path; write ipc:///run/glatd/control")
        return
    if endpoint.startswith("tcp://") and (access.keyring is not None or is_local(endpoint)):
        return
    raise ConfigError(
        f"{where} could be reached by others, and there is no authentication; "
        "write ipc:///run/glatd/control or tcp://127.0.0.1:5556, or make keys (`glatd keys init`)"
    )
