"""What a check found: fine or not, in what, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

from glatd.redact import redact

Mark = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the list."""

    name: str  # of what was looked at, a word or two
    mark: Mark
    text: str  # what was found
    mend: str = ""  # how to mend it; empty where nothing is wrong


def ok(name: str, text: str) -> Finding:
    """Nothing is wrong."""
    return Finding(name, "ok", redact(text))


def warning(name: str, text: str, mend: str) -> Finding:
    """glatd runs, but not as it should."""
    return Finding(name, "warning", redact(text), mend)


def error(name: str, text: str, mend: str) -> Finding:
    """glatd does not run so, or a source of it does not."""
    return Finding(name, "error", redact(text), mend)


def failure(name: str, raised: Exception, mark: Mark = "error") -> Finding:
    """An error of the house: what stands behind its last semicolon is the remedy."""
    text = " ".join(str(raised).split()) or type(raised).__name__
    what, _, remedy = text.rpartition("; ")
    return Finding(name, mark, redact(what or remedy), redact(remedy) if what else "")
