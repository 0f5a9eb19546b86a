"""Which endpoints may be bound: those of this machine; others with keys, or when it was said twice."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from glatd.daemon.security.keyring import Keyring
from glatd.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Access:
    """How the sockets of a process are guarded."""

    keyring: Keyring | None = None  # None: whoever reaches a socket may use it
    insecure: bool = False  # whether it was said, a second time, that this is also so for other machines


LOCAL = Access()  # no keys, and this machine alone


def make_access(keys: str, insecure: bool) -> Access:
    """As the settings `keys` and `insecure` want it.

    Raises:
        ConfigError: the keys cannot be read, or others could.
    """
    return Access(Keyring(Path(keys)) if keys else None, insecure)


def is_local(endpoint: str) -> bool:
    """Whether only this machine reaches an endpoint."""
    if not endpoint.startswith("tcp://"):
        return True
    host = endpoint.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_reach(endpoint: str, what: str, option: str, access: Access) -> None:
    """Refuse an endpoint that other machines reach, where nobody is asked who he is.

    Args:
        what: as in "cannot publish on ...".
        option: of the command line or configuration, as the user would change it.

    Raises:
        ConfigError: there are no keys, and it was not said twice.
    """
    if access.keyring is None and not access.insecure and not is_local(endpoint):
        raise ConfigError(
            f"{what}: other machines reach it, and without keys everybody is let in; make keys (`glatd keys init`) and "
            f"give keys = DIR, or {option} as tcp://127.0.0.1:PORT, or insecure = true to mean it"
        )
