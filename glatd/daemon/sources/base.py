"""What every source of audio is, and how streams get their names."""

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from glatd.audio import Block, Missing
from glatd.daemon.outage import Outage
from glatd.daemon.security.access import Access
from glatd.errors import ConfigError, SourceError

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LONGEST_NAME = 64


class Source(ABC):
    """One stream of audio, not opened until `blocks` is iterated.

    Attributes:
        name: of the stream, `NAME`; unique in the daemon after `unique_names`.
        named: whether the user chose the name.
        uri: where it comes from, fit for printing (no password in it).
        live: whether audio arrives by itself in real time; a recording is as fast as it is read.
        jitter: seconds by which even the best moment of 10 s may be late without anything being lost.
    """

    live: ClassVar[bool]
    jitter: float = 0.5

    def __init__(self, uri: str, name: str, named: bool) -> None:
        self.uri = uri
        self.name = name
        self.named = named
        self._stopped = threading.Event()

    def guard(self, access: Access) -> None:
        """Told before it is first opened: how the node's sockets are guarded, for sources that others connect to.

        Raises:
            ConfigError: others could reach it, and there are no keys.
        """
        return None

    @abstractmethod
    def blocks(self) -> Iterator[Block | Missing]:
        """Open the source and give its blocks, waiting for them; ends when the stream ends or is stopped.

        To be iterated in the stream's own thread. Close the generator (or let it end) to close the device.
        After a SourceError it may be called again, and starts again at index 0.

        Raises:
            SourceError: the source cannot be opened, or fails.
        """

    def recorded_outages(self) -> Sequence[Outage]:
        """Those that a live run knew by its clock, if this is a recording of one.

        Raises:
            SourceError: it cannot be read.
        """
        return ()

    def stop(self) -> None:
        """Make `blocks` end within 0.5 s, for good; from any thread, any number of times."""
        self._stopped.set()


def pick_channel(samples: NDArray[np.float32], channel: int | None, where: str) -> NDArray[np.float32]:
    """One channel of `samples`.

    Args:
        samples: [n, channels].
        channel: 1 for the first; None for all of them.
        where: what the source is called in the error.

    Returns:
        [n, 1], C order; `samples` itself if `channel` is None.

    Raises:
        SourceError: there are not that many channels.
    """
    if channel is None:
        return samples
    if channel > samples.shape[1]:
        raise SourceError(f"{where}: there is no channel {channel}; channel= must be from 1 to {samples.shape[1]}")
    return np.ascontiguousarray(samples[:, channel - 1 : channel])


def safe_name(text: str, otherwise: str) -> str:
    """A stream's name from any text: runs of other characters become `_`; `otherwise` if nothing is left."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("_")[:_LONGEST_NAME] or otherwise


def unique_names(sources: Sequence[Source]) -> list[Source]:
    """Make the names of `sources` unique, in place, and give the sources back.

    Of those with default names that meet, the first keeps it and the others get -2, -3 and so on.

    Raises:
        ConfigError: two sources were given the same name by the user.
    """
    taken: dict[str, Source] = {}
    for source in sources:
        if source.named:
            if source.name in taken:
                both = f"{taken[source.name].uri} and {source.uri}"
                raise ConfigError(f"two sources are named {source.name!r} ({both}); give each a name of its own")
            taken[source.name] = source
    for source in sources:
        if source.named:
            continue
        name, count = source.name, 1
        while name in taken:
            count += 1
            name = f"{source.name[: _LONGEST_NAME - len(str(count)) - 1]}-{count}"
        source.name = name
        taken[name] = source
    return list(sources)
