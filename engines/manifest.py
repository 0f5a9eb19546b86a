"""The manifest of an engine: everything the daemon must know of the three graphs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glatd.config import build
from glatd.errors import ConfigError, EngineError

VERSION = 1
FILE = "manifest.json"
GRAPHS = ("frontend", "global", "local")


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


@dataclass(frozen=True, slots=True)
class Manifest:
    """manifest.json."""

    version: int
    model: str  # name of the recipe
    geometry: Geometry
    runtime: Runtime
    labels: tuple[LabelEntry, ...]
    files: tuple[FileEntry, ...]
    provenance: dict[str, str]  # what made it: bundle hash, glatd version, date
    licence: str
    hash: str  # content hash: of everything above, file hashes included

    @property
    def names(self) -> tuple[str, ...]:
        """Label names in the order of the scores."""
        return tuple(label.name for label in self.labels)


def content_hash(tree: Mapping[str, Any]) -> str:
    """Hash of what an engine computes; the date and place of its making do not count."""
    body = {key: value for key, value in tree.items() if key not in ("hash", "provenance")}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def file_entry(path: Path) -> FileEntry:
    """Size and hash of a file."""
    data = path.read_bytes()
    return FileEntry(path.name, len(data), hashlib.sha256(data).hexdigest())


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Write manifest.json with its content hash filled in."""
    tree = json.loads(json.dumps(asdict(manifest)))
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
    if version != VERSION:
        raise EngineError(f"{path} has version {version!r}, this glatd reads {VERSION}; build the engine again with it")
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
