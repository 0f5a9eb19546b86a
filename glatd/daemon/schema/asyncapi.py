"""AsyncAPI 3 for the sockets of a node: what is published under which topic, what is asked and answered where."""

from collections.abc import Mapping
from typing import Any

from glatd.messages import TYPES, VERSION

DESCRIPTION = (
    "What a glatd node says and answers over ZeroMQ (ZMTP 3, with CURVE where it has keys). Every payload is one "
    "msgpack map; the schemas are those of the same maps as JSON."
)
NODE = {"description": "Name of the box."}
STREAM = {"description": "Name of the stream."}
SOCKETS = {
    "catchup": ("ROUTER", "Whoever was away asks for the events since an offset; use a REQ or DEALER socket."),
    "control": ("ROUTER", "Streams are added, removed and muted, and rules changed; use a REQ or DEALER socket."),
}


def asyncapi(summaries: Mapping[str, str]) -> dict[str, Any]:
    """The document; payloads stand in files beside it.

    Args:
        summaries: of the messages, requests and replies, by name.
    """
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "glatd", "version": f"{VERSION}.0.0", "description": DESCRIPTION, "license": {"name": "MIT"}},
        "defaultContentType": "application/msgpack",
        "channels": {kind: _published(kind, summaries[kind]) for kind in TYPES}
        | {name: _answered(name, *about) for name, about in SOCKETS.items()}
        | {"audio": _pushed()},
        "operations": {f"publish-{kind}": _sends(kind) for kind in TYPES}
        | {f"answer-{name}": _answers(name) for name in SOCKETS}
        | {"hear-audio": {"action": "receive", "channel": {"$ref": "#/channels/audio"}}},
        "components": {
            "messages": {
                name: {"name": name, "summary": summary, "payload": {"$ref": f"./{name}.json"}}
                for name, summary in summaries.items()
            }
        },
    }


def _published(kind: str, summary: str) -> dict[str, Any]:
    own = kind == "node"  # of the node itself
    return {
        "address": f"{kind}/{{node}}/" if own else f"{kind}/{{node}}/{{stream}}/",
        "description": f"{summary} XPUB; two frames, the topic and the payload; subscribe to any prefix of the topic.",
        "parameters": {"node": NODE} if own else {"node": NODE, "stream": STREAM},
        "messages": _messages(kind),
    }


def _answered(name: str, socket: str, what: str) -> dict[str, Any]:
    return {
        "address": None,  # what glatd.toml has under this name
        "description": f"{socket}; what glatd.toml has under {name}. {what}",
        "messages": _messages(f"{name}-request", f"{name}-reply"),
    }


def _pushed() -> dict[str, Any]:
    return {
        "address": None,
        "description": "PULL; of a source zmq+tcp://. Two frames, the header and raw samples; use a PUSH socket.",
        "messages": _messages("audio-header"),
    }


def _sends(kind: str) -> dict[str, Any]:
    return {"action": "send", "channel": {"$ref": f"#/channels/{kind}"}}


def _answers(name: str) -> dict[str, Any]:
    channel = {"$ref": f"#/channels/{name}"}
    return {
        "action": "receive",
        "channel": channel,
        "messages": [{"$ref": f"#/channels/{name}/messages/{name}-request"}],
        "reply": {"channel": channel, "messages": [{"$ref": f"#/channels/{name}/messages/{name}-reply"}]},
    }


def _messages(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}
