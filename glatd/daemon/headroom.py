"""Whether there is memory for another engine beside the one that runs.

A kernel that runs out of memory kills the process, with every stream of it, and says nothing first: so it is looked
beforehand. What an engine takes is not known until it is there; measured, the default one takes eight times its files
beside another of its kind (docs/swap.md).
"""

from glatd.daemon.limits import free_bytes
from glatd.engines.manifest import Manifest
from glatd.errors import EngineError

TIMES = 8  # an engine's files
BASE = 64 << 20  # bytes beside that: what its runs need


def check_room(manifest: Manifest) -> None:
    """Refuse an engine that there is no memory for.

    Raises:
        EngineError: with both figures.
    """
    needed = TIMES * sum(entry.bytes for entry in manifest.files) + BASE
    free = free_bytes()
    if free is not None and needed > free:
        raise EngineError(
            f"there is not enough memory for {manifest.model} beside the engine that runs: it may need "
            f"{needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free; stop something, or start glatd again with it"
        )
