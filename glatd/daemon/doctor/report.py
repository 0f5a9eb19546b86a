"""The list of findings, as text or JSON."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence

import glatd
from glatd.daemon.doctor.finding import Finding

_MARKS = {"ok": ("✓", "ok", "32"), "warning": ("!", "!", "33"), "error": ("✗", "x", "31")}  # plain ASCII, colour
_WIDEST = 110


def as_text(groups: Mapping[str, Sequence[Finding]], colour: bool, width: int | None = None) -> str:
    """A list to be read: what is wrong has its remedy below it."""
    width = min(width or shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)
    symbols = "utf" in (sys.stdout.encoding or "").lower()
    names = max((len(finding.name) for findings in groups.values() for finding in findings), default=0)
    lines: list[str] = []
    for group, findings in groups.items():
        if findings:
            lines += ["", paint(group, "1", colour)]
            for finding in findings:
                lines += _lines(finding, names, width, symbols, colour)
    return "\n".join([*lines[1:], "", paint(summary(groups), "1", colour)])


def _lines(finding: Finding, names: int, width: int, symbols: bool, colour: bool) -> Iterator[str]:
    symbol, plain, tone = _MARKS[finding.mark]
    mark = paint(symbol, tone, colour) if symbols else paint(f"{plain:<2}", tone, colour)
    indent = " " * ((3 if symbols else 4) + names + 3)
    room = max(24, width - len(indent))
    first, *rest = textwrap.wrap(finding.text, room, break_on_hyphens=False) or [""]
    yield f"  {mark} {finding.name:<{names}}  {first}"
    for line in rest:
        yield indent + line
    arrow = "→ " if symbols else "-> "
    for number, line in enumerate(textwrap.wrap(finding.mend, room - len(arrow), break_on_hyphens=False)):
        yield indent + paint((" " * len(arrow) if number else arrow) + line, "36", colour)


def summary(groups: Mapping[str, Sequence[Finding]]) -> str:
    """How many of each."""
    errors, warnings = count(groups, "error"), count(groups, "warning")
    parts = [
        f"{number} {word}{'' if number == 1 else 's'}" for number, word in ((errors, "error"), (warnings, "warning"))
        if number
    ]  # fmt: skip
    return ", ".join(parts) or "all is well"


def count(groups: Mapping[str, Sequence[Finding]], mark: str) -> int:
    """Findings of a mark."""
    return sum(finding.mark == mark for findings in groups.values() for finding in findings)


def as_json(groups: Mapping[str, Sequence[Finding]]) -> str:
    """The same for programs."""
    findings = [
        {"group": group, "name": finding.name, "mark": finding.mark, "text": finding.text, "mend": finding.mend}
        for group, found in groups.items()
        for finding in found
    ]
    counts = {"errors": count(groups, "error"), "warnings": count(groups, "warning")}
    return json.dumps({"v": 1, "glatd": glatd.__version__, **counts, "findings": findings}, ensure_ascii=False)


def paint(text: str, code: str, colour: bool) -> str:
    """In a colour of the terminal."""
    return f"\x1b[{code}m{text}\x1b[0m" if colour else text
