"""Targets by name. Each is a module of its own here with a `TARGET` in it, imported when it is asked for."""

from importlib import import_module

from glatd.engines.targets.target import Target
from glatd.errors import EngineError

TARGETS = ("cpu", "tensorrt", "cuda")


def find_target(name: str) -> Target:
    """The target called `name`.

    Raises:
        EngineError: there is none.
    """
    if name not in TARGETS:
        raise EngineError(f"target {name!r} is not known; known: {', '.join(TARGETS)}")
    found: Target = import_module(f"{__name__}.{name}").TARGET
    return found
