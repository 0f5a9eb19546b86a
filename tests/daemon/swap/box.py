"""A daemon on two sources in real time, with a configuration that can be changed, and engines to give it."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glatd.clients.control import ask
from tests.daemon.pcm_server import RATE, sending
from tests.daemon.processes import PATIENCE_S, Running, free_endpoint, running
from tests.daemon.sounds import noise
from tests.daemon.swap.conftest import GROUP, KEPT

HOP = 30_720  # samples, 0.96 s
STREAMS = ("yard", "gate")
EVENTS = f"""
[events]
publish = false
hold = 60.0
[[events.rule]]
labels = ["{GROUP}", "{KEPT}"]
publish = true
on = 0.001
off = 0.0005
"""


class Box:
    """A daemon on two sources in real time, with a configuration that can be changed."""

    def __init__(self, folder: Path, process: Running, endpoint: str, sources: str) -> None:
        self.folder, self.process, self.endpoint, self._sources = folder, process, endpoint, sources
        self._settings: dict[str, Any] = {}

    def swap(self, engine: Path | str) -> dict[str, Any]:
        return ask(self.endpoint, "engine", engine=str(engine), timeout=PATIENCE_S)

    def write(self, **settings: Any) -> None:
        """The configuration, with some settings changed."""
        self._settings |= settings
        lines = [f"{key} = {json.dumps(value)}" for key, value in self._settings.items() if key != "events"]
        text = "\n".join([*lines, self._settings.get("events", EVENTS), self._sources])
        (self.folder / "glatd.toml").write_text(text, encoding="utf-8")

    def reload(self, **settings: Any) -> None:
        """Write it, and have it read."""
        self.write(**settings)
        self.process.process.send_signal(signal.SIGHUP)

    def said(self, text: str) -> list[str]:
        return [line for line in self.process.errors if text in line]

    def hears_on(self, engine: str, windows: int = 2) -> None:
        """Wait for windows of every stream by an engine."""
        for stream in STREAMS:
            for _ in range(windows):
                seen = len(self.windows(stream))
                self.process.wait_for(
                    lambda m, stream=stream, seen=seen: (
                        (m["type"], m["stream"]) == ("tags", stream) and m["seq"] >= seen and m["engine"] == engine
                    )
                )

    def windows(self, stream: str) -> list[dict[str, Any]]:
        return [m for m in self.process.messages if (m["type"], m["stream"]) == ("tags", stream)]


@contextmanager
def box(folder: Path, **settings: Any) -> Iterator[Box]:
    endpoint = free_endpoint()
    with sending(noise(90 * RATE)) as first, sending(noise(90 * RATE, seed=1)) as second:
        uris = zip(STREAMS, (first.uri, second.uri), strict=True)
        sources = "\n".join(f'[[source]]\nname = "{name}"\nuri = "{uri}"' for name, uri in uris)
        settings = {"control": endpoint, "publish": "", "status_seconds": 1.0, "overload": False, **settings}
        daemon = Box(folder, None, endpoint, sources)  # type: ignore[arg-type]
        daemon.write(**settings)
        with running("run", "--config", folder / "glatd.toml", "--format", "jsonl") as daemon.process:
            yield daemon


def until(true: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def follow_each_other(windows: list[dict[str, Any]]) -> None:
    """Each window once, and none missing."""
    assert [m["seq"] for m in windows] == list(range(len(windows)))
    assert [m["end"] for m in windows] == [windows[0]["end"] + HOP * number for number in range(len(windows))]
