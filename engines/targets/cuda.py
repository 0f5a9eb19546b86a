"""The CUDA target, for a GPU without TensorRT: torch runs the exported programs, recorded as CUDA graphs.

An engine of it fits every GPU that torch knows, and needs torch where it runs.
"""

import shutil
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from glatd.engines.bench_work import write_work
from glatd.engines.engine import Graph
from glatd.engines.manifest import Manifest, Profile, Runtime
from glatd.engines.targets.cuda_torch import TorchGraph, lower_program
from glatd.engines.targets.rows import Batches, most_of, profile_for
from glatd.engines.targets.target import Order
from glatd.errors import EngineError

OUTPUTS = {"global": 5, "local": 1}  # of the programs of a bundle, which also tell the feature


class Cuda:
    """See `target.Target`."""

    name = "cuda"
    precisions = ("float32", "float16", "bfloat16")
    has_lanes = False

    def profile(self, streams: int) -> Profile | None:
        return profile_for(streams)

    def runtime(self, precision: str) -> Runtime:
        return Runtime(self.name, "torch", torch_version(), precision, {"gpu": "any", "tf32": "off"})

    def version(self, manifest: Manifest) -> str:
        return torch_version()

    def convert(self, order: Order) -> None:
        torch_version()
        for name, inputs in order.inputs.items():
            source, to = order.bundle / f"{name}.pt2", order.work / f"{name}.pt2"
            if not source.is_file():
                raise EngineError(f"{order.bundle} lacks {source.name}; `glatd train export {order.bundle}` makes it")
            if name == "frontend" or order.precision == "float32":
                shutil.copyfile(source, to)
                continue
            import torch

            torch.export.save(lower_program(source, inputs, order.precision), to)
        write_work(order.work, {name: order.bundle / f"{name}.onnx" for name in order.inputs})

    def obstacle(self, manifest: Manifest) -> str:
        try:
            here = torch_version()
        except EngineError as error:
            return str(error)
        if here.split(".")[:2] != manifest.runtime.version.split(".")[:2]:
            return (
                f"torch is version {here} here and {manifest.runtime.version} where it was built; build it again here"
            )
        import torch

        if not torch.cuda.is_available():
            return "torch finds no NVIDIA GPU here; see nvidia-smi, and whether torch was built for CUDA"
        return ""

    def compile(self, folder: Path, manifest: Manifest, threads: int, lanes: int = 1) -> Mapping[str, Graph]:
        import torch

        assert manifest.profile is not None
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = True  # sizes are few, and recorded
        crops = manifest.geometry.crops
        return {
            name: TorchGraph(
                folder / f"{name}.pt2", inputs, OUTPUTS.get(name), Batches.of(name, manifest.profile, crops), "cuda"
            )
            for name, inputs in manifest.inputs.items()
        }

    def most_windows(self, manifest: Manifest) -> int:
        return most_of(manifest)


TARGET = Cuda()


def torch_version() -> str:
    """Of the torch that is installed, without what it was built for.

    Raises:
        EngineError: there is none.
    """
    try:
        return version("torch").partition("+")[0]
    except PackageNotFoundError as error:
        raise EngineError("the cuda target needs torch; pip install 'glatd[cuda]'") from error
