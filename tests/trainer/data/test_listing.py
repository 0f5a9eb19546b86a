"""Lists of clips: AudioSet's own, anybody's CSV, and what is said of one that cannot be used."""

from pathlib import Path

import pytest

from glatd.errors import DataError
from glatd.trainer.data.listing import read_listing
from glatd.trainer.data.vocabulary import audioset_vocabulary, own_vocabulary, read_classes
from tests.trainer.data.conftest import FakeAudioSet

KNOWN = audioset_vocabulary()


def test_audiosets_own_list_with_files_as_people_have_them(audioset: FakeAudioSet) -> None:
    listed = read_listing(audioset.table, audioset.audio, KNOWN)
    assert [one.path.name if one.path else None for one in listed] == [
        "Y--PJHxphWEs.wav", "a_b_c_d_e_f_30.000.wav", "YbrokenBROKEN.wav", "Yempty_empty.wav",
        "ZY0WZoVsqKM_30000_40000.wav", None,
    ]  # fmt: skip
    assert [KNOWN.names[label] for label in listed[1].labels] == ["Dog", "Bark"]
    assert listed[-1].name == "Ynot__there_.wav" and "Ynot__there_.*" in listed[-1].wanted


def test_any_csv_with_files_and_labels(tmp_path: Path) -> None:
    (tmp_path / "a.flac").touch()
    table = tmp_path / "list.csv"
    table.write_text('file,fold,labels\na.flac,1,"Crowing, cock-a-doodle-doo;Dog"\nb.flac,1,Cat\n')
    first, second = read_listing(table, None, KNOWN)
    assert [KNOWN.names[label] for label in first.labels] == ["Dog", "Crowing, cock-a-doodle-doo"]
    assert first.path == tmp_path / "a.flac" and second.path is None
    table.write_text('fname,mids\na.flac,"/m/0bt9lr,/m/05tny_"\n')
    assert [KNOWN.names[label] for label in read_listing(table, None, KNOWN)[0].labels] == ["Dog", "Bark"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("file,fold\na.wav,1\n", r"no column of labels .*'file,fold'"),
        ("wave,labels\na.wav,Dog\n", r"no column of files"),
        ("file,labels\na.wav,Dogg\n", r"line 2: unknown label 'Dogg'; did you mean 'Dog'"),
        ("file,labels\na.wav,\n", r"line 2 has no label"),
        ("file,labels\na.wav,Crowing, cock-a-doodle-doo\n", r"line 2 has 3 fields, the first line 2"),
        ('# YTID\nabc, 0.0, 10.0, "/m/0bt9lr"\nabc, 0.0\n', r"line 3: 'abc,0.0' is no segment"),
        ('abc, 0.0, 10.0, "/m/nothing"\n', r"line 1: unknown label '/m/nothing'"),
        ("# nothing\n", "lists no clips"),
        ("file,labels\n", "lists no clips"),
    ],
)
def test_a_list_that_cannot_be_used_says_why(tmp_path: Path, text: str, told: str) -> None:
    table = tmp_path / "list.csv"
    table.write_text(text)
    with pytest.raises(DataError, match=told):
        read_listing(table, None, KNOWN)


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*none\.csv"):
        read_listing(tmp_path / "none.csv", None, KNOWN)
    with pytest.raises(DataError, match="--audio names"):
        read_listing(tmp_path / "none.csv", tmp_path / "nowhere", KNOWN)


def test_classes_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("Dog\nVillage bell\n")
    own = read_classes(tmp_path / "classes.txt")
    assert own.names == ("Dog", "Village bell") and own.mids == ("/m/0bt9lr", "/own/Village bell")
    assert own_vocabulary(KNOWN.names) is KNOWN
    (tmp_path / "classes.txt").write_text("Dog\nDog\n")
    with pytest.raises(DataError, match="'Dog' twice"):
        read_classes(tmp_path / "classes.txt")
