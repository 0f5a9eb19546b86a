"""docs/service.md: every file and command that it names is there."""

import re

import click

from glatd.cli import cli
from glatd.clients.remote import REQUESTS
from glatd.daemon.control import REQUESTS as ANSWERED
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")


def test_files_that_are_copied_are_there() -> None:
    named = set(re.findall(r"\bdeploy/[\w./-]+", TEXT))
    assert {"deploy/glatd.service", "deploy/sysusers.conf", "deploy/Containerfile"} <= named
    assert all((ROOT / path).is_file() for path in named)


def test_commands_are_commands() -> None:
    lines = re.findall(r"^ {4}.*?\bglatd (doctor|control|run)\b(.*?)(?:#.*)?$", TEXT, re.M)
    assert len(lines) >= 8
    for name, rest in lines:
        command = cli.commands[name]
        command.make_context(name, rest.split(), parent=click.Context(cli))
        if name == "control":
            assert rest.split()[1] in REQUESTS


def test_every_request_is_known_on_both_sides_and_described() -> None:
    assert set(REQUESTS) == set(ANSWERED)
    assert {name: takes for name, (takes, _) in REQUESTS.items()} == ANSWERED
    assert all(f'"{name}"' in TEXT for name in REQUESTS)
