"""What the files of the repo may and may not say."""

import ast
import re
import sys
import sysconfig
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDERS = ("glatd/", "engines/", "trainer/", "clients/")

# Folders of whoever wrote it, and hosts that packages come from; in pieces, or this file would be found.
# The home folder of "someone" is nobody's.
PATHS = (
    "/wor" "k/", "/roo" "t/", "/hom" r"e/(?!someone\b)", "/User" "s/",
    "/op" "t/wheels", "/op" "t/py", "/tm" "p/w/",
)
HOSTS = ("pypi" ".org", "python" "hosted", "deb.debian" ".org", "registry.npm" "js")
MACHINE = re.compile(r"(?<![\w.~$}-])(" + "|".join(PATHS) + ")|" + "|".join(map(re.escape, HOSTS)))


def python_files(tracked: list[str]) -> list[str]:
    """Those of the four folders."""
    return [name for name in tracked if name.startswith(FOLDERS) and name.endswith(".py")]


def read(name: str) -> str | None:
    """A file's text, None for one that is not text."""
    try:
        return (ROOT / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def test_no_file_names_a_path_or_host_of_a_machine(tracked: list[str]) -> None:
    found = []
    for name in tracked:
        for number, line in enumerate((read(name) or "").splitlines(), 1):
            match = MACHINE.search(line)
            if match or str(ROOT) in line:
                found.append(f"{name}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


def test_the_package_itself_holds_only_its_version() -> None:
    body = ast.parse((ROOT / "glatd" / "__init__.py").read_text(encoding="utf-8")).body
    docstring, version = body
    assert isinstance(docstring, ast.Expr) and isinstance(docstring.value, ast.Constant)
    assert isinstance(version, ast.Assign)
    assert [ast.unparse(target) for target in version.targets] == ["__version__"]
    assert isinstance(version.value, ast.Constant) and re.fullmatch(r"\d+\.\d+\.\d+", version.value.value)


def test_modules_are_imported_from_where_they_stand(tracked: list[str]) -> None:
    """`from glatd import errors` reads as if `glatd` had contents; it holds only the version."""
    found = [
        f"{name}:{node.lineno}: {ast.unparse(node)}"
        for name in python_files(tracked)
        for node in ast.walk(ast.parse(read(name) or ""))
        if isinstance(node, ast.ImportFrom) and node.module == "glatd"
        and [alias.name for alias in node.names] != ["__version__"]
    ]
    assert not found, "\n".join(found)


def test_every_module_says_what_it_is_for(tracked: list[str]) -> None:
    silent = [
        name for name in python_files(tracked)
        if (text := read(name)) is not None and text.strip() and not ast.get_docstring(ast.parse(text))
    ]
    assert not silent, ", ".join(silent)


def test_what_is_asked_for_is_pinned() -> None:
    """A package without a pin would be another one tomorrow."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    installed = [line for extra in extras if extra != "tensorrt" for line in extras[extra]]
    asked = {name(line) for line in project["dependencies"] + installed}
    assert asked <= set(pins())


@pytest.mark.skipif(Path(sys.prefix) != ROOT / ".venv", reason="only what make installs is pinned")
def test_nothing_that_was_installed_floats() -> None:
    """Not even what was asked for by something that was asked for."""
    # From elsewhere: glatd is the checkout, pip comes with Python, torch brings these on some machines.
    others = ("glatd", "pip", "nvidia-", "cuda-", "triton")
    # Not sys.path: setuptools, once imported, adds the packages that it carries within itself.
    site = list({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    there = {name(found.metadata["Name"]): found.version.partition("+")[0] for found in distributions(path=site)}
    floating = {
        package: version for package, version in there.items()
        if not package.startswith(others) and pins().get(package) != version
    }
    assert not floating


def pins() -> dict[str, str]:
    """Versions by package."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {name(line): line.partition("==")[2] for line in lines if re.fullmatch(r"[\w.-]+==[\w.]+", line)}


def name(requirement: str) -> str:
    """The package that a requirement names, in its normal form."""
    match = re.match(r"[\w.-]+", requirement)
    assert match is not None
    return re.sub(r"[-_.]+", "-", match[0]).lower()
