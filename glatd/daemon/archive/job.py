"""What a run does to each recording: all that decides the rows, and nothing else."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import glatd
from glatd.daemon.archive.layout import FILE, METADATA, TABLES, VERSION
from glatd.daemon.archive.store import Store
from glatd.daemon.events.settings import EventSettings
from glatd.daemon.settings import Settings
from glatd.engines.manifest import Manifest
from glatd.errors import ConfigError, DataError

TOP = 10  # tags a window

Scores = Literal["top", "all", "half"]


@dataclass(frozen=True, slots=True)
class Job:
    """Sent to every worker."""

    settings: Settings
    scores: Scores  # of every class too: as float32, as float16
    out: str  # folder or URL of the tables
    part_seconds: float  # of audio in a part of the tables, about
    engine: str = ""  # content hash that the engine must have; "" for any


def describe(job: Job, manifest: Manifest) -> dict[str, Any]:
    """All that decides the rows, by name; it stands in `archive.json`, and but for the labels in every table."""
    settings = job.settings
    return {
        "format": "glatd archive",
        "version": VERSION,
        "engine": manifest.hash,
        "model": manifest.model,
        "precision": manifest.runtime.precision,
        "runtime": f"{manifest.runtime.name} {manifest.runtime.version}",
        "rate": manifest.geometry.rate,
        "hop": settings.hop,
        "local": settings.local,
        "incremental": bool(manifest.geometry.trunks),
        "crops": settings.crops,
        "gate": settings.gate,
        "top": TOP,
        "scores": job.scores,
        "events": dataclasses.asdict(settings.events),
        "labels": [{"name": label.name, "mid": label.mid} for label in manifest.labels],
        "glatd": glatd.__version__,
    }


def metadata(description: dict[str, Any], labels: bool) -> dict[bytes, bytes]:
    """For the schema of a table.

    Args:
        labels: whether it has a column that needs them: 527 names are more than the rows of many a part.
    """
    if not labels:
        description = {key: value for key, value in description.items() if key != "labels"}
    return {METADATA: json.dumps(description, ensure_ascii=False).encode()}


def agree(store: Store, description: dict[str, Any]) -> str:
    """Begin an archive, or make sure that what is asked now is what was asked then; a warning, or "".

    Raises:
        ConfigError: the engine or the settings are others.
        DataError: the folder holds something else.
    """
    content = store.read(FILE)
    if content is None:
        if any(store.list(table) for table in TABLES):
            raise DataError(f"{store} has tables but no {FILE}; take it from a copy, or give another --out")
        store.write(FILE, (json.dumps(description, ensure_ascii=False, indent=1) + "\n").encode())
        return ""
    before = {"local": "top-k", "incremental": False} | read(content, str(store))  # before there was a choice
    now = json.loads(json.dumps(description))  # tuples are lists there
    for path, was, asked in _changes(before, now):
        if path == "glatd":
            continue
        if path == "engine":
            raise ConfigError(
                f"{store} was made with the engine {was} ({before['model']}), and this one is {asked} "
                f"({now['model']}); give that one by --engine, or another --out"
            )
        raise ConfigError(
            f"{store} was made with {path} = {json.dumps(was)[:60]}, and now it is {json.dumps(asked)[:60]}; "
            "ask as before, or give another --out"
        )
    if before["glatd"] != now["glatd"]:
        return f"{store} was begun by glatd {before['glatd']}, and this is {now['glatd']}; the engine is the same"
    return ""


def read(content: bytes, where: str) -> dict[str, Any]:
    """What `archive.json` says.

    Raises:
        DataError: it is none, or of a later glatd.
    """
    try:
        before: dict[str, Any] = json.loads(content)
        version = before["version"]
        _ = before["engine"], before["model"], before["glatd"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{where}/{FILE} is damaged ({error!r}); take it from a copy, or give another --out") from error
    if not isinstance(version, int) or version > VERSION:
        raise DataError(f"{where} is of version {version!r}, and this glatd reads up to {VERSION}; upgrade glatd")
    return before


def _changes(before: Any, now: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two trees differ; the engine first, since the rest follows from it."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}, key=lambda key: (key != "engine", key)):
            yield from _changes(before.get(key), now.get(key), f"{path}.{key}" if path else key)
    elif before != now:
        yield path, before, now


def asks_the_time(events: EventSettings) -> bool:
    """Whether a rule holds at some times of the day or week only."""
    rules = [events.schedule, events.days, *(value for rule in events.rule for value in (rule.schedule, rule.days))]
    return any(rules)
