"""What the source says of a dataclass's fields: the comment behind each."""

import ast
import dataclasses
import inspect
import io
import textwrap
import tokenize
from typing import Any


def field_notes(cls: type[Any]) -> dict[str, str]:
    """By the name of a field, its comment; inherited fields have that of the class that declares them.

    Raises:
        OSError: the source is not there, as in an installation of compiled files alone.
    """
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            found |= _own_notes(base)
    return found


def _own_notes(cls: type[Any]) -> dict[str, str]:
    source = textwrap.dedent(inspect.getsource(cls))
    (body,) = ast.parse(source).body
    assert isinstance(body, ast.ClassDef)
    comments = {
        token.start[0]: token.string.removeprefix("#").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    return {
        node.target.id: comments[node.end_lineno]
        for node in body.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.end_lineno in comments
    }
