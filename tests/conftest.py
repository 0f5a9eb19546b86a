"""What every test may lean on: where things are, and what is skipped where something is absent."""

import contextlib
import ctypes.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"  # sample recordings and golden vectors, beside the repo, not in it

with contextlib.suppress(ModuleNotFoundError):  # the tests of GPUs do without
    from hypothesis import HealthCheck, settings

    # A busy machine proves nothing: neither a slow example nor slow drawing is a failure.
    settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("unhurried")

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="needs the sample data in ../shared, which is not beside this checkout"
)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of sample data; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the sample data in ../shared, which is not beside this checkout")
    return SHARED


def missing_for_gpu() -> str | None:
    """Why tests marked `gpu` cannot run here."""
    from glatd.engines.targets.cuda_gpu import find_gpu
    from glatd.errors import EngineError

    try:
        find_gpu()
    except EngineError as error:
        return f"needs a CUDA device: {error}"
    return None


def missing_for_device() -> str | None:
    """Why tests marked `device` cannot run here."""
    lacking = [tool for tool in ("pulseaudio", "pactl", "paplay") if shutil.which(tool) is None]
    if ctypes.util.find_library("portaudio") is None:
        lacking.append("libportaudio2")
    if not lacking:
        return None
    return f"needs a sound server of its own, lacks {', '.join(lacking)}; .ci/run names the packages"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what the machine cannot do; in CI only for want of a GPU, since .ci/run installs the rest."""
    checks = {"gpu": missing_for_gpu}
    if not os.environ.get("CI"):
        checks["device"] = missing_for_device
    for mark, check in checks.items():
        marked = [item for item in items if item.get_closest_marker(mark)]
        reason = check() if marked else None
        if reason:
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def tracked() -> list[str]:
    """Files of the repo as a commit would have them, relative to its root with `/`.

    New files that are not ignored count too: a sub-package forgotten in pyproject.toml shows before
    it is committed.
    """
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return sorted(name for name in set(listed.split("\0")) if name and (ROOT / name).is_file())


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty home folder: nothing that is tested reads or writes that of whoever tests."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            patch.delenv(name, raising=False)
        yield folder
