"""`glatd archive` as a process, and its tables as rows."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.daemon.processes import GLATD

PATIENCE_S = 140.0  # machines that test are busy

Row = dict[str, Any]


def archive(*arguments: object, seconds: float = PATIENCE_S) -> "subprocess.CompletedProcess[str]":
    """Run it to its end, for so many seconds at most."""
    command = [*GLATD, "archive", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)


def started(*arguments: object) -> "subprocess.Popen[str]":
    """Begin it."""
    command = [*GLATD, "archive", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def rows(out: Path, table: str) -> list[Row]:
    """Of one table, as anyone would read it."""
    found: list[Row] = pq.read_table(out / table).to_pylist()
    return found


def ordered(out: Path, table: str) -> list[Row]:
    """The same by recording, in whatever parts they are."""
    return sorted(rows(out, table), key=lambda row: (row["file"], row.get("start", row.get("onset", 0)), str(row)))


def everything(out: Path) -> dict[str, list[Row]]:
    """All three tables."""
    return {table: ordered(out, table) for table in ("windows", "events", "inputs")}


def bad(out: Path) -> dict[str, str]:
    """Reasons by file."""
    lines = [json.loads(line) for line in (out / "bad.jsonl").read_text().splitlines()]
    return {line["file"]: line["reason"] for line in lines}


def until(true: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> None:
    """Wait for something, for so many seconds at most."""
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, f"no {what}"
        time.sleep(0.05)
