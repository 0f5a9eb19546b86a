"""What glatd says: messages of version 1, as plain values, and their bytes on the wire.

A message travels as two ZeroMQ frames: the topic `<type>/<node>/<stream>/` in UTF-8, and one
msgpack map with the version in `v` and the type in `type`. Packing and unpacking are pure.
Readers ignore keys and types that they do not know; a greater version is an error that says so.
Positions are counted in samples at `rate` since the start of the stream.
"""

import dataclasses
import functools
import operator
import sys
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import msgpack

from glatd.errors import ProtocolError

VERSION = 1
MAX_PAYLOAD = 1 << 20  # bytes; all 527 classes take 60 kB


@dataclass(frozen=True, slots=True)
class Tag:
    """One class in a window."""

    label: str  # AudioSet's display name
    mid: str  # machine id in AudioSet's ontology, for example /m/0bt9lr
    score: float  # fused, 0 to 1
    global_: float  # of the 10 s stream, 0 to 1
    local: float  # of the crops, 0 to 1


@dataclass(frozen=True, slots=True)
class Crop:
    """One place that the local stream looked at, and the class that it was chosen for."""

    label: str  # of the class
    start: int  # sample of the stream
    end: int  # sample of the stream, exclusive
    activation: float  # of the class at the crop's middle, 0 to 1


@dataclass(frozen=True, slots=True)
class Header:
    """What every message carries."""

    type: ClassVar[str] = ""
    node: str  # name of the box
    session: str  # id of this run of the daemon
    stream: str  # its name; "" for the node itself
    time: str  # UTC, RFC 3339 with microseconds

    @property
    def topic(self) -> str:
        """`<type>/<node>/<stream>/`: subscribe to any prefix of it."""
        return topic(self.type, self.node, self.stream)


@dataclass(frozen=True, slots=True)
class Tags(Header):
    """What a window of 10 s holds; one a hop and stream."""

    type: ClassVar[str] = "tags"
    seq: int  # windows published of this stream, from 0 without a hole
    start: int  # sample; negative in the first 10 s of a stream
    end: int  # sample, exclusive
    rate: int  # Hz
    filled: float  # share of the window that is real audio, 0 to 1
    level_dbfs: float  # RMS of the newest hop; -120 for digital silence
    engine: str  # content hash of the engine
    tags: tuple[Tag, ...]  # by falling score
    crops: tuple[Crop, ...]  # in the order of selection
    quiet: bool = False  # whether the level gate kept the networks from looking; then there are no tags and crops


@dataclass(frozen=True, slots=True)
class Event(Header):
    """A sound that began, goes on, ended, or was not confirmed."""

    type: ClassVar[str] = "event"
    offset: int  # number in the node's journal
    id: str  # of the sound: the same in all its messages
    phase: Literal["start", "update", "end", "retract"]  # retract: a later look did not confirm it
    label: str  # AudioSet's display name
    mid: str  # machine id in AudioSet's ontology
    rate: int  # Hz
    onset: int  # sample; a later message of the event may know better
    offset_time: int | None  # sample at which it ended; None while it goes on
    peak: float  # best fused score of the windows that hold it, 0 to 1
    mean: float  # of these scores
    evidence: dict[str, Any]  # crop [start, end], global, local, fused, chosen_for (a label), clip (file of its audio)
    cause: str  # of an end that is not the sound's own, and of a retraction
    onset_at: str = ""  # UTC, RFC 3339
    offset_at: str = ""  # UTC, RFC 3339; "" while it goes on


@dataclass(frozen=True, slots=True)
class Gap(Header):
    """Audio that was lost: samples [start, end) are digital silence in the windows."""

    type: ClassVar[str] = "gap"
    start: int  # sample
    end: int  # sample, exclusive
    rate: int  # Hz
    cause: str  # why


