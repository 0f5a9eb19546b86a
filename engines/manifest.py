"""The manifest of an engine: everything the daemon must know of the three graphs."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from glatd.config import build
from glatd.engines.trunks import Shapes, Trunk
from glatd.errors import ConfigError, EngineError

VERSION = 2
FILE = "manifest.json"
GRAPHS = ("frontend", "global", "local")  # in every engine
FEATURE = "feature"  # an output of exported graphs, where trunk and head of the network part; no engine gives it

DEFAULT_HOP_SECONDS = 0.96  # between two windows of a stream, where nobody says otherwise


@dataclass(frozen=True, slots=True)
class LabelEntry:
    """One output class."""

    name: str
    mid: str


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of an engine or bundle."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of the graphs. Mel frame j is centred on sample hop * j and sees
    samples [hop * j - left, hop * j + right)."""

    rate: int  # Hz
    hop: int  # samples a mel frame
    left: int  # samples
    right: int  # samples
    mels: int  # M
    block: int  # mel frames that one row of `frontend` makes
    window: int  # mel frames that `global` sees
    crop: int  # tau, mel frames that `local` sees
    crops: int  # K, crops that `global` selects
    stride: int  # mel frames an output frame
    frames: int  # F, output frames of a window
    grid: str  # "stream" or "clip"
    trunks: tuple[Trunk, ...] = ()  # of the networks that need not look at the whole of a window anew

    def trunk_for(self, graph: str) -> Trunk | None:
        """The trunk that stands for `global` or `local`, where there is one."""
        return next((trunk for trunk in self.trunks if trunk.of == graph), None)

    @property
    def lookback(self) -> int:
        """Mel frames before a window that a trunk sees."""
        return max((trunk.left for trunk in self.trunks), default=0)

    @property
    def block_samples(self) -> int:
        """Length of one row of `frontend`'s input."""
        return self.left + self.hop * (self.block - 1) + self.right


@dataclass(frozen=True, slots=True)
class Runtime:
    """What runs the graphs."""

    target: str  # "cpu"
    name: str  # "openvino"
    version: str  # that built it
    precision: str  # "float32", "bfloat16", ...; the front end is float32 always
    built_for: dict[str, str] = field(default_factory=dict)  # the GPU, ... that it needs; empty: any machine


@dataclass(frozen=True, slots=True)
class Profile:
    """How many streams a GPU engine was built for; any number up to the most can be run."""

    typical: int  # it is fastest at
    most: int


@dataclass(frozen=True, slots=True)
class GraphEntry:
    """A graph beyond the three that every engine has."""

    name: str
    inputs: Shapes  # float32, without the batch


@dataclass(frozen=True, slots=True)
class Manifest:
    """manifest.json. The keys with a default came with version 2."""

    version: int
    model: str  # name of the recipe
    geometry: Geometry
    runtime: Runtime
    labels: tuple[LabelEntry, ...]
    files: tuple[FileEntry, ...]
    provenance: dict[str, str]  # what made it: bundle hash, glatd version, date
    licence: str
    hash: str  # content hash: of everything but itself and `provenance`, file hashes included
    graphs: tuple[GraphEntry, ...] = ()  # beyond the three
    profile: Profile | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Label names in the order of the scores."""
        return tuple(label.name for label in self.labels)

    @property
    def inputs(self) -> dict[str, Shapes]:
        """Every graph by name, with the shape of a row of each of its inputs."""
        return graph_inputs(self.geometry, self.graphs)


def graph_inputs(sizes: Geometry, more: Sequence[GraphEntry] = ()) -> dict[str, Shapes]:
    """The shape of a row of each input of the three graphs, and of those beyond them."""
    further: dict[str, Shapes] = {}
    for trunk in sizes.trunks:
        further |= trunk.inputs(sizes.mels)
    return {
        "frontend": ((sizes.block_samples,),),
        "global": ((sizes.window, sizes.mels), (sizes.frames,)),
        "local": ((sizes.crop, sizes.mels),),
        **further,
        **{entry.name: entry.inputs for entry in more},
    }


def content_hash(tree: Mapping[str, Any]) -> str:
    """Hash of what an engine computes; the date and place of its making do not count."""
    body = {key: value for key, value in tree.items() if key not in ("hash", "provenance")}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def file_entry(path: Path) -> FileEntry:
    """Size and hash of a file."""
    data = path.read_bytes()
    return FileEntry(path.name, len(data), hashlib.sha256(data).hexdigest())


def oldest_form(tree: dict[str, Any]) -> dict[str, Any]:
    """A manifest of version 2 that uses none of its keys is one of version 1: older readers know it, and the engine
    keeps the hash that it always had."""
    new: dict[str, Any] = {"graphs": [], "profile": None}
    inside = {"runtime": "built_for", "geometry": "trunks"}
    if any(tree[key] != empty for key, empty in new.items()) or any(tree[part][key] for part, key in inside.items()):
        return tree
    old = {key: value for key, value in tree.items() if key not in new}
    for part, new_key in inside.items():
        old[part] = {key: value for key, value in tree[part].items() if key != new_key}
    return old | {"version": 1}


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Write manifest.json with its content hash filled in, in the oldest version that can say it."""
    tree = oldest_form(json.loads(json.dumps(asdict(manifest))))
    tree["hash"] = content_hash(tree)
    (folder / FILE).write_text(json.dumps(tree, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return build(Manifest, tree, FILE)


def read_manifest(folder: Path) -> Manifest:
    """Read and check manifest.json; the files that it names are checked by `check_files`.

    Raises:
        EngineError: no engine there, damaged, tampered with, or of another version.
    """
    path = folder / FILE
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EngineError(f"{folder} is no engine: it has no {FILE}; make one with `glatd engine build`") from error
    except (OSError, ValueError) as error:
        raise EngineError(f"cannot read {path}: {error}; build the engine again") from error
    version = tree.get("version") if isinstance(tree, dict) else None
    if version not in range(1, VERSION + 1) or isinstance(version, bool):
        raise EngineError(
            f"{path} has version {version!r}, this glatd reads up to {VERSION}; build the engine again with it"
        )
    try:
        manifest = build(Manifest, tree, str(path))
    except ConfigError as error:
        raise EngineError(f"{error}; build the engine again") from error
    if content_hash(tree) != manifest.hash:
        raise EngineError(
            f"{path} was changed after it was built (its content hash is not {manifest.hash}); build it again"
        )
    return manifest


def check_files(folder: Path, manifest: Manifest) -> None:
    """Check every file of the engine against its size and hash.

    Raises:
        EngineError: a file is missing, cut short or changed.
    """
    for entry in manifest.files:
        path = folder / entry.name
        if not path.is_file():
            raise EngineError(f"engine file {path} is missing; copy the whole folder again or build the engine again")
        found = file_entry(path)
        if found.bytes != entry.bytes:
            raise EngineError(
                f"engine file {path} has {found.bytes} bytes, not {entry.bytes}; copy or build the engine again"
            )
        if found.sha256 != entry.sha256:
            raise EngineError(
                f"engine file {path} is damaged (hash {found.sha256[:12]}, not {entry.sha256[:12]}); "
                "copy or build the engine again"
            )
