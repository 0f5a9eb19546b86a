"""`glatd train`: an option that would be ignored is refused, and where the default bundle is looked for."""

import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from glatd.cli import cli
from glatd.cli.train import default_bundle
from glatd.errors import ConfigError
from glatd.trainer.weak import launch
from tests.conftest import ROOT

SCENES = str(ROOT / "trainer" / "recipes" / "mn04.toml")
BY_SCENES = ["eval", "b", "d", "--recipe", SCENES, "--init", "x.pt", "--work", "w"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["fit", SCENES, "--init", "x.pt", "--data", "d", "--out", "o", "--workers", "2"], "--workers has no meaning"),
        (["fit", SCENES, "--init", "x.pt", "--data", "d", "--out", "o", "--device", "cpu"], "--device has no meaning"),
        (["fit", SCENES, "--init", "x.pt", "--data", "d", "--out", "o", "--seed", "0"], "--seed has no meaning"),
        (
            [*BY_SCENES, "--json", "j"],
            "--json has no meaning",
        ),
        (
            [*BY_SCENES, "--engine"],
            "--engine has no meaning",
        ),
        (["eval", "b", "d", "--init", "x.pt"], "without --recipe no scenes are mixed: --init"),
        (["eval", "b", "d", "--engine", "--device", "cpu"], "--device has no meaning"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(asked: list[str], told: str) -> None:
    error = CliRunner().invoke(cli, ["train", *asked], standalone_mode=False).exception
    assert isinstance(error, ConfigError) and told in str(error)


def test_the_default_bundle_is_that_of_the_checkout_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_bundle() == ROOT / "models" / "glat-mn04"
    monkeypatch.setattr(
        sys.modules["glatd.cli.train"], "__file__", str(tmp_path / "site-packages" / "glatd" / "cli" / "train.py")
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="go into a checkout, or name a --bundle"):
        default_bundle()
    monkeypatch.chdir(ROOT)
    assert default_bundle() == ROOT / "models" / "glat-mn04"


def test_processes_of_torchrun_do_not_share_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "find_device", lambda name: torch.device(name))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"--device cuda:1 names one of the devices .*; take cuda"):
        launch.make_fabric("32-true", "cuda:1")
