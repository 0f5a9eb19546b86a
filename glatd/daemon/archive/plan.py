"""How much there is to do, and in what pieces: seconds of audio by size and suffix, shards of recordings."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from glatd.daemon.archive.find import Input, is_url
from glatd.daemon.archive.reports import Shard

# Bytes a second, until recordings of that suffix are known: usual ones of each.
_LOSSLESS, _LOSSY = 60_000.0, 16_000.0
_USUAL = {".wav": 96_000.0, ".aif": 96_000.0, ".aiff": 96_000.0, ".w64": 96_000.0, ".flac": _LOSSLESS}
_VIDEO = dict.fromkeys((".mp4", ".mkv", ".mov", ".avi", ".webm", ".ts", ".mpg", ".asf"), 300_000.0)
PROBES = 16  # recordings of each suffix whose headers are read: a minute of talk and an hour of rain differ in FLAC
PRIOR_SECONDS = 1.0  # how much the usual counts against what was measured
MOST_INPUTS = 2000  # in a shard
SHARDS_A_JOB = 4  # at least, so that all workers end at about the same time
LEAST_SECONDS = 60.0  # of a shard


class Estimates:
    """Seconds of audio in recordings that nobody has decoded yet. Learns with each that was."""

    def __init__(self) -> None:
        self._bytes: dict[str, float] = defaultdict(float)
        self._seconds: dict[str, float] = defaultdict(float)

    def learn(self, item: Input, seconds: float) -> None:
        """What a recording turned out to hold."""
        self._bytes[item.suffix] += item.size
        self._seconds[item.suffix] += seconds

    def probe(self, inputs: Sequence[Input]) -> None:
        """Read the headers of some files of each suffix, evenly over their sizes."""
        of: dict[str, list[Input]] = defaultdict(list)
        for item in inputs:
            if not is_url(item.file) and item.size:
                of[item.suffix].append(item)
        for items in of.values():
            items.sort(key=lambda item: (item.size, item.name))
            chosen = [items[index * (len(items) - 1) // (PROBES - 1)] for index in range(PROBES)]
            for item in dict.fromkeys(chosen):
                seconds = length(Path(item.file))
                if seconds is not None:
                    self.learn(item, seconds)

    def seconds(self, item: Input) -> float:
        """Of one recording, about."""
        return item.size / self.rate(item.suffix)

    def rate(self, suffix: str) -> float:
        """Bytes a second of such recordings, about."""
        usual = _USUAL.get(suffix) or _VIDEO.get(suffix) or _LOSSY
        return (self._bytes[suffix] + PRIOR_SECONDS * usual) / (self._seconds[suffix] + PRIOR_SECONDS)


def length(path: Path) -> float | None:
    """Seconds, as the header tells or FFmpeg guesses; None where neither is possible."""
    import av

    try:
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            return container.duration / 1e6 if container.duration else None  # us
    except (av.error.FFmpegError, OSError, ValueError):
        return None  # told when it is tagged


def make_shards(
    inputs: Sequence[Input], estimates: Estimates, workers: int, part_seconds: float, first: int
) -> list[Shard]:
    """Shards of consecutive recordings, numbered in their order.

    Args:
        inputs: by name.
        workers: that are to be kept busy.
        part_seconds: of audio in a part of the tables, at most; one recording may be longer.
        first: number.
    """
    lengths = [estimates.seconds(item) for item in inputs]
    size = max(LEAST_SECONDS, min(part_seconds, sum(lengths) / (SHARDS_A_JOB * workers)))
    shards: list[Shard] = []
    taken: list[Input] = []
    seconds = 0.0
    for item, each in zip(inputs, lengths, strict=True):
        if taken and (seconds + each > size or len(taken) == MOST_INPUTS):
            shards.append(Shard(first + len(shards), tuple(taken), seconds))
            taken, seconds = [], 0.0
        taken.append(item)
        seconds += each
    if taken:
        shards.append(Shard(first + len(shards), tuple(taken), seconds))
    return shards
