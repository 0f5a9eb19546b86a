"""The programs of docs/clients.md run as they stand, all at once, against a node."""

import os
import re
import sys
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from glatd.messages import Tag, Tags
from tests.clients.nodes import MIDS, Node
from tests.conftest import ROOT
from tests.daemon.processes import PATIENCE_S, Running, started

TEXT = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", TEXT, re.S)
TAGS = Tags(
    "edge-1", "s1", "yard", "2026-01-01T00:00:00.000000Z", seq=0, start=0, end=320_000, rate=32_000, filled=1.0,
    level_dbfs=-20.5, engine="e", tags=(Tag("Truck", MIDS["Truck"], 0.9, 0.8, 1.0),), crops=(),
)  # fmt: skip
# A line that each of them must print.
SAID = ("Truck 0.9", "yard Dog 0.9", "1 sounds since yesterday", "at the door: yard", "")


@pytest.mark.timeout(180)
def test_the_programs_of_the_documentation_run(tmp_path: Path) -> None:
    assert len(PROGRAMS) == len(SAID)
    home = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with ExitStack() as stack:
        node = stack.enter_context(closing(Node(tmp_path / "journal")))
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
        node.say(1, label="Dog", phase="start", time=now)
        programs = []
        for program in PROGRAMS:
            text = program.replace("tcp://127.0.0.1:5555", node.publish).replace("tcp://127.0.0.1:5557", node.catchup)
            text = text.replace("doorbell.cursor", f"{tmp_path}/cursor")
            programs.append(stack.enter_context(started([sys.executable, "-u", "-c", text], home)))
        # The third ends by itself; it is to hear of one dog alone.
        assert programs[2].end() == 0, programs[2].errors
        node.say(1, label="Knock", phase="start")
        until = time.monotonic() + PATIENCE_S
        while not all(map(has_said, programs, SAID)):
            assert time.monotonic() < until, [(each.lines[-3:], each.errors[-3:]) for each in programs]
            node.publisher(TAGS)
            threading.Event().wait(0.5)
        assert programs[4].end() == 0, programs[4].errors


def has_said(program: Running, text: str) -> bool:
    """Whether it printed a line that ends so."""
    return not text or any(line.endswith(text) for line in program.lines)


def test_every_file_and_heading_that_it_names_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / "docs" / target).exists(), target
    for anchor in re.findall(r"\]\(#([^)]+)\)", TEXT):
        assert f"## {anchor}" in TEXT.lower()


def test_the_readme_names_it() -> None:
    assert "(docs/clients.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
