"""The machine that an engine is built, judged or measured on, as certificates and tables name it."""

import os
import platform
from pathlib import Path

from glatd.engines.manifest import Runtime
from glatd.engines.targets.cuda_gpu import gpu_here


def cpu_name() -> str:
    """The processor, as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def processor_name(runtime: Runtime) -> str:
    """What engines of this runtime compute on here: the GPU where they want one and there is one, else the CPU."""
    gpu = None if runtime.target == "cpu" else gpu_here()
    return gpu.name if gpu else cpu_name()


def resident_mb() -> float:
    """Memory of this process that is in use; 0.0 where the system does not tell it."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0.0
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
