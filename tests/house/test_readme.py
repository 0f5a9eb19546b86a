"""What the README says is so: its programs run, its configuration reads, its messages are messages."""

import dataclasses
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from glatd.daemon.assembly import make_sources
from glatd.daemon.settings import read_settings
from glatd.messages import Event, Status, Tags, from_map, to_map
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The README's code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_the_configuration_reads(tmp_path: Path) -> None:
    (text,) = blocks("toml")
    path = tmp_path / "glatd.toml"
    path.write_text(text, encoding="utf-8")
    settings = read_settings(path)
    assert set(tomllib.loads(text)) == {field.name for field in dataclasses.fields(settings)}
    assert [source.name for source in make_sources(settings)] == ["yard", "Array_2", "127.0.0.1_9000", "night"]


def test_the_worked_messages_are_messages() -> None:
    message, status, event = (from_map(json.loads(text)) for text in blocks("json"))
    assert isinstance(message, Tags) and isinstance(status, Status) and isinstance(event, Event)
    assert json.loads(blocks("json")[2]).keys() == to_map(event).keys()
    (start, end), onset = event.evidence["crop"], event.onset
    assert end - start == 3 * event.rate and start < (event.offset_time or 0) and onset < end and onset % 320 == 0
    assert json.loads(blocks("json")[1]).keys() == to_map(status).keys()
    assert json.loads(blocks("json")[0]).keys() == to_map(message).keys()
    assert message.end - message.start == 10 * message.rate
    # Ends of windows are multiples of the hop, and crops lie on the grid of the stream.
    assert message.end % (96 * 320) == 0
    assert all((message.end - crop.end) % (32 * 320) == 0 for crop in message.crops)


@pytest.mark.skipif(not (ROOT / "engines" / "default").is_dir(), reason="needs the default engine")
def test_the_tagger_program_runs() -> None:
    (program,) = [text for text in blocks("python") if "Tagger" in text]
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) >= 40


def test_every_file_that_it_names_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
