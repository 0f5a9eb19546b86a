"""Certificates of an authority that nobody but a test trusts, made by openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM, of a server on this machine."""

    ca: Path  # of the authority
    certificate: Path
    key: Path


def make_certificates(folder: Path, name: str = "DNS:localhost,IP:127.0.0.1") -> Certificates:
    """An authority and a certificate of its for `name`, for a day."""
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "1"]
    _openssl(
        "req", "-x509", *curve, "-keyout", folder / "ca.key", "-out", made.ca, "-subj", "/CN=glatd tests",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip
    _openssl(
        "req", "-x509", *curve, "-keyout", made.key, "-out", made.certificate, "-subj", "/CN=localhost",
        "-addext", f"subjectAltName={name}", "-addext", "basicConstraints=critical,CA:FALSE",
        "-addext", "authorityKeyIdentifier=keyid", "-CA", made.ca, "-CAkey", folder / "ca.key",
    )  # fmt: skip
    return made


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
