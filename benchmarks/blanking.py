"""How much speech the blank rule lets through, and how much else it takes with it.

Speech is the corpus's seven clips of people who read aloud, each in one background of real noise at three distances;
the rest is 70 clips, one after the other, in which nothing human is heard. Each is one stream, looked at as the
daemon does; thresholds and margins are then tried on the same looks.
"""

import csv
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import described, load_average
from benchmarks.progress import say
from glatd.audio import RATE, read_mono
from glatd.daemon.announce import Announcer
from glatd.daemon.channel import Channel
from glatd.daemon.clock import WallClock
from glatd.daemon.ingest import Chunk
from glatd.daemon.privacy.classes import classes
from glatd.daemon.privacy.settings import BlankSettings
from glatd.daemon.privacy.veil import Blank, Veil, merged, outside
from glatd.daemon.stream import Stream
from glatd.daemon.tagging import Seen, hop_frames, silence, step
from glatd.engines.engine import Engine
from glatd.engines.load import load_engine

Floats = NDArray[np.float32]
Pair = tuple[int, int]

SEED = 7
HOP_SECONDS = 0.96
ABOVE_DB = (30, 10, 0)  # of speech, above its background
LEVEL = 0.05  # RMS of speech
OTHERS, OTHER_SECONDS, PAUSE_SECONDS = 70, 6, 0.5
THRESHOLDS, MARGINS = (0.05, 0.1, 0.2, 0.3), (0.0, 0.5, 1.0)
SPEAKING = ("Female speech, woman speaking", "Male speech, man speaking")
BACKGROUNDS = frozenset(
    """Rain;Wind;Vacuum cleaner;Stream;Ocean;Waves, surf;Engine;Train;Crickets;Cricket;Helicopter;Washing machine;Water;
    Clock;Keyboard;Typing;Traffic noise, roadway noise""".replace("\n    ", "").split(";")
)
# Words in the labels of clips in which somebody is heard.
HUMAN = ("peech", "Laughter", "Crying", "Baby", "Singing", "Human", "Cough", "Sneeze", "Gasp", "Breath", "Snor")
HUMAN += ("Shout", "Child", "Crowd", "Chatter", "Applause", "Cheering")


def measure(data: Path) -> dict[str, Any]:
    """Shares of the audio, by threshold and margin, with the default labels."""
    with (data / "corpus.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    load, engine = load_average(), load_engine()
    rng = np.random.default_rng(SEED)
    choice = random.Random(SEED)
    others = [row for row in rows if row["synthetic"] != "1" and not any(word in row["labels"] for word in HUMAN)]
    backgrounds = [data / row["file"] for row in others if row["primary"] in BACKGROUNDS]
    speakers = [data / row["file"] for row in rows if row["primary"] in SPEAKING]
    streams: dict[str, tuple[list[Seen], list[Pair], int]] = {}
    for above in ABOVE_DB:
        sound, spoken = speech(speakers, backgrounds, above, rng, choice)
        say(f"speech {above} dB above its background, {len(sound) / RATE:.0f} s")
        streams[f"speech_{above}_db_above"] = looks(engine, sound), spoken, len(sound)
    sound = unspoken([data / row["file"] for row in choice.sample(others, OTHERS)], rng)
    say(f"no speech, {len(sound) / RATE:.0f} s")
    streams["no_speech"] = looks(engine, sound), [], len(sound)
    say("thresholds and margins")
    default = BlankSettings()
    meant = classes(default.labels, engine.manifest.labels, "blank.labels")
    return described("python -m benchmarks blanking", load) | {
        "model": engine.manifest.model,
        "engine": engine.manifest.hash,
        "labels": default.labels,
        "seconds": {name: round(length / RATE, 1) for name, (_, _, length) in streams.items()},
        "shares": [
            {"threshold": threshold, "margin": margin}
            | {
                name: shares(engine, Blank(meant, threshold, round(margin * RATE)), *stream)
                for name, stream in streams.items()
            }
            for threshold in THRESHOLDS
            for margin in MARGINS
        ],
    }


def speech(
    speakers: Sequence[Path], backgrounds: Sequence[Path], above: float, rng: np.random.Generator, choice: random.Random
) -> tuple[Floats, list[Pair]]:
    """People who speak in real noise, and where."""
    parts, spans, at = [], [], 0
    for path in speakers:
        clip = leveled(read_mono(path, RATE), LEVEL)
        length = int(len(clip) + rng.uniform(6, 10) * RATE)
        part = leveled(np.resize(read_mono(choice.choice(backgrounds), RATE), length), LEVEL * 10 ** (-above / 20))
        first = int(rng.uniform(2 * RATE, length - len(clip)))
        part[first : first + len(clip)] += clip
        parts.append(part)
        spans.append((at + first, at + first + len(clip)))
        at += length
    return np.concatenate(parts), spans


def unspoken(paths: Sequence[Path], rng: np.random.Generator) -> Floats:
    """Clips with short pauses of faint noise."""
    parts = []
    for path in paths:
        parts.append(read_mono(path, RATE)[: OTHER_SECONDS * RATE])
        parts.append((1e-3 * rng.standard_normal(round(PAUSE_SECONDS * RATE))).astype(np.float32))
    return np.concatenate(parts)


def leveled(samples: Floats, rms: float) -> Floats:
    """Samples at an RMS level."""
    return samples * np.float32(rms / np.sqrt(np.square(samples, dtype=np.float64).mean()))


def looks(engine: Engine, sound: Floats) -> list[Seen]:
    """Every look at a stream."""
    stream = Stream(engine.sizes, hop_frames(engine, HOP_SECONDS), silence(engine))
    channel = Channel(stream, Announcer("n", "s", "x", "", engine.manifest, WallClock(0.0, RATE), None))
    channel.give([Chunk(sound, None)])
    channel.end()
    found: list[Seen] = []
    while channel.feed(lambda gap: None):
        while seen := step(engine, [stream], None):
            found += [replace(one, framewise=one.framewise.copy()) for one in seen]
    return found


def shares(engine: Engine, rule: Blank, seen: Sequence[Seen], spoken: Sequence[Pair], length: int) -> dict[str, float]:
    """Of speech, what is written; of all else, what is not."""
    veil = Veil(rule, engine.sizes)
    blank: list[Pair] = []
    done = 0
    for look in seen:
        veil.looked(look)
        decided = min(max(veil.decided, done), length)
        blank += [(span.start, span.end) for span in veil.spans(done, decided)]
        done = decided
    veil.finish()
    blank = merged([*blank, *((span.start, span.end) for span in veil.spans(done, length))])
    else_ = outside(spoken, 0, length)
    found = {"else_not_written": share(blank, else_)}
    return found | ({"speech_written": share(outside(blank, 0, length), spoken)} if spoken else {})


def share(pairs: Sequence[Pair], of: Sequence[Pair]) -> float:
    """Of some stretches, the share that others cover."""
    covered = sum(
        min(end, last) - max(start, first) for start, end in pairs for first, last in of if start < last and first < end
    )
    return round(covered / sum(last - first for first, last in of), 4)
