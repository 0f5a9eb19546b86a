"""The writer of clips: disks that are full, slow or gone, and what goes with the time."""

import logging
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from glatd.daemon.privacy import writer
from glatd.daemon.privacy.clipfile import HEADER_BYTES, ClipFile
from glatd.daemon.privacy.retention import Kept, Retention
from glatd.daemon.privacy.writer import ClipWriter
from glatd.errors import ConfigError
from tests.daemon.privacy.listened import Clip
from tests.daemon.sounds import RATE

ABOUT = {"label": "Dog", "time": "2026-01-01T00:00:00.000000Z", "silent": []}
SECOND = (np.arange(RATE) % 1000).astype(np.int16)


def identity(number: int) -> str:
    return f"{number:020x}"


def keep(clips: ClipWriter, number: int, seconds: int = 1) -> None:
    """One clip from beginning to end."""
    if clips.begin(identity(number), RATE, ABOUT):
        for _ in range(seconds):
            clips.add(identity(number), SECOND)
        clips.finish(identity(number), ABOUT | {"end": seconds * RATE})


def settle(clips: ClipWriter) -> None:
    """Until everything that was asked for is done."""
    until = time.monotonic() + 30
    while clips._bytes and time.monotonic() < until:
        time.sleep(0.02)
    assert not clips._bytes


def test_a_clip_lies_under_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    clips = ClipWriter(tmp_path / "a" / "clips", 0, 0)
    assert clips.begin(identity(1), RATE, ABOUT) and clips.add(identity(1), SECOND)
    settle(clips)
    assert [path.name for path in clips.folder.iterdir()] == [f"{identity(1)}.flac.part"]
    clips.finish(identity(1), ABOUT | {"end": RATE})
    settle(clips)
    (path,) = clips.folder.iterdir()
    assert path.name == f"{identity(1)}.flac"
    clip = Clip.read(path)
    assert np.array_equal(clip.samples, SECOND) and clip.about == ABOUT | {"end": RATE}
    clips.discard(identity(1))
    clips.close()
    assert not list(clips.folder.iterdir()) and clips.trouble == ""


def test_what_it_says_of_itself_has_a_bound(tmp_path: Path) -> None:
    many = ABOUT | {"silent": [[number, number, "speech blanked"] for number in range(10_000)], "silent_seconds": 3.0}
    file = ClipFile(tmp_path / "x.flac", RATE, many)
    file.add(SECOND)
    file.finish()
    file.seal()
    file.abandon()
    clip = Clip.read(tmp_path / "x.flac")
    assert "silent" not in clip.about and clip.about["silent_seconds"] == 3.0 and len(clip.samples) == RATE


def test_a_full_disk_costs_clips_is_told_once_and_is_over_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clips = ClipWriter(tmp_path / "clips", 0, 0)
    with monkeypatch.context() as patch:
        patch.setattr(writer, "RESERVE_BYTES", 1 << 62)
        patch.setattr(writer, "RESERVE_SHARE", 1.0)
        for number in range(5):
            keep(clips, number)
        settle(clips)
        assert clips.trouble == "clips cannot be kept: the disk is as good as full"
    (error,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert identity(0) in error.getMessage() and not list(clips.folder.iterdir())
    keep(clips, 6)
    settle(clips)
    assert clips.trouble == ""
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"clips are kept in {clips.folder} again; 5 were lost"
    ]
    clips.close()
    assert [path.stem for path in clips.folder.iterdir()] == [identity(6)]


def test_a_folder_that_goes_away_is_made_again(tmp_path: Path) -> None:
    clips = ClipWriter(tmp_path / "clips", 0, 0)
    assert clips.begin(identity(1), RATE, ABOUT)
    settle(clips)
    shutil.rmtree(clips.folder)
    clips.add(identity(1), SECOND)
    clips.finish(identity(1), ABOUT)
    settle(clips)
    assert clips.trouble == "clips cannot be kept: No such file or directory"
    keep(clips, 2)
    settle(clips)
    assert clips.trouble == "" and clips.folder.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(clips.folder)
    clips.folder.write_text("in the way")
    keep(clips, 3)
    settle(clips)
    assert clips.trouble
    clips.close()


