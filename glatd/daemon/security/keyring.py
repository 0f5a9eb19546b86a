"""The folder of a node's keys: `node.key`, the allow-list `clients.toml`, and a file to hand over for each client."""

import dataclasses
import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import zmq

from glatd.clients.keys import check_key, read_secret
from glatd.daemon.security.clients import AllowList, Client, check_rights, read_clients, write_clients
from glatd.daemon.security.private import check_folder, make_private, write_private
from glatd.errors import ConfigError

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")
_NODE = "# Secret: whoever can read it can pretend to be this node, and hear what its clients say.\n"
_CLIENT = "# Secret: whoever can read it is {name} to the node. For `glatd listen --keys FILE` and glatd.clients.\n"


class Keyring:
    """What a daemon needs of the folder.

    Raises:
        ConfigError: a file is missing, damaged, or open to other users.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.public, self.secret = _node_keys(folder)
        self.allowed = AllowList(folder / "clients.toml")


def init(folder: Path) -> str:
    """Make the node's keys and an allow-list with nobody in it.

    Returns:
        The node's public key.

    Raises:
        ConfigError: there are keys already, or they cannot be written.
    """
    make_private(folder)
    public, secret = _pair()
    write_private(folder / "node.key", f'{_NODE}public = "{public}"\nsecret = "{secret}"\n')
    with _changing(folder):
        if not (folder / "clients.toml").exists():
            write_clients(folder / "clients.toml", ())
    return public


def add(folder: Path, name: str, rights: Sequence[str]) -> Path:
    """Let in a new client.

    Returns:
        The file that the client needs.

    Raises:
        ConfigError: a name that is none or taken, a right that there is not, or the folder.
    """
    if not NAME.fullmatch(name) or name == "node":
        raise ConfigError(
            f"{name!r} cannot be the name of a client: 1 to 64 letters, digits, '_', '-' and, not first, '.'; "
            "'node' is the node's own"
        )
    check_rights(rights, name)
    if not rights:
        raise ConfigError(f"{name} needs a right at least; give --rights subscribe")
    node, _ = _node_keys(folder)
    with _changing(folder):
        path = folder / "clients.toml"
        others = [one for one in read_clients(path) if one.name != name or not one.revoked]
        if any(one.name == name for one in others):
            raise ConfigError(f"there is a client {name!r}; revoke it first, or choose another name")
        public, secret = _pair()
        file = folder / f"{name}.key"
        write_private(
            file,
            f'{_CLIENT.format(name=name)}name = "{name}"\npublic = "{public}"\nsecret = "{secret}"\nnode = "{node}"\n',
        )
        try:
            write_clients(path, [*others, Client(name, public, tuple(dict.fromkeys(rights)), _today())])
        except ConfigError:
            file.unlink()
            raise
    return file


def revoke(folder: Path, name: str) -> None:
    """Let a client in no more; a daemon that runs closes its connections within a second.

    Raises:
        ConfigError: there is no such client, or the folder.
    """
    with _changing(folder):
        path = folder / "clients.toml"
        clients = read_clients(path)
        if not any(one.name == name and not one.revoked for one in clients):
            known = ", ".join(one.name for one in clients if not one.revoked) or "none"
            raise ConfigError(f"there is no client {name!r} to revoke; known: {known}")
        write_clients(
            path, [dataclasses.replace(one, revoked=_today()) if one.name == name else one for one in clients]
        )
        (folder / f"{name}.key").unlink(missing_ok=True)


def clients(folder: Path) -> tuple[Client, ...]:
    """All that are known, revoked or not.

    Raises:
        ConfigError: the folder, or the list in it.
    """
    check_folder(folder)
    return read_clients(folder / "clients.toml")


def _node_keys(folder: Path) -> tuple[str, str]:
    check_folder(folder)
    path = folder / "node.key"
    table = read_secret(path)
    public, secret = str(table.get("public", "")), str(table.get("secret", ""))
    check_key(public, f"{path}: public")
    check_key(secret, f"{path}: secret")
    return public, secret


def _pair() -> tuple[str, str]:
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


@contextmanager
def _changing(folder: Path) -> Iterator[None]:
    """One change at a time: the folder itself is the lock."""
    check_folder(folder)
    try:
        lock = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise ConfigError(f"cannot read {folder}: {error.strerror}; ask as the user whose keys they are") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
