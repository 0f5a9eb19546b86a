"""What labelling programs are given: a golden file of each format, and each read back as its program would."""

import csv
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glatd.daemon.archive.export import FORMS, export, layout
from glatd.daemon.archive.layout import VERSION
from glatd.daemon.archive.rows import EVENTS, INPUTS
from glatd.errors import ConfigError, DataError
from tests.daemon.archive.tables import archive, rows

GOLDEN = Path(__file__).with_name("exported")
ROWS: list[dict[str, Any]] = [
    {
        "file": "/rec/site 1/night.wav", "label": "Dog", "mid": "/m/0bt9lr", "onset": 48_000, "offset": 108_001,
        "onset_s": 1.5, "offset_s": 3.37503125, "onset_at": None, "peak": 0.91, "mean": 0.75, "crop_start": -3840,
        "crop_end": 92_160, "global": 0.84, "local": 0.93, "fused": 0.91, "chosen_for": "Bow-wow", "cause": "",
    },
    {
        "file": "/rec/site 1/night.wav", "label": "Domestic animals, pets", "mid": "/m/068hy", "onset": 320_000_000,
        "offset": 352_000_000, "onset_s": 10_000.0, "offset_s": 11_000.0, "onset_at": None, "peak": 0.5, "mean": 0.5,
        "crop_start": 320_000_000, "crop_end": 320_096_000, "global": 0.5, "local": 0.5, "fused": 0.5,
        "chosen_for": "Dog", "cause": "end of stream",
    },
]  # fmt: skip
NAMES = ("/rec/site 1/night.wav", "/rec/site 2/quiet.flac")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """An archive of two recordings, in one of which nothing was heard."""
    folder = tmp_path / "archive"
    for table in ("events", "inputs"):
        (folder / table).mkdir(parents=True)
    described = f'{{"version": {VERSION}, "engine": "x", "model": "m", "glatd": "0", "rate": 32000, "labels": '
    described += '[{"name": "Dog"}, {"name": "Domestic animals, pets"}]}'
    (folder / "archive.json").write_text(described)
    inputs = [dict.fromkeys(INPUTS.names, 0) | {"file": name, "stamp": "", "gaps": [], "trouble": ""} for name in NAMES]
    pq.write_table(pa.Table.from_pylist(inputs, INPUTS), folder / "inputs" / "part-0000000-000.parquet")
    pq.write_table(pa.Table.from_pylist(ROWS, EVENTS), folder / "events" / "part-0000000-000.parquet")
    return folder


@pytest.mark.parametrize("form", sorted(FORMS))
def test_files_as_they_are_to_be(made: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    assert export(str(made), form, out) == f"2 files with 2 events in {out}"
    end = FORMS[form][1]
    found = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert found == [f"site 1/night{end}", f"site 2/quiet{end}"]
    assert (out / found[0]).read_bytes() == (GOLDEN / f"night{end}").read_bytes()
    assert len((out / found[1]).read_bytes().splitlines()) == (1 if form in ("raven", "csv") else 0)


def read_back(path: Path, form: str) -> list[tuple[float, float, str]]:
    """Begin, end and label of each event, by the rules of the format."""
    text = path.read_text(encoding="utf-8")
    if form == "audacity":
        lines = [line.split("\t") for line in text.splitlines()]
        return [(float(begin), float(end), label) for begin, end, label in lines]
    if form == "rttm":
        fields = [line.split(" ") for line in text.splitlines()]
        assert all(len(each) == 10 and each[0] == "SPEAKER" for each in fields)
        return [(float(each[3]), float(each[3]) + float(each[4]), each[7].replace("_", " ")) for each in fields]
    keys = ("Begin Time (s)", "End Time (s)", "Label") if form == "raven" else ("onset_s", "offset_s", "label")
    table = list(csv.DictReader(text.splitlines(), delimiter="\t" if form == "raven" else ","))
    if form == "raven":
        assert [row["Selection"] for row in table] == [str(number + 1) for number in range(len(table))]
        assert all(0 <= float(row["Low Freq (Hz)"]) < float(row["High Freq (Hz)"]) <= 16_000 for row in table)
    return [(float(row[keys[0]]), float(row[keys[1]]), row[keys[2]]) for row in table]


@pytest.mark.parametrize("form", sorted(FORMS))
def test_read_back_they_are_the_events(tagged: Path, recordings: Path, tmp_path: Path, form: str) -> None:
    export(str(tagged), form, tmp_path / "out")
    expected: dict[str, list[tuple[float, float, str]]] = {row["file"]: [] for row in rows(tagged, "inputs")}
    for row in rows(tagged, "events"):
        expected[row["file"]].append((row["onset_s"], row["offset_s"], row["label"]))
    assert sum(map(len, expected.values())) > 5
    for name, events in expected.items():
        inner = Path(name).relative_to(recordings)
        found = read_back(tmp_path / "out" / inner.parent / (inner.stem + FORMS[form][1]), form)
        assert [label for *_, label in found] == [label for *_, label in events]
        for (begin, end, _), (onset, offset, _) in zip(found, events, strict=True):
            assert abs(begin - onset) < 1.1e-6 and abs(end - offset) < 2.1e-6


def test_only_some_events(made: Path, tmp_path: Path) -> None:
    assert export(str(made), "csv", tmp_path / "a", labels=["Dog"]).startswith("2 files with 1 events")
    assert export(str(made), "csv", tmp_path / "b", least=0.6).startswith("2 files with 1 events")
    with pytest.raises(ConfigError, match=r"--label 'Dgo' is none of the 2 classes"):
        export(str(made), "csv", tmp_path / "c", labels=["Dgo"])


def test_each_recording_has_a_file_of_its_own_below_the_folder() -> None:
    names = ["/a/b/x.wav", "/a/b/x.flac", "/a/b/c/x.wav", "/a/b/y.tar.wav", "/a/b/.wav"]
    assert layout(names, ".txt") == {
        "/a/b/x.wav": "x.wav.txt",
        "/a/b/x.flac": "x.flac.txt",
        "/a/b/c/x.wav": "c/x.txt",
        "/a/b/y.tar.wav": "y.tar.txt",
        "/a/b/.wav": ".wav.txt",
    }
    assert layout(["/only/one.wav"], ".csv") == {"/only/one.wav": "one.csv"}
    assert layout(["s3://bucket/x.wav", "/a/x.wav"], ".csv") == {
        "s3://bucket/x.wav": "s3/bucket/x.csv",
        "/a/x.wav": "a/x.csv",
    }
    assert layout([], ".csv") == {}
    assert not any(".." in path.split("/") for path in layout(["s3://b/../../x.wav", "/a/../y.wav"], ".txt").values())


def test_what_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no archive.json; name a folder that glatd archive has made"):
        export(str(tmp_path), "csv", tmp_path / "out")
    done = archive("export", tmp_path, "--to", "csv", "--out", tmp_path / "out")
    assert done.returncode == 6 and len(done.stderr.splitlines()) == 1
