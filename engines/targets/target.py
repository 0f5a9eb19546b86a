"""What a target is: the one thing that building and loading know of whatever compiles and runs the graphs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from glatd.engines.engine import Graph
from glatd.engines.manifest import Geometry, Manifest, Profile, Runtime
from glatd.engines.material import Material
from glatd.engines.trunks import Shapes


@dataclass(frozen=True, slots=True)
class Order:
    """What a target is asked to compile."""

    bundle: Path  # has NAME.onnx and NAME.pt2 of every graph
    work: Path  # folder to write into; whatever is written there belongs to the engine
    inputs: Mapping[str, Shapes]  # every graph by name, with the shape of a row of each of its inputs
    sizes: Geometry
    precision: str  # one of the target's; the front end, heads, activations and selection are float32 at each
    profile: Profile | None = None  # what the target's `profile` said
    material: Material | None = None  # labelled windows of the bundle; int8 takes its ranges from them


class Target(Protocol):
    """Compiles graphs for one kind of machine, and runs them there. Its runtime is imported when it is needed."""

    name: str  # as in `glatd engine build --target`
    precisions: tuple[str, ...]  # the first is the default
    has_lanes: bool  # whether several threads may run its graphs at the same time

    def profile(self, streams: int) -> Profile | None:
        """The batches of windows that an engine for so many streams is compiled for; None where any is as good."""

    def runtime(self, precision: str) -> Runtime:
        """What would run an engine that is built now, for its manifest.

        Raises:
            EngineError: it is not installed.
        """

    def version(self, manifest: Manifest) -> str:
        """Of what runs such an engine here.

        Raises:
            EngineError: it is not installed.
        """

    def convert(self, order: Order) -> None:
        """Write the compiled graphs into `order.work`.

        Raises:
            EngineError: a graph that cannot be compiled, or no runtime to compile it with.
        """

    def obstacle(self, manifest: Manifest) -> str:
        """Why this machine cannot run such an engine, as the end of a sentence; empty where it can."""

    def compile(self, folder: Path, manifest: Manifest, threads: int, lanes: int = 1) -> Mapping[str, Graph]:
        """Load every graph of `manifest.inputs`, ready to run.

        Args:
            folder: of the engine; its files were checked.
            threads: of the CPU, for all lanes together; 0 lets the runtime choose.
            lanes: threads that will run the graphs at the same time; 1 unless the target `has_lanes`.

        Raises:
            EngineError: a graph that does not load, or not with the shapes of the manifest.
        """

    def most_windows(self, manifest: Manifest) -> int:
        """How many windows an engine likes to be given at once."""


@runtime_checkable
class Imitator(Protocol):
    """A target that can compute in a precision that the machine lacks: for a certificate that holds elsewhere."""

    def imitate(self, folder: Path, manifest: Manifest) -> tuple[Mapping[str, Graph], str]:
        """As `Target.compile`, however slow, and what is computed in."""
