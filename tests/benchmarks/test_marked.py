"""Pages with a measured part, and what is refused before anything is measured."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import marked
from benchmarks.__main__ import PAGES
from glatd.errors import DataError
from tests.conftest import ROOT

DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", sorted(marked.MARKS))
def test_a_page_is_filled_between_its_marks(name: str, tmp_path: Path) -> None:
    page = marked.ready(name, tmp_path, DOCS)
    before, after = marked.parts(page)
    marked.fill(page, ["one", ""])
    marked.fill(page, ["two", ""])
    text = page.read_text(encoding="utf-8")
    assert text.startswith(before) and text.rstrip("\n").endswith(after.rstrip("\n"))
    assert text[len(before) :].startswith("\n\ntwo\n\n") and "one" not in text[len(before) :][:20]


def test_every_page_of_a_benchmark_has_marks() -> None:
    assert set(PAGES.values()) == set(marked.MARKS)


def test_a_page_without_marks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "events.md").write_text("# Events\n<!-- figures of python -m benchmarks events -->\n", encoding="utf-8")
    with pytest.raises(DataError, match="end of figures"):
        marked.ready("events.md", tmp_path, DOCS)
    with pytest.raises(DataError, match=r"capacity\.md cannot be copied"):
        marked.ready("capacity.md", tmp_path, tmp_path / "nowhere")


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_what_cannot_end_well_is_said_before_it_is_measured(tmp_path: Path) -> None:
    """In one line, with what to do."""
    (tmp_path / "incremental.md").write_text("no marks\n", encoding="utf-8")
    broken = tmp_path / "broken"
    (broken / "benchmarks").mkdir(parents=True)
    (broken / "benchmarks" / "local.json").write_text("{", encoding="utf-8")
    asked = {
        ("incremental", "--out", tmp_path): "incremental.md lacks",
        ("cost", "--out", broken): "local.json",
        ("events", "--out", tmp_path, "--data", tmp_path, "--scenes", 0): "give --scenes",
    }
    for arguments, said in asked.items():
        done = run(*arguments)
        assert done.returncode == 1 and said in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_ratio_is_compared_only_where_there_is_one(tmp_path: Path) -> None:
    """`make bench-compare` looks for the figures of before first."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "install").touch()
    stamps, binaries = tmp_path / ".venv" / "glatd-stamps", tmp_path / ".venv" / "bin"
    stamps.mkdir(parents=True)
    binaries.mkdir()
    (binaries / "python").write_text('#!/bin/sh\necho "$@" >>"$0.log"\n', encoding="utf-8")
    (binaries / "python").chmod(0o755)
    later = (tmp_path / "pyproject.toml").stat().st_mtime + 10
    (stamps / "dev").touch()
    os.utime(stamps / "dev", (later, later))
    command = [make, "-C", str(tmp_path), "bench-compare"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "make bench MODELS=DIR measures it" in done.stderr
    assert not (binaries / "python.log").exists()
    (tmp_path / "docs" / "benchmarks").mkdir(parents=True)
    (tmp_path / "docs" / "benchmarks" / "peers.json").write_text(json.dumps({}), encoding="utf-8")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert (binaries / "python.log").read_text(encoding="utf-8").count("benchmarks") > 1
