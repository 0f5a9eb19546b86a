"""Keeps what the fault tests measured, for the table in docs/reliability.md."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.faults.network import Night
from tests.faults.watch import Figures

SECONDS = {"short": 4.5, "long": 60.0}  # that each fault lasts; a stall is told after 3
FORMS = [pytest.param("short", id="short"), pytest.param("long", id="long", marks=pytest.mark.slow)]
NETWORK, SOUND, MACHINE = GROUPS = ("Servers and networks", "Microphones and sound servers", "The machine itself")

FILE = "GLATD_FAULTS"  # environment: a file of JSON lines to append to; nothing is kept without it


def keep(figures: Figures, form: str, group: str) -> Figures:
    """Keep a row.

    Args:
        form: "short" or "long".
        group: heading of its table.
    """
    if path := os.environ.get(FILE):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"form": form, "group": group, **asdict(figures)}, ensure_ascii=False) + "\n")
    return figures


def remembered(night: Night, form: str) -> Night:
    """Keep all rows of a night."""
    for figures in night.figures.values():
        keep(figures, form, NETWORK)
    return night
