"""What an engine says of networks that need not look at the whole of a window anew.

Such a network has two further graphs. The *trunk* makes output frames of the newest mel frames of a stream, a run of
fixed size; what it made is kept. The *head* makes of the kept output frames of a window, or of a crop, what the graph
`global`, or `local`, makes of its mel frames. The two agree but at the edges: an output frame at the beginning of a
window, and at both ends of a crop, sees its real neighbours where the graph in one piece sees zeros.
"""

from dataclasses import dataclass

Shapes = tuple[tuple[int, ...], ...]  # of a row of each input of a graph


@dataclass(frozen=True, slots=True)
class Trunk:
    """Sizes of a trunk and of what it makes."""

    of: str  # the graph that it and its head stand for: "global" or "local"
    length: int  # mel frames that this graph sees
    stride: int  # mel frames an output frame
    left: int  # mel frames before its first output frame that a run sees
    rows: int  # output frames that a run makes
    provisional: int  # the last of these, which see beyond the end: the next run makes them again
    size: int  # E, values an output frame

    @property
    def frames(self) -> int:
        """F, output frames of `length`."""
        return self.length // self.stride

    @property
    def tail(self) -> int:
        """Mel frames after the last output frame."""
        return self.length % self.stride

    @property
    def run(self) -> int:
        """Mel frames that a run sees."""
        return self.left + self.rows * self.stride + self.tail

    @property
    def graph(self) -> str:
        """The trunk's name among the graphs of the engine."""
        return f"{self.of}_trunk"

    @property
    def head(self) -> str:
        """The head's."""
        return f"{self.of}_head"

    def inputs(self, mels: int) -> dict[str, Shapes]:
        """Both graphs by name, with the shape of a row of each of their inputs: of the head of `global`, the second
        says which output frames are audible."""
        kept = (self.frames, self.size)
        return {self.graph: ((self.run, mels),), self.head: (kept, (self.frames,)) if self.of == "global" else (kept,)}
