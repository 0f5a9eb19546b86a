"""One connection to NATS JetStream, for a thread: what is published returns when the stream has it on its disk.

nats-py speaks asyncio, so its loop runs in a thread of its own, where it answers the server's pings meanwhile. Its own
reconnecting is left off: it would send what had waited before what has to be sent again, and so change the order.
"""

import asyncio
import concurrent.futures
import logging
import ssl
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from glatd.clients.bridges.base import Away, Unwanted
from glatd.errors import ConfigError, GlatdError
from glatd.redact import redact

if TYPE_CHECKING:
    from nats.aio.client import Client

ANSWER_S = 5.0  # for each answer of the server
PING_S = 20.0  # after three of which without an answer the server is away
CLOSE_S = 1.0  # for taking leave; over TLS that was not trusted it would be 30
SPARE_S = 10.0  # beyond its own limits, after which a call is given up
DAY_S = 86_400.0

T = TypeVar("T")

log = logging.getLogger("glatd.bridge")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Where events go, and how it is made if there is none."""

    name: str
    subjects: str  # that it takes: "glatd.>"
    window: float  # s within which it drops what it has already
    days: float  # that it keeps events; 0 for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How to get in. Its text never shows a secret."""

    user: str | None = None
    password: str | None = None
    token: str | None = None
    credentials: str | None = None  # file of NATS, with a JWT and a key

    def __repr__(self) -> str:
        return "Login(***)"


