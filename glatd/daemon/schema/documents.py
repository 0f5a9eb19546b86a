"""The documents: a JSON schema (2020-12) for each message, request and reply, and AsyncAPI for the sockets."""

import json
from collections.abc import Mapping
from typing import Any

from glatd.daemon.control import REQUESTS
from glatd.daemon.control import VERSION as CONTROL_VERSION
from glatd.daemon.journal.catchup import VERSION as CATCHUP_VERSION
from glatd.daemon.schema.asyncapi import asyncapi
from glatd.daemon.schema.shape import Schema, Shaper
from glatd.daemon.schema.wire import (
    DOES,
    REPLIES,
    VALUES,
    AudioHeader,
    CatchUpRefusal,
    CatchUpReply,
    CatchUpRequest,
    Evidence,
)
from glatd.daemon.sources.pcm_zmq import VERSION as AUDIO_VERSION
from glatd.messages import TYPES, VERSION, Event

DIALECT = "https://json-schema.org/draft/2020-12/schema"

PARTS: Mapping[tuple[type[Any], str], type[Any]] = {(Event, "evidence"): Evidence}
HEADS: Mapping[type[Any], Mapping[str, Any]] = (
    {cls: {"v": VERSION, "type": kind} for kind, cls in TYPES.items()}
    | {cls: {"v": CATCHUP_VERSION} for cls in (CatchUpRequest, CatchUpReply, CatchUpRefusal)}
    | {cls: {"v": CONTROL_VERSION} for cls in REPLIES}
    | {AudioHeader: {"v": AUDIO_VERSION}}
)
MESSAGES = tuple(TYPES)  # names of documents
OTHERS = ("catchup-request", "catchup-reply", "control-request", "control-reply", "audio-header")
ASYNCAPI = "asyncapi"


def documents() -> dict[str, Schema]:
    """All of them by name."""
    schemas = {kind: _whole(kind, (cls,)) for kind, cls in TYPES.items()}
    schemas["catchup-request"] = _whole("catchup-request", (CatchUpRequest,), closed=True)
    schemas["catchup-reply"] = _whole(
        "catchup-reply", (CatchUpReply, CatchUpRefusal), "What a node's catch-up answers."
    )
    schemas["control-request"] = _control_request()
    schemas["control-reply"] = _whole("control-reply", REPLIES, "What became of a request to the control socket.")
    schemas["audio-header"] = _whole("audio-header", (AudioHeader,))
    return schemas | {ASYNCAPI: asyncapi({name: summary(schema) for name, schema in schemas.items()})}


def summary(document: Schema) -> str:
    """What a document is of, in a line."""
    return str(document.get("description") or document["info"]["description"])


def text(document: Schema) -> str:
    """As it stands in its file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _whole(name: str, classes: tuple[type[Any], ...], said: str = "", closed: bool = False) -> Schema:
    """A document of what is one of some classes, and then `said` is what they have in common."""
    shaper = Shaper(PARTS, HEADS)
    shapes = {cls.__name__: shaper.object(cls, closed) for cls in classes}
    if said:
        shaper.parts_made |= shapes
        schema: Schema = {"description": said, "anyOf": [{"$ref": f"#/$defs/{name}"} for name in shapes]}
    else:
        (schema,) = shapes.values()
    return _head(name) | schema | ({"$defs": shaper.parts_made} if shaper.parts_made else {})


def _control_request() -> Schema:
    kinds = [
        {
            "description": DOES[do],
            "type": "object",
            "properties": {"v": {"const": CONTROL_VERSION}, "do": {"const": do}}
            | {key: {"description": VALUES[key], "type": "string", "minLength": 1} for key in keys},
            "required": ["v", "do", *keys],
            "additionalProperties": False,
        }
        for do, keys in REQUESTS.items()
    ]
    said = "Tells a daemon to do something; at most 16 KiB of msgpack to the control socket."
    return _head("control-request") | {"description": said, "oneOf": kinds}


def _head(name: str) -> Schema:
    return {"$schema": DIALECT, "$id": f"urn:glatd:v{VERSION}:{name}", "title": name}
