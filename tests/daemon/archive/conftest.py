"""Recordings of a few seconds, and what they are tagged to, once for all tests."""

from pathlib import Path

import numpy as np
import pytest

from tests.daemon.archive.inline import Inline
from tests.daemon.archive.tables import archive
from tests.daemon.sounds import RATE, noise, write_float_wav, write_wav


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with five recordings, of which one has a gap, one another rate, one a name of odd characters."""
    folder = tmp_path_factory.mktemp("recordings")
    (folder / "deep" / "er").mkdir(parents=True)
    write_wav(folder / "a.wav", noise(3 * RATE, 1))
    write_wav(folder / "deep" / "b.wav", noise(2 * 48_000, 2), 48_000)
    write_wav(folder / "deep" / "er" / "c.WAV", noise(RATE + 777, 3))
    write_wav(folder / "deep" / "er" / "it's 9:30\n“here” %20.wav", noise(2 * RATE, 4))
    samples = noise(83_200, 5)
    samples[48_000:53_333] = np.nan
    write_float_wav(folder / "gap.wav", samples)
    (folder / "notes.txt").write_text("no audio")
    return folder


@pytest.fixture(scope="module")
def tagged(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of them, with the scores of all classes; one of them is bad: not all of it could be heard."""
    out = tmp_path_factory.mktemp("archive") / "out"
    done = archive(recordings, "--out", out, "--jobs", "2", "--scores", "all", "--rules", rules(out.parent))
    assert done.returncode == 3, done.stderr
    return out


def rules(folder: Path) -> Path:
    """A configuration by which noise, too, brings events."""
    path = folder / "rules.toml"
    path.write_text("[events]\non = 0.02\noff = 0.01\nhold = 0.5\n")
    return path


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch, capsys: "pytest.CaptureFixture[str]") -> Inline:
    """The command with its workers in this process."""
    return Inline(monkeypatch, capsys)


@pytest.fixture(scope="module")
def low_rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for who needs the path."""
    return rules(tmp_path_factory.mktemp("rules"))