@dataclass(frozen=True, slots=True)
class Status(Header):
    """How a stream fares: at its start, every few seconds, on each change, and at its end."""

    type: ClassVar[str] = "status"
    state: str  # starting, live, silent, stalled, reconnecting, muted, ended, failed, stopped
    uri: str  # credentials hidden
    engine: str  # content hash of the engine
    rate: int  # Hz, of `samples` and `lost`
    samples: int  # real audio received since the start of the stream
    lost: int  # samples in gaps
    windows: int  # windows published
    late_ms: float  # from the newest sample of the last window to its publication
    reason: str = ""  # of the state; empty when all is well
    findings: tuple[str, ...] = ()  # what is wrong with the signal
    drift_ppm: float | None = None  # by which the source's clock is slow against this machine's
    connections: int = 0  # of the source that gave audio
    repeated: int = 0  # samples at the source's rate that came again after a reconnection and were left out
    skipped: int = 0  # windows not looked at because of longer hops under overload
    dropped: int = 0  # windows not looked at because a newer one was due already
    quiet: int = 0  # windows that the level gate kept from the networks


@dataclass(frozen=True, slots=True)
class Node(Header):
    """How the node fares: every few seconds, and when its overload policy takes another step."""

    type: ClassVar[str] = "node"
    engine: str  # content hash of the engine
    streams: int  # that have not ended
    live: int  # of them in state live
    windows: int  # looked at, of all streams, since the start
    late_ms: float  # 99th percentile since the last such message, from a window's newest sample to its publication
    policy: str  # the rung of the overload ladder, "full" when there is no overload
    level: int  # its number, 0 for "full"
    steps: int  # how often the policy took another step since the start
    crops: int  # a window, at most
    hops: int  # between windows of a stream
    skipped: int  # windows, as in `Status`, of all streams
    dropped: int  # as in `Status`
    quiet: int  # as in `Status`
    memory_mb: float  # resident
    uptime: float  # s
    looked: int = 0  # crops that the local stream scored, of all streams
    known: int = 0  # crops whose scores were kept from a window before, or wanted by two classes of one
    trouble: str = ""  # why events or clips are not written down, or an engine was refused; empty when all is well
    swaps: int = 0  # engines that took over from the one before, since the start
    shadow: str = ""  # content hash of the engine that looks at the same windows to be compared; "" for none
    shadow_windows: int = 0  # that both have looked at since the shadow began
    shadow_dropped: int = 0  # that the shadow had no time for
    shadow_top5: float = 0.0  # share of the five highest classes that both name, 0 to 1
    shadow_mean: float = 0.0  # difference of a score
    shadow_max: float = 0.0  # difference of a score
    shadow_decisions: int = 0  # windows and classes where one is above its threshold and the other below