class NatsLink:
    """Connects when it is first needed, and again after a failure.

    Args:
        servers: URLs without user and password.
        trust: of TLS; None where none of the servers is asked for it.

    Attributes:
        repeats: events that the stream had already, and dropped.
    """

    def __init__(self, servers: tuple[str, ...], stream: Stream, login: Login, trust: ssl.SSLContext | None) -> None:
        try:
            import nats
        except ImportError as error:
            raise ConfigError("NATS needs nats-py; pip install 'glatd[nats]'") from error
        self._nats = nats
        self._servers, self._stream, self._login, self._trust = servers, stream, login, trust
        self.repeats = 0
        self._client: Client | None = None
        self._was_in = False  # whether the server has let this in before
        self._said = ""  # by the server, of its own accord
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def connect(self) -> None:
        """Connect, unless it is, and see to the stream.

        Raises:
            Away: nobody answers, or not now.
            ConfigError: it does not let this in, or the subjects are another stream's.
        """
        if self._client is None or not self._client.is_connected:
            self._call(self._connect, (2 + len(self._servers)) * 2 * ANSWER_S)

    def publish(self, subject: str, payload: bytes, name: str) -> None:
        """Publish; returns when the stream has it, or had it before.

        Raises:
            Away, ConfigError: as `connect`.
            Unwanted: it is too large for the server.
        """
        self.connect()
        self._call(lambda: self._publish(subject, payload, name), ANSWER_S)

    def close(self) -> None:
        """Disconnect, and end the thread."""
        if self._loop is None or self._thread is None:
            return
        try:
            self._call(self._end, ANSWER_S)
        except GlatdError:
            pass
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = self._thread = None

    def _call(self, what: Callable[[], Coroutine[Any, Any, T]], seconds: float) -> T:
        """Run something in the loop's thread, and wait for it."""
        if self._loop is None:
            logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns at the end of each connection over TLS
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="nats")
            self._thread.start()
        running = asyncio.run_coroutine_threadsafe(_within(what, seconds), self._loop)
        errors, js = self._nats.errors, self._nats.js.errors
        try:
            return running.result(seconds + SPARE_S)
        except GlatdError:
            raise
        except (TimeoutError, concurrent.futures.TimeoutError, errors.TimeoutError) as error:
            running.cancel()
            raise Away(self._why(f"no answer within {seconds:g} s")) from error
        except errors.MaxPayloadError as error:
            raise Unwanted("it is longer than the server takes (max_payload)") from error
        except (js.ServiceUnavailableError, errors.NoRespondersError) as error:
            raise Away("JetStream does not answer; is it enabled there?") from error
        except (errors.Error, OSError) as error:
            raise Away(self._why(_text(error))) from error

    async def _connect(self) -> None:
        await self._disconnect()
        client = self._make_client()
        self._said = ""
        login = self._login
        options: dict[str, Any] = {
            "user": login.user, "password": login.password, "token": login.token,
            "user_credentials": login.credentials, "tls": self._trust,
        }  # fmt: skip
        try:
            await client.connect(
                list(self._servers), name="glatd", error_cb=self._heard, allow_reconnect=False,
                max_reconnect_attempts=1, reconnect_time_wait=0, connect_timeout=int(ANSWER_S),
                ping_interval=int(PING_S), max_outstanding_pings=2,
                **{name: value for name, value in options.items() if value is not None},
            )  # fmt: skip
            self._client = client
            await self._see_to_stream()
        except BaseException as error:
            self._client = None
            await _leave(client)
            if not self._was_in and isinstance(error, self._nats.errors.Error) and "uthorization" in str(error):
                raise ConfigError(
                    f"{', '.join(self._servers)} does not let this in; check user, password, token or credentials"
                ) from error
            raise
        self._was_in = True

    def _make_client(self) -> "Client":
        from nats.aio.client import Client

        encrypted = self._trust is not None

        class Careful(Client):
            """Tells no server anything in clear that was to be spoken to over TLS: nats-py would."""

            def _connect_command(self) -> bytes:
                if encrypted and not self._server_info.get("tls_required"):
                    raise ConfigError("the server offers no TLS; give nats:// if that is meant")
                return super()._connect_command()

        return Careful()

    async def _see_to_stream(self) -> None:
        """Make the stream if there is none; say what it does with repeats."""
        assert self._client is not None
        js, wanted = self._client.jetstream(timeout=ANSWER_S), self._stream
        try:
            name = await js.find_stream_name_by_subject(wanted.subjects)
        except self._nats.js.errors.NotFoundError:
            name = ""
        if name not in ("", wanted.name):
            raise ConfigError(
                f"the subjects {wanted.subjects} belong to stream {name!r} there, not to {wanted.name!r}; "
                "give --jetstream or --subject"
            )
        if name:
            config = (await js.stream_info(name)).config
            made = "has"
        else:
            config = await self._make_stream()
            made = "had no stream for glatd; made"
        log.info(
            "%s %s stream %s of %s: repeats within %g s are dropped, events are kept %s",
            ", ".join(self._servers), made, config.name, wanted.subjects, config.duplicate_window or 0,
            f"{config.max_age / DAY_S:g} days" if config.max_age else "for ever",
        )  # fmt: skip

    async def _make_stream(self) -> Any:
        assert self._client is not None
        wanted, age = self._stream, self._stream.days * DAY_S
        try:
            made = await self._client.jetstream(timeout=ANSWER_S).add_stream(
                name=wanted.name, subjects=[wanted.subjects], description="events of glatd",
                max_age=age, duplicate_window=min(wanted.window, age or wanted.window),
            )  # fmt: skip
        except self._nats.js.errors.BadRequestError as error:
            raise ConfigError(
                f"cannot make the stream {wanted.name!r}: {error.description}; make it there, with {wanted.subjects} "
                "among its subjects"
            ) from error
        return made.config

    async def _publish(self, subject: str, payload: bytes, name: str) -> None:
        assert self._client is not None
        js = self._client.jetstream(timeout=ANSWER_S)
        try:
            ack = await js.publish(subject, payload, stream=self._stream.name, headers={"Nats-Msg-Id": name})
        except self._nats.js.errors.NoStreamResponseError:  # it was deleted since
            await self._disconnect()
            raise Away("no stream takes the events any more") from None
        if ack.duplicate:
            self.repeats += 1

    async def _disconnect(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await _leave(client)

    async def _end(self) -> None:
        await self._disconnect()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _heard(self, error: Exception) -> None:
        """The server or nats-py says what is wrong."""
        self._said = _text(error)

    def _why(self, otherwise: str) -> str:
        """What went wrong, in the words of whoever knows best."""
        said, self._said = self._said, ""
        return said or otherwise


async def _within(what: Callable[[], Coroutine[Any, Any, T]], seconds: float) -> T:
    async with asyncio.timeout(seconds):
        return await what()


async def _leave(client: "Client") -> None:
    with suppress(TimeoutError):
        await _within(client.close, CLOSE_S)


def _text(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); --ca FILE names who vouches for it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return redact(str(error).removeprefix("nats: ").strip("' ")) or type(error).__name__
