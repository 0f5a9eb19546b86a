"""What is found to be tagged, and what is told of the rest."""

import os
from pathlib import Path

import fsspec
import pytest

from glatd.daemon.archive.find import Input, as_text, find
from glatd.errors import ConfigError, GlatdError, SourceError


def made(folder: Path, *names: str) -> Path:
    """Files of a byte each."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def names(inputs: list[Input], folder: Path) -> list[str]:
    return [os.path.relpath(item.file, folder) for item in inputs]


def test_folders_at_any_depth_by_name_and_what_is_no_audio_is_counted(tmp_path: Path) -> None:
    made(tmp_path, "z.wav", "a/b/c.FLAC", "a/b.mp3", "a/readme.txt", "a/x.jpg", "y.jpg", "none")
    found = find([str(tmp_path)])
    assert names(found.inputs, tmp_path) == ["a/b.mp3", "a/b/c.FLAC", "z.wav"]
    assert found.others == {".txt": 1, ".jpg": 2, "": 1} and not found.bad and not found.twice
    assert found.inputs[0].size == 1 and found.inputs[0].stamp == str((tmp_path / "a/b.mp3").stat().st_mtime_ns)


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("*.raw", ["x.raw"]),  # named by a glob, so its suffix does not matter
        ("**/*.wav", ["a/b/d.wav", "a/c.wav", "z.wav"]),
        ("a*", ["a/b/d.wav", "a/c.wav"]),  # a folder
        ("?.[rw]a[wv]", ["x.raw", "z.wav"]),
    ],
)
def test_globs(tmp_path: Path, glob: str, expected: list[str]) -> None:
    made(tmp_path, "z.wav", "a/b/d.wav", "a/c.wav", "x.raw")
    assert names(find([str(tmp_path / glob)]).inputs, tmp_path) == expected


def test_a_name_that_looks_like_a_glob_is_a_name(tmp_path: Path) -> None:
    made(tmp_path, "take[1].wav", "take1.wav")
    assert names(find([str(tmp_path / "take[1].wav")]).inputs, tmp_path) == ["take[1].wav"]


@pytest.mark.parametrize("name", ["none", "none/*.wav", "none.wav"])
def test_nothing_there_is_a_slip(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="check the path"):
        find([str(tmp_path / name)])


def test_each_recording_once_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, "a/x.wav", "b/y.wav")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "self.wav").symlink_to(tmp_path / "a" / "self.wav")
    (tmp_path / "0-link.wav").symlink_to(tmp_path / "a" / "x.wav")
    (tmp_path / "other").symlink_to(tmp_path / "b")
    monkeypatch.chdir(tmp_path)
    found = find([".", "a", str(tmp_path / "a/x.wav"), "a/../a/x.wav", f"file://{tmp_path}/b/y.wav"])
    assert names(found.inputs, tmp_path) == ["a/self.wav", "a/x.wav", "b/y.wav"]  # the first is told when it is opened
    assert found.twice == 4


def test_a_link_out_of_the_folder_is_followed(tmp_path: Path) -> None:
    made(tmp_path, "disk/x.wav", "in/y.wav", "disk/more/z.wav")
    (tmp_path / "in" / "x.wav").symlink_to(tmp_path / "disk" / "x.wav")
    (tmp_path / "in" / "more").symlink_to(tmp_path / "disk" / "more")
    assert names(find([str(tmp_path / "in")]).inputs, tmp_path) == ["in/more/z.wav", "in/x.wav", "in/y.wav"]


def test_odd_names_are_told_as_text(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9 \n\t'\".wav"
    with open(odd, "wb"):
        pass
    (item,) = find([str(tmp_path)]).inputs
    assert os.fsencode(item.file) == odd
    assert item.name == f"{tmp_path}/caf\\xe9 \n\t'\".wav" == as_text(item.file)
    item.name.encode()


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, "a/x.wav", "b/y.wav")
    real = os.scandir

    def refuse(path: str) -> object:  # as root nothing is forbidden
        if str(path).endswith("a"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find([str(tmp_path)])
    assert names(found.inputs, tmp_path) == ["b/y.wav"]
    assert found.bad == {str(tmp_path / "a"): "the folder cannot be read: Permission denied"}


def test_an_archive_among_recordings_is_none_of_them(tmp_path: Path) -> None:
    made(tmp_path, "x.wav", "out/archive.json", "out/windows/part-0000000-000.parquet", "out/odd.wav")
    found = find([str(tmp_path)])
    assert names(found.inputs, tmp_path) == ["x.wav"] and not found.others


def test_urls_by_fsspec() -> None:
    store = fsspec.filesystem("memory")
    for name in ("/found/a.wav", "/found/deep/b.flac", "/found/deep/c.txt", "/found/rec/recording.json"):
        store.pipe_file(name, b"x")
    store.pipe_file("/found/rec/stream-yard/000001.flac", b"x")
    found = find(["memory://found"])
    assert [item.file for item in found.inputs] == ["memory:///found/a.wav", "memory:///found/deep/b.flac"]
    assert found.inputs[0].size == 1 and found.inputs[0].stamp
    assert list(found.bad.values()) == ["a recording of glatd's; copy it to a disk and name that"]
    assert found.others == {".txt": 1, ".json": 1, ".flac": 1} or found.others[".txt"] == 1
    (one,) = find(["memory://found/deep/*.flac", "memory://found/deep/b.flac"]).inputs
    assert one.file == "memory:///found/deep/b.flac"


@pytest.mark.parametrize(
    ("url", "why", "error"),
    [
        ("memory://nothing/here", "there is nothing at memory://nothing/here", SourceError),
        ("memory://nothing/*.wav", "there is nothing at", SourceError),
        ("nosuch://bucket/x", "nosuch", ConfigError),
        ("ftp://me:secret@host/x", r"ftp://\*\*\*@host/x has a password", ConfigError),
        ("https://host/x.wav?token=abc", "has a password or token", ConfigError),
        ("zip://*.wav::memory://x.zip", "a chain of file systems", ConfigError),
    ],
)
def test_urls_that_cannot_be(url: str, why: str, error: type[GlatdError]) -> None:
    with pytest.raises(error, match=why) as caught:
        find([url])
    assert "secret" not in str(caught.value) and "abc" not in str(caught.value)
