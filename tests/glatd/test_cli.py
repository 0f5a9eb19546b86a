"""The command itself: help in a blink, every subcommand, logs, and what each way of starting it gives."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

import glatd
from glatd.cli import cli
from glatd.cli.tag import read_speed
from glatd.errors import ConfigError

HEAVY = ("numpy", "av", "openvino", "soxr", "sounddevice", "zmq", "msgpack", "torch", "glatd.daemon", "glatd.engines")

LOADED = """
import json, sys
from glatd.cli import main
sys.argv = ["glatd", *json.loads(sys.argv[1])]
try:
    main()
except SystemExit as left:
    assert left.code == 0, left
print(json.dumps(sorted(sys.modules)))
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "glatd.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["replay", "--help"], ["train", "fit", "--help"]], ids=" ".join
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    command = [sys.executable, "-c", LOADED, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert "glatd.cli" in loaded
    assert [name for name in loaded if name in HEAVY] == []


def commands(group: click.Group, *above: str) -> list[tuple[str, ...]]:
    """Every command and group, as one types them."""
    found = []
    for name, command in group.commands.items():
        found.append((*above, name))
        if isinstance(command, click.Group):
            found += commands(command, *above, name)
    return found


def test_every_command_says_what_it_does_and_each_option_too() -> None:
    names = commands(cli)
    assert {("run",), ("replay",), ("listen",), ("devices",), ("check",), ("engine", "build")} <= set(names)
    for words in names:
        command: click.Command = cli
        for word in words:
            assert isinstance(command, click.Group)
            command = command.commands[word]
        assert command.help, words
        for option in command.params:
            if isinstance(option, click.Option) and option.name not in ("speed", "form", "grid"):
                assert option.help or option.metavar, (words, option.name)


def test_the_script_and_the_module_are_the_same_command() -> None:
    script = Path(sys.executable).with_name("glatd")
    if not script.exists():
        pytest.skip("glatd is not installed beside this Python")
    by_script = subprocess.run([script, "--help"], capture_output=True, text=True, timeout=60, check=True)
    by_module = run("--help")
    assert by_script.stdout == by_module.stdout and by_module.stdout.startswith("Usage: glatd [OPTIONS] COMMAND")
    assert by_script.stderr == by_module.stderr == ""


def test_the_version_is_that_of_the_package() -> None:
    assert run("--version").stdout == f"glatd {glatd.__version__}\n"


@pytest.mark.parametrize(("text", "speed"), [("max", None), ("1.0", 1.0), ("4", 4.0), ("1e3", 1000.0)])
def test_a_speed_is_read(text: str, speed: float | None) -> None:
    assert read_speed(text) == speed


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "-inf", "fast", "MAX"])
def test_a_speed_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=f"--speed '{text}' must be max or a number above 0"):
        read_speed(text)


def test_an_error_of_many_lines_is_told_in_one(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines.toml"
    done = run("check", str(path))
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"glatd: cannot read the configuration {tmp_path}/two lines.toml: No such file or directory; check the path"
    ]


def test_training_without_torch_names_the_extra(tmp_path: Path) -> None:
    arguments = ["glatd", "train", "export", str(tmp_path)]
    hidden = f"import sys; sys.modules['torch'] = None; sys.argv = {arguments}; from glatd.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "glatd: the trainer needs torch, which is not installed; pip install 'glatd[train]'"
    ]
