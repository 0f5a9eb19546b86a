"""Packs: what PANNs reads and writes, whole or not there, whatever happens while they are made."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from glatd.errors import DataError
from glatd.trainer.data.clips import open_clips
from glatd.trainer.data.listing import read_listing
from glatd.trainer.data.pack import FULL_SCALE
from glatd.trainer.data.packing import BROKEN, Packed, pack
from glatd.trainer.data.vocabulary import audioset_vocabulary, own_vocabulary
from tests.daemon.sounds import write_wav
from tests.trainer.data.conftest import RATE, FakeAudioSet

KNOWN = audioset_vocabulary()


def quiet(*_: object) -> None:
    """No progress."""


def test_a_pack_is_what_panns_reads_and_lists_what_is_broken(audioset: FakeAudioSet, tmp_path: Path) -> None:
    out = tmp_path / "packs"
    told: list[tuple[int, int]] = []
    listed = read_listing(audioset.table, audioset.audio, KNOWN)
    done = pack(listed, out, "train", KNOWN, 2, lambda _, now, all_: told.append((now, all_)), per_file=4)
    assert (done.files, done.clips, done.kept, len(done.broken)) == (2, 3, 0, 3)
    assert told[-1] == (6, 6)
    with (out / BROKEN).open(newline="") as file:
        broken = {row["clip"]: row["reason"] for row in csv.DictReader(file)}
    assert set(broken) == {"YbrokenBROKEN.wav", "Yempty_empty.wav", "Ynot__there_.wav"}
    assert "no such file" in broken["Ynot__there_.wav"] and "empty" in broken["Yempty_empty.wav"]
    with h5py.File(out / "train-00000.h5") as file:  # as PANNs' AudioSetDataset reads it
        assert file.attrs["sample_rate"] == RATE
        assert [name.decode() for name in file["audio_name"]] == ["Y--PJHxphWEs.wav", "Ya_b_c_d_e_f.wav"]
        assert file["waveform"].shape == (2, 10 * RATE) and file["waveform"].dtype == np.int16
        assert "classes" not in file  # they are AudioSet's, though a worker wrote it
        assert file["target"].shape == (2, 527) and file["target"].dtype == np.bool_
        assert [KNOWN.names[one] for one in np.flatnonzero(file["target"][1])] == ["Dog", "Bark"]
        short = file["waveform"][1]
        np.testing.assert_allclose(short[: 4 * RATE] / FULL_SCALE, audioset.sounds["Ya_b_c_d_e_f.wav"], atol=1e-4)
        assert not short[4 * RATE :].any()
    clips = open_clips([out], None, KNOWN)
    assert len(clips) == 3 and clips.labels.counts()[KNOWN.named("Dog", "")] == 2
    np.testing.assert_allclose(clips.samples(2, 10 * RATE), audioset.sounds["YZY0WZoVsqKM.wav"][: 10 * RATE], atol=1e-4)


def test_what_stands_is_not_made_again_and_another_list_is_refused(audioset: FakeAudioSet, tmp_path: Path) -> None:
    out = tmp_path / "packs"
    listed = read_listing(audioset.table, audioset.audio, KNOWN)[:2]
    pack(listed, out, "train", KNOWN, 1, quiet, per_file=1)
    first = (out / "train-00000.h5").stat().st_mtime_ns
    (out / "train-00001.h5").unlink()
    again = pack(listed, out, "train", KNOWN, 1, quiet, per_file=1)
    assert (again.clips, again.kept) == (2, 1) and (out / "train-00000.h5").stat().st_mtime_ns == first
    with pytest.raises(DataError, match=r"train-00000.h5 is of another list"):
        pack(listed[::-1], out, "train", KNOWN, 1, quiet, per_file=1)
    with pytest.raises(DataError, match=r"train-00001.h5 is of another, longer list"):
        pack(listed[:1], out, "train", KNOWN, 1, quiet, per_file=1)


def test_a_file_that_was_not_there_and_has_come_is_packed(audioset: FakeAudioSet, tmp_path: Path) -> None:
    out = tmp_path / "packs"

    def packed() -> Packed:
        listed = read_listing(audioset.table, audioset.audio, KNOWN)
        return pack(listed, out, "train", KNOWN, 1, quiet, per_file=3)

    assert (packed().clips, packed().kept) == (3, 2)
    write_wav(audioset.audio / "Ynot__there_.wav", audioset.sounds["Y--PJHxphWEs.wav"])
    again = packed()
    assert (again.clips, again.kept, len(again.broken)) == (4, 1, 2)
    assert packed().kept == 2


def test_a_clip_that_is_damaged_in_a_pack_is_named(tmp_path: Path) -> None:
    path = tmp_path / "damaged.h5"
    with h5py.File(write_panns_pack(path, waveform=None), "a") as file:
        sound = np.arange(2 * RATE, dtype=np.int16).reshape(2, RATE)
        file.create_dataset("waveform", data=sound, chunks=(1, RATE), fletcher32=True)
    whole = path.read_bytes()
    at = whole.index(sound[1, 500:600].tobytes())
    path.write_bytes(whole[:at] + b"\x55" + whole[at + 1 :])
    clips = open_clips([path], None, KNOWN)
    clips.samples(0, RATE)
    with pytest.raises(DataError, match=r"damaged.h5: Ydef.wav cannot be read .*make the pack again"):
        clips.samples(1, RATE)


def test_a_killed_run_goes_on(audioset: FakeAudioSet, tmp_path: Path) -> None:
    """Killed for real, while its workers are at it."""
    table, out = tmp_path / "many.csv", tmp_path / "packs"
    table.write_text("file,labels\n" + "Y--PJHxphWEs.wav,Dog\n" * 60)
    command = [sys.executable, "-m", "glatd.cli", "train", "pack", str(table), "--audio", str(audioset.audio)]
    command += ["--out", str(out), "--per-file", "3", "--jobs", "2"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 90
    while not list(out.glob("*.h5")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = len(list(out.glob("*.h5")))
    assert 0 < before < 20
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "60 clips in 20 packs" in done.stdout
    assert int(done.stdout.split(", ")[-1].split()[0]) >= before - 1  # whole, and so kept
    assert not list(out.glob("*.partial"))
    assert len(open_clips([out], None, KNOWN)) == 60


def test_a_full_disk_says_so_and_leaves_nothing_half(audioset: FakeAudioSet, tmp_path: Path) -> None:
    out = tmp_path / "packs"
    out.mkdir()
    (out / "train-00000.partial").symlink_to("/dev/full")
    listed = read_listing(audioset.table, audioset.audio, KNOWN)
    with pytest.raises(DataError, match=r"cannot write .*train-00000.h5: .*; make space"):
        pack(listed, out, "train", KNOWN, 1, quiet)
    assert not list(out.iterdir())
    assert pack(listed, out, "train", KNOWN, 1, quiet).clips == 3


def write_panns_pack(path: Path, **changed: object) -> Path:
    """A pack as PANNs' own code writes it."""
    sets: dict[str, object] = {
        "audio_name": np.array([b"Yabc.wav", b"Ydef.wav"], "S20"),
        "waveform": np.arange(2 * RATE, dtype=np.int16).reshape(2, RATE),
        "target": np.eye(2, 527, dtype=bool),
    } | changed
    with h5py.File(path, "w") as file:
        file.attrs.create("sample_rate", data=sets.pop("rate", RATE), dtype=np.int32)
        for name, data in sets.items():
            if data is not None:
                file.create_dataset(name, data=data)
    return path


