"""Typed trees of settings from TOML: frozen dataclasses, and errors that name the nearest key."""

import dataclasses
import difflib
import sys
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from glatd.errors import ConfigError

T = TypeVar("T")


def read_toml(path: Path, what: str = "the configuration", remedy: str = "check the path") -> dict[str, Any]:
    """The tree of a TOML file.

    Args:
        what: the file is, as in "cannot read the configuration ...".
        remedy: for one that is not there.

    Raises:
        ConfigError: not there, or no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {what} {path}: {error.strerror}; {remedy}") from error
    except ValueError as error:  # of TOML, of UTF-8, and of numbers with more digits than Python reads
        raise ConfigError(f"{path} is not a TOML file: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{path} is nested deeper than any configuration; write it again") from error


def build(cls: type[T], tree: Mapping[str, Any], where: str) -> T:
    """Make the frozen dataclass `cls` of a TOML table.

    Args:
        cls: a dataclass whose fields are plain values, tuples of them, or further dataclasses.
        tree: the table; keys that are absent take the field's default.
        where: what the table is called in errors, for example a file name.

    Raises:
        ConfigError: an unknown key (with the nearest known one), a missing key, a wrong type.
    """
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in tree:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(fields)}"
            raise ConfigError(f"{where}: unknown key {key!r}; {hint}")
    values = {}
    for name, field in fields.items():
        if name in tree:
            values[name] = convert(hints[name], tree[name], f"{where}: {name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{where}: the key {name!r} is missing")
    return cls(**values)


def check_port(endpoint: str) -> None:
    """Refuse a ZeroMQ endpoint of a port beyond 65535, which ZeroMQ would take as another one without a word.

    Raises:
        ConfigError: naming the port.
    """
    port = endpoint.rpartition(":")[2]
    if endpoint.startswith("tcp://") and port.isascii() and port.isdigit() and int(port[:10]) > 65_535:
        raise ConfigError(f"{endpoint}: there is no port {port}; give tcp://127.0.0.1:PORT with a PORT up to 65535")


def convert(hint: Any, value: Any, where: str) -> Any:
    """Check `value` against a type hint; tables become dataclasses and arrays become tuples."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} = {value!r} must be a table")
        return build(hint, value, where)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where} = {value!r} must be an array")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(convert(arguments[0], item, where) for item in value)
        if len(value) != len(arguments):
            raise ConfigError(f"{where} = {value!r} must have {len(arguments)} values")
        return tuple(convert(kind, item, where) for kind, item in zip(arguments, value, strict=True))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} = {value!r} must be a table")
        return {str(key): convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is types.UnionType or origin is typing.Union:
        if value is None and type(None) in arguments:
            return None
        kinds = [argument for argument in arguments if argument is not type(None)]
        if len(kinds) == 1:
            return convert(kinds[0], value, where)
        # A whole number fits a float; any other value fits one kind at most.
        fitting = [kind for kind in kinds if isinstance(value, (int, float) if kind is float else kind)]
        if not fitting:
            names = " or ".join(kind.__name__ for kind in kinds)
            raise ConfigError(f"{where} = {value!r} must be of type {names}")
        return convert(fitting[0], value, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise ConfigError(f"{where} = {value!r} must be one of {', '.join(map(repr, arguments))}")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > sys.float_info.max:
            raise ConfigError(f"{where} = {value!r} is beyond every float")
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{where} = {value!r} must be of type {hint.__name__}")
    return value
