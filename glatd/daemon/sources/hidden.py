"""URIs as they may be printed: without passwords and tokens."""

import re

# Values of such keys open doors; cameras and radio hosts call them so.
_SECRETS = re.compile(
    r"([?&#;][\w.-]*(?:token|key|pass|passwd|password|passphrase|pwd|auth|secret|signature|sig|credential)=)[^&#;]+",
    re.IGNORECASE,
)


def without_password(uri: str) -> str:
    """The URI with `***` for what stands before an `@` in its address, and for secrets in its query.

    >>> without_password("rtsp://me:secret@cam/live?token=abc&fps=5")
    'rtsp://***@cam/live?token=***&fps=5'
    """
    scheme, slashes, rest = uri.partition("://")
    if not slashes:
        return uri
    end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    login, _, address = rest[:end].rpartition("@")
    shown = _SECRETS.sub(r"\1***", rest[end:])
    return f"{scheme}://{'***@' if login else ''}{address}{shown}"
