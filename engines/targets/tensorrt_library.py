"""Which TensorRT is on this machine: the full one, or TensorRT-RTX; both have the same interface for what is done here.

Each is imported when it is asked for, and whatever its import raises is a reason why it cannot be used: packages that
lack their libraries raise plain `Exception`, `AssertionError`, `RuntimeError` or `OSError`.
"""

import functools
import logging
from collections import deque
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from glatd.errors import EngineError

log = logging.getLogger("glatd.engines")

MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}  # name in a manifest -> module, the better first
EXTRAS = "pip install 'glatd[tensorrt]' or 'glatd[tensorrt-rtx]'"


@dataclass(frozen=True, slots=True)
class Library:
    """A TensorRT that was imported."""

    name: str  # "tensorrt" or "tensorrt-rtx"
    version: str
    module: Any
    logger: Any  # its ILogger; see `said`

    @property
    def portable(self) -> bool:
        """Whether its engines are compiled for the GPU where they run, and so fit every one that it supports."""
        return self.name == "tensorrt-rtx"

    def said(self) -> str:
        """The last error that it logged, which nothing that it raises or returns tells; forgotten then."""
        errors = list(self.logger.errors)
        self.logger.errors.clear()
        return errors[-1] if errors else "TensorRT gives no reason"


def find_library(name: str | None = None) -> Library:
    """The TensorRT called `name`, or the best that is here.

    Raises:
        EngineError: it is not installed, or broken.
    """
    reasons = []
    for known in MODULES if name is None else [name]:
        if known not in MODULES:
            raise EngineError(f"the runtime {known!r} is not known; known: {', '.join(MODULES)}")
        found = _import(known)
        if isinstance(found, Library):
            return found
        reasons.append(found)
    raise EngineError(f"there is no TensorRT to use: {'; '.join(reasons)}; {EXTRAS}")


@functools.cache
def _import(name: str) -> Library | str:
    """A TensorRT, or why it cannot be used."""
    try:
        module = import_module(MODULES[name])
        return Library(name, str(module.__version__), module, _make_logger(module))
    except ModuleNotFoundError as error:
        if error.name == MODULES[name]:
            return f"{name} is not installed"
        return f"{name} lacks {error.name}"
    except Exception as error:  # see above
        return f"{name} is broken: {str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__}"


def _make_logger(trt: Any) -> Any:
    """What TensorRT tells its errors to, and nothing else of."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: deque[str] = deque(maxlen=8)

        def log(self, severity: Any, text: str) -> None:
            # TensorRT-RTX says that of its thread in every build on a machine without a GPU, as an internal error.
            severe = severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR)
            if severe and "Thread context has not been set" not in text:
                self.errors.append(text.strip().splitlines()[-1])
                log.debug("TensorRT: %s", text)

    return Logger()
