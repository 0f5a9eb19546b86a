"""What a figure was measured on, and with what."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# Flags of /proc/cpuinfo that decide which kernels a runtime can use.
INSTRUCTION_SETS = (
    "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_tile", "amx_int8", "amx_bf16", "amx_fp16", "asimd", "asimddp", "sve",
)
PACKAGES = ("numpy", "openvino", "onnxruntime", "onnx", "nncf", "av", "soxr", "pyzmq", "torch")


def cpu_info() -> dict[str, str]:
    """The first processor's fields of /proc/cpuinfo; empty where there is none."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    rows = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in rows}


def instruction_sets() -> list[str]:
    """Those of `INSTRUCTION_SETS` that this CPU has."""
    info = cpu_info()
    flags = set((info.get("flags") or info.get("Features") or "").split())
    return [name for name in INSTRUCTION_SETS if name in flags]


def versions(names: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Versions of the installed packages among `names`."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def system() -> str:
    """Name of the operating system."""
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    return f"{name}, {platform.machine()}"


def commit() -> str:
    """The commit that was measured, with a + where files were changed; empty outside a checkout."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def load_average() -> float:
    """Processes that wanted a core in the last minute: what else was running counts in a figure."""
    return round(os.getloadavg()[0], 2)


def described(command: str, load_before: float) -> dict[str, Any]:
    """The head of every result file.

    Args:
        command: what makes it again.
        load_before: `load_average()` before the first measurement.
    """
    info = cpu_info()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": command,
        "commit": commit(),
        "machine": {
            "cpu": info.get("model name", platform.processor() or "unknown"),
            "cores": os.cpu_count(),
            "instruction_sets": instruction_sets(),
            "system": system(),
            "load_before": load_before,
        },
        "python": sys.version.split()[0],
        "versions": versions(),
    }
