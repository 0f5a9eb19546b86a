"""The schemas in docs/schema are what the code says, and what a daemon says fits them."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq
from jsonschema import Draft202012Validator

from glatd.daemon.control import REQUESTS
from glatd.daemon.journal.catchup import KEYS, parse_request
from glatd.daemon.schema.documents import ASYNCAPI, MESSAGES, documents, text
from glatd.daemon.schema.wire import DOES, VALUES
from glatd.daemon.sources.pcm_zmq import parse_pushed
from glatd.errors import ProtocolError
from glatd.messages import from_map
from tests.conftest import ROOT
from tests.daemon.processes import PATIENCE_S, free_endpoint, glatd, running

FOLDER = ROOT / "docs" / "schema"
DOCUMENTS = documents()
SCHEMAS = {name: document for name, document in DOCUMENTS.items() if name != ASYNCAPI}
GOLDEN = ROOT / "tests" / "glatd" / "messages_v1.txt"
STREET = ROOT / "demo" / "street.ogg"
LINES = [line.split() for line in GOLDEN.read_text().splitlines() if not line.startswith("#")]
# One of each type of JSON; a whole number may stand for a fraction, and 1 fits every range.
VALUES_OF_ANY_TYPE: tuple[Any, ...] = (None, True, 1, 0.5, "x", [], [1], ["x"], {}, {"x": 1})


def check(name: str, value: object) -> None:
    """Hold a value to a schema.

    Raises:
        ValidationError: it does not fit.
    """
    Draft202012Validator(SCHEMAS[name]).validate(value)


def fits(name: str, value: object) -> bool:
    """Whether it does."""
    return bool(Draft202012Validator(SCHEMAS[name]).is_valid(value))


def test_what_stands_in_the_docs_is_what_the_code_says() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    made = {f"{name}.json": text(document) for name, document in DOCUMENTS.items()}
    assert there.keys() == made.keys(), "make them anew: glatd schema --out docs/schema"
    different = [name for name in made if there[name] != made[name]]
    assert not different, "make them anew: glatd schema --out docs/schema"


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_one_and_describes_every_key(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    silent = [
        key
        for shape in shapes(SCHEMAS[name])
        for key, value in shape.get("properties", {}).items()
        if not value.keys() & {"description", "const", "$ref"}
    ]
    assert not silent, f"give these fields a comment: {silent}"


def shapes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and its parts."""
    yield schema
    for part in (*schema.get("$defs", {}).values(), *schema.get("oneOf", ())):
        yield from shapes(part)


@pytest.mark.parametrize(("name", "payload"), LINES, ids=[name for name, _ in LINES])
def test_the_golden_messages_fit(name: str, payload: str) -> None:
    check(name.partition(".")[0], msgpack.unpackb(bytes.fromhex(payload)))


@pytest.mark.parametrize("kind", MESSAGES)
def test_schema_and_reader_agree_on_types(kind: str) -> None:
    """A value of any other type, and a key that is absent, are refused by both or by neither."""
    (payload,) = [payload for name, payload in LINES if name == kind]
    fields = msgpack.unpackb(bytes.fromhex(payload))
    refused = 0
    for changed in [
        *({key: value for key, value in fields.items() if key != absent} for absent in fields),
        *(fields | {key: value} for key in fields if key != "evidence" for value in VALUES_OF_ANY_TYPE),
        fields | {"later": "key"},
    ]:
        if changed.get("type") in MESSAGES:  # readers pass on what they do not know
            assert fits(kind, changed) == is_read(changed), changed
            refused += not fits(kind, changed)
    assert refused > 5 * len(fields)


def is_read(fields: dict[str, Any]) -> bool:
    """Whether glatd's own reader takes it."""
    with suppress(ProtocolError):
        from_map(fields)
        return True
    return False


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("tags", {"tags": [{"label": "Dog", "mid": "/m/0bt9lr", "score": 1.5, "global": 0.5, "local": 0.5}]}),
        ("tags", {"crops": [{"label": "Dog", "start": 0.5, "end": 1, "activation": 0.5}]}),
        ("tags", {"filled": -0.1}),
        ("event", {"phase": "begin"}),
        ("event", {"evidence": {"global": 0.5}}),
        ("event", {"evidence": {"crop": [1]}}),
        ("status", {"findings": [1]}),
    ],
)
def test_what_is_wrong_inside_does_not_fit(kind: str, change: dict[str, Any]) -> None:
    (payload,) = [payload for name, payload in LINES if name == kind]
    assert not fits(kind, msgpack.unpackb(bytes.fromhex(payload)) | change)


def test_requests_are_those_that_are_read() -> None:
    assert set(SCHEMAS["catchup-request"]["properties"]) == {"v", *KEYS}
    assert DOES.keys() == REQUESTS.keys() and VALUES.keys() == {key for keys in REQUESTS.values() for key in keys}
    for key in KEYS:
        for value in (*VALUES_OF_ANY_TYPE, "", "Dog", "x" * 300, -1, 2**63):
            request = {"v": 1, "from": 1} | {key: value}
            if key != "label" or value in ("Dog", None) or not isinstance(value, str):  # names are not in the schema
                assert fits("catchup-request", request) == is_taken(request), request
    assert not fits("catchup-request", {"v": 1, "from": 1, "since": 2}) and not fits("catchup-request", {"v": 1})
    for do, keys in REQUESTS.items():
        request = {"v": 1, "do": do} | dict.fromkeys(keys, "x")
        check("control-request", request)
        assert not fits("control-request", request | {"more": "x"})
        assert all(not fits("control-request", request | {key: 1}) for key in keys)


