"""Pages whose measured part stands between two marks. They are looked for before anything is measured."""

import shutil
from pathlib import Path

from glatd.errors import DataError

MARKS = {
    "archive.md": ("<!-- measured: begin -->", "<!-- measured: end -->"),
    "capacity.md": ("<!-- measured: begin -->", "<!-- measured: end -->"),
    "events.md": ("<!-- figures of python -m benchmarks events -->", "<!-- end of figures -->"),
    "incremental.md": ("<!-- measured: begin -->", "<!-- measured: end -->"),
}


def ready(name: str, out: Path, docs: Path) -> Path:
    """A page of `MARKS` in `out`, copied from `docs` where it is not there yet.

    Raises:
        DataError: neither folder has it, or its marks are gone.
    """
    page = out / name
    if not page.is_file():
        try:
            shutil.copyfile(docs / name, page)
        except OSError as error:
            raise DataError(f"{docs / name} cannot be copied to {page}: {error}") from error
    parts(page)
    return page


def parts(page: Path) -> tuple[str, str]:
    """What stands before the measured part, first mark included, and what after it, last mark included.

    Raises:
        DataError: a mark is gone.
    """
    first, last = MARKS[page.name]
    before, begun, rest = page.read_text(encoding="utf-8").partition(first)
    _, ended, after = rest.partition(last)
    if not (begun and ended):
        raise DataError(f"{page} lacks {last if begun else first}; its figures stand between two such lines")
    return before + first, last + after


def fill(page: Path, lines: list[str]) -> None:
    """Put the measured part into the page."""
    before, after = parts(page)
    text = "\n".join([before, "", *lines, after.rstrip("\n"), ""])
    page.write_text(text, encoding="utf-8")
