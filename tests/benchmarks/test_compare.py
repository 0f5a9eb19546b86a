"""What `python -m benchmarks compare` calls worse."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.compare import Change, compare
from glatd.errors import DataError
from tests.conftest import ROOT

MACHINE = {"cpu": "one", "cores": 2, "instruction_sets": ["avx2"]}


def result(**ratios: float) -> dict[str, Any]:
    """A result file's content."""
    return {"machine": MACHINE, "ratios": [{"name": name, "value": value} for name, value in ratios.items()]}


def write(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("now", "fine"),
    [
        ({"speed": 10.0, "other": 4.0}, True),
        ({"speed": 8.6, "other": 3.5}, True),  # 14 % and 12.5 % less
        ({"speed": 8.4, "other": 4.0}, False),
        ({"speed": 10.0, "other": 3.3}, False),
        ({"speed": 30.0, "other": 40.0}, True),
        ({"speed": 10.0}, False),  # what is not measured any more is no improvement
        ({"speed": 10.0, "other": 4.0, "further": 0.1}, True),
    ],
)
def test_a_ratio_may_become_fifteen_percent_worse(now: dict[str, float], fine: bool, tmp_path: Path) -> None:
    old = write(tmp_path / "old.json", result(speed=10.0, other=4.0))
    assert compare(old, write(tmp_path / "new.json", result(**now))) is fine


def test_what_changed_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = write(tmp_path / "old.json", result(speed=10.0, other=4.0))
    other = result(speed=5.0, other=6.0) | {"machine": MACHINE | {"cpu": "two"}}
    assert not compare(old, write(tmp_path / "new.json", other))
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("another machine: cpu one then, two now")
    assert told[1:] == ["! speed: 10 then, 5 now, 50% worse", "  other: 4 then, 6 now, 50% better"]
    assert str(Change("speed", 10.0, None)) == "speed: 10 then, not measured now"


def test_the_command_ends_with_one_where_something_is_worse(tmp_path: Path) -> None:
    old = write(tmp_path / "old.json", result(speed=10.0))
    new = write(tmp_path / "new.json", result(speed=1.0))
    command = [sys.executable, "-m", "benchmarks", "compare"]
    for given, code in (((old, old), 0), ((old, new), 1), ((new, old), 0)):
        done = subprocess.run([*command, *given], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert "speed: " in done.stdout


def test_a_file_without_ratios_is_refused(tmp_path: Path) -> None:
    good = write(tmp_path / "good.json", result(speed=1.0))
    for bad in (write(tmp_path / "bad.json", {"latency": []}), tmp_path / "none.json"):
        with pytest.raises(DataError, match=bad.name):
            compare(good, bad)


def test_the_committed_figures_can_be_compared() -> None:
    path = ROOT / "docs" / "benchmarks" / "peers.json"
    if not path.is_file():
        pytest.skip("the peers were not measured yet")
    assert compare(path, path)