def test_a_pack_of_panns_is_read(tmp_path: Path) -> None:
    clips = open_clips([write_panns_pack(tmp_path / "eval.h5")], None, KNOWN)
    assert list(clips.names) == ["Yabc.wav", "Ydef.wav"]
    np.testing.assert_allclose(clips.samples(0, 100), np.arange(100) / FULL_SCALE, atol=1e-7)
    assert clips.labels.matrix()[:, :2].tolist() == [[True, False], [False, True]]
    assert not clips.samples(1, 2 * RATE)[RATE:].any()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"waveform": None}, "lacks the 2-dimensional data set 'waveform'"),
        ({"target": np.eye(3, 527, dtype=bool)}, r"data sets of \[2, 3\] clips"),
        ({"waveform": np.zeros((2, 9), np.int32)}, "waveforms of type int32"),
        ({"rate": 16_000}, "16000 Hz"),
        ({"target": np.eye(2, 50, dtype=bool)}, "50 classes that are not the 527"),
    ],
)
def test_a_pack_that_cannot_be_used_says_why(tmp_path: Path, changed: dict[str, object], told: str) -> None:
    with pytest.raises(DataError, match=told):
        open_clips([write_panns_pack(tmp_path / "bad.h5", **changed)], None, KNOWN)


def test_nan_in_a_waveform_names_the_clip(tmp_path: Path) -> None:
    sound = np.zeros((2, RATE), np.float32)
    sound[1, 7] = np.nan
    clips = open_clips([write_panns_pack(tmp_path / "float.h5", waveform=sound)], None, KNOWN)
    assert not clips.samples(0, RATE).any()
    with pytest.raises(DataError, match=r"Ydef.wav has samples that are NaN"):
        clips.samples(1, RATE)


