"""What a configuration that is read again says of the engine: "auto" is no news for ever, and nothing untold."""

import logging
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from glatd.daemon.assembly import Assembly
from glatd.daemon.loop import Loop
from glatd.daemon.manage import Manager
from glatd.daemon.serve import doing
from glatd.daemon.settings import Settings, SourceSettings
from glatd.daemon.sources.base import Source
from glatd.engines.choose import load_best
from glatd.engines.load import load_engine
from glatd.errors import ConfigError
from tests.daemon.sounds import RATE, noise
from tests.daemon.swap.conftest import hash_of
from tests.daemon.test_loop import Paced

PATIENCE_S = 60.0


@dataclass
class Daemon:
    """Its loop runs; `settings` are its file."""

    settings: Settings
    assembly: Assembly
    loop: Loop
    manager: Manager

    def reload(self) -> dict[str, object]:
        return self.manager.reload().result(PATIENCE_S)

    def swap(self, engine: str) -> dict[str, object]:
        swap = self.manager.commands["engine"]
        return swap(engine).result(PATIENCE_S)  # type: ignore[call-arg, union-attr]

    @property
    def runs(self) -> str:
        return self.assembly.engine.manifest.hash

    @property
    def told(self) -> tuple[int, int, str]:
        """Swaps, refusals, and the trouble of the last of these."""
        return self.assembly.swaps, self.assembly.refusals, self.assembly.refused


@contextmanager
def daemon(settings: Settings, *sources: Source) -> Iterator[Daemon]:
    """One that has begun with the engine of its settings."""
    settings = replace(settings, publish="", threads=1)
    engine = load_best([Path(settings.engines)], 1)[0] if settings.engines else load_engine(Path(settings.engine), 1)
    assembly = Assembly(settings, engine)
    loop = assembly.loop([assembly.track(source, None) for source in sources], [], live=True)
    loop.stays = True
    found = Daemon(settings, assembly, loop, Manager(assembly, loop, lambda: found.settings))
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield found
    finally:
        loop.stop()
        thread.join(PATIENCE_S)


@pytest.fixture
def folder(engines: Path, tmp_path: Path) -> Path:
    """That "auto" looks into: an engine that runs."""
    shutil.copytree(engines / "tiny", tmp_path / "engines" / "tiny")
    return tmp_path / "engines"


def put(engines: Path, folder: Path, whole: bool) -> None:
    """A better one, for "auto", under its name; or what is left of it when a copy was cut short."""
    shutil.rmtree(folder / "half", ignore_errors=True)
    shutil.copytree(engines / "half", folder / "half")
    if not whole:
        (folder / "half" / "global.bin").write_bytes(b"")


def test_what_did_not_load_at_the_start_is_no_news(engines: Path, folder: Path) -> None:
    put(engines, folder, whole=False)
    with daemon(Settings(engine="auto", engines=str(folder))) as one:
        assert one.runs == hash_of(engines / "tiny")
        for _ in range(2):
            assert "engine" not in one.reload()
        assert one.told == (0, 0, "")

        put(engines, folder, whole=True)  # under the same hash
        assert "engine" in one.reload()
        assert one.runs == hash_of(engines / "half") and "engine" not in one.reload()


def test_a_better_one_that_cannot_be_is_told_once_and_again_when_asked(engines: Path, folder: Path) -> None:
    with daemon(Settings(engine="auto", engines=str(folder))) as one:
        put(engines, folder, whole=False)
        with pytest.raises(ConfigError, match="has 0 bytes"):
            one.reload()
        assert one.told[:2] == (0, 1) and "has 0 bytes" in one.told[2]
        assert "engine" not in one.reload()
        assert one.told[1] == 1
        with pytest.raises(Exception, match="has 0 bytes"):
            one.swap("auto")
        assert one.runs == hash_of(engines / "tiny")


def test_auto_walks_on_to_the_best_that_loads(engines: Path, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with daemon(Settings(engine=str(engines / "relabelled"))) as one, caplog.at_level(logging.WARNING, "glatd"):
        put(engines, folder, whole=False)
        one.settings = replace(one.settings, engine="auto", engines=str(folder))
        one.reload()
        assert one.runs == hash_of(engines / "tiny") and one.told == (1, 0, "")
        assert any("engine auto: " in line and "has 0 bytes" in line for line in caplog.messages)
        assert "engine" not in one.reload()
        assert one.swap(str(engines / "other")) and one.runs == hash_of(engines / "other")
        one.reload()  # the file wins
        assert one.runs == hash_of(engines / "tiny") and one.told == (3, 0, "")


def test_the_log_names_the_engine_that_runs_now(engines: Path) -> None:
    with daemon(Settings(engine=str(engines / "tiny"))) as one:
        assert doing(one.assembly).startswith("tiny every 0.96 s")
        one.swap(str(engines / "other"))
        assert doing(one.assembly).startswith("other every 0.96 s")


def test_all_that_could_not_be_done_is_told(engines: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Names that were taken by the control socket, and an engine that is refused, or comes while one is loaded."""
    sources = [Paced(name, noise(60 * RATE)) for name in ("gate", "yard")]
    with daemon(Settings(engine=str(engines / "tiny")), *sources) as one:
        uri = "tcp://127.0.0.1:1?rate=48000&format=s16le&channels=1"
        gate, yard = SourceSettings(uri, "gate"), SourceSettings(uri, "yard")
        one.settings = replace(one.settings, source=(gate,), engine=str(engines / "lying"))
        with caplog.at_level(logging.ERROR, "glatd"), pytest.raises(ConfigError) as raised:
            one.reload()
        taken = "there is a stream 'gate' already"
        assert taken in str(raised.value) and "does not answer as the network" in str(raised.value)
        assert any(line.startswith("gate was not added: ") and taken in line for line in caplog.messages)

        one.settings = replace(one.settings, source=(gate, yard))
        one.manager._swapper._busy.acquire()
        with pytest.raises(ConfigError, match=r"stream 'yard' already; .*another engine is being loaded"):
            one.manager.reload()
        one.manager._swapper._busy.release()
