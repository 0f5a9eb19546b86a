"""Progress on a terminal: whatever ends a command, its cursor is there again."""

import os
import sys

import pytest

from glatd.trainer.progress import Progress

HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"


def interrupted() -> None:
    """A command that is stopped by Ctrl-C."""
    with Progress() as progress:
        progress("packing", 3, 10)
        raise KeyboardInterrupt


def test_a_terminal_has_its_cursor_again_after_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(theirs, "w") as terminal, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", terminal)
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        terminal.flush()
        told = os.read(ours, 65536)
    os.close(ours)
    assert HIDE in told and told.rindex(SHOW) > told.rindex(HIDE)
