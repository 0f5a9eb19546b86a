"""Checks of the machine: software, processor, memory, clock, files, disk."""

import ctypes
import importlib.metadata
import os
import platform
import re
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from glatd.daemon.doctor.finding import Finding, error, ok, warning
from glatd.daemon.limits import free_bytes

_NEEDED_MB = 250.0  # of memory, with the default engine
_STREAM_MB = 4.0
_NEEDED_FILES = 64
_STREAM_FILES = 16
_STREAM_HOUR_GB = 0.2  # of a recording at 48 kHz, 16 bit, mono, FLAC
_LEAST_HOURS = 24.0

# As /proc/cpuinfo calls what inference is fast with, and as people do.
_INSTRUCTIONS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "VNNI",
    "avx_vnni": "VNNI",
    "avx512_bf16": "bfloat16",
    "amx_bf16": "AMX",
    "asimd": "NEON",
    "asimddp": "dot product",
    "bf16": "bfloat16",
    "i8mm": "int8 matrices",
}
_UNSYNCHRONISED = 0x40  # STA_UNSYNC of adjtimex(2)
_CLOCK_ERROR = 5  # TIME_ERROR


def software() -> Iterator[Finding]:
    """Python and the packages of the base install."""
    yield ok("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    try:
        requirements = importlib.metadata.requires("glatd") or []
    except importlib.metadata.PackageNotFoundError:
        yield warning("Packages", "glatd runs from a folder that is not installed", "pip install .")
        return
    names = [re.split(r"[^\w.-]", line)[0] for line in requirements if "extra ==" not in line]
    there: list[str] = []
    for name in names:
        try:
            there.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            yield error("Packages", f"{name} is missing", f"pip install {name}")
    yield ok("Packages", ", ".join(there))


def processor(threads: int) -> Iterator[Finding]:
    """Cores and instruction sets."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        words = set(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        words = set()
    known = list(dict.fromkeys(shown for flag, shown in _INSTRUCTIONS.items() if flag in words))
    text = ", ".join([f"{cores} {'core' if cores == 1 else 'cores'}", *known])
    if threads > cores:
        yield warning("CPU", f"{text}; threads = {threads}", f"set threads to {cores} or less, or 0")
    elif words and platform.machine() == "x86_64" and "avx2" not in words:
        yield warning("CPU", f"{text}, without AVX2: a window takes several times as long", "take a newer processor")
    else:
        yield ok("CPU", text)


def memory(streams: int) -> Iterator[Finding]:
    """What is free, also within the limit of a container or a service."""
    left = free_bytes()
    if left is None:
        return
    free, needed = left / 1e6, _NEEDED_MB + streams * _STREAM_MB
    text = f"{free / 1000:.1f} GB free, about {needed / 1000:.2f} GB needed"
    if free < needed:
        yield error("Memory", text, "stop other programs, or take fewer sources")
    elif free < 1.5 * needed:
        yield warning("Memory", text, "stop other programs, or take fewer sources")
    else:
        yield ok("Memory", text)


class _Timex(ctypes.Structure):
    """The head of struct timex; the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),  # us
        ("esterror", ctypes.c_long),  # us
        ("status", ctypes.c_int),
        ("room", ctypes.c_char * 256),
    )


def clock() -> Iterator[Finding]:
    """Whether the wall clock is synchronised, as the kernel knows it."""
    mend = "apt-get install systemd-timesyncd (or chrony), then timedatectl set-ntp true"
    timex = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        state = -1
    if state < 0:
        yield warning("Clock", "the system does not say whether it is synchronised", "see timedatectl")
    elif state == _CLOCK_ERROR or timex.status & _UNSYNCHRONISED:
        yield warning("Clock", "not synchronised: times in messages and recordings drift", mend)
    else:
        yield ok("Clock", f"synchronised, within {timex.maxerror / 1000:.0f} ms")


def files(streams: int) -> Iterator[Finding]:
    """How many files and sockets may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _NEEDED_FILES + streams * _STREAM_FILES
    text = f"{'any number' if soft == resource.RLIM_INFINITY else soft} may be open, about {needed} needed"
    if soft != resource.RLIM_INFINITY and soft < needed:
        allowed = hard == resource.RLIM_INFINITY or hard >= needed
        way = f"ulimit -n {needed}" if allowed else f"raise nofile in /etc/security/limits.conf to {needed}"
        yield error("Open files", text, f"{way}; in a service LimitNOFILE={needed}")
    else:
        yield ok("Open files", text)


def user(unit: Path = Path("/etc/systemd/system/glatd.service")) -> Iterator[Finding]:
    """Permissions are those of whoever asks: is that who glatd runs as?"""
    if os.geteuid() == 0 and unit.exists():
        yield warning(
            "User", "root may do what the service may not, so permissions are not seen here",
            "ask as the service's user: runuser -u glatd -- glatd doctor ...",
        )  # fmt: skip


def disk(folder: Path, streams: int) -> Iterator[Finding]:
    """Room for recordings, and whether they can be written."""
    there = folder.absolute()
    while not os.path.exists(there) and there != there.parent:  # Path.exists raises where it may not look
        there = there.parent
    if not os.path.isdir(there):
        yield error("Recordings", f"{folder}: {there} is not a folder", "choose another --record")
    elif not os.access(there, os.W_OK | os.X_OK) or os.statvfs(there).f_flag & os.ST_RDONLY:
        yield error("Recordings", f"{folder}: {there} cannot be written to", "chown it, or choose another --record")
    else:
        free = shutil.disk_usage(there).free / 1e9
        hours = free / (_STREAM_HOUR_GB * max(1, streams))
        text = f"{folder}: {free:.1f} GB free, about {hours:.0f} h of {max(1, streams)} at 48 kHz"
        if hours < _LEAST_HOURS:
            yield warning("Recordings", text, "make room, or record into another folder")
        else:
            yield ok("Recordings", text)
