"""What the command line writes: messages on stdout, the log and errors on stderr."""

import json
import logging
import os
import sys
from typing import Any

from glatd.errors import GlatdError


class JsonLines(logging.Formatter):
    """A log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({"time": record.created, "level": record.levelname.lower(), "message": record.getMessage()})


def set_up_logging(form: str) -> None:
    """Log to stderr, as text or JSON."""
    handler = logging.StreamHandler()
    plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
    handler.setFormatter(JsonLines() if form == "json" else plain)
    # Libraries are heard from WARNING on: the exporter alone would fill a screen.
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("glatd").setLevel(logging.INFO)


class Printer:
    """A sink that writes to stdout."""

    def __init__(self, form: str, names: bool) -> None:
        from glatd.render import TextView

        self._json = form == "jsonl"
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._view = TextView(colour=colour, names=names)

    def __call__(self, message: Any) -> None:
        from glatd.render import as_json

        for line in [as_json(message)] if self._json else self._view.lines(message):
            print(line, flush=True)

    def close(self) -> None:
        """What was heard, after text."""
        if not self._json and self._view.windows:
            print("\n".join(["", *self._view.summary()]), flush=True)


def tell(error: GlatdError) -> None:
    """One line on stderr."""
    print(f"glatd: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
