"""The command: read the configuration, look at everything, print the list."""

import os
import sys
from pathlib import Path

from glatd.daemon.doctor.checklist import checks
from glatd.daemon.doctor.examine import examine
from glatd.daemon.doctor.report import as_json, as_text, count
from glatd.daemon.settings import Settings, read_settings
from glatd.errors import ConfigError


def visit(config: Path | None, record: Path | None, form: str) -> int:
    """Print what was found as "text" or "json".

    Returns:
        Exit code: 0, or 1 when there is an error among it.
    """
    settings, refused = Settings(), None
    try:
        settings = read_settings(config)
    except ConfigError as error:
        refused = error
    if record is None and settings.record:
        record = Path(settings.record)
    where = str(config) if config else "none given: the defaults are looked at"
    groups, hangs = examine(checks(settings, where, refused, record))
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(as_json(groups) if form == "json" else as_text(groups, colour))
    code = int(count(groups, "error") > 0)
    if hangs:  # and so would the interpreter's exit, in the same driver
        sys.stdout.flush()
        os._exit(code)
    return code
