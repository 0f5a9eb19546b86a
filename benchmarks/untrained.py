"""An engine of any backbone without training it: for speed, load and memory, not for what it says.

    python -m benchmarks.untrained cnn10 --out DIR [--precision bfloat16] [--crops 5]

writes `DIR/bundle` (weights and graphs) and `DIR/engine`, which `glatd run --engine DIR/engine` loads.
"""

import argparse
from pathlib import Path
from typing import Any

from glatd.engines.build import build_engine
from glatd.engines.targets.cpu import PRECISIONS

SEED = 0
# Log-mel in decibels is no zero-mean input: what bn0 learns of it, roughly.
DECIBELS_MEAN, DECIBELS_VARIANCE = -30.0, 400.0


def untrained_engine(backbone: str, out: Path, precision: str = "float32", crops: int = 5, **config: Any) -> Path:
    """Make a GL-AT of this backbone with random weights, export it, build it for the CPU.

    Args:
        backbone: name of `glatd.trainer.backbones.BACKBONES`.
        out: folder to write `bundle/` and `engine/` into.
        config: further arguments of the backbone.

    Returns:
        The engine's folder.
    """
    import torch

    from glatd.labels import audioset
    from glatd.trainer.backbones import make_backbone
    from glatd.trainer.bundle import write_bundle
    from glatd.trainer.export import export
    from glatd.trainer.glat import Glat, GlatSpec

    torch.manual_seed(SEED)
    network = make_backbone({"name": backbone, "classes": len(audioset()), **config})
    if network.frontend.decibels:
        network.bn0.running_mean.fill_(DECIBELS_MEAN)  # type: ignore[operator,union-attr]
        network.bn0.running_var.fill_(DECIBELS_VARIANCE)  # type: ignore[operator,union-attr]
    bundle, engine = out / "bundle", out / "engine"
    said = {"training": "none: random weights"}
    write_bundle(bundle, Glat(network.eval(), GlatSpec(crops=crops)), f"untrained-{backbone}", said, "MIT")
    export(bundle)
    build_engine(bundle, engine, precision=precision)
    return engine


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.untrained", description=__doc__)
    parser.add_argument("backbone")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--precision", default="float32", choices=sorted(PRECISIONS))
    parser.add_argument("--crops", type=int, default=5)
    asked = parser.parse_args()
    print(untrained_engine(asked.backbone, asked.out, asked.precision, asked.crops))


if __name__ == "__main__":
    main()
