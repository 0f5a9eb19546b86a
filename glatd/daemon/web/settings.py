"""What `[web]` of a configuration says: where the dashboard is served, and who may do more than look."""

import re
from dataclasses import dataclass

from glatd.errors import ConfigError

ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")


@dataclass(frozen=True, slots=True)
class WebSettings:
    """[web]: the dashboard. Without a token it can only be looked at."""

    address: str = ""  # http://127.0.0.1:8080; "" serves none
    token: str = ""  # file of the secret that lets one write and hear; made if it is not there. "": nobody may
    listen: bool = False  # whether those with the token may hear what is heard now
    origins: tuple[str, ...] = ()  # further addresses that browsers have for it, as of a proxy: https://box.example


def check_web(web: WebSettings, where: str) -> None:
    """Refuse values that cannot be. The address is checked where it is known who may come in.

    Raises:
        ConfigError: naming the key, the value and what can be.
    """
    if web.listen and not web.token:
        raise ConfigError(f"{where}: web.listen = true needs web.token, the file of the secret; name one")
    for origin in web.origins:
        if not ORIGIN.fullmatch(origin):
            raise ConfigError(
                f'{where}: web.origins has {origin!r}; give scheme and host, as in "https://box.example", no path'
            )
