"""The TensorRT target: raw engine bytes of every graph, run by TensorRT's own runtime; no torch to build or to run.

TensorRT and TensorRT-RTX go through the same code. An engine of the full one is made for one model of GPU and one
version; one of TensorRT-RTX for a version, and compiled for the GPU when it is loaded.
"""

import functools
from collections.abc import Mapping
from pathlib import Path

from glatd.engines.bench_work import write_work
from glatd.engines.engine import Graph
from glatd.engines.manifest import Manifest, Profile, Runtime
from glatd.engines.targets.cuda_gpu import Gpu, find_gpu, gpu_here
from glatd.engines.targets.rows import Batches, most_of, profile_for
from glatd.engines.targets.target import Order
from glatd.engines.targets.tensorrt_build import Settings, build, lowered, strongly_typed
from glatd.engines.targets.tensorrt_library import Library, find_library
from glatd.errors import EngineError

SUFFIX = ".engine"
ANY_GPU = "any"  # in `built_for`: TensorRT-RTX compiles for the GPU that is there


class TensorRT:
    """See `target.Target`."""

    name = "tensorrt"
    precisions = ("float32", "float16", "bfloat16")
    has_lanes = False

    def profile(self, streams: int) -> Profile | None:
        return profile_for(streams)

    def runtime(self, precision: str) -> Runtime:
        library = find_library()
        return Runtime(self.name, library.name, library.version, precision, built_for(library, gpu_here()))

    def version(self, manifest: Manifest) -> str:
        return find_library(manifest.runtime.name).version

    def convert(self, order: Order) -> None:
        library = find_library()
        if not library.portable:
            find_gpu()  # which it builds on: it tries every kernel out
        assert order.profile is not None
        capability = None if fits_all(library) else "CURRENT"
        for name, inputs in order.inputs.items():
            path = order.bundle / f"{name}.onnx"
            batches = Batches.of(name, order.profile, order.sizes.crops)
            try:
                graph = lowered(path, "float32" if name == "frontend" else order.precision)
                data = build(library, graph, inputs, batches, Settings(), capability)
            except EngineError as error:
                raise EngineError(f"{path}: {error}") from error
            (order.work / f"{name}{SUFFIX}").write_bytes(data)
        write_work(order.work, {name: order.bundle / f"{name}.onnx" for name in order.inputs})

    def obstacle(self, manifest: Manifest) -> str:
        runtime, wanted = manifest.runtime, manifest.runtime.built_for
        try:
            library = find_library(runtime.name)
            gpu = find_gpu()
        except EngineError as error:
            return str(error)
        if library.version != runtime.version:
            return (
                f"{runtime.name} is version {library.version} here and {runtime.version} where it was built; "
                "build it again here"
            )
        for what, here in (("gpu", gpu.name), ("compute_capability", gpu.capability)):
            if wanted.get(what, ANY_GPU) not in (ANY_GPU, here):
                return f"it was built for {wanted['gpu']}, and this machine has {gpu.name}; build it again here"
        return ""

    def compile(self, folder: Path, manifest: Manifest, threads: int, lanes: int = 1) -> Mapping[str, Graph]:
        from glatd.engines.targets.cuda_device import Device
        from glatd.engines.targets.tensorrt_run import load_graphs

        assert manifest.profile is not None
        plans = {name: folder / f"{name}{SUFFIX}" for name in manifest.inputs}
        return load_graphs(find_library(manifest.runtime.name), Device(), plans, manifest)

    def most_windows(self, manifest: Manifest) -> int:
        return most_of(manifest)


TARGET = TensorRT()


@functools.cache
def fits_all(library: Library) -> bool:
    """Whether what TensorRT-RTX compiles for no GPU in particular runs on the one that is here, if there is one.

    Which GPUs it compiles for unasked is in no table; so a network of one layer is built and loaded.
    """
    if not library.portable or gpu_here() is None:
        return True
    trt = library.module
    builder = trt.Builder(library.logger)
    network = builder.create_network(strongly_typed(trt))
    value = network.add_input("x", trt.float32, (1, 8))
    network.mark_output(network.add_activation(value, trt.ActivationType.RELU).get_output(0))
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    found = plan is not None and trt.Runtime(library.logger).deserialize_cuda_engine(plan) is not None
    library.logger.errors.clear()
    return found


def built_for(library: Library, gpu: Gpu | None) -> dict[str, str]:
    """What an engine that is built now needs to run, and how it was built."""
    told = Settings().told(library)
    if gpu is None or (library.portable and fits_all(library)):
        return {"gpu": ANY_GPU, "compute_capability": ANY_GPU} | told
    return {"gpu": gpu.name, "compute_capability": gpu.capability, "driver": gpu.driver, "cuda": gpu.cuda} | told
