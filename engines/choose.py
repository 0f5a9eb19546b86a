"""`--engine auto`: of the engines that are found, the best that this machine can run; the default one is always there.

Engines for a GPU come before those for the CPU, and of one target the precision that is fastest on it, then what was
built last. Nothing is measured: whoever wants another engine names its folder.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from glatd.engines.engine import Engine
from glatd.engines.load import default_engine, load_engine
from glatd.engines.manifest import FILE, Manifest, read_manifest
from glatd.engines.targets import find_target
from glatd.errors import EngineError

log = logging.getLogger("glatd.engines")

BEST_FIRST = ("tensorrt", "cuda", "cpu")
FASTEST_FIRST = {  # where each is within its tolerance, as its certificate says
    "tensorrt": ("float16", "bfloat16", "float32"),
    "cuda": ("float16", "bfloat16", "float32"),
    "cpu": ("int8", "bfloat16", "float16", "float32"),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What `choose` has found."""

    folder: Path
    manifest: Manifest
    others: tuple[str, ...]  # better ones that cannot be used, each with the reason

    @property
    def why(self) -> str:
        """In a line."""
        runtime = self.manifest.runtime
        what = f"{self.folder.name} ({self.manifest.model} for {runtime.target} in {runtime.precision})"
        return f"{what}: {'the best that can run here' if self.others else 'the best there is'}"


def engine_folders() -> list[Path]:
    """Where engines are looked for when no folder is named: the system's, then the user's."""
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return [Path("/var/lib/glatd/engines"), Path(data, "glatd", "engines")]


def folders_of(engines: str) -> list[Path]:
    """The folders that a setting names: one, or those above.

    Raises:
        EngineError: there is no such folder.
    """
    if engines and not Path(engines).is_dir():
        raise EngineError(f"engines = {engines!r} is no folder; make it, or leave the setting out")
    return [Path(engines)] if engines else engine_folders()


def chosen_folder(engine: str, engines: str) -> Path:
    """The folder of the engine that a configuration wants: the one that it names, or of "auto" the best.

    Raises:
        EngineError: see `choose` and `folders_of`.
    """
    return choose(folders_of(engines)).folder if engine == "auto" else Path(engine)


def find_engines(folders: Sequence[Path]) -> list[Path]:
    """Every engine in these folders, whether it can be used or not; a folder may be one itself.

    Raises:
        EngineError: a folder that cannot be read.
    """
    found = []
    for folder in folders:
        try:
            inside = sorted(folder.iterdir()) if folder.is_dir() else []
        except OSError as error:
            raise EngineError(f"cannot look for engines in {folder}: {error.strerror}") from error
        # Hidden ones are builds that are not finished.
        found += [path for path in (folder, *inside) if not path.name.startswith(".") and (path / FILE).is_file()]
    return found


def ranked(folders: Sequence[Path]) -> Iterator[tuple[Path, Manifest | EngineError]]:
    """Engines in the order in which they are tried, the default one last; of those that are damaged, why."""
    usable: list[tuple[tuple[int, int], str, Path, Manifest]] = []
    for folder in find_engines(folders):
        try:
            manifest = read_manifest(folder)
        except EngineError as error:
            yield folder, error
            continue
        runtime = manifest.runtime
        precisions = FASTEST_FIRST.get(runtime.target, ())
        if runtime.target not in BEST_FIRST or runtime.precision not in precisions:
            yield folder, EngineError(f"{folder} is for {runtime.target} in {runtime.precision}, which is not known")
            continue
        rank = BEST_FIRST.index(runtime.target), precisions.index(runtime.precision)
        usable.append((rank, manifest.provenance.get("built", ""), folder, manifest))
    usable.sort(key=lambda item: item[1], reverse=True)  # the newest first, among equals of
    usable.sort(key=lambda item: item[0])
    yield from ((folder, manifest) for _, _, folder, manifest in usable)
    yield default_engine(), read_manifest(default_engine())


def choices(folders: Sequence[Path]) -> Iterator[Choice]:
    """Engines that nothing speaks against yet, the best first; none is loaded.

    Raises:
        EngineError: a folder that cannot be read, or a damaged default engine.
    """
    others: list[str] = []
    for folder, found in ranked(folders):
        if isinstance(found, EngineError):
            others.append(str(found))
            continue
        obstacle = find_target(found.runtime.target).obstacle(found)
        if obstacle:
            others.append(f"{folder} cannot run here: {obstacle}")
        else:
            yield Choice(folder, found, tuple(others))


def choose(folders: Sequence[Path]) -> Choice:
    """The first of `choices`.

    Raises:
        EngineError: none: not even the CPU's runtime is here.
    """
    for choice in choices(folders):
        return choice
    raise EngineError("no engine can run here, not even the default one: see glatd doctor")


def load_best(
    folders: Sequence[Path], threads: int = 0, incremental: bool = True, lanes: int = 1
) -> tuple[Engine, Choice]:
    """Load the best engine that loads; what was better and does not is told as a warning.

    Args:
        threads: this and the rest as of `load_engine`.

    Raises:
        EngineError: none does.
    """
    failed: list[str] = []
    for choice in choices(folders):
        try:
            engine = load_engine(choice.folder, threads, incremental, lanes)
        except EngineError as error:
            failed.append(str(error))
            continue
        for reason in (*choice.others, *failed):
            log.warning("engine auto: %s", reason)
        if (failed or choice.others) and choice.manifest.runtime.target == "cpu":
            log.warning("engine auto: falling back to the CPU")
        if choice.others or failed or choice.folder != default_engine():  # else there was nothing to choose from
            log.info("engine auto: %s", choice.why)
        return engine, Choice(choice.folder, choice.manifest, (*choice.others, *failed))
    raise EngineError(f"no engine can run here: {'; '.join(failed) or 'see glatd doctor'}")
