"""The allow-list: one text file with the name, public key and rights of every client that may connect.

It may be edited while the daemon runs; it is read anew when it changes. An edit that cannot be read is told in the
log, and the list stays as it was.
"""

import logging
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from glatd.clients.keys import check_key
from glatd.config import build, read_toml
from glatd.daemon.security.private import write_private
from glatd.errors import ConfigError

RIGHTS = ("subscribe", "feed", "control")  # each is the name of a ZAP domain, too

_HEADER = """\
# Who may connect to this node. glatd reads it anew whenever it changes; `glatd keys` writes it.
# rights: subscribe (hear what is published, catch up), feed (push audio), control (add, remove and mute streams).
"""

log = logging.getLogger("glatd.security")


@dataclass(frozen=True, slots=True)
class Client:
    """One that the node knows."""

    name: str
    public: str  # key, Z85
    rights: tuple[str, ...]
    since: str  # day
    revoked: str = ""  # day; a revoked key stays, so that the log can name it


@dataclass(frozen=True, slots=True)
class _Clients:
    client: tuple[Client, ...] = ()


def read_clients(path: Path) -> tuple[Client, ...]:
    """The clients of an allow-list.

    Raises:
        ConfigError: unreadable, not TOML, an unknown key or right, a name or key that is there twice.
    """
    tree = read_toml(path, "the allow-list", "make it with `glatd keys init`")
    clients = build(_Clients, tree, str(path)).client
    for client in clients:
        check_key(client.public, f"{path}: the public key of {client.name!r}")
        check_rights(client.rights, f"{path}: {client.name!r}")
    for what, values in (("name", [one.name for one in clients]), ("key", [one.public for one in clients])):
        if len(set(values)) < len(values):
            raise ConfigError(f"{path}: two clients have the same {what}; a client each")
    return clients


def write_clients(path: Path, clients: Iterable[Client]) -> None:
    """Write an allow-list in place of the one that is there.

    Raises:
        ConfigError: it cannot be written.
    """
    lines = [_HEADER]
    for one in clients:
        # Names and days have no quotes in them, and Z85 has neither quotes nor backslashes.
        rights = ", ".join(f'"{right}"' for right in one.rights)
        lines += ["[[client]]", f'name = "{one.name}"', f'public = "{one.public}"', f"rights = [{rights}]"]
        lines += [f'since = "{one.since}"', *([f'revoked = "{one.revoked}"'] if one.revoked else []), ""]
    write_private(path, "\n".join(lines), replace=True)


def check_rights(rights: Iterable[str], where: str) -> None:
    """Refuse a right that there is not.

    Raises:
        ConfigError: naming it.
    """
    for right in rights:
        if right not in RIGHTS:
            raise ConfigError(f"{where}: there is no right {right!r}; known: {', '.join(RIGHTS)}")


class AllowList:
    """Follows the file; from any thread.

    Raises:
        ConfigError: as `read_clients`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen = self._stamp()
        self._clients = {client.public: client for client in read_clients(path)}

    def find(self, public: str) -> Client | None:
        """The client of a public key, as the file is now."""
        with self._lock:
            self._follow()
            return self._clients.get(public)

    def count(self) -> int:
        """Clients that are let in."""
        with self._lock:
            self._follow()
            return sum(not client.revoked for client in self._clients.values())

    def why_not(self, public: str, right: str) -> str:
        """Why a key may not; empty where it may."""
        client = self.find(public)
        if client is None:
            return f"the key {public} is unknown"
        if client.revoked:
            return f"the key of {client.name} was revoked on {client.revoked}"
        if right not in client.rights:
            return f"{client.name} has no right to {right}, only to {' and '.join(client.rights) or 'nothing'}"
        return ""

    def _follow(self) -> None:
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._clients = {client.public: client for client in read_clients(self.path)}
        except ConfigError as error:
            log.error("the list of clients stays as it was: %s", error)

    def _stamp(self) -> tuple[int, int, int]:
        try:
            status = os.stat(self.path)
        except OSError:
            return 0, 0, 0
        return status.st_ino, status.st_size, status.st_mtime_ns
