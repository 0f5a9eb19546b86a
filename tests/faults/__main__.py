"""python -m tests.faults [short|long|both]: run every fault, and write the table in docs/reliability.md.

The table is what was measured, whether the tests pass or not; the exit code is that of the tests.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import described, load_average
from benchmarks.tables import table
from tests.conftest import ROOT
from tests.faults.results import FILE, GROUPS

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
CHOICES = {"short": "short or machine", "long": "long or machine", "both": ""}


def seconds(value: float | None) -> str:
    """To a hundredth; a dash where there is nothing to tell."""
    return "-" if value is None else f"{value:.2f}"


def tables(rows: list[dict[str, Any]], head: dict[str, Any]) -> list[str]:
    """The measured part of the page."""
    machine = head["machine"]
    lines = [
        f"`{head['command']}`, {head['date']}, commit {head['commit']}; {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['system']}, Python {head['python']}. Load average before: {machine['load_before']}.",
        "",
    ]
    faults = list(dict.fromkeys(row["fault"] for row in rows))
    rows = sorted(rows, key=lambda row: (faults.index(row["fault"]), row["lasted"]))
    for group in GROUPS:
        lines += [f"### {group}", ""]
        cells = [
            [row["fault"], *(seconds(row[key]) for key in ("lasted", "noticed", "recovered", "lost")),
             "yes" if row["adds_up"] else "**no**", f"`{shortened(row['told'])}`" if row["told"] else "-"]
            for row in rows if row["group"] == group
        ]  # fmt: skip
        lines += table(["fault", "lasted s", "noticed s", "recovered s", "lost s", "adds up", "first told as"], cells)
    return lines


def shortened(told: str) -> str:
    """Without addresses, which are those of the test."""
    state, _, reason = told.partition(": ")
    _, colon, rest = reason.partition(": ") if "://" in reason.partition(": ")[0] else ("", "", "")
    return f"{state}: {rest if colon else reason}".partition(";")[0].strip().removesuffix(":")


def write(page: Path, lines: list[str]) -> None:
    """Put lines between the marks of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n" + "\n".join(lines).rstrip() + f"\n\n{END}{after}", encoding="utf-8")


def main() -> int:
    """Run and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("form", nargs="?", default="short", choices=CHOICES, help="faults of 5 s, of 60 s")
    asked = parser.parse_args()
    head = described(f"python -m tests.faults {asked.form}", load_average())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rows.jsonl")
        chosen = ["-k", CHOICES[asked.form]] if CHOICES[asked.form] else []
        command = [sys.executable, "-m", "pytest", "-q", str(Path(__file__).parent), *chosen]
        code = subprocess.run(command, env=os.environ | {FILE: str(file)}, cwd=ROOT, check=False).returncode
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    write(PAGE, tables(rows, head))
    return code


if __name__ == "__main__":
    sys.exit(main())
