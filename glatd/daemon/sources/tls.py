"""What FFmpeg is told of the certificate of a network source: it is checked, unless the user says not to.

FFmpeg itself checks none by default (`tls_verify`, libavformat/tls.h), and knows no authorities but those of a file.
"""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from glatd.errors import ConfigError

SCHEMES = ("https", "rtsps", "rtmps")
KEYS = ("verify", "ca")
OFF = {"tls_verify": "0"}
REMEDY = (
    "if its certificate is one that it made itself, give that as #ca=FILE, or #verify=off to take whatever it shows"
)
# Where distributions keep the authorities that they trust: Debian, Fedora, openSUSE, Alpine and the BSDs.
_USUAL = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def tls_options(values: Mapping[str, str], where: str) -> dict[str, str]:
    """FFmpeg's options.

    Args:
        values: of `KEYS`, as the URI has them.
        where: the source, for messages.

    Raises:
        ConfigError: another word for `verify`, a file that is not there, or nothing to check certificates with.
    """
    verify = values.get("verify", "on")
    if verify not in ("on", "off"):
        raise ConfigError(f"{where}: verify={verify!r} must be on or off")
    if verify == "off":
        if "ca" in values:
            raise ConfigError(f"{where}: ca= is of no use beside verify=off; leave one")
        return dict(OFF)
    if "ca" in values:
        file = Path(values["ca"]).expanduser()
        if not file.is_file():
            raise ConfigError(f"{where}: ca={values['ca']!r} is no file; name the certificates in PEM")
        return {"tls_verify": "1", "ca_file": str(file)}
    trusted = system_authorities()
    if trusted is None:
        raise ConfigError(
            f"{where}: this machine has no list of authorities to check a certificate with; "
            "install ca-certificates, or give #ca=FILE or #verify=off"
        )
    return {"tls_verify": "1", "ca_file": trusted}


def system_authorities() -> str | None:
    """The file of certificates that this machine trusts (SSL_CERT_FILE first); None if it has none."""
    paths = ssl.get_default_verify_paths()
    asked = (os.environ.get(paths.openssl_cafile_env), paths.cafile, *_USUAL)
    return next((path for path in asked if path and Path(path).is_file()), None)