def is_taken(request: dict[str, Any]) -> bool:
    """Whether the catch-up socket takes it."""
    with suppress(ProtocolError):
        parse_request(msgpack.packb(request))
        return True
    return False


def test_headers_of_audio_are_those_that_are_read() -> None:
    good = {"v": 1, "rate": 48_000}
    for header in (good, good | {"format": "f32le", "channels": 2, "start": 7}):
        check("audio-header", header)
        parse_pushed([msgpack.packb(header), bytes(8)])
    for change in ({"rate": 1}, {"rate": 48_000.5}, {"format": "mp3"}, {"channels": 0}, {"start": -1}):
        assert not fits("audio-header", good | change)
        with pytest.raises(ProtocolError):
            parse_pushed([msgpack.packb(good | change), bytes(8)])


def test_asyncapi_names_what_there_is() -> None:
    document = DOCUMENTS[ASYNCAPI]
    for pointer in pointers(document):
        if pointer.startswith("./"):
            assert (FOLDER / pointer).is_file(), pointer
            continue
        found: Any = document
        for step in pointer.removeprefix("#/").split("/"):
            found = found[step]
    assert document["components"]["messages"].keys() == SCHEMAS.keys()


def pointers(value: object) -> Iterator[str]:
    """Every $ref in a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from pointers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from pointers(inner)


def test_the_command_prints_and_writes_them(tmp_path: Path) -> None:
    assert json.loads(glatd("schema", "event").stdout) == SCHEMAS["event"]
    listed = glatd("schema").stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(DOCUMENTS) and all(len(line) <= 80 for line in listed)
    unknown = glatd("schema", "evnt")
    assert unknown.returncode == 2 and "there is no schema 'evnt'; known: tags, event" in unknown.stderr
    assert glatd("schema", "--out", tmp_path / "made").returncode == 0
    assert {path.name for path in (tmp_path / "made").iterdir()} == {f"{name}.json" for name in DOCUMENTS}


class Asking:
    """A REQ socket of another language."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str) -> None:
        self._socket = context.socket(zmq.REQ)
        self._socket.linger = 0
        self._socket.connect(endpoint)

    def ask(self, **request: object) -> dict[str, Any]:
        """The reply to a request."""
        self._socket.send(msgpack.packb({"v": 1} | request))
        assert self._socket.poll(round(2000 * PATIENCE_S)), request
        reply: dict[str, Any] = msgpack.unpackb(self._socket.recv())
        return reply

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


@pytest.mark.skipif(not (ROOT / "engines" / "default").is_dir(), reason="needs the default engine")
@pytest.mark.timeout(400)
def test_what_a_daemon_says_and_answers_fits(tmp_path: Path) -> None:
    publish, control, catchup = free_endpoint(), free_endpoint(), free_endpoint()
    config = tmp_path / "glatd.toml"
    config.write_text(
        f'node = "edge-1"\npublish = "{publish}"\ncontrol = "{control}"\ncatchup = "{catchup}"\n'
        f'journal = "{tmp_path}/journal"\nstatus_seconds = 1.0\n[events]\non = 0.2\noff = 0.1\n'
    )
    heard: dict[str, int] = {}
    idle = free_endpoint()  # where nobody pushes audio: nothing keeps the loop from answering
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.subscribe("")
        socket.connect(publish)
        with (
            running("run", "--config", config, "--source", f"yard=zmq+{idle}") as daemon,
            closing(Asking(context, control)) as tells,
            closing(Asking(context, catchup)) as asks,
        ):
            until = time.monotonic() + 3 * PATIENCE_S
            while not tells.ask(do="list")["ok"]:  # its loop does not answer while the engine warms up
                assert time.monotonic() < until, daemon.errors
            check_control(tells)
            assert tells.ask(do="add", source=f"street=file:{STREET}")["ok"]
            until = time.monotonic() + 3 * PATIENCE_S
            while not {"tags", "event", "status", "node"} <= heard.keys() or heard["event"] < 3:
                assert time.monotonic() < until and daemon.process.poll() is None, (heard, daemon.errors)
                if socket.poll(1000):
                    message = msgpack.unpackb(socket.recv_multipart()[1])
                    heard[message["type"]] = heard.get(message["type"], 0) + 1
                    check(message["type"], message)
            check_catch_up(asks)
            assert daemon.end(signal.SIGTERM) == 0


def check_catch_up(asks: Asking) -> None:
    """What is asked and answered for events that were missed."""
    for request in ({"from": 0}, {"from": 1, "limit": 1, "label": "Animal", "id": 3}, {"from": 9**9, "limit": 0}):
        check("catchup-request", {"v": 1} | request)
        reply = asks.ask(**request)
        check("catchup-reply", reply)
        assert reply["ok"]
    refusal = asks.ask(**{"from": -1})
    check("catchup-reply", refusal)
    assert not refusal["ok"] and not fits("catchup-reply", refusal | {"error": 7})


def check_control(tells: Asking) -> None:
    """What a daemon is told, each request once."""
    values = {
        "stream": "yard", "label": "Dog", "key": "on", "value": "0.7", "source": f"two=zmq+{free_endpoint()}",
        "engine": "auto",
    }  # fmt: skip
    for do, keys in REQUESTS.items():
        request = {"do": do} | {key: values[key] for key in keys} | ({"stream": "two"} if do == "remove" else {})
        check("control-request", {"v": 1} | request)
        reply = tells.ask(**request)
        assert reply["ok"], reply
        check("control-reply", reply)
    refusal = tells.ask(do="mute", stream="nobody")
    assert not refusal["ok"]
    check("control-reply", refusal)
