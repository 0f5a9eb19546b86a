"""Audio through the daemon's own loop, with clips and recordings as settings want them; and what was written."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from glatd.daemon.assembly import Assembly
from glatd.daemon.privacy.retention import SUFFIX
from glatd.daemon.serve import make_clips, make_recorder
from glatd.daemon.settings import Settings
from glatd.daemon.sources.file import FileSource
from glatd.engines.engine import Engine
from glatd.messages import Event, Message
from tests.daemon.sounds import RATE, Floats, write_wav


@dataclass
class Listened:
    """What a run has said and written."""

    samples: NDArray[np.int16]  # that it heard
    messages: list[Message]
    clips: dict[str, "Clip"]  # by the id of the event

    @property
    def events(self) -> list[Event]:
        return [message for message in self.messages if isinstance(message, Event)]

    def of(self, label: str) -> list[Event]:
        return [event for event in self.events if event.label == label]


@dataclass
class Clip:
    """A clip as any program reads it."""

    samples: NDArray[np.int16]
    tags: dict[str, str]
    about: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Clip":
        with av.open(str(path)) as file:
            assert file.streams.audio[0].rate == RATE
            parts = [frame.to_ndarray()[0] for frame in file.decode(audio=0)]
            tags = dict(file.metadata)
        samples = np.concatenate(parts) if parts else np.zeros(0, np.int16)
        return cls(samples, tags, json.loads(tags["GLATD"]))


def listened(engine: Engine, folder: Path, sound: Floats, settings: Settings, name: str = "yard") -> Listened:
    """Run a sound through the loop as fast as it goes, to its end."""
    source = FileSource(write_wav(folder / f"{name}.wav", sound))
    source.name = name
    assembly = Assembly(settings, engine)
    clips = make_clips(settings) if settings.clips.folder else None
    assembly.clips = clips
    messages: list[Message] = []
    sinks: list[Any] = [messages.append]
    if settings.record:
        assembly.recorder = make_recorder(assembly, [source])
        sinks.append(assembly.recorder)
    assembly.loop([assembly.track(source, None)], sinks, live=False).run()
    if assembly.recorder is not None:
        assembly.recorder.close()
    if clips is not None:
        clips.close()
    written = Path(settings.clips.folder).glob(f"*{SUFFIX}") if settings.clips.folder else ()
    heard = np.clip(np.round(sound * 32_768), -32_767, 32_767).astype(np.int16)
    return Listened(heard, messages, {path.stem: Clip.read(path) for path in written})
