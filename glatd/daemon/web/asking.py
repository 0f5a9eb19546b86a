"""How a request is read: small, soon, and by keys that are known. What cannot be is refused in one line."""

import asyncio
import json
from collections.abc import Collection
from typing import Any

from starlette.requests import ClientDisconnect, Request

LARGEST_BODY = 16 << 10  # bytes
BODY_S = 5.0  # that it may take to come


class Refused(Exception):
    """An answer that says no.

    Args:
        status: of HTTP.
        text: one line, with the value and the remedy.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def query(request: Request, *known: str, twice: Collection[str] = ()) -> dict[str, str]:
    """The words behind the `?`, each at most once; those without a value are left out.

    Args:
        twice: keys that may come more than once, and are left out here.

    Raises:
        Refused: a key that is not known, or that comes twice.
    """
    found: dict[str, str] = {}
    for key, value in request.query_params.multi_items():
        if key in twice:
            continue
        if key not in known:
            raise Refused(400, f"unknown key {key[:60]!r}; there are: {', '.join([*known, *twice]) or 'none'}")
        if key in found:
            raise Refused(400, f"the key {key!r} comes twice; give it once")
        if value:
            found[key] = value
    return found


def number(text: str, key: str, least: float, most: float) -> float:
    """A number of a query.

    Raises:
        Refused: none, or beyond its limits.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise Refused(400, f"{key} = {text[:60]!r} must be a number from {least:g} to {most:g}")
    return value


async def read_json(request: Request, known: Collection[str]) -> dict[str, Any]:
    """The map that a POST brings.

    Raises:
        Refused: too large, too slow, no JSON map, or a key that is not known.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(400, "a POST brings a JSON map; say Content-Type: application/json")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.stream():
                body += piece
                if len(body) > LARGEST_BODY:
                    raise Refused(413, f"more than {LARGEST_BODY} bytes; send less")
    except ClientDisconnect:
        raise Refused(400, "the request was cut short; send all of it") from None
    except TimeoutError:
        raise Refused(400, f"the request did not come within {BODY_S:g} s; send it at once") from None
    fields = parse(bytes(body))
    for key in fields:
        if key not in known:
            raise Refused(400, f"unknown key {key[:60]!r}; there are: {', '.join(known)}")
    return fields


def parse(text: bytes | str) -> dict[str, Any]:
    """A map out of JSON, without values that JSON does not have.

    Raises:
        Refused: it is none.
    """
    try:
        fields = json.loads(text, parse_constant=_never)
    except (ValueError, RecursionError):
        raise Refused(400, f"{len(text)} bytes that are no JSON; send a map") from None
    if not isinstance(fields, dict):
        raise Refused(400, f"a {type(fields).__name__} is no map; send a map")
    return fields


def _never(name: str) -> Any:
    raise ValueError(name)


def text_of(fields: dict[str, Any], key: str, most: int = 200, needed: bool = True) -> str:
    """A text of a map, with nothing in it that cannot be written as UTF-8.

    Raises:
        Refused: absent, no text, or too long.
    """
    value = fields.get(key, None if needed else "")
    if not isinstance(value, str) or len(value) > most or (needed and not value):
        raise Refused(400, f'"{key}" must be a text of {int(needed)} to {most} characters')
    return value.encode("utf-8", "replace").decode()
