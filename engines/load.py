"""Load an engine folder: check it, compile it for this machine, and say what is wrong."""

from dataclasses import replace
from pathlib import Path

from glatd.engines.engine import Engine
from glatd.engines.manifest import Geometry, Manifest, check_files, read_manifest
from glatd.engines.targets import find_target
from glatd.engines.trunks import Trunk
from glatd.errors import EngineError


def default_engine() -> Path:
    """The engine that the wheel carries."""
    return Path(__file__).parent / "default"


def load_engine(folder: Path | None = None, threads: int = 0, incremental: bool = True, lanes: int = 1) -> Engine:
    """Load the engine in `folder`, or the default one.

    Args:
        threads: CPU threads for inference, all on one window; 0 lets the runtime choose.
        lanes: threads that look at windows side by side instead, each at one, where the target has that (a CPU).
        incremental: whether what its trunks made of the past is kept; False looks at the whole of every window anew.

    Raises:
        EngineError: missing, damaged, of another version, or for a target this machine lacks.
    """
    folder = folder or default_engine()
    manifest = read_manifest(folder)
    try:
        target = find_target(manifest.runtime.target)
    except EngineError as error:
        raise EngineError(
            f"{folder} was built for {manifest.runtime.target!r}, which this glatd cannot run; use a cpu engine"
        ) from error
    if manifest.runtime.precision not in target.precisions:
        raise EngineError(
            f"{folder} has precision {manifest.runtime.precision!r}, this glatd knows "
            f"{', '.join(target.precisions)}; build the engine again with it"
        )
    obstacle = target.obstacle(manifest)
    if obstacle:
        raise EngineError(f"{folder} cannot run here: {obstacle}")
    check_files(folder, manifest)
    check_geometry(folder, manifest)
    if not incremental:
        manifest = replace(manifest, geometry=replace(manifest.geometry, trunks=()))
    if target.has_lanes and lanes > 1:
        return Engine(manifest, target.compile(folder, manifest, lanes, lanes), target.most_windows(manifest), lanes)
    return Engine(manifest, target.compile(folder, manifest, threads), target.most_windows(manifest))


def check_geometry(folder: Path, manifest: Manifest) -> None:
    """Refuse sizes that do not fit together.

    Raises:
        EngineError: naming the value.
    """
    sizes = manifest.geometry
    wrong = [
        text
        for text, bad in (
            (
                f"frames {sizes.frames} for a window of {sizes.window} at stride {sizes.stride}",
                not 0 <= sizes.window - sizes.frames * sizes.stride < sizes.stride
                and sizes.frames != -(-sizes.window // sizes.stride),
            ),
            (f"a crop of {sizes.crop} in a window of {sizes.window}", not 0 < sizes.crop <= sizes.window),
            (f"{sizes.crops} crops", sizes.crops < 1),
            (f"blocks of {sizes.block} frames at stride {sizes.stride}", sizes.block != sizes.stride),
            (f"{len(manifest.labels)} labels", not manifest.labels),
            *((f"{trunk.graph} of {trunk.run} frames", not fits(trunk, sizes)) for trunk in sizes.trunks),
        )
        if bad
    ]
    if wrong:
        raise EngineError(f"{folder} has sizes that cannot be: {'; '.join(wrong)}; build the engine again")


def fits(trunk: Trunk, sizes: Geometry) -> bool:
    """Whether a trunk makes output frames of the graph that it stands for."""
    return (
        trunk.length == {"global": sizes.window, "local": sizes.crop}.get(trunk.of)
        and trunk.stride == sizes.stride
        and 0 <= trunk.provisional < trunk.rows <= trunk.frames
        and trunk.left >= 0 < trunk.size
    )
