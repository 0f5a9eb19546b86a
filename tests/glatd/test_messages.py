"""The wire: bytes that may never change, what readers tolerate, and what they refuse."""

import dataclasses
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glatd.errors import ProtocolError
from glatd.messages import (
    MAX_PAYLOAD,
    Crop,
    Event,
    Gap,
    Message,
    Node,
    Status,
    Tag,
    Tags,
    Unknown,
    from_map,
    pack,
    to_map,
    topic,
    unpack,
)

HEAD = {"node": "edge-1", "session": "s1", "stream": "yard", "time": "2026-01-01T00:00:25.920000Z"}

MESSAGES: dict[str, Message] = {
    "tags": Tags(
        **HEAD, seq=17, start=509_440, end=829_440, rate=32_000, filled=1.0, level_dbfs=-31.2,
        engine="0123456789abcdef",
        tags=(Tag("Dog", "/m/0bt9lr", score=0.91, global_=0.84, local=0.93),),
        crops=(Crop("Dog", 604_800, 700_800, activation=0.77),),
    ),
    "event": Event(
        **HEAD, offset=41, id="7f3a", phase="start", label="Dog", mid="/m/0bt9lr", rate=32_000,
        onset=640_000, offset_time=None, peak=0.93, mean=0.88,
        evidence={"crop": [604_800, 700_800], "global": 0.84, "local": 0.93, "fused": 0.91}, cause="",
    ),
    "gap": Gap(**HEAD, start=320_000, end=352_000, rate=32_000, cause="overload"),
    "status": Status(
        **HEAD, state="live", uri="tcp://127.0.0.1:5000", engine="0123456789abcdef", rate=32_000,
        samples=829_440, lost=32_000, windows=18, late_ms=12.5,
    ),
    "node": Node(
        **HEAD | {"stream": ""}, engine="0123456789abcdef", streams=16, live=15, windows=1800, late_ms=41.5,
        policy="3 crops", level=1, steps=1, crops=3, hops=1, skipped=0, dropped=0, quiet=12, memory_mb=210.5,
        uptime=108.0,
    ),
}

# What the bytes hold, written out once without any code of the project's: the specification's example.
TAGS_MAP = {
    "v": 1, "type": "tags", "node": "edge-1", "session": "s1", "stream": "yard",
    "time": "2026-01-01T00:00:25.920000Z", "seq": 17, "start": 509440, "end": 829440, "rate": 32000,
    "filled": 1.0, "level_dbfs": -31.2, "engine": "0123456789abcdef", "quiet": False,
    "tags": [{"label": "Dog", "mid": "/m/0bt9lr", "score": 0.91, "global": 0.84, "local": 0.93}],
    "crops": [{"label": "Dog", "start": 604800, "end": 700800, "activation": 0.77}],
}


def golden(kind: str) -> bytes:
    """The committed payload of a type."""
    lines = Path(__file__).with_name("messages_v1.txt").read_text().splitlines()
    found = dict(line.split() for line in lines if not line.startswith("#"))
    assert {name for name in found if "." not in name} == MESSAGES.keys()
    return bytes.fromhex(found[kind])


@pytest.mark.parametrize("kind", MESSAGES)
def test_the_bytes_of_version_1_stay(kind: str) -> None:
    head, payload = pack(MESSAGES[kind])
    assert head == (b"node/edge-1/" if kind == "node" else f"{kind}/edge-1/yard/".encode())
    assert payload == golden(kind)
    assert unpack(golden(kind)) == MESSAGES[kind]


@pytest.mark.parametrize("kind", ["tags", "event", "status", "node"])
def test_what_the_first_release_said_is_still_read(kind: str) -> None:
    """Keys that came later have their defaults."""
    assert unpack(golden(f"{kind}.0")) == MESSAGES[kind]


def test_the_golden_bytes_say_what_the_specification_says() -> None:
    assert msgpack.unpackb(golden("tags")) == TAGS_MAP


def test_global_stands_on_the_wire_without_the_underscore() -> None:
    assert set(to_map(MESSAGES["tags"])["tags"][0]) == {"label", "mid", "score", "global", "local"}


# Strategies of every message, so that a new field is tested without another line here.
TEXT, SCORE, COUNT = st.text(max_size=20), st.floats(0, 1), st.integers(-(2**62), 2**62)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT, int: COUNT, float: st.floats(allow_nan=False, allow_infinity=False),
    int | None: st.none() | COUNT, float | None: st.none() | SCORE, bool: st.booleans(),
    tuple[str, ...]: st.lists(TEXT, max_size=3).map(tuple),
    tuple[Tag, ...]: st.lists(st.builds(Tag, TEXT, TEXT, SCORE, SCORE, SCORE), max_size=3).map(tuple),
    tuple[Crop, ...]: st.lists(st.builds(Crop, TEXT, COUNT, COUNT, SCORE), max_size=3).map(tuple),
    dict[str, Any]: st.dictionaries(TEXT, SCORE | COUNT | TEXT | st.lists(COUNT, max_size=2), max_size=4),
}


