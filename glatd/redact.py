"""Passwords and tokens hidden in any text: the last defence of logs and errors.

Sources hide what they know to be secret themselves. This looks at finished text, so it also finds what a
library or another host put there.
"""

import re

HIDDEN = "***"

# What stands before the `@` of an address. A password that holds a `/`, `?` or `#` should be written with
# %-escapes and often is not: after a colon with no port behind it, everything up to the last `@` is one.
_LOGIN = re.compile(r"(?<=://)(?:[^\s/?#@'\"<>]+:(?!\d+[/?#])[^\s'\"<>]*|[^\s/?#'\"<>]*)@", re.IGNORECASE)
# Cameras write these anywhere in a path, so not only after `?` and `&`.
_VALUE = re.compile(
    r"(?<![A-Za-z])((?:access_?|auth_?|api_?|refresh_?|id_?|bearer_?)?token|pass(?:word|wd|phrase)?|pwd|loginpas|psw|secret"
    r"|api_?key|streamkey|signature)=[^\s&;#'\",<>]+",
    re.IGNORECASE,
)
_PARAMETER = re.compile(r"(?<=[?&;])(key|auth|sig|hash|hmac|credentials?|session|sid)=[^\s&;#'\",<>]+", re.IGNORECASE)
_HEADER = re.compile(
    r"(?<=Authorization)(['\"]?\s*[:=]\s*['\"]?(?:(?:Basic|Bearer|Digest)\s+)?)[^\s'\",]+", re.IGNORECASE
)


def redact(text: str) -> str:
    """`text` with the user and password of every URL, and the values of its secret parameters, as `***`.

    >>> redact("rtsp://admin:1234@camera/live?token=abc&channel=1")
    'rtsp://***@camera/live?token=***&channel=1'
    """
    if "://" in text:
        text = _LOGIN.sub(f"{HIDDEN}@", text)
    if "=" in text:
        text = _VALUE.sub(rf"\1={HIDDEN}", text)
        text = _PARAMETER.sub(rf"\1={HIDDEN}", text)
    return _HEADER.sub(rf"\1{HIDDEN}", text)
