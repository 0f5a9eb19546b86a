"""The page of all benchmarks, and which wheels are asked for."""

import json
import tomllib
from pathlib import Path

from benchmarks import wheels
from benchmarks.render import SECTIONS, load, render
from tests.conftest import ROOT

FILES = ROOT / "docs" / "benchmarks"


def test_the_page_is_what_the_files_say(tmp_path: Path) -> None:
    """It is made, not written; `python -m benchmarks render` makes it again."""
    render(FILES, tmp_path / "benchmarks.md")
    assert (tmp_path / "benchmarks.md").read_text(encoding="utf-8") == (ROOT / "docs" / "benchmarks.md").read_text(
        encoding="utf-8"
    )


def test_every_result_file_says_how_to_make_it_again() -> None:
    for name in SECTIONS:
        path = FILES / f"{name}.json"
        if path.is_file():
            command = json.loads(path.read_text(encoding="utf-8"))["command"]
            assert command.startswith(f"python -m benchmarks {name}"), path


def test_where_the_local_stream_looked_is_told() -> None:
    result = json.loads((FILES / "load.json").read_text(encoding="utf-8"))
    result["networks"][0] |= {"local": "top-k", "lanes": 7, "engine": "0123456789abcdef"}
    text = "\n".join(load(result))
    assert "| `0123456789ab` | top-k | 7 |" in text and "(5 crops)" not in text


def test_wheels_are_asked_for_what_glatd_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {requirement.name: requirement for _, requirement in wheels.requirements()}
    assert len(asked) == len(project["dependencies"]) and "onnxruntime" not in asked
    assert all("==" in pinned for pinned, _ in wheels.requirements())
    assert [name for name in wheels.PLATFORMS if wheels.wanted(asked["pulsectl"], name)] == [
        "Linux x86-64", "Linux aarch64",
    ]  # fmt: skip
    assert all(wheels.wanted(asked["numpy"], name) for name in wheels.PLATFORMS)