def any_of(cls: type[Message]) -> st.SearchStrategy[Message]:
    phases = st.sampled_from(["start", "update", "end", "retract"])
    values = {field.name: PLAIN.get(field.type, phases) for field in dataclasses.fields(cls)}
    return st.builds(cls, **values)


ANY_MESSAGE = st.one_of(*(any_of(type(message)) for message in MESSAGES.values()))
ANY_VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(ANY_MESSAGE)
def test_what_is_packed_is_unpacked(message: Message) -> None:
    assert unpack(pack(message)[1]) == message


@given(st.binary(max_size=200))
def test_bytes_from_anywhere_raise_nothing_else(data: bytes) -> None:
    with suppress(ProtocolError):
        unpack(data)


@given(st.sampled_from(list(MESSAGES)), st.data())
def test_a_message_with_wrong_values_raises_nothing_else(kind: str, data: st.DataObject) -> None:
    fields = to_map(MESSAGES[kind])
    for key in data.draw(st.lists(st.sampled_from(list(fields)), max_size=2)):
        if data.draw(st.booleans()):
            fields.pop(key, None)
        else:
            fields[key] = data.draw(ANY_VALUE)
    message: Message | Unknown = Unknown("refused")
    with suppress(ProtocolError):
        message = unpack(msgpack.packb(fields))
    if not isinstance(message, Unknown):  # compared as bytes: `evidence` may hold a NaN
        assert pack(unpack(pack(message)[1])) == pack(message)  # type: ignore[arg-type]


@given(st.dictionaries(st.sampled_from(["v", "type", "node", "seq"]) | st.text(max_size=8), ANY_VALUE, max_size=5))
def test_maps_from_anywhere_raise_nothing_else(fields: dict[str, Any]) -> None:
    for known in ({}, {"v": 1}, {"v": 1, "type": "tags"}):
        with suppress(ProtocolError):
            from_map(fields | known)


def test_golden_bytes_cut_short_are_refused() -> None:
    for kind in MESSAGES:
        payload = golden(kind)
        for end in range(len(payload)):
            with pytest.raises(ProtocolError):
                unpack(payload[:end])


def test_a_greater_version_names_the_upgrade() -> None:
    with pytest.raises(ProtocolError, match=r"version 2 is newer than 1.*upgrade"):
        unpack(msgpack.packb(TAGS_MAP | {"v": 2}))


@pytest.mark.parametrize("version", [0, -1, "1", 1.0, True, None])
def test_a_version_that_is_none_is_refused(version: object) -> None:
    with pytest.raises(ProtocolError, match="version"):
        from_map(TAGS_MAP | {"v": version})


def test_unknown_keys_are_ignored() -> None:
    tag = TAGS_MAP["tags"][0] | {"colour": "red"}  # type: ignore[index]
    assert unpack(msgpack.packb(TAGS_MAP | {"mood": {"a": [1]}, "tags": [tag]})) == MESSAGES["tags"]


def test_unknown_types_come_as_they_are() -> None:
    fields = {"v": 1, "type": "weather", "node": "edge-1", "wind": 3}
    assert unpack(msgpack.packb(fields)) == Unknown("weather", fields)


def test_keys_with_a_default_may_be_absent_and_others_not() -> None:
    fields = to_map(MESSAGES["status"])
    del fields["reason"]
    assert from_map(fields) == MESSAGES["status"]
    del fields["uri"]
    with pytest.raises(ProtocolError, match="status lacks the key 'uri'"):
        from_map(fields)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seq": "17"}, "tags.seq is '17', which is no int"),
        ({"seq": True}, "tags.seq is True"),
        ({"filled": float("nan")}, "tags.filled is nan"),
        ({"filled": 10**400}, "tags.filled is 1000"),
        ({"tags": {"Dog": 0.9}}, "tags.tags is"),
        ({"tags": [{"label": "Dog"}]}, "tags.tags lacks the key 'mid'"),
        ({"crops": [3]}, "tags.crops is 3, not a map"),
    ],
)
def test_an_error_names_the_place_and_the_value(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        from_map(TAGS_MAP | change)


def test_whole_numbers_may_stand_for_fractions() -> None:
    message = from_map(TAGS_MAP | {"filled": 1})
    assert isinstance(message, Tags) and isinstance(message.filled, float)


def test_a_payload_that_is_too_long_is_not_even_read() -> None:
    with pytest.raises(ProtocolError, match=f"longer than {MAX_PAYLOAD}"):
        unpack(bytes(MAX_PAYLOAD + 1))


def test_a_topic_is_a_prefix_for_every_level() -> None:
    whole = MESSAGES["tags"].topic
    assert whole == "tags/edge-1/yard/"
    for prefix in (topic(""), topic("tags"), topic("tags", "edge-1"), topic("tags", "edge-1", "yard")):
        assert whole.startswith(prefix)
    # The slash at the end keeps `yard` from fitting `yard-2` too.
    assert not topic("tags", "edge-1", "yard-2").startswith(whole)


def test_the_node_itself_has_no_stream_in_its_topic() -> None:
    status = dataclasses.replace(MESSAGES["status"], stream="")
    assert status.topic == "status/edge-1/"


def test_messages_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        MESSAGES["gap"].start = 0  # type: ignore[misc,union-attr]
