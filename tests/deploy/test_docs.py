"""docs/service.md: every file and request that it names is there."""

import re

from glatd.clients.remote import REQUESTS
from glatd.daemon.control import REQUESTS as ANSWERED
from tests.conftest import ROOT
from tests.docs.pages import all_commands

TEXT = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")


def test_files_that_are_copied_are_there() -> None:
    named = set(re.findall(r"\bdeploy/[\w./-]+", TEXT))
    assert {"deploy/glatd.service", "deploy/sysusers.conf", "deploy/Containerfile"} <= named
    assert all((ROOT / path).is_file() for path in named)


def test_requests_are_shown_as_they_are_asked() -> None:
    """That their words are taken, and that they run, is in tests/docs/."""
    shown = {command.bare.split()[3] for command in all_commands() if command.bare.startswith("glatd control ipc:")}
    assert shown == set(REQUESTS) - {"version"}


def test_every_request_is_known_on_both_sides_and_described() -> None:
    assert set(REQUESTS) == set(ANSWERED)
    assert {name: takes for name, (takes, _) in REQUESTS.items()} == ANSWERED
    assert all(f'"{name}"' in TEXT for name in REQUESTS)