def test_no_pack_and_damaged_ones(tmp_path: Path) -> None:
    (tmp_path / "cut.h5").write_bytes(write_panns_pack(tmp_path / "whole.h5").read_bytes()[:900])
    for path, told in ((tmp_path / "none.h5", "no such file"), (tmp_path / "cut.h5", "was cut short")):
        with pytest.raises(DataError, match=told):
            open_clips([path], None, KNOWN)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no pack"):
        open_clips([tmp_path / "empty"], None, KNOWN)


def test_classes_of_ones_own_stand_in_the_pack(audioset: FakeAudioSet, tmp_path: Path) -> None:
    own = own_vocabulary(["Bell", "Dog"])
    table = tmp_path / "own.csv"
    table.write_text("file,labels\nY--PJHxphWEs.wav,Bell\n")
    pack(read_listing(table, audioset.audio, own), tmp_path / "packs", "own", own, 1, quiet, seconds=1.0)
    assert open_clips([tmp_path / "packs"], None, own).labels.row(0).tolist() == [True, False]
    with pytest.raises(DataError, match="2 classes that are not the 2 asked for"):
        open_clips([tmp_path / "packs"], None, own_vocabulary(["Dog", "Bell"]))


def test_files_that_are_not_there_are_counted_and_broken_ones_named(audioset: FakeAudioSet, tmp_path: Path) -> None:
    clips = open_clips([audioset.table], audioset.audio, KNOWN)
    assert len(clips) == 5 and len(clips.missing) == 1
    for clip in (2, 3):
        with pytest.raises(DataError, match=r"(broken|empty).*glatd train pack"):
            clips.samples(clip, RATE)
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(DataError, match="none of the 6 files is there"):
        open_clips([audioset.table], tmp_path / "elsewhere", KNOWN)


def test_no_more_packs_are_open_than_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glatd.trainer.data.clips.MOST_OPEN", 2)
    folder = tmp_path / "packs"
    folder.mkdir()
    for number in range(4):
        sound = np.full((2, RATE), number, np.int16)
        write_panns_pack(folder / f"{number}.h5", waveform=sound)
    clips = open_clips([folder], None, KNOWN)
    before = len(os.listdir("/proc/self/fd"))
    for clip in (*range(8), *range(8)):
        assert clips.samples(clip, 4)[0] * FULL_SCALE == pytest.approx(clip // 2)
    assert len(os.listdir("/proc/self/fd")) - before <= 2
