"""What is shipped, and on whose terms: the bill of materials, the table for people, the version."""

import ctypes
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import files
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import glatd
from tests.conftest import ROOT

SBOM = ROOT / "scripts" / "sbom"
TERMS = tomllib.loads((ROOT / "deploy" / "bundled.toml").read_text(encoding="utf-8"))


def sbom(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SBOM, "--python", sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bill")
    status = folder / "status"
    status.write_text(
        "Package: libportaudio2\nStatus: install ok installed\nArchitecture: amd64\nVersion: 19.6.0-1.2\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n"
    )
    done = sbom("--out", folder / "bill.json", "--dpkg", status)
    assert done.returncode == 0, done.stderr
    return (folder / "bill.json").read_text(encoding="utf-8")


def test_the_bill_is_good_cyclonedx(bill: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None


def test_the_bill_names_what_is_inside_wheels(bill: str) -> None:
    read = json.loads(bill)
    parts = {part["name"]: part for part in read["components"]}
    assert read["metadata"]["component"]["version"] == glatd.__version__
    inside = {one["name"]: one["licenses"][0]["expression"] for one in parts["av"]["components"]}
    assert inside["x264"] == "GPL-2.0-or-later" and inside["FFmpeg"] == "LGPL-3.0-or-later"
    assert {one["name"] for one in parts["pyzmq"]["components"]} >= {"ZeroMQ", "libsodium"}
    assert parts["libportaudio2"]["purl"] == "pkg:deb/debian/libportaudio2@19.6.0-1.2?arch=amd64"
    assert not {"gone", "pip", "glatd"} & set(parts)
    for row in TERMS["own"]:
        assert parts[row["name"]]["licenses"][0]["expression"] == row["licence"]
        assert parts[row["name"]].get("version") == row.get("version")
        assert (ROOT / row["files"].replace("glatd/engines", "engines")).exists()


def test_the_version_of_what_is_vendored_is_the_one_that_lies_there() -> None:
    (row,) = [row for row in TERMS["own"] if row["name"] == "uPlot"]
    vendored = (ROOT / row["files"] / "uPlot.esm.js").read_text(encoding="utf-8")
    assert f"uPlot (v{row['version']})" in vendored


def test_the_table_of_the_documentation_is_what_is_installed() -> None:
    text = (ROOT / "docs" / "release.md").read_text(encoding="utf-8")
    told = text.partition("<!-- terms: begin -->\n")[2].partition("<!-- terms: end -->")[0]
    done = sbom("--table")
    assert done.returncode == 0, done.stderr
    assert told == done.stdout, "scripts/sbom --table has the new one"


def test_a_library_that_nobody_looked_up_is_an_error(tmp_path: Path) -> None:
    """The script with a table that lacks one row."""
    house = tmp_path / "deploy"
    house.mkdir()
    text = (ROOT / "deploy" / "bundled.toml").read_text(encoding="utf-8")
    (house / "bundled.toml").write_text(text.replace('files = ["libsodium"]', 'files = ["libpepper"]'))
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "sbom").write_text(SBOM.read_text(encoding="utf-8"))
    command = [sys.executable, tmp_path / "scripts" / "sbom", "--table"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pyzmq carries libsodium, of unknown terms" in done.stderr and done.stdout == ""


def test_ffmpeg_says_of_itself_what_the_table_says() -> None:
    """The wheel's own FFmpeg: its licence by its own function, and that it is linked with x264 and x265."""
    held = {Path(str(file)).name: Path(str(file.locate())) for file in files("av") or () if ".so" in file.name}
    codec = next((path for name, path in held.items() if re.match(r"libavcodec-.*\.so", name)), None)
    if codec is None:
        pytest.skip("PyAV was built against this system's FFmpeg")
    import av  # loads what the library stands on

    assert av.__version__
    library = ctypes.CDLL(str(codec))
    library.avcodec_license.restype = library.avcodec_configuration.restype = ctypes.c_char_p
    assert library.avcodec_license() == b"LGPL version 3 or later"
    assert b"--enable-libx264" in library.avcodec_configuration()
    assert b"--enable-libx265" in library.avcodec_configuration()


def test_the_version_is_semantic() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?", glatd.__version__)
