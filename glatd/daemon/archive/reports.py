"""What a worker tells of its shard, and what a shard is."""

from dataclasses import dataclass

from glatd.daemon.archive.find import Input
from glatd.errors import GlatdError


@dataclass(frozen=True, slots=True)
class Shard:
    """Recordings that one worker tags, one after the other."""

    number: int  # of this archive; sorted as the rows are to be
    inputs: tuple[Input, ...]
    seconds: float  # of audio, as estimated
    careful: bool = False  # whether each recording is told before it is begun

    @property
    def prefix(self) -> str:
        """How the names of its parts begin."""
        return f"{self.number:07d}-"


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has its engine."""


@dataclass(frozen=True, slots=True)
class At:
    """The worker is at one recording."""

    index: int  # in the shard
    seconds: float  # of it that it has heard


@dataclass(frozen=True, slots=True)
class Done:
    """One recording is tagged; its rows are not safe yet."""

    index: int
    seconds: float  # of audio
    windows: int
    events: int
    trouble: str  # why not all of it could be heard


@dataclass(frozen=True, slots=True)
class Bad:
    """Nothing of a recording can be heard."""

    index: int
    trouble: str


@dataclass(frozen=True, slots=True)
class Safe:
    """The rows of these recordings are in the tables."""

    part: str
    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing is left of the shard, or the worker was stopped."""


@dataclass(frozen=True, slots=True)
class Died:
    """The worker is gone, or could go no further."""

    why: str
    at: int | None = None  # the recording, where it is known
    error: GlatdError | None = None  # one that no other worker would be spared
    early: bool = False  # before it had its engine


Report = Ready | At | Done | Bad | Safe | Finished | Died
