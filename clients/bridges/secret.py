"""Secrets that a bridge needs: a file of lines that nobody else may read, since a command line is for all to see."""

import os
import stat
from pathlib import Path

from glatd.clients.keys import OTHERS
from glatd.errors import ConfigError

MOST_BYTES = 1 << 16


def secret_lines(path: Path | str, what: str) -> tuple[str, ...]:
    """The lines of a file, without empty ones and those that begin with #.

    Args:
        what: it holds, for errors: "the secrets of the webhook".

    Raises:
        ConfigError: it cannot be read, other users could read it, or there is nothing in it. The text quotes no line.
    """
    try:
        with open(os.path.expanduser(path), "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & OTHERS:
                raise ConfigError(f"{path} can be used by other users (mode {mode:04o}); chmod 600 {path}")
            text = file.read(MOST_BYTES).decode()
    except OSError as error:
        raise ConfigError(f"cannot read {what} in {path}: {error.strerror}; check the path") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is no text; it should hold {what}, one a line") from None
    lines = tuple(line.strip() for line in text.splitlines())
    lines = tuple(line for line in lines if line and not line.startswith("#"))
    if not lines:
        raise ConfigError(f"{path} is empty; it should hold {what}, one a line")
    return lines
