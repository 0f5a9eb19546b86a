"""Each finding of the doctor, provoked with the real thing."""

import io
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glatd.daemon.control import Control
from glatd.daemon.doctor import machine, model, network, sound
from glatd.daemon.doctor.checklist import checks
from glatd.daemon.doctor.examine import Check, examine
from glatd.daemon.doctor.finding import Finding, error, failure, ok, warning
from glatd.daemon.doctor.listening import listen
from glatd.daemon.doctor.report import as_json, as_text, summary
from glatd.daemon.publish import Publisher
from glatd.daemon.security import keyring
from glatd.daemon.security.access import make_access
from glatd.daemon.settings import Settings, SourceSettings
from glatd.daemon.sources.uri import parse_source
from glatd.engines.load import default_engine
from glatd.engines.manifest import read_manifest
from glatd.errors import ConfigError, EngineError, SourceError
from tests.daemon.pcm_server import RATE, sending
from tests.daemon.processes import free_endpoint, glatd
from tests.daemon.sounds import noise, write_wav
from tests.virtual_mic import VirtualMic

WITHOUT_PORTAUDIO = "import ctypes.util; ctypes.util.find_library = lambda name: None; "


def marks(findings: Iterator[Finding]) -> list[tuple[str, str]]:
    """(name, mark) of each."""
    return [(finding.name, finding.mark) for finding in findings]


def only(findings: Iterator[Finding]) -> Finding:
    (finding,) = findings
    assert (finding.mark == "ok") == (not finding.mend)  # whatever is wrong has a remedy
    return finding


def found(output: str) -> dict[str, dict[str, Any]]:
    """Findings of a run with --format json, by name."""
    return {finding["name"]: finding for finding in json.loads(output)["findings"]}


def test_this_machine_is_examined_with_its_sources(tmp_path: Path) -> None:
    """The whole command: what is right is said to be right, what is wrong has its remedy."""
    recording = write_wav(tmp_path / "a.wav", noise(48_000))
    with socket.create_server(("127.0.0.1", 0)) as mute, sending(0.3 * noise(60 * RATE)) as server:
        config = tmp_path / "glatd.toml"
        config.write_text(f"""
            publish = "{free_endpoint()}"
            [[source]]
            name = "yard"
            uri = "{server.uri}"
            [[source]]
            name = "dead"
            uri = "tcp://127.0.0.1:{mute.getsockname()[1]}"
            [[source]]
            name = "night"
            uri = "file:{recording}"
            [[source]]
            uri = "gopher://x"
        """)
        done = glatd("doctor", "--config", config, "--record", tmp_path / "new" / "folder", "--format", "json")
    assert (done.returncode, done.stderr) == (1, "")
    by_name = found(done.stdout)
    assert by_name["Recordings"]["text"].startswith(str(tmp_path))
    right = {"Settings", "Python", "Packages", "Engine", "publish", "control", "yard", "night", "Open files"}
    assert {name for name in right if by_name[name]["mark"] != "ok"} == set()
    assert " dBFS" in by_name["yard"]["text"] and "48 kHz, 1 channel" in by_name["yard"]["text"]
    assert by_name["dead"]["mark"] == "error" and "no audio within 3 s" in by_name["dead"]["text"]
    assert by_name["source"]["mark"] == "error" and "gopher" in by_name["source"]["text"]
    assert all(bool(finding["mend"]) == (finding["mark"] != "ok") for finding in by_name.values())
    assert "PortAudio" not in by_name  # nothing needs it
    assert json.loads(done.stdout)["errors"] == 2


def test_a_configuration_that_cannot_be_read_is_the_first_finding(tmp_path: Path) -> None:
    (tmp_path / "glatd.toml").write_text("nodes = 'a'")
    done = glatd("doctor", "--config", tmp_path / "glatd.toml")
    assert done.returncode == 1
    first, second, *_ = done.stdout.splitlines()
    assert first == "Configuration" and second.startswith("  ✗ Settings ")
    assert "unknown key 'nodes' → did you mean 'node'?" in " ".join(done.stdout.split())
    assert "Engine" in done.stdout  # the rest is looked at all the same
    assert done.stdout.splitlines()[-1].startswith("1 error")


