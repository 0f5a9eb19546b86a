"""The JSON schema of a dataclass: its types, which keys may be absent, and what its comments say."""

import dataclasses
import inspect
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from glatd.daemon.schema.notes import field_notes

Schema = dict[str, Any]

PLAIN: Mapping[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
WHOLE = "0 to 1"  # in a comment: the range of a score or a share
STAMP = "RFC 3339"  # in a comment: a time


class Shaper:
    """Makes schemas that share their parts.

    Args:
        parts: what a field consists of whose type does not say it, by class and name.
        heads: keys that are no fields of a class, and the one value that each has.

    Attributes:
        parts_made: schemas of the dataclasses that were met, by name: for `$defs`.
    """

    def __init__(
        self, parts: Mapping[tuple[type[Any], str], type[Any]], heads: Mapping[type[Any], Mapping[str, Any]]
    ) -> None:
        self._parts, self._heads = parts, heads
        self.parts_made: dict[str, Schema] = {}

    def object(self, cls: type[Any], closed: bool = False) -> Schema:
        """Of a map on the wire; `closed` where keys that are not known are refused, not ignored."""
        fixed = self._heads.get(cls, {})
        notes, hints = field_notes(cls), typing.get_type_hints(cls)
        properties: dict[str, Schema] = {key: {"const": value} for key, value in fixed.items()}
        required = list(fixed)
        for each in dataclasses.fields(cls):
            key = each.name.rstrip("_")  # `global` and `from` are words of Python's
            properties[key] = self._field(cls, each, hints[each.name], notes.get(each.name, "").replace("None", "null"))
            if each.default is dataclasses.MISSING:
                required.append(key)
        schema: Schema = {"description": first_line(cls), "type": "object", "properties": properties}
        schema["required"] = required
        if closed:
            schema["additionalProperties"] = False
        return schema

    def _field(self, cls: type[Any], field: "dataclasses.Field[Any]", hint: Any, note: str) -> Schema:
        part = self._parts.get((cls, field.name))
        schema = self.type(part or hint)
        if note and part is None:  # which says itself what it is
            schema = {"description": note} | schema
        if WHOLE in note and schema.get("type") == "number":
            schema |= {"minimum": 0, "maximum": 1}
        if field.default is dataclasses.MISSING and STAMP in note:
            schema["format"] = "date-time"
        elif field.default not in (dataclasses.MISSING, ...):
            schema["default"] = list(field.default) if isinstance(field.default, tuple) else field.default
        return schema | dict(field.metadata)

    def type(self, hint: Any) -> Schema:
        """Of a value.

        Raises:
            TypeError: a type that messages do not have.
        """
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if hint in PLAIN:
            return {"type": PLAIN[hint]}
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            if hint.__name__ not in self.parts_made:
                self.parts_made[hint.__name__] = self.object(hint)
            return {"$ref": f"#/$defs/{hint.__name__}"}
        if origin is Literal:
            return {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
        if origin is types.UnionType and arguments[1:] == (types.NoneType,):
            return {"type": [self.type(arguments[0])["type"], "null"]}
        if origin is dict:
            return {"type": "object"}
        if origin is tuple and arguments[1:] == (...,):
            return {"type": "array", "items": self.type(arguments[0])}
        if origin is tuple:
            items, count = [self.type(each) for each in arguments], len(arguments)
            return {"type": "array", "prefixItems": items, "minItems": count, "maxItems": count}
        raise TypeError(f"no schema for {hint!r}")


def first_line(cls: type[Any]) -> str:
    """What a class is, in a sentence or two: the beginning of its docstring."""
    return " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())
