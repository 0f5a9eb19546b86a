"""What goes over the wire beside messages, as dataclasses: requests, replies, and parts of messages.

The sockets themselves read and write plain maps. Tests hold these shapes to what they read, and to what a daemon says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from glatd.daemon.journal.catchup import LARGEST_NUMBER, LONGEST_TEXT, MOST_EVENTS
from glatd.daemon.sources.pcm import ENCODINGS, MOST_CHANNELS, RATES
from glatd.messages import Event

ABSENT: Any = ...  # the default of a key that is left out where there is nothing to say

WHOLE: Mapping[str, Any] = {"minimum": 0, "maximum": LARGEST_NUMBER}
TEXT: Mapping[str, Any] = {"minLength": 1, "maxLength": LONGEST_TEXT}


@dataclass(frozen=True, slots=True)
class Evidence:
    """The 3 s that say most for an event, and the scores there."""

    crop: tuple[int, int]  # samples of the stream, the second exclusive
    global_: float = ABSENT  # of the 10 s stream, 0 to 1
    local: float = ABSENT  # of the crop, 0 to 1
    fused: float = ABSENT  # of both, 0 to 1
    chosen_for: str = ABSENT  # the label that the crop was chosen for
    clip: str = ABSENT  # the file of its audio, where clips are kept


@dataclass(frozen=True, slots=True)
class CatchUpRequest:
    """Asks for the events since an offset; at most 4 KiB of msgpack to the catch-up socket."""

    from_: int = field(metadata=WHOLE)  # the first offset that is wanted
    limit: int = field(default=MOST_EVENTS, metadata=WHOLE)  # events at most; 0 asks where the node stands
    stream: str = field(default="*", metadata=TEXT)  # a glob
    label: str | None = field(default=None, metadata={"maxLength": LONGEST_TEXT})  # class or group; null for all
    id: int = field(default=0, metadata=WHOLE)  # comes back in the reply


@dataclass(frozen=True, slots=True)
class CatchUpReply:
    """Some events in order, and where the node stands."""

    ok: Literal[True]  # the request was understood
    id: int  # the request's
    node: str  # name of this box
    journal: str  # id of this sequence of offsets; another one than before: begin at `first`
    first: int  # the oldest offset that is kept
    last: int  # the newest that was given out
    next: int  # where to go on asking; above `last`, that is all
    holes: tuple[tuple[int, int, str], ...]  # what does not exist: first offset, the one after the last, cause
    events: tuple[Event, ...]  # as they were published


@dataclass(frozen=True, slots=True)
class CatchUpRefusal:
    """The answer to what cannot be understood."""

    ok: Literal[False]  # it was not
    id: int  # the request's; 0 where it has none
    error: str  # for people; names the remedy


@dataclass(frozen=True, slots=True)
class ControlRefusal:
    """The daemon cannot do it."""

    ok: Literal[False]  # nothing was done
    error: str  # for people; names the remedy


@dataclass(frozen=True, slots=True)
class VersionReply:
    """To `version`."""

    ok: Literal[True]  # done
    glatd: str  # its version
    node: str  # name of this box


@dataclass(frozen=True, slots=True)
class Stream:
    """How a stream fares."""

    stream: str  # its name
    state: str  # as in its status messages
    uri: str  # credentials hidden
    seconds: float  # of audio received
    windows: int  # published


@dataclass(frozen=True, slots=True)
class ListReply:
    """To `list`."""

    ok: Literal[True]  # done
    streams: tuple[Stream, ...]  # in no order that matters


@dataclass(frozen=True, slots=True)
class StreamReply:
    """To `add`, `remove`, `mute` and `unmute`."""

    ok: Literal[True]  # done
    stream: str  # its name


@dataclass(frozen=True, slots=True)
class ReloadReply:
    """To `reload`."""

    ok: Literal[True]  # done
    sources: str  # what became of them
    needs_restart: tuple[str, ...]  # what changed and is not heeded yet
    engine: str = ABSENT  # the one that took over; absent where it is the same
    shadow: str = ABSENT  # what became of it; absent where it is the same
    events: str = ABSENT  # that their rules changed; absent where they did not


@dataclass(frozen=True, slots=True)
class RuleReply:
    """To `rules` and `set`: what holds now for a class, or a group and all below it."""

    ok: Literal[True]  # done
    stream: str  # its name
    label: str  # the class or group that was asked for
    publish: bool  # whether its events are told
    on: float  # score from which it is heard
    off: float  # score below which it ends


@dataclass(frozen=True, slots=True)
class EngineReply:
    """To `engine`."""

    ok: Literal[True]  # it has taken over
    engine: str  # content hash
    model: str  # its name
    before: str  # content hash of the one that ran


@dataclass(frozen=True, slots=True)
class AudioHeader:
    """The first frame of audio that is pushed; the second has the samples, 1 MiB at most."""

    rate: int = field(metadata={"minimum": RATES[0], "maximum": RATES[1]})  # Hz
    format: str = field(default="s16le", metadata={"enum": list(ENCODINGS)})  # of a sample
    channels: int = field(default=1, metadata={"minimum": 1, "maximum": MOST_CHANNELS})  # interleaved
    start: int = field(default=ABSENT, metadata={"minimum": 0})  # samples before these; absent where nobody counts


# What each request to the control socket does, and its values.
DOES: Mapping[str, str] = {
    "version": "Which glatd this is.",
    "list": "How every stream fares.",
    "reload": "Read the configuration again, and do what it says of the sources, the engine and events.",
    "add": "Start a stream.",
    "remove": "End a stream.",
    "mute": "Throw the audio of a stream away as it comes.",
    "unmute": "Take the audio of a stream again.",
    "rules": "What holds now for a class or group on a stream.",
    "set": "Change a rule of a class or group on a stream, until glatd ends or the stream is removed.",
    "engine": "Have another engine take over between two hops, once it was loaded and tried.",
}
VALUES: Mapping[str, str] = {
    "source": "[NAME=]URI",
    "stream": "the name of a stream",
    "label": "a class or group of AudioSet's ontology",
    "key": "of a rule, as in the configuration",
    "engine": "folder of an engine, or auto",
    "value": "as it would stand in the configuration: 0.7, false, [3, 60]",
}
REPLIES = (VersionReply, ListReply, StreamReply, ReloadReply, RuleReply, EngineReply, ControlRefusal)