@pytest.mark.parametrize(("source", "mark"), [("mic:", "error"), (None, "warning")])
def test_a_missing_library_is_an_error_where_a_source_needs_it(tmp_path: Path, source: str | None, mark: str) -> None:
    config = tmp_path / "glatd.toml"
    config.write_text(f"publish = ''\n[[source]]\nuri = '{source}'\n" if source else "publish = ''\n")
    arguments = ["glatd", "doctor", "--config", str(config), "--format", "json"]
    code = f"{WITHOUT_PORTAUDIO}import sys; sys.argv = {arguments}; from glatd.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=90, check=False)
    finding = found(done.stdout)["PortAudio"]
    assert (finding["mark"], finding["mend"]) == (mark, "run: apt-get install libportaudio2")
    assert done.returncode == (1 if source else 0)


def greet(listening: socket.socket, text: bytes) -> None:
    """A server that is no ZeroMQ."""
    listening.settimeout(30)
    with listening.accept()[0] as connection:
        connection.sendall(text)


def test_a_taken_port_is_told_from_one_that_glatd_holds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        greeting = threading.Thread(target=greet, args=(other, b"220 mail"))
        greeting.start()
        finding = only(network.publisher(f"tcp://127.0.0.1:{other.getsockname()[1]}"))
        greeting.join(10)
        assert finding.mark == "error" and "the address is taken" in finding.text
    with closing(Publisher(free_endpoint())) as publisher:
        finding = only(network.publisher(publisher.endpoint))
        assert finding.mark == "warning" and "by a ZeroMQ program" in finding.text
    assert only(network.publisher(free_endpoint())).mark == "ok"
    anywhere = free_endpoint().replace("127.0.0.1", "0.0.0.0")
    assert only(network.publisher(anywhere)).mark == "error"
    assert only(network.publisher(anywhere, insecure=True)).mark == "warning"
    assert only(network.publisher(anywhere, "keys")).mark == "ok"
    assert only(network.publisher("tcp://no.such.host.invalid:5555")).mark == "error"
    assert only(network.publisher("")).mark == "ok"


def test_keys_are_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    assert only(network.keys("")).text == "none: whoever reaches a socket may use it"
    assert only(network.keys(str(folder))).mark == "error"
    keyring.init(folder)
    assert only(network.keys(str(folder))).mark == "warning"
    keyring.add(folder, "phone", ["subscribe"])
    assert only(network.keys(str(folder))).text == f"{folder}: 1 client"
    with closing(Control(free_endpoint(), {}, make_access(str(folder), False))) as control:
        assert "a glatd with keys is running" in only(network.control(control.endpoint, str(folder))).text
    folder.chmod(0o755)
    assert "chmod 700" in str(only(network.keys(str(folder))))


def test_a_control_socket_is_asked_who_it_is() -> None:
    # Not pytest's folder: the path of a Unix socket has 108 bytes at most.
    with tempfile.TemporaryDirectory(prefix="glatd-") as folder:
        for endpoint in (free_endpoint(), f"ipc://{folder}/control"):
            assert "free" in only(network.control(endpoint)).text
            assert os.listdir(folder) == []  # a file of root's would keep the service out
            with closing(Control(endpoint, {"version": lambda: {"glatd": "9.8.7"}})):
                finding = only(network.control(endpoint))
                assert finding.mark == "ok" and "glatd 9.8.7 is running" in finding.text
            assert "free" in only(network.control(endpoint)).text
            for path in Path(folder).iterdir():
                path.unlink()
        assert only(network.control(f"ipc://{folder}/none/control")).mark == "error"
    with socket.create_server(("127.0.0.1", 0)) as other:
        finding = only(network.control(f"tcp://127.0.0.1:{other.getsockname()[1]}"))
        assert finding.mark == "error" and "taken" in finding.text
    assert "could be reached by others" in only(network.control("tcp://0.0.0.0:1")).text
    assert only(network.control("")).text == "off"


