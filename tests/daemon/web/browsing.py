"""A daemon with a dashboard, and a real Chromium that looks at it."""

import json
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.conftest import ROOT
from tests.daemon.processes import GLATD, free_endpoint
from tests.daemon.sounds import RATE, write_wav
from tests.servers.pcm import PcmTcp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# As root it has no sandbox; the rest keeps it from calling home.
SWITCHES = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE_S = 60.0
PATIENCE_MS = 1000 * PATIENCE_S
# What a browser says by itself when a server goes away.
OUTAGE = ("Failed to load resource", "WebSocket connection to")


def barking(path: Path) -> Path:
    """A loop of 11 s: the dog and the horn of the recording in demo/, and a pause."""
    with av.open(str(ROOT / "demo" / "street.ogg")) as file:
        resampler = av.AudioResampler("fltp", "mono", RATE)
        parts = [part.to_ndarray()[0] for frame in file.decode(audio=0) for part in resampler.resample(frame)]
    street = np.concatenate(parts)
    quiet = 0.001 * np.random.default_rng(1).standard_normal(3 * RATE)
    return write_wav(path, np.concatenate([street[14 * RATE : 22 * RATE], quiet]).astype(np.float32))


class Box:
    """A daemon on one address, with as many streams as wanted, that can be started again.

    Args:
        folder: of what it keeps.
        sender: of the sound that all streams hear.
        hop: s between windows.
    """

    def __init__(self, folder: Path, sender: PcmTcp, streams: int, hop: float) -> None:
        self.folder = folder
        self.address = free_endpoint().replace("tcp", "http")
        self.config = folder / "glatd.toml"
        sources = "".join(
            f'[[source]]\nname = "mic-{number:02}"\nuri = "{sender.uri}"\n' for number in range(1, streams + 1)
        )
        self.config.write_text(
            f'node = "edge-1"\npublish = ""\nhop = {hop}\ncrops = 2\nstatus_seconds = 1.0\n'
            f'journal = "{folder / "journal"}"\n'
            f'[web]\naddress = "{self.address}"\ntoken = "{folder / "token"}"\nlisten = true\n'
            f'[clips]\nfolder = "{folder / "clips"}"\n{sources}'
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it serves."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*GLATD, "run", "--config", str(self.config)], stderr=log, stdout=log)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            try:
                self.get("/api/state")
                return
            except OSError:
                time.sleep(0.2)
        raise AssertionError("the dashboard did not come")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait for that."""
        if self.process is not None:
            self.process.send_signal(number)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    @property
    def token(self) -> str:
        """The secret that it has made."""
        return (self.folder / "token").read_text().strip()

    def get(self, path: str, with_token: bool = False) -> Any:
        """What it answers: JSON, or text."""
        headers = {"Authorization": f"Bearer {self.token}"} if with_token else {}
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.address}{path}", headers=headers), timeout=20
        ) as reply:
            text = reply.read().decode()
            return json.loads(text) if "json" in reply.headers["Content-Type"] else text


@contextmanager
def boxed(folder: Path, streams: int, hop: float = 0.96) -> Iterator[Box]:
    """A box that runs, and its sender."""
    with PcmTcp(barking(folder / "barking.wav")) as sender:
        box = Box(folder, sender, streams, hop)
        try:
            box.start()
            yield box
        finally:
            box.stop()


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's own browser."""
    assert CHROMIUM is not None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        try:
            yield browser
        finally:
            browser.close()


def is_wrong(said: ConsoleMessage) -> bool:
    """Whether a message of the console tells of something wrong; that tests look at canvases is not."""
    return said.type in ("error", "warning") and not said.text.startswith("Canvas2D: Multiple readback")


class Tab:
    """A page of the browser, and everything that went wrong in it.

    Attributes:
        asked: the messages that it sent to the daemon.
    """

    def __init__(self, browser: Browser, box: Box, width: int = 1440, height: int = 900, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": height}, **options)
        self.context.set_default_timeout(PATIENCE_MS)
        # A breach of the page's own policy is no console message in every case.
        self.context.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error('policy: ' + e.violatedDirective))"
        )
        self.box = box
        self.page: Page = self.context.new_page()
        self.wrong: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.page.on("console", lambda said: self.wrong.append(said.text) if is_wrong(said) else None)
        self.page.on("response", lambda came: self.wrong.append(came.url) if came.status >= 400 else None)
        self.page.on("pageerror", lambda error: self.wrong.append(f"{error.message} {error.stack}"))
        self.page.on(
            "websocket", lambda socket: socket.on("framesent", lambda sent: self.asked.append(json.loads(sent)))
        )

    def show(self, view: str = "") -> Page:
        """Go to a view, by its address."""
        self.page.goto(f"{self.box.address}/#/{view}")
        self.page.wait_for_selector('#link[data-state="live"]')
        return self.page

    def until(self, script: str, argument: Any = None) -> Any:
        """What a function of JavaScript gives, once that is something."""
        return self.page.wait_for_function(script, arg=argument, timeout=PATIENCE_MS).json_value()

    def close(self) -> None:
        """Leave."""
        self.context.close()
