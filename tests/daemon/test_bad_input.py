"""Bad input at the command line: an exit code, one line with the value and the remedy, no traceback."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.daemon.processes import glatd, messages
from tests.daemon.sounds import RATE, noise, write_float_wav, write_wav


def write_text(folder: Path) -> Path:
    path = folder / "notes.wav"
    path.write_text("these are only words\n" * 100)
    return path


def write_empty(folder: Path) -> Path:
    path = folder / "empty.ogg"
    path.touch()
    return path


def write_film(folder: Path) -> Path:
    """A film without sound."""
    path = folder / "silent.mkv"
    with av.open(str(path), "w") as film:
        track = film.add_stream("mpeg4", rate=10)
        track.width, track.height, track.pix_fmt = 32, 32, "yuv420p"
        for _ in range(5):
            film.mux(track.encode(av.VideoFrame(32, 32, "yuv420p")))
        film.mux(track.encode())
    return path


def write_ogg(path: Path, samples: np.ndarray[Any, np.dtype[np.float32]]) -> Path:
    with av.open(str(path), "w", format="ogg") as file:
        track = file.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.rate = 48_000
        file.mux(track.encode(frame))
        file.mux(track.encode())
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "none.wav", "none.wav: no such file; check the path"),
        (write_text, "notes.wav is not a recording that can be read"),
        (write_empty, "empty.ogg is empty (0 bytes); record or copy it again"),
        (write_film, "silent.mkv has no audio track"),
        (lambda folder: folder, "is a folder; name one recording in it"),
    ],
    ids=["missing", "text", "empty", "no audio track", "a folder"],
)
def test_a_file_that_cannot_be_tagged_is_refused_in_one_line(
    tmp_path: Path, make: Callable[[Path], Path], said: str
) -> None:
    done = glatd("replay", make(tmp_path), "--format", "jsonl")
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("glatd: ") and said in line and str(tmp_path) in line
    first, last = messages(done.stdout)
    assert (first["state"], last["state"]) == ("starting", "failed") and said in last["reason"]


def test_samples_that_are_nan_are_a_gap_and_a_line(tmp_path: Path) -> None:
    samples = noise(3 * RATE)
    samples[RATE : RATE + 16_000] = np.nan
    done = glatd("replay", write_float_wav(tmp_path / "nan.wav", samples), "--format", "jsonl")
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert "nan.wav: 0.50 s of its audio cannot be used (not finite)" in line and "record or convert it again" in line
    found = messages(done.stdout)
    (gap,) = [message for message in found if message["type"] == "gap"]
    assert (gap["start"], gap["end"]) == (RATE, RATE + 16_000)
    assert [message["filled"] for message in found if message["type"] == "tags"] == [0.142, 0.238, 0.25]


def test_nothing_but_nan_is_a_gap_and_a_line(tmp_path: Path) -> None:
    done = glatd(
        "replay", write_float_wav(tmp_path / "nan.wav", np.full(RATE, np.nan, np.float32)), "--format", "jsonl"
    )
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert "nan.wav: 1.00 s of its audio cannot be used (not finite)" in line
    assert [message["type"] for message in messages(done.stdout)] == ["status", "status", "gap", "status"]


def test_a_truncated_ogg_is_tagged_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = write_ogg(tmp_path / "whole.ogg", noise(8 * 48_000)).read_bytes()
    path = tmp_path / "cut.ogg"
    path.write_bytes(whole[: 2 * len(whole) // 3])
    done = glatd("replay", path, "--format", "jsonl")
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("glatd: ") and "cut.ogg is cut short or damaged: it ends after " in line and "copy" in line
    *_, tags, last = messages(done.stdout)
    assert tags["type"] == "tags" and tags["end"] == last["samples"] > 4 * RATE  # up to its last sample
    assert last["state"] == "failed" and last["reason"] in line


@pytest.mark.parametrize(("rate", "channels"), [(192_000, 1), (48_000, 8)], ids=["192 kHz", "7.1"])
def test_unusual_recordings_are_tagged(tmp_path: Path, rate: int, channels: int) -> None:
    samples = np.stack([noise(rate + rate // 2, seed) for seed in range(channels)], 1)
    done = glatd("replay", write_wav(tmp_path / "odd.wav", samples, rate), "--format", "jsonl")
    assert done.returncode == 0 and done.stderr == ""
    assert [message["end"] for message in messages(done.stdout) if message["type"] == "tags"] == [48_000]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["replay", "a.wav", "--speed", "fast"], 2, "--speed 'fast' must be max or a number above 0, for example 1.0"),
        (["replay", "a.wav", "--speed", "-1"], 2, "--speed '-1' must be max or a number above 0"),
        (["replay", "a.wav", "--speed", "nan"], 2, "--speed 'nan' must be"),
        (
            ["replay", "a.wav", "--hop", "1"],
            2,
            "hop 1 s is no multiple of 0.32 s, the engine's stride, up to 9.92 s; the nearest is 0.96",
        ),
        (["replay", "a.wav", "--hop", "30"], 2, "the nearest is 9.92"),
        (["replay", "a.wav", "--hop", "inf"], 2, "hop = inf must be a number"),
        (["replay", "a.wav", "--hop", "one"], 2, "'one' is not a valid float"),
        (["replay", "a.wav", "--sped", "max"], 2, "Did you mean '--speed'?"),
        (["replay"], 2, "Missing argument 'FILE|REC...'"),
        (["replay", "a.wav", "--publish", "garbage"], 2, "cannot publish on garbage: Invalid argument"),
        (["replay", "a.wav", "--publish", "tcp://127.0.0.1:99999"], 2, "there is no port 99999"),
        (["replay", "a.wav", "--node", "a/b"], 2, "node = 'a/b' must be 1 to 64 letters, digits, '_', '.' or '-'"),
        (["listen", "garbage"], 2, "cannot connect to 'garbage': Invalid argument"),
        (
            ["listen", "tcp://127.0.0.1:5555", "--label", "Aplause"],
            2,
            "unknown label or group 'Aplause'; did you mean 'Applause'?",
        ),
        (["listen", "tcp://127.0.0.1:5555", "--timeout", "nan"], 2, "timeout = nan must be seconds from 0"),
        (["run"], 2, "no source to listen to; give --source mic: or a [[source]] in the configuration"),
        (["run", "--publish", "", "--source", "micro:"], 2, "unknown scheme 'micro'; did you mean 'mic'?"),
        (["run", "--config", "none.toml"], 2, "cannot read the configuration none.toml: No such file or directory"),
        (["walk"], 2, "No such command 'walk'"),
        ([], 2, "Missing command. (see `glatd --help`)"),
        (["engine"], 2, "Missing command. (see `glatd engine --help`)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_argument_that_cannot_be_is_refused_in_one_line(arguments: list[str], code: int, said: str) -> None:
    done = glatd(*arguments)
    assert done.returncode == code and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("glatd: ") and said in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hopp = 0.96", "unknown key 'hopp'; did you mean 'hop'?"),
        ("[[source]]\nuri = 'mic:'\nnmae = 'yard'", "source: unknown key 'nmae'; did you mean 'name'?"),
        ("hop = 1.0\n[[source]]\nuri = 'mic:'", "hop 1 s is no multiple of 0.32 s"),
        ("local = 'top-k'\ncrops = 6\n[[source]]\nuri = 'mic:'", "crops = 6 cannot be: this engine selects 1 to 5"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "glatd.toml"
    path.write_text(text)
    done = glatd("check", path)
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("glatd: ") and said in line


def test_a_good_configuration_is_told(tmp_path: Path) -> None:
    path = tmp_path / "glatd.toml"
    path.write_text("node = 'edge-1'\n[[source]]\nname = 'yard'\nuri = 'mic:'\n")
    done = glatd("check", path)
    assert done.returncode == 0 and done.stderr == ""
    assert "edge-1" in done.stdout and "yard = mic:" in done.stdout and "0.96 s, all crops" in done.stdout
