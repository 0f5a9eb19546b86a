"""Files and folders that are for their owner alone, from their first moment."""

import os
import tempfile
from pathlib import Path

from glatd.clients.keys import OTHERS
from glatd.errors import ConfigError

_FILE, _FOLDER = 0o600, 0o700


def make_private(folder: Path) -> None:
    """Make a folder, or see that one is for its owner alone.

    Raises:
        ConfigError: it cannot be made, or others may look into it.
    """
    try:
        folder.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make {folder}: {error.strerror}; give a folder of your own with --dir") from error
    check_folder(folder)


def check_folder(folder: Path) -> None:
    """Refuse a folder of keys that other users may use.

    Raises:
        ConfigError: it is none, or its mode is too wide.
    """
    try:
        mode = folder.stat().st_mode & 0o777
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}; make it with `glatd keys init --dir {folder}`") from error
    if mode & OTHERS:
        raise ConfigError(f"the folder {folder} is open to other users (mode {mode:04o}); chmod 700 {folder}")


def write_private(path: Path, text: str, replace: bool = False) -> None:
    """Write a file of mode 0600, whatever the umask is, so that a crash leaves it whole or absent.

    Args:
        replace: whether one that is there makes way; without, it is an error.

    Raises:
        ConfigError: it cannot be written, or is there.
    """
    temporary = None
    try:
        # Made with mode 0600 and in the same folder: nobody can have opened it before the text is in it.
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), _FILE)
            if os.geteuid() == 0:  # root writes for the user that glatd runs as, who must be able to read it
                owner = path.parent.stat()
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(temporary, path)
        else:
            os.link(temporary, path)  # fails where there is one
    except FileExistsError as error:
        raise ConfigError(f"{path} is there already; remove it first, or choose another name") from error
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; check the folder") from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
