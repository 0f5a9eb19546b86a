"""Where metrics and the dashboard are served: an address of this machine, unless it was said twice."""

from urllib.parse import urlsplit

from glatd.daemon.security.access import is_local
from glatd.errors import ConfigError


def read_address(endpoint: str, insecure: bool, key: str = "metrics", usual: int = 9464) -> tuple[str, int]:
    """Host and port of `http://HOST:PORT`.

    Args:
        key: of the configuration, in which it stands.
        usual: port, for the remedy.

    Raises:
        ConfigError: it is none, or other machines reach it and that was not said twice.
    """
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{key} = {endpoint!r}: {error}; write http://127.0.0.1:{usual}") from error
    if parts.scheme != "http" or not host or port is None or parts.path not in ("", "/"):
        raise ConfigError(f"{key} = {endpoint!r} is no address; write http://127.0.0.1:{usual}")
    if not insecure and not is_local(f"tcp://{host}:{port}"):
        raise ConfigError(
            f"{key} = {endpoint!r}: other machines reach it, and nobody is asked who he is; give "
            "http://127.0.0.1:PORT behind a proxy that asks, or insecure = true to mean it"
        )
    return host, port
