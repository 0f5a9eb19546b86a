"""The signature of a webhook, as Standard Webhooks 1.0.0 has it (standardwebhooks.com): HMAC-SHA256, symmetric."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path

from glatd.clients.bridges.secret import secret_lines
from glatd.errors import ConfigError

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64  # of a secret, by the specification


def read_secrets(path: Path | str) -> tuple[bytes, ...]:
    """The secrets of a file, one a line; several while they are being changed, the newest first.

    Raises:
        ConfigError: no such file, open to other users, or a line that is no secret. The text does not quote it.
    """
    secrets = []
    for number, line in enumerate(secret_lines(path, "the secrets of the webhook"), 1):
        try:
            secret = base64.b64decode(line.removeprefix(PREFIX), validate=True)
        except ValueError:
            secret = b""
        if not LEAST_BYTES <= len(secret) <= MOST_BYTES:
            raise ConfigError(
                f"{path}: secret {number} is not {LEAST_BYTES} to {MOST_BYTES} bytes in base64; make one with "
                f'echo "{PREFIX}$(openssl rand -base64 32)"'
            )
        secrets.append(secret)
    return tuple(secrets)


def signed(secrets: Sequence[bytes], name: str, second: int, body: bytes) -> dict[str, str]:
    """The headers of one attempt.

    Args:
        secrets: each of which signs; none leaves the signature out.
        name: of what is sent, the same for every attempt, without a full stop.
        second: of the attempt, UNIX.
        body: exactly the bytes that are sent.
    """
    headers = {"webhook-id": name, "webhook-timestamp": str(second)}
    if secrets:
        text = f"{name}.{second}.".encode() + body
        made = (base64.b64encode(hmac.digest(secret, text, hashlib.sha256)).decode() for secret in secrets)
        headers["webhook-signature"] = " ".join(f"v1,{signature}" for signature in made)
    return headers
