"""The built wheel: exactly the files that it should hold, and it works where no checkout is near."""

import email
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Sequence
from email.message import Message
from pathlib import Path

import pytest

import glatd
from tests.conftest import ROOT

# Where a folder of the repo lies in the wheel.
PLACES = {
    "glatd": "glatd", "engines": "glatd/engines", "trainer": "glatd/trainer", "clients": "glatd/clients",
}


def run(command: Sequence[str | Path], where: Path) -> str:
    """What a command prints, run in a folder that is not the checkout."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=where, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution and the wheel that is built from it.

    Built from a copy: in the checkout, setuptools would take what an earlier build left in build/.
    """
    source = tmp_path_factory.mktemp("source") / "glatd"
    for name in tracked:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    out = source.parent / "dist"
    # Without isolation: a build environment of its own would have to be fetched.
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source], source.parent)
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the programs of a fresh environment with the wheel in it.

    It borrows the packages of the one that runs the tests by a plain path, which leaves the editable
    install there asleep.
    """
    home = tmp_path_factory.mktemp("installed")
    run([sys.executable, "-m", "venv", "--without-pip", home / "env"], home)
    python = home / "env" / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    run([sys.executable, "-m", "pip", "--python", python, *install, wheel], home)
    site = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], home).strip()
    Path(site, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python.parent


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def expected(tracked: list[str]) -> set[str]:
    """Every file of the four folders, but for documents and clients in other languages."""
    found = set()
    for name in tracked:
        folder, _, rest = name.partition("/")
        if folder not in PLACES or (name.endswith(".md") and not rest.startswith("default/")):
            continue
        if folder == "clients" and not rest.endswith(".py"):
            continue
        found.add(f"{PLACES[folder]}/{rest}")
    return found


def test_wheel_holds_exactly_the_files_of_the_repo(wheel: Path, tracked: list[str]) -> None:
    held = {name for name in names(wheel) if ".dist-info/" not in name}
    wanted = expected(tracked)
    lost, stray = sorted(wanted - held), sorted(held - wanted)
    assert not lost, f"not in the wheel: {lost}; name their package or data in [tool.setuptools]"
    assert not stray, f"in the wheel, but not in the repo: {stray}"


def test_wheel_claims_one_name_and_carries_its_terms(wheel: Path) -> None:
    info = f"glatd-{glatd.__version__}.dist-info"
    assert {name.partition("/")[0] for name in names(wheel)} == {"glatd", info}
    with zipfile.ZipFile(wheel) as archive:
        for name in ("LICENSE", "NOTICE"):
            carried = archive.read(f"{info}/licenses/{name}")
            assert carried and carried == (ROOT / name).read_bytes()


def test_base_install_is_light(wheel: Path) -> None:
    asked = [line for line in metadata(wheel).get_all("Requires-Dist", []) if "extra ==" not in line]
    base = {"numpy", "sounddevice", "soxr", "av", "pyzmq", "msgpack", "click", "openvino", "pulsectl"}
    assert {line.split(";")[0].rstrip("<>=~!,.0123456789 ") for line in asked} == base


def test_source_distribution_holds_the_tests(built: Path, tracked: list[str]) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    folders = (*PLACES, "tests", "scripts")
    wanted = {name for name in tracked if name.startswith(folders) and name.endswith(".py")}
    assert wanted | {"Makefile", "constraints.txt", "LICENSE", "NOTICE", "README.md"} <= held


def test_installed_wheel_is_the_one_imported(installed: Path, tmp_path: Path) -> None:
    code = "import glatd, glatd.engines; print(glatd.__file__, *glatd.engines.__path__, sep='\\n')"
    for path in run([installed / "python", "-P", "-c", code], tmp_path).splitlines():
        assert Path(path).is_relative_to(installed.parent)


def test_installed_wheel_imports_every_module(installed: Path, tmp_path: Path, wheel: Path) -> None:
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in sorted(names(wheel)) if name.endswith(".py") and not name.endswith("__main__.py")
    ]
    run([installed / "python", "-P", "-W", "error", "-c", "import " + ", ".join(modules)], tmp_path)


def test_installed_wheel_brings_its_data(installed: Path, tmp_path: Path) -> None:
    code = (
        "from importlib.resources import files\n"
        "from glatd.labels import audioset\n"
        "print(len(audioset()), files('glatd.trainer').joinpath('recipes/mn04.toml').is_file())"
    )
    assert run([installed / "python", "-P", "-c", code], tmp_path).split() == ["527", "True"]


def test_installed_command_answers(installed: Path, tmp_path: Path) -> None:
    assert "replay" in run([installed / "glatd", "--help"], tmp_path)
    assert glatd.__version__ in run([installed / "glatd", "--version"], tmp_path)
    assert not list(tmp_path.iterdir())


def test_packages_named_are_the_folders_there_are(tracked: list[str]) -> None:
    """The same as the wheel's content, in a message that names the line to add."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    files = (name for name in expected(tracked) if name.endswith(".py"))
    there = {str(Path(name).parent).replace("/", ".") for name in files}
    assert set(pyproject["tool"]["setuptools"]["packages"]) == there
