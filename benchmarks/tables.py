"""Markdown tables."""

from collections.abc import Iterable, Sequence
from typing import Any

Row = dict[str, Any]


def table(header: Sequence[str], rows: Iterable[Iterable[object]]) -> list[str]:
    """Lines of a table and an empty one: text to the left, figures to the right."""
    cells = [[cell(value) for value in row] for row in rows]
    right = [all(is_figure(row[column]) for row in cells) for column in range(len(header))]
    return [
        "| " + " | ".join(header) + " |",
        "|" + "|".join("--:" if figures else "---" for figures in right) + "|",
        *("| " + " | ".join(row) + " |" for row in cells),
        "",
    ]


def cell(value: object) -> str:
    """A value as it stands in a table."""
    return "-" if value is None else str(value)


def is_figure(text: str) -> bool:
    """Whether a cell begins with a number."""
    return text.lstrip("+-")[:1].isdigit() or text == "-"


def pick(rows: Iterable[Row], **columns: str) -> list[list[str]]:
    """Values of `rows` by key, each in its format (`name=""`, `share=".3f"`); "-" for what an older file lacks."""
    return [["-" if row.get(key) is None else format(row[key], form) for key, form in columns.items()] for row in rows]


def pivot(rows: Sequence[Row], key: str, column: str, value: str) -> tuple[list[str], list[list[object]]]:
    """Columns, and rows by `key` with the `value` of each column."""
    columns = list(dict.fromkeys(row[column] for row in rows))
    names = list(dict.fromkeys(row[key] for row in rows))
    found = {(row[key], row[column]): row[value] for row in rows}
    return columns, [[name, *(found.get((name, one)) for one in columns)] for name in names]
