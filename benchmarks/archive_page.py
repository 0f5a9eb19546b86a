"""The measured part of docs/archive.md, from docs/benchmarks/archive.json. No figure is typed by hand."""

from benchmarks.render import where
from benchmarks.tables import Row, pick, table
from glatd.daemon.archive.layout import TABLES

PETABYTE = 1e15  # bytes
PRICE = 0.04  # of a core for an hour, an example
CORES = 1000
# Kinds of recordings, bytes a second.
KINDS = (
    ("WAV, 44.1 kHz, stereo, 16 bit", 176_400),
    ("WAV, 48 kHz, mono, 16 bit", 96_000),
    ("FLAC of that, at 60 %", 57_600),
    ("MP3 or Opus, 128 kb/s", 16_000),
    ("Opus, 32 kb/s", 4000),
)


def lines(result: Row) -> list[str]:
    """The tables."""
    speed = core_speed(result)
    per_hour = sum(result["table_mb_an_hour"]["top"].values())
    rows = []
    for name, rate in KINDS:
        hours = PETABYTE / rate / 3600
        core_hours = hours / speed
        rows.append(
            [
                name,
                f"{rate:,}",
                f"{hours / 1e6:.1f} M",
                f"{core_hours:,.0f}",
                f"{core_hours / CORES / 24:.1f}",
                f"{PRICE * core_hours:,.0f}",
                f"{hours * per_hour / 1e6:.1f}",
                f"{CORES * speed * rate / 1e9:.1f}",
            ]
        )
    sizes = result["table_mb_an_hour"]
    return [
        *where(result),
        *table(
            ["recordings", "workers", "times real time", "of it a worker", "command s", "CPU s an hour of audio",
             "largest process MB", "load average before"],
            pick([row | {"each": (row["speed"] or 0) / row["jobs"]} for row in result["runs"]],
                 recordings="", jobs="", speed=".1f", each=".1f", command_s=".0f", cpu_s_an_hour=".0f",
                 largest_process_mb="", load_before=".1f"),
        ),
        "A window in a batch, on one thread, ms of each look (5 crops):",
        "",
        *table(["windows at once", "global", "local"],
               pick(result["batches"], windows="", global_ms=".1f", local_ms=".1f")),
        "The tables, MB an hour of audio:",
        "",
        *table(["`--scores`", "windows", "events", "inputs"],
               ([name, *(f"{each[key]:.2f}" for key in TABLES)] for name, each in sizes.items())),
        f"A petabyte, at S = {speed:.1f} times real time a core (long recordings, one worker), with {CORES:,} cores "
        f"and P = {PRICE:.2f} for a core-hour:",
        "",
        *table(["recordings", "B, bytes a second", "hours of audio", "core-hours", f"days on {CORES:,} cores",
                "cost of the cores", "tables TB", "reading GB/s"], rows),
    ]  # fmt: skip


def core_speed(result: Row) -> float:
    """Seconds of audio a second of one worker with a core for itself."""
    (one,) = (row for row in result["runs"] if row["kind"] == "long" and row["jobs"] == 1)
    return float(one["speed"])
