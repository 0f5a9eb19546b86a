"""The certificate of an engine: how far it is from the float32 network in PyTorch, on labelled clips and scenes.

It is measured by `glatd engine build`, travels in the engine as certificate.json, and is checked by
`glatd engine verify`. It is not part of what an engine computes, so it is not in the engine's hash; it names that hash
and has one of its own.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glatd.config import build
from glatd.engines.manifest import Manifest
from glatd.errors import ConfigError, EngineError

FILE = "certificate.json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Errors:
    """Differences from the network."""

    max: float
    mean: float


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What a precision is allowed."""

    max: float  # difference of a score
    mean: float
    crops: float  # share of the network's that the engine chose, too
    map_lost: float


TOLERANCES = {
    "float32": Tolerance(1e-3, 1e-5, 0.99, 0.0),
    "float16": Tolerance(0.02, 1e-3, 0.95, 0.002),
    "bfloat16": Tolerance(0.1, 3e-3, 0.85, 0.005),
    "int8": Tolerance(0.1, 5e-3, 0.85, 0.01),
}
DIGITS = 4  # of mAP that count: scores that differ in the sixth digit change places here and there


def tolerance(precision: str) -> Tolerance:
    """Of a precision; one that is not listed is allowed what int8 is."""
    return TOLERANCES.get(precision, TOLERANCES["int8"])


@dataclass(frozen=True, slots=True)
class Certificate:
    """certificate.json."""

    version: int
    engine: str  # content hash
    weights_sha256: str
    precision: str
    computed: str  # what the machine that measured computed in: not every one has every precision
    machine: str
    runtime: str
    made: str  # UTC
    windows: int  # N
    clips: int
    scenes: int
    classes: int  # that mAP is judged over
    graphs: dict[str, Errors]  # frontend (log-mel), global, activations, local (each of the network's crops)
    local: Errors  # scores of the local stream (paper eq. 3) over the network's crops
    fused: Errors  # of both streams, over the network's crops
    end_to_end: Errors  # fused scores from the waveform on, with the crops that the engine chose
    quiet_tone: float  # largest log-mel difference beside the loud tone
    top5: float  # share of the five highest scores that are the network's
    crops: float  # share of the network's that the engine chose, too: at the same place, whichever class asked for it
    map_network: float
    map_engine: float
    hash: str  # of everything above

    @property
    def map_lost(self) -> float:
        """Of the network's, as far as it counts."""
        return round(self.map_network - self.map_engine, DIGITS)

    def faults(self) -> list[str]:
        """What is beyond the tolerance of its precision, each with its bound.

        The largest difference is bounded where both look at the same crops: a frame that two others tie with moves a
        crop, and another crop has other scores by right. How often is the share of crops; what comes of it, the mean.
        """
        allowed = tolerance(self.precision)
        found = []
        rows = {"global": self.graphs["global"], "local": self.local, "fused": self.fused}
        for name, errors in rows.items():
            if errors.max > allowed.max:
                found.append(f"a {name} score differs by {errors.max:.2g} (allowed: {allowed.max:g})")
        for name, errors in (rows | {"end-to-end": self.end_to_end}).items():
            if errors.mean > allowed.mean:
                found.append(f"{name} scores differ by {errors.mean:.2g} on average (allowed: {allowed.mean:g})")
        if self.crops < allowed.crops:
            found.append(f"{self.crops:.1%} of the crops are the network's (wanted: {allowed.crops:.0%})")
        if self.map_lost > allowed.map_lost:
            found.append(f"{self.map_lost:.4f} mAP is lost (allowed: {allowed.map_lost:g})")
        return found


def sealed(tree: Mapping[str, Any]) -> str:
    """Hash of a certificate."""
    body = {key: value for key, value in tree.items() if key != "hash"}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def write_certificate(folder: Path, certificate: Certificate) -> Certificate:
    """Write certificate.json with its hash filled in."""
    tree = json.loads(json.dumps(asdict(certificate)))
    tree["hash"] = sealed(tree)
    partial = folder / f".{FILE}"
    partial.write_text(json.dumps(tree, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.rename(folder / FILE)
    return build(Certificate, tree, FILE)


def read_certificate(folder: Path, manifest: Manifest) -> Certificate | None:
    """The certificate of an engine, or None where it has none.

    Raises:
        EngineError: damaged, changed, of another version or of another engine.
    """
    path = folder / FILE
    if not path.exists():
        return None
    again = "build the engine again, or `glatd engine verify` it with its --bundle"
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        version = tree.get("version") if isinstance(tree, dict) else None
        if version != VERSION:
            raise EngineError(f"{path} has version {version!r}, this glatd reads {VERSION}; {again}")
        certificate = build(Certificate, tree, str(path))
    except (OSError, ValueError, ConfigError) as error:
        raise EngineError(f"cannot read {path}: {error}; {again}") from error
    if sealed(tree) != certificate.hash:
        raise EngineError(f"{path} was changed after it was made (its hash is not {certificate.hash}); {again}")
    if certificate.engine != manifest.hash:
        raise EngineError(f"{path} is of the engine {certificate.engine}, not of {manifest.hash}; {again}")
    return certificate
