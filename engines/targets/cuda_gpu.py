"""The GPU of this machine, as far as an engine depends on it. Of several, CUDA_VISIBLE_DEVICES chooses the first."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glatd.errors import EngineError

DRIVER = Path("/sys/module/nvidia/version")


@dataclass(frozen=True, slots=True)
class Gpu:
    """What is there."""

    name: str  # "NVIDIA H200"
    capability: str  # "9.0": of its compute units
    memory: int  # bytes
    driver: str  # "580.95.05"; empty where the system does not tell it
    cuda: str  # "13.0": the newest that the driver can


def cuda_runtime() -> Any:
    """The module of CUDA's runtime, imported late.

    Raises:
        EngineError: it is not installed.
    """
    try:
        from cuda.bindings import runtime
    except Exception as error:  # its library may be of another machine's kind
        raise EngineError(f"a GPU engine needs cuda-bindings: {error}; pip install 'glatd[tensorrt]'") from error
    return runtime


def find_gpu(cuda: Any = None) -> Gpu:
    """The GPU that engines run on.

    Args:
        cuda: the module of CUDA's runtime, or what stands for it.

    Raises:
        EngineError: there is none, or no driver for it.
    """
    cuda = cuda or cuda_runtime()
    error, count = cuda.cudaGetDeviceCount()
    if int(error) or not count:
        why = "no device is visible" if not int(error) else text_of(cuda, error)
        raise EngineError(f"there is no NVIDIA GPU that CUDA can use ({why}); see nvidia-smi")
    error, found = cuda.cudaGetDeviceProperties(0)
    if int(error):
        raise EngineError(f"the GPU does not answer ({text_of(cuda, error)}); see nvidia-smi")
    _, version = cuda.cudaDriverGetVersion()
    return Gpu(
        name=found.name.split(b"\0")[0].decode(),
        capability=f"{found.major}.{found.minor}",
        memory=int(found.totalGlobalMem),
        driver=driver_version(),
        cuda=f"{version // 1000}.{version % 1000 // 10}",
    )


def gpu_here() -> Gpu | None:
    """The GPU, if there is one."""
    try:
        return find_gpu()
    except EngineError:
        return None


def driver_version(path: Path = DRIVER) -> str:
    """Of NVIDIA's kernel module; empty where there is none, or the system hides it."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def text_of(cuda: Any, error: Any) -> str:
    """What CUDA calls an error."""
    _, text = cuda.cudaGetErrorString(error)
    return text.decode() if isinstance(text, bytes) else str(text)