def test_folders_that_cannot_hold_recordings(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "is not a folder" in only(machine.disk(tmp_path / "file", 1)).text
    assert "is not a folder" in only(machine.disk(tmp_path / "file" / "below", 1)).text
    assert only(machine.disk(tmp_path / "new" / "one", 1)).text.startswith(f"{tmp_path}/new/one: ")
    assert only(machine.disk(tmp_path, 10**6)).mark == "warning"  # streams; no disk has room for a day of them
    assert not (tmp_path / "new").exists()


def as_nobody(look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """What a user without rights finds; root would be let in everywhere."""
    if os.geteuid():
        return list(look())
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(65_534)
            os.setuid(65_534)
            os.write(writing, json.dumps([(f.name, f.mark, f.text, f.mend) for f in look()]).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with open(reading, "rb") as pipe:
        return [Finding(*fields) for fields in json.loads(pipe.read())]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_user_without_rights_is_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="glatd-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        card = folder / "snd" / "pcmC0D0c"
        card.parent.mkdir()
        card.touch()
        card.chmod(0o000)
        locked = folder / "locked"
        locked.mkdir(mode=0o500)
        (cards,) = as_nobody(lambda: sound.permissions(True, card.parent))
        (record,) = as_nobody(lambda: machine.disk(locked / "recordings", 1))
        (control,) = as_nobody(lambda: network.control(f"ipc://{locked}/control"))
        if os.geteuid() == 0:
            assert marks(sound.permissions(True, card.parent)) == [("Sound cards", "ok")]
        locked.chmod(0o700)
    group = sound.group_name(Path("/"))
    assert (cards.mark, cards.text) == ("error", "pcmC0D0c cannot be opened by this user")
    assert cards.mend.startswith(f"usermod -aG {group} USER") or os.geteuid()
    assert record.mark == "error" and "cannot be written to" in record.text
    assert control.mark == "error" and "cannot be written to" in control.text


def test_a_machine_without_sound_cards_is_said_to_be_one(tmp_path: Path) -> None:
    assert only(sound.permissions(True, tmp_path / "none")).text == "none on this machine"
    (tmp_path / "controlC0").touch()
    assert only(sound.permissions(True, tmp_path)).mark == "warning"


def test_sound_servers_that_are_there_gone_and_elsewhere() -> None:
    with tempfile.TemporaryDirectory(prefix="glatd-") as folder:
        path = Path(folder, "pulse", "native")
        path.parent.mkdir()
        environment = {"XDG_RUNTIME_DIR": folder}
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
            listening.listen()
            assert str(path) in only(sound.server(environment)).text
            assert only(sound.server({"PULSE_SERVER": f"unix:{path}"})).mark == "ok"
        finding = only(sound.server(environment))  # it died and left its socket
        assert (finding.mark, "refused" in finding.text) == ("error", True)
    assert only(sound.server({"PULSE_SERVER": "unix:/no/such/socket"})).mark == "error"
    assert "not looked at" in only(sound.server({"PULSE_SERVER": "tcp:box:4713"})).text


@contextmanager
def limit_of_files(soft: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_too_few_files_for_so_many_sources() -> None:
    with limit_of_files(256):
        assert only(machine.files(4)).mark == "ok"
        finding = only(machine.files(100))
    assert finding.mark == "error" and "LimitNOFILE=1664" in finding.mend


def test_memory_is_held_against_what_so_many_sources_need() -> None:
    assert only(machine.memory(10**9)).mark == "error"  # streams
    assert only(machine.memory(1)).mark == "ok"


def test_processor_clock_and_user(tmp_path: Path) -> None:
    assert "core" in only(machine.processor(0)).text
    assert only(machine.processor(10_000)).mark == "warning"
    assert only(machine.clock()).mark in ("ok", "warning")
    unit = tmp_path / "glatd.service"
    assert list(machine.user(unit)) == []
    unit.touch()
    assert [finding.mark for finding in machine.user(unit)] == (["warning"] if os.geteuid() == 0 else [])


def test_engines_that_are_not_there_or_do_not_fit(tmp_path: Path) -> None:
    assert only(model.engine(Settings(engine=str(tmp_path)))).mark == "error"
    finding = only(model.engine(Settings(hop=0.97)))
    assert finding.mark == "error" and "0.97" in finding.text
    sources = (SourceSettings("mic:"),) * 5000
    engine, speed = model.engine(Settings(source=sources))
    assert (engine.mark, speed.mark) == ("ok", "warning") and "5000 are too many" in speed.text
    assert "glatd bench --streams 5000" in speed.mend


def test_a_shadow_that_cannot_be_is_found_before_the_daemon_runs(tmp_path: Path) -> None:
    manifest = read_manifest(default_engine())
    assert model.shadow(default_engine(), manifest).mark == "ok"
    other = replace(manifest, geometry=replace(manifest.geometry, rate=16_000))
    assert "wants 32000 Hz" in model.shadow(default_engine(), other).text
    assert model.shadow(tmp_path, manifest).mark == "error"
    config = tmp_path / "glatd.toml"
    config.write_text(f'shadow = "{tmp_path}"\n[[source]]\nuri = "mic:"\n', encoding="utf-8")
    done = glatd("check", config)
    assert done.returncode == EngineError.exit_code and "is no engine" in done.stderr


def test_ffmpeg_is_asked_for_where_a_source_needs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert list(network.ffmpeg(["mic:", "rtsp://cam/"])) == []
    monkeypatch.setenv("PATH", str(tmp_path))
    assert only(network.ffmpeg(["srt://host:9"])).text == "missing, srt:// needs it"
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho file rtp srtp\n")
    program.chmod(0o755)
    assert "without srt" in only(network.ffmpeg(["srt://host:9"])).text
    program.write_text("#!/bin/sh\necho file rtp srt srtp\n")
    assert only(network.ffmpeg(["SRT://host:9"])).mark == "ok"


def test_dead_silent_and_loud_sources(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        closed = nobody.getsockname()[1]
    finding = only(listen(parse_source(f"gate=tcp://127.0.0.1:{closed}")))
    assert (finding.name, finding.mark) == (
        "gate",
        "error",
    ) and finding.mend == "check that it sends PCM at that address"
    assert only(listen(parse_source("file:no/such.wav"))).mark == "error"
    for samples, mark, said in (
        (0.0 * noise(5 * RATE), "warning", "digital silence"),
        (np.sign(noise(5 * RATE)), "warning", "clips"),
        (0.1 * noise(5 * RATE), "ok", "dBFS"),
    ):
        with sending(samples) as server:
            finding = only(listen(parse_source(server.uri)))
        assert finding.mark == mark and said in finding.text
    path = write_wav(tmp_path / "quiet.wav", 0.0 * noise(40_000))
    assert "begins with silence" in only(listen(parse_source(f"file:{path}"))).text


@pytest.mark.device
def test_a_microphone_is_heard_and_a_dead_sound_server_found(tmp_path: Path) -> None:
    config = tmp_path / "glatd.toml"
    config.write_text("publish = ''\n[[source]]\nuri = 'mic:vmic_a'\n[[source]]\nuri = 'mic:nosuch'\n")
    with VirtualMic("vmic_a") as mic:
        sound_ = write_wav(tmp_path / "a.wav", 0.1 * noise(60 * 48_000), 48_000)
        playing = subprocess.Popen(["paplay", "--device=vmic_a", sound_], env=mic.environment)
        try:
            by_name = found(glatd("doctor", "--config", config, "--format", "json", environment=mic.environment).stdout)
        finally:
            playing.kill()
            playing.wait()
        assert by_name["vmic_a"]["mark"] == "ok" and "48 kHz, 1 channel" in by_name["vmic_a"]["text"]
        assert "vmic_a" in by_name["Microphones"]["text"] and "native" in by_name["Sound server"]["text"]
        assert by_name["nosuch"]["mark"] == "error" and "no microphone 'nosuch'" in by_name["nosuch"]["text"]
        quiet = found(glatd("doctor", "--config", config, "--format", "json", environment=mic.environment).stdout)
        assert quiet["vmic_a"]["mark"] == "warning" and "digital silence" in quiet["vmic_a"]["text"]
        mic.kill()
        done = glatd("doctor", "--config", config, "--format", "json", environment=mic.environment)
        gone = found(done.stdout)
        assert (gone["Sound server"]["mark"], gone["vmic_a"]["mark"], done.returncode) == ("error", "error", 1)


@pytest.mark.device
@pytest.mark.slow
def test_a_sound_server_that_hangs_does_not_hang_the_doctor(tmp_path: Path) -> None:
    config = tmp_path / "glatd.toml"
    config.write_text("publish = ''\n[[source]]\nuri = 'mic:vmic_a'\n")
    with VirtualMic("vmic_a") as mic:
        mic.freeze()
        began = time.monotonic()
        done = glatd("doctor", "--config", config, "--format", "json", environment=mic.environment)
        assert time.monotonic() - began < 30
        assert done.returncode == 1 and found(done.stdout)["vmic_a"]["mark"] == "error"


def test_a_check_that_hangs_or_breaks_is_a_finding_itself() -> None:
    freed = threading.Event()

    def hang() -> Iterator[Finding]:
        freed.wait(60)
        yield ok("late", "")

    def break_() -> Iterator[Finding]:
        raise RuntimeError("rtsp://u:secret@cam/")

    began = time.monotonic()
    groups, hangs = examine(
        [
            Check("A", "slow", hang, 0.3),
            Check("B", "fine", lambda: iter([ok("fine", "x")]), 10),
            Check("A", "broken", break_, 10),
        ]
    )
    freed.set()
    assert hangs and time.monotonic() - began < 10
    assert [(finding.name, finding.mark) for finding in groups["A"]] == [("slow", "error"), ("broken", "error")]
    assert "no answer within 0.3 s" in groups["A"][0].text and "secret" not in groups["A"][1].text
    assert list(groups) == ["A", "B"] and groups["B"][0].mark == "ok"


GROUPS = {
    "Machine": [ok("CPU", "2 cores"), warning("Clock", "not synchronised", "timedatectl set-ntp true")],
    "Empty": [],
    "Sources": [error("yard", "tcp://h:1: " + "refused " * 12, "look " * 16)],
}


def test_the_list_fits_its_terminal_and_its_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), "utf-8"))
    lines = as_text(GROUPS, colour=False, width=60).splitlines()
    assert lines[:4] == [
        "Machine",
        "  ✓ CPU    2 cores",
        "  ! Clock  not synchronised",
        "           → timedatectl set-ntp true",
    ]
    assert lines[-1] == "1 error, 1 warning" and "Empty" not in lines
    assert max(map(len, lines)) <= 60
    assert "\x1b[31m✗" in as_text(GROUPS, colour=True)
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    plain = as_text(GROUPS, colour=False, width=60)
    assert plain.isascii() and "  x  yard" in plain and "-> look" in plain


def test_summaries_and_json() -> None:
    assert summary({}) == summary({"A": [ok("a", "b")]}) == "all is well"
    tree = json.loads(as_json(GROUPS))
    assert (tree["v"], tree["errors"], tree["warnings"], len(tree["findings"])) == (1, 1, 1, 3)
    assert tree["findings"][1]["mend"] == "timedatectl set-ntp true"


def test_an_error_of_the_house_becomes_what_and_remedy() -> None:
    finding = failure("x", SourceError("a; b of rtsp://u:p@h/; do c"))
    assert (finding.text, finding.mend) == ("a; b of rtsp://***@h/", "do c")
    assert failure("x", ConfigError("a only"), "warning") == Finding("x", "warning", "a only", "")


def test_the_checks_follow_the_configuration(tmp_path: Path) -> None:
    names = {check.name for check in checks(Settings(), "x", None, None)}
    assert {"PortAudio", "Microphones", "Engine", "Clock"} <= names and "Recordings" not in names
    only_file = Settings(source=(SourceSettings("file:a.wav"), SourceSettings("file:b/a.wav")))
    names = {check.name for check in checks(only_file, "x", None, tmp_path)}
    assert {"Recordings", "a", "a-2"} <= names and "PortAudio" not in names
