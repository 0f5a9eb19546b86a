"""The Containerfile, read but not built: every file, command and option that it names is there."""

import json
import re
import shlex
from pathlib import Path

import click
import pytest

from glatd.cli import cli
from glatd.clients.remote import values
from glatd.daemon.assembly import make_sources
from glatd.daemon.control import check_private
from glatd.daemon.settings import read_settings
from tests.conftest import ROOT

DEPLOY = ROOT / "deploy"
KNOWN = {"ARG", "FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


def instructions() -> list[tuple[str, str]]:
    """(word, rest) of each, lines joined."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", " ").splitlines()
    return [(word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in lines) if word]


def of(word: str) -> list[str]:
    return [rest for name, rest in instructions() if name == word]


def exec_form(text: str) -> list[str]:
    """["a", "b"]: no shell in between, so that signals arrive."""
    words = json.loads(text)
    assert all(isinstance(word, str) for word in words)
    return list(words)


def check_command(words: list[str]) -> dict[str, object]:
    """Values of the options and arguments, as the command line reads them."""
    program, name, *arguments = words
    assert program == "glatd"
    command = cli.commands[name]
    return command.make_context(name, list(arguments), parent=click.Context(cli)).params


def test_instructions_are_known_and_it_ends_without_root() -> None:
    assert {word for word, _ in instructions()} <= KNOWN
    last = max(at for at, (word, _) in enumerate(instructions()) if word == "FROM")
    assert [rest for word, rest in instructions()[last:] if word == "USER"] == ["glatd"]
    made = " ".join(rest for word, rest in instructions()[last:] if word == "RUN")
    assert "useradd --system --groups audio" in made
    assert all(image.startswith("debian:${DEBIAN}-slim") for image in of("FROM"))


def test_what_is_copied_is_there_and_is_enough_to_install() -> None:
    copied = [rest for rest in of("COPY") if not rest.startswith("--from=")]
    sources = {source for rest in copied for source in rest.split()[:-1]}
    assert all((ROOT / source).exists() for source in sources)
    assert {"glatd", "engines", "clients", "trainer", "pyproject.toml", "README.md", "LICENSE", "NOTICE"} <= sources
    ignored = {line.strip("/") for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()}
    assert not sources & ignored
    assert '--constraint constraints.txt ".${EXTRAS}"' in " ".join(of("RUN"))


def test_what_it_runs_are_commands_of_glatd_with_the_configuration_that_it_brings() -> None:
    (entry,), (command,) = of("ENTRYPOINT"), of("CMD")
    assert check_command([*exec_form(entry), *exec_form(command)])["config"] == Path("/etc/glatd/glatd.toml")
    assert "deploy/container.toml /etc/glatd/glatd.toml" in of("COPY")
    settings = read_settings(DEPLOY / "container.toml")
    assert make_sources(settings) == []  # it may start without any, having a control socket
    assert [endpoint.rpartition(":")[2] for endpoint in (settings.publish, settings.catchup)] == of("EXPOSE")
    assert Path(settings.journal).is_relative_to(*of("VOLUME"))
    (health,) = of("HEALTHCHECK")
    asked = check_command(exec_form(health.partition("CMD ")[2]))
    assert asked["endpoint"] == settings.control
    check_private(settings.control)
    assert values(str(asked["do"]), None) == {}
    assert asked["keys"] is None


def test_the_health_check_takes_keys_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command in the image cannot be changed by whoever runs it; a variable can."""
    (health,) = of("HEALTHCHECK")
    (variable,) = set(re.findall(r"GLATD_\w+", (DEPLOY / "Containerfile").read_text(encoding="utf-8")))
    monkeypatch.setenv(variable, "/var/lib/glatd/keys/health.key")
    asked = check_command(exec_form(health.partition("CMD ")[2]))
    assert asked["keys"] == Path("/var/lib/glatd/keys/health.key")


@pytest.mark.parametrize("folder", ["/var/lib/glatd", "/run/glatd"])
def test_folders_that_it_writes_to_belong_to_its_user(folder: str) -> None:
    (made,) = [part for run in of("RUN") for part in run.split(" && ") if part.startswith("install ")]
    words = shlex.split(made)
    assert folder in words and "--owner=glatd" in words
