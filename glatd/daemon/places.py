"""Where a daemon will write and answer, looked at without writing or binding: it may be running already."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from glatd.config import check_port
from glatd.daemon.privacy.writer import check_folder
from glatd.daemon.settings import Settings
from glatd.errors import ConfigError


def places(settings: Settings) -> Iterator[tuple[str, str]]:
    """Name and description of each, for people.

    Raises:
        ConfigError: a folder that cannot be written to, an endpoint that is none, or one that two sockets have.
    """
    told = {"publish": settings.publish, "control": settings.control, "catchup": settings.catchup}
    for option, endpoint in told.items():
        if endpoint:
            check_endpoint(endpoint, option)
            for other in told:
                if other != option and told[other] == endpoint:
                    raise ConfigError(f"{option} and {other} are both {endpoint}; give each an endpoint of its own")
    if settings.journal:
        days = f"{settings.journal_days:g} days" if settings.journal_days else "ever"
        yield "journal", f"{room(Path(settings.journal), 'journal', settings.journal_mb)}; kept for {days}"
    else:
        yield "journal", "off: events are counted from 1 in each run, and what is missed is lost"
    yield "catchup", settings.catchup or "off"
    yield "record", room(Path(settings.record), "record", 0.0) if settings.record else "off"
    clips, blank = settings.clips, settings.blank
    if clips.folder:
        check_folder(Path(clips.folder))
        text = room(Path(clips.folder), "clips.folder", clips.megabytes)
        of = ", ".join(clips.labels) or "every class that is told"
        yield "clips", f"{text}; of {of}, kept for {f'{clips.days:g} days' if clips.days else 'ever'}"
    else:
        yield "clips", "off: no audio of events is kept"
    if clips.folder or settings.record:
        what = f"where any of {', '.join(blank.labels)} scores {blank.threshold:g}" if blank.speech else "nothing"
        yield "blank", f"{what} is left out of what is written"


def room(folder: Path, option: str, megabytes: float) -> str:
    """The folder, and what is free there.

    Args:
        option: of the configuration, that names it.
        megabytes: that it may come to hold; 0 where that has no limit.

    Raises:
        ConfigError: it is no folder, or cannot be written to.
    """
    there = folder.absolute()
    while not os.path.exists(there) and there != there.parent:  # Path.exists raises where it may not look
        there = there.parent
    if not os.path.isdir(there):
        raise ConfigError(f"{option} = {str(folder)!r} cannot be used: {there} is no folder; choose another {option}")
    if not os.access(there, os.W_OK | os.X_OK) or os.statvfs(there).f_flag & os.ST_RDONLY:
        raise ConfigError(
            f"{option} = {str(folder)!r} cannot be used: {there} cannot be written to; chown it, or choose another "
            f"{option}"
        )
    free = shutil.disk_usage(there).free / 1e6
    held = sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e6 if folder.is_dir() else 0.0
    text = f"{folder}: {free / 1000:.1f} GB free"
    if not megabytes:
        return text
    return f"{text}, at most {megabytes:g} MB" + (" (more than there is)" if free + held < megabytes else "")


def check_endpoint(endpoint: str, option: str) -> None:
    """Refuse what no socket can be bound to.

    Raises:
        ConfigError: no tcp:// or ipc:// endpoint, no such port, or no folder for an ipc path.
    """
    kind, _, rest = endpoint.partition("://")
    check_port(endpoint)
    if kind == "ipc" and rest:
        folder = os.path.dirname(rest) or "."
        if not os.path.isdir(folder):
            raise ConfigError(f"{option} = {endpoint!r}: there is no folder {folder}; make it, or choose another path")
        return
    host, _, port = rest.rpartition(":")
    if kind != "tcp" or not host or not (port.isascii() and port.isdigit()):
        raise ConfigError(f"{option} = {endpoint!r} is no endpoint; give tcp://127.0.0.1:PORT or ipc:///PATH")
