"""Which checks a configuration asks for."""

from collections.abc import Sequence
from pathlib import Path

from glatd.daemon.doctor import listening, machine, model, network, sound
from glatd.daemon.doctor.examine import Check
from glatd.daemon.doctor.finding import Finding, failure, ok
from glatd.daemon.settings import Settings, SourceSettings
from glatd.daemon.sources.base import Source, unique_names
from glatd.daemon.sources.uri import parse_source
from glatd.errors import ConfigError

_QUICK_S, _SOUND_S, _ENGINE_S = 10.0, 12.0, 90.0
_CLOSE_S = 5.0  # for a source to end when it was told to, on a busy machine


def checks(settings: Settings, where: str, refused: ConfigError | None, record: Path | None) -> list[Check]:
    """Everything to look at, in the order of the list.

    Args:
        settings: the defaults where the file was refused.
        where: the configuration's path, or what stands for it.
        refused: why the file cannot be used.
        record: folder for recordings, if any is written.
    """
    sources, findings = parsed(settings.source)
    first = [failure("Settings", refused)] if refused else [ok("Settings", where), *findings]
    streams = len(settings.source)
    mics = any(source.uri.startswith("mic:") for source in sources)
    wanted = mics or not settings.source
    uris = [source.uri for source in sources]
    made = [
        Check("Configuration", "Settings", lambda: first, _QUICK_S),
        Check("Machine", "Python", machine.software, _QUICK_S),
        Check("Machine", "User", machine.user, _QUICK_S),
        Check("Machine", "CPU", lambda: machine.processor(settings.threads), _QUICK_S),
        Check("Machine", "Memory", lambda: machine.memory(streams), _QUICK_S),
        Check("Machine", "Open files", lambda: machine.files(streams), _QUICK_S),
        Check("Machine", "Clock", machine.clock, _QUICK_S),
        Check("Engine", "Engine", lambda: model.engine(settings), _ENGINE_S),
        Check("Network", "keys", lambda: network.keys(settings.keys), _QUICK_S),
        Check(
            "Network",
            "publish",
            lambda: network.publisher(settings.publish, settings.keys, settings.insecure),
            _QUICK_S,
        ),
        Check("Network", "control", lambda: network.control(settings.control, settings.keys), _QUICK_S),
        Check("Network", "ffmpeg", lambda: network.ffmpeg(uris), _QUICK_S),
    ]
    if record is not None:
        made.insert(7, Check("Machine", "Recordings", lambda: machine.disk(record, streams), _QUICK_S))
    if wanted:
        made += [
            Check("Sound", "PortAudio", lambda: sound.library(mics), _SOUND_S),
            Check("Sound", "Sound server", sound.server, _QUICK_S),
            Check("Sound", "Sound cards", lambda: sound.permissions(mics), _QUICK_S),
            Check("Sound", "Microphones", lambda: sound.microphones(mics), _SOUND_S),
        ]
    made += [
        Check(
            "Sources",
            source.name,
            lambda source=source: listening.listen(source),  # type: ignore[misc]
            listening.first_seconds(source) + _CLOSE_S,
        )
        for source in sources
    ]
    return made


def parsed(settings: Sequence[SourceSettings]) -> tuple[list[Source], list[Finding]]:
    """The sources that can be understood, and what is wrong with the others."""
    sources: list[Source] = []
    findings: list[Finding] = []
    for one in settings:
        try:
            sources = unique_names([*sources, parse_source(f"{one.name}={one.uri}" if one.name else one.uri)])
        except ConfigError as raised:
            findings.append(failure(one.name or "source", raised))
    return sources, findings