def test_nothing_that_waits_is_unbounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk hangs: what is handed over is refused from some point on, and the caller never waits."""
    monkeypatch.setattr(writer, "QUEUE_BYTES", 200_000)
    clips = ClipWriter(tmp_path / "clips", 0, 0)
    with clips._came:  # as if it were busy: the lock is re-entrant
        assert clips.begin(identity(1), RATE, ABOUT)
        assert [clips.add(identity(1), SECOND) for _ in range(4)] == [True, True, True, False]
        assert not all(clips.begin(identity(number), RATE, ABOUT) for number in range(2, 100))
        assert clips.trouble == "clips cannot be kept: the disk is too slow"
    settle(clips)
    clips.close()
    assert not (clips.folder / f"{identity(1)}.flac").exists()


def test_only_so_many_clips_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MOST_OPEN", 3)
    clips = ClipWriter(tmp_path / "clips", 0, 0)
    assert [clips.begin(identity(number), RATE, ABOUT) for number in range(5)] == [True, True, True, False, False]
    clips.discard(identity(0))
    assert clips.begin(identity(5), RATE, ABOUT)
    for number in (1, 2, 5):
        clips.add(identity(number), SECOND)
    clips.finish(identity(1), ABOUT)
    clips.close()  # those that nobody finished are kept as far as they go
    assert {path.stem for path in clips.folder.iterdir()} == {identity(1), identity(2), identity(5)}
    assert clips.trouble == ""


def test_what_a_kill_cut_short_is_kept_as_far_as_it_goes(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir(mode=0o700)
    killed = ClipFile(folder / f"{identity(1)}.flac.part", RATE, ABOUT)
    killed.add(SECOND)
    os.close(killed._file)
    (folder / f"{identity(2)}.flac.part").write_bytes(bytes(HEADER_BYTES))
    ClipWriter(folder, 0, 0).close()
    (path,) = folder.iterdir()
    samples = Clip.read(path).samples
    assert RATE - 5000 < len(samples) <= RATE and np.array_equal(samples, SECOND[: len(samples)])


def test_the_oldest_go_when_they_are_too_many_or_too_old_also_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    now = time.time()
    clips = ClipWriter(folder, 0, 0)
    for number in range(4):
        keep(clips, number)
    clips.close()
    for number in range(4):
        os.utime(folder / f"{identity(number)}.flac", (now, now - 86_400 * (4 - number)))
    other = folder / "notes.flac"
    other.write_bytes(bytes(100_000))
    os.utime(other, (0, 0))
    size = (folder / f"{identity(0)}.flac").stat().st_size

    ClipWriter(folder, 3.5, 0).close()
    assert {path.stem for path in folder.iterdir()} == {"notes", *map(identity, (1, 2, 3))}
    clips = ClipWriter(folder, 0, 2.5 * size / 1e6)
    settle(clips)
    keep(clips, 4)
    clips.close()
    assert {path.stem for path in folder.iterdir()} == {"notes", *map(identity, (3, 4))}


def test_what_goes_is_known_without_looking_at_the_folder(tmp_path: Path) -> None:
    retention = Retention(tmp_path, 1.0, 0.001)
    retention.look()
    for number in range(3):
        retention.add(Kept(1e6 + number, 400, f"{identity(number)}.flac"))
        (tmp_path / f"{identity(number)}.flac").write_bytes(bytes(400))
    assert retention.apply(1e6 + 10) == 1
    (tmp_path / f"{identity(1)}.flac").unlink()  # by somebody else
    assert retention.apply(1e6 + 86_401.5) == 1
    assert [path.stem for path in tmp_path.iterdir()] == [identity(2)]


def test_a_folder_that_cannot_be_used_is_refused_with_the_remedy(tmp_path: Path) -> None:
    open_ = tmp_path / "open"
    open_.mkdir(mode=0o755)
    with pytest.raises(ConfigError, match=rf"open to other users \(mode 0755\); chmod 700 {open_}"):
        ClipWriter(open_, 0, 0)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"it is no folder; name another clips\.folder"):
        ClipWriter(tmp_path / "file", 0, 0)
    with pytest.raises(ConfigError, match=r"cannot keep clips in .*file/below"):
        ClipWriter(tmp_path / "file" / "below", 0, 0)
    clips = ClipWriter(tmp_path / "clips", 0, 0)
    with pytest.raises(ConfigError, match="is in use by another glatd"):
        ClipWriter(tmp_path / "clips", 0, 0)
    clips.close()
    ClipWriter(tmp_path / "clips", 0, 0).close()
