"""Recordings that are none, or are damaged: each is told with its reason, and ends nothing."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.daemon.archive.inline import Inline
from tests.daemon.archive.tables import archive, bad, rows
from tests.daemon.sounds import RATE, noise, write_float_wav, write_wav

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good recordings among all that an old disk has."""
    folder = tmp_path_factory.mktemp("old disk")
    write_wav(folder / "good.wav", noise(RATE + 100))
    write_wav(folder / "short.wav", noise(RATE // 2))
    (folder / "empty.mp3").write_bytes(b"")
    (folder / "text.flac").write_text("this is no audio, whatever its name says\n" * 100)
    (folder / "gone.wav").symlink_to(folder / "nowhere.wav")
    os.mkfifo(folder / "pipe.wav")
    write_float_wav(folder / "nan.wav", np.full(RATE * 2, np.nan, np.float32))
    write_float_wav(folder / "nothing.wav", noise(0))
    whole = write_wav(folder / "cut.wav", noise(3 * RATE)).read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) * 2 // 3])
    with open(os.fsencode(folder) + b"/\xff\xfe.wav", "wb") as odd:
        odd.write(b"no audio either")
    return folder


@pytest.fixture(scope="module")
def done(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What was printed, and the archive."""
    out = tmp_path_factory.mktemp("archive") / "out"
    made = archive(folder, "--out", out, "--jobs", "1")
    assert made.returncode == 3 and "Traceback" not in made.stderr
    assert len(made.stderr.splitlines()) == len(bad(out))  # each is also told when it is met
    return made.stdout, out


def test_each_bad_one_is_named_with_its_reason(folder: Path, done: tuple[str, Path]) -> None:
    reasons = {Path(file).name: reason for file, reason in bad(done[1]).items()}
    expected = {
        "empty.mp3": "is empty (0 bytes)",
        "text.flac": "holds no audio samples",
        "gone.wav": "no such file",
        "pipe.wav": "is not a regular file",
        "nan.wav": "2.00 s of its audio cannot be used (not finite)",
        "nothing.wav": "holds no audio samples",
        "cut.wav": "is cut short or damaged: it ends after 2.00 s",
        "\\xff\\xfe.wav": "is not a recording that can be read",
    }
    assert sorted(reasons) == sorted(expected)
    for name, reason in expected.items():
        assert reason in reasons[name] and f"{folder}/{name}" in reasons[name]


def test_the_good_ones_and_what_can_be_heard_of_the_others_are_in_the_tables(done: tuple[str, Path]) -> None:
    printed, out = done
    windows = {Path(row["file"]).name for row in rows(out, "windows")}
    assert windows == {"good.wav", "cut.wav"}
    found = {Path(row["file"]).name: row for row in rows(out, "inputs")}
    assert found.keys() == {"good.wav", "short.wav", "cut.wav"}
    assert (found["short.wav"]["windows"], found["short.wav"]["seconds"]) == (0, 0.5)
    assert "1 of less than 1 s" in printed and f"8 bad: {out}/bad.jsonl says why" in printed


def test_a_second_run_tries_the_bad_ones_again_but_not_what_was_heard(folder: Path, done: tuple[str, Path]) -> None:
    out = done[1]
    before = bad(out)
    write_wav(folder / "text.flac", noise(RATE + 1))  # mended
    again = archive(folder, "--out", out, "--jobs", "1")
    assert again.returncode == 3
    assert again.stdout.startswith("1 recording, 1 s of audio")
    assert bad(out) == {file: reason for file, reason in before.items() if not file.endswith("text.flac")}
    files = [row["file"] for row in rows(out, "inputs")]
    assert len(files) == len(set(files)) == 4


def test_what_is_bad_elsewhere_stays_in_the_list(tmp_path: Path, inline: Inline) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "bad.wav").write_bytes(b"")
        assert inline(tmp_path / folder, tmp_path / "out").returncode == 3
    assert sorted(bad(tmp_path / "out")) == [str(tmp_path / folder / "bad.wav") for folder in ("a", "b")]
    write_wav(tmp_path / "a" / "bad.wav", noise(RATE + 1))
    assert inline(tmp_path / "a", tmp_path / "out").returncode == 0
    assert list(bad(tmp_path / "out")) == [str(tmp_path / "b" / "bad.wav")]
    assert inline(tmp_path / "a", tmp_path / "out").stdout.startswith("nothing new")
    assert list(bad(tmp_path / "out")) == [str(tmp_path / "b" / "bad.wav")]
