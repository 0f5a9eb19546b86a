"""Which platforms have wheels of every base dependency, in the versions of constraints.txt.

pip is asked to resolve each package for each kind of system, the oldest first, without downloading
what it finds: the answer is the oldest system that has a wheel.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from benchmarks.machine import described, load_average
from benchmarks.progress import say

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.11"
# glibc by distribution: 2.17 manylinux2014, 2.28 Debian 10, 2.31 Debian 11 and Ubuntu 20.04,
# 2.35 Ubuntu 22.04, 2.36 Debian 12, 2.39 Ubuntu 24.04.
GLIBC = (17, 28, 31, 35, 36, 39)
MACOS = (11, 12, 13, 14, 15)


def linux(machine: str) -> dict[str, list[str]]:
    """Name of a system -> every tag that it takes."""
    return {
        f"glibc 2.{newest}": [f"manylinux_2_{minor}_{machine}" for minor in range(newest, 16, -1)]
        + [f"manylinux2014_{machine}"]
        for newest in GLIBC
    }


def macos(machine: str) -> dict[str, list[str]]:
    """Name of a system -> its tag, from which pip derives those of older systems."""
    return {f"macOS {version}": [f"macosx_{version}_0_{machine}"] for version in MACOS}


PLATFORMS = {
    "Linux x86-64": linux("x86_64"),
    "Linux aarch64": linux("aarch64"),
    "macOS arm64": macos("arm64"),
    "macOS x86-64": macos("x86_64"),
    "Windows x86-64": {"yes": ["win_amd64"]},
    "Windows arm64": {"yes": ["win_arm64"]},
}
SYSTEMS = {"Linux": "linux", "macOS": "darwin", "Windows": "win32"}  # as `sys_platform` has them
NOT_WANTED = {"system": "not needed", "wheel": ""}


def requirements() -> list[tuple[str, Requirement]]:
    """NAME==VERSION of every base dependency of pyproject.toml, and how that asks for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if re.fullmatch(r"[\w.-]+==[\w.]+", line)
    )
    return [(f"{asked.name}=={pins[asked.name]}", asked) for asked in map(Requirement, project["dependencies"])]


def wheel(requirement: str, tags: list[str]) -> str | None:
    """File name of the wheel that pip would take, None when there is none."""
    with tempfile.TemporaryDirectory() as target:
        command = [
            sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--dry-run",
            "--ignore-installed", "--no-deps", "--only-binary=:all:", "--python-version", PYTHON,
            "--target", target, "--report", "-",
            *(part for tag in tags for part in ("--platform", tag)), requirement,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        if "No matching distribution" not in done.stderr:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        return None
    (found,) = json.loads(done.stdout)["install"]
    return str(found["download_info"]["url"]).rpartition("/")[2].partition("#")[0]


def oldest(requirement: str, systems: dict[str, list[str]]) -> dict[str, str] | None:
    """The oldest of `systems` that has a wheel, and its file name."""
    for system, tags in systems.items():
        file = wheel(requirement, tags)
        if file is not None:
            return {"system": "any" if file.endswith("-any.whl") else system, "wheel": file}
    return None


def wanted(asked: Requirement, platform: str) -> bool:
    """Whether glatd asks for it on a platform."""
    return asked.marker is None or asked.marker.evaluate({"sys_platform": SYSTEMS[platform.partition(" ")[0]]})


def measure() -> dict[str, Any]:
    """Wheels by package and platform."""
    head = described("python -m benchmarks wheels", load_average())
    table: dict[str, dict[str, dict[str, str] | None]] = {}
    for pinned, asked in requirements():
        say(pinned)
        table[pinned] = {
            name: oldest(pinned, systems) if wanted(asked, name) else NOT_WANTED for name, systems in PLATFORMS.items()
        }
    return {key: head[key] for key in ("date", "command")} | {"python": PYTHON, "wheels": table}