Message = Tags | Event | Gap | Status | Node
TYPES: dict[str, type[Message]] = {cls.type: cls for cls in (Tags, Event, Gap, Status, Node)}


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of a type that this version does not know: to be ignored."""

    type: str
    fields: dict[str, Any] = field(default_factory=dict)


def topic(kind: str, node: str = "", stream: str = "") -> str:
    """Topic, or a prefix of it for a subscription: `tags/`, `tags/edge-1/`, `tags/edge-1/yard/`."""
    parts = [part for part in (kind, node, stream) if part]
    return "/".join(parts) + "/" if parts else ""


def to_map(message: Message) -> dict[str, Any]:
    """The map that goes on the wire, or on a line of JSON."""
    return _filled({"v": VERSION, "type": message.type}, message)


def from_map(fields: dict[str, Any]) -> Message | Unknown:
    """The message in a map.

    Raises:
        ProtocolError: a greater version, a missing key or a value of another type.
    """
    version, kind = fields.get("v"), fields.get("type")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ProtocolError(f"message version {version!r} is no number from 1; is this a glatd endpoint?")
    if version > VERSION:
        raise ProtocolError(
            f"message version {version} is newer than {VERSION}, which this glatd reads; upgrade this program's glatd"
        )
    if not isinstance(kind, str):
        raise ProtocolError(f"message type {kind!r} is no text")
    cls = TYPES.get(kind)
    return Unknown(kind, fields) if cls is None else _build(cls, fields, kind)


def with_offset(event: Event, offset: int) -> Event:
    """The event with its number in the journal: `dataclasses.replace` in a third of the time, for every event."""
    made = object.__new__(Event)
    for put, value in zip(_PUTTERS.values(), _EVENT_VALUES(event), strict=True):
        put(made, value)
    _PUTTERS["offset"](made, offset)
    return made


def pack(message: Message) -> tuple[bytes, bytes]:
    """Topic and payload."""
    return message.topic.encode(), payload_of(message)


def payload_of(message: Message) -> bytes:
    """The second frame alone."""
    return msgpack.packb(to_map(message))  # type: ignore[no-any-return]


def unpack(payload: bytes) -> Message | Unknown:
    """The message in a payload.

    Raises:
        ProtocolError: too long, no msgpack map, or what `from_map` refuses.
    """
    if len(payload) > MAX_PAYLOAD:
        raise ProtocolError(f"payload of {len(payload)} bytes is longer than {MAX_PAYLOAD}")
    try:
        fields = msgpack.unpackb(payload)
    except Exception as error:  # msgpack raises ValueError, its own kinds and UnicodeDecodeError
        raise ProtocolError(f"payload of {len(payload)} bytes is no msgpack: {error}") from error
    if not isinstance(fields, dict):
        raise ProtocolError(f"payload is a {type(fields).__name__}, not a map")
    return from_map(fields)


@functools.cache
def _keys(cls: type[Any]) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]], tuple[str, ...]]:
    """Of a dataclass, its keys on the wire, what gets all its values at once, and the keys of those that have parts."""
    hints = typing.get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]
    # `global` is a word of Python's, so the field carries an underscore that the wire lacks.
    keys = tuple(name.rstrip("_") for name in names)
    return (
        keys,
        operator.attrgetter(*names),
        tuple(n.rstrip("_") for n in names if typing.get_origin(hints[n]) is tuple),
    )


# What __init__ of a frozen dataclass does with each of its fields, without looking up the slot each time.
_PUTTERS = {f.name: getattr(Event, f.name).__set__ for f in dataclasses.fields(Event)}
_EVENT_VALUES = operator.attrgetter(*_PUTTERS)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value
    return _filled({}, value)


def _filled(fields: dict[str, Any], value: Any) -> dict[str, Any]:
    """`fields` and those of a dataclass."""
    keys, values, with_parts = _keys(type(value))  # type: ignore[arg-type]
    fields.update(zip(keys, values(value), strict=True))
    for key in with_parts:
        fields[key] = [_plain(item) for item in fields[key]]
    return fields


def _build(cls: type[Any], fields: Any, where: str) -> Any:
    if not isinstance(fields, dict):
        raise ProtocolError(f"{where} is {fields!r}, not a map")
    values = {}
    for key, name, hint, needed in _fields(cls):  # type: ignore[arg-type]
        if key not in fields:
            if needed:
                raise ProtocolError(f"{where} lacks the key {key!r}")
        elif type(value := fields[key]) is hint and hint in (int, str, bool):
            values[name] = value
        else:
            values[name] = _value(hint, value, f"{where}.{key}")
    return cls(**values)


@functools.cache
def _fields(cls: type[Any]) -> tuple[tuple[str, str, Any, bool], ...]:
    """Of each field, its key on the wire, its name in Python, its type, and whether it may not be absent."""
    hints = typing.get_type_hints(cls)
    return tuple(
        (f.name.rstrip("_"), f.name, hints[f.name], f.default is dataclasses.MISSING) for f in dataclasses.fields(cls)
    )


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, value, where)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_value(arguments[0], item, where) for item in value)
    if origin is Literal and value in arguments:
        return value
    if origin is types.UnionType and value is None:
        return value
    if origin is types.UnionType:
        hint = arguments[0]
    if origin is dict and isinstance(value, dict):
        return value
    # Also false for NaN, and for whole numbers that no float holds.
    if hint is float and type(value) in (int, float) and abs(value) <= sys.float_info.max:
        return float(value)
    if hint in (int, str, bool) and type(value) is hint:
        return value
    wanted = getattr(hint, "__name__", str(hint))
    raise ProtocolError(f"{where} is {value!r}, which is no {wanted}")
