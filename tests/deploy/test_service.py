"""The systemd unit and its drop-ins: no unknown key, and how exposed the service is."""

import configparser
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from glatd.daemon.assembly import make_sources
from glatd.daemon.security.access import is_local
from glatd.daemon.settings import read_settings
from tests.conftest import ROOT

DEPLOY = ROOT / "deploy"
LARGEST_EXPOSURE = 2.0

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and not os.environ.get("CI"),
    reason="needs systemd-analyze; apt-get install systemd",
)


def lay_out(folder: Path, *drop_ins: str) -> Path:
    """The unit with drop-ins, as it lies under /etc/systemd, with a program that exists on this machine."""
    unit = folder / "glatd.service"
    beside = folder / "glatd.service.d"
    beside.mkdir()
    for source, target in [
        (DEPLOY / "glatd.service", unit),
        *((DEPLOY / "drop-ins" / name, beside / name) for name in drop_ins),
    ]:
        text = source.read_text(encoding="utf-8")
        for program in ("/opt/glatd/bin/glatd", "%h/.local/bin/glatd"):
            text = text.replace(program, sys.executable)
        target.write_text(text, encoding="utf-8")
    return unit


def analyze(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *map(str, arguments)],
        env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("drop_ins", [[], ["nvidia.conf"]], ids=["plain", "nvidia"])
def test_the_unit_is_understood_and_shut(tmp_path: Path, drop_ins: list[str]) -> None:
    unit = lay_out(tmp_path, *drop_ins)
    verified = analyze("verify", "--recursive-errors=yes", unit)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    judged = analyze("security", "--offline=true", f"--threshold={round(10 * LARGEST_EXPOSURE)}", unit)
    assert judged.returncode == 0, judged.stdout
    figure = float(judged.stdout.rpartition("glatd.service: ")[2].split()[0])
    assert figure <= LARGEST_EXPOSURE
    rows = {row["name"]: row for row in json.loads(analyze("security", "--offline=true", "--json=short", unit).stdout)}
    assert "char-alsa:rw" in rows["DeviceAllow="]["description"]  # microphones are to be heard
    assert rows["MemoryDenyWriteExecute="]["set"] is False  # inference runtimes generate code


def test_the_unit_in_a_user_session_is_understood(tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    unit = lay_out(tmp_path, "user-session.conf")
    verified = analyze("--user", "verify", "--recursive-errors=yes", unit, XDG_RUNTIME_DIR=str(runtime))
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def test_a_key_that_is_misspelt_would_be_found(tmp_path: Path) -> None:
    """Were the check blind, those above would pass for ever."""
    unit = lay_out(tmp_path)
    unit.write_text(unit.read_text(encoding="utf-8").replace("WatchdogSec", "WatchDogSecs"), encoding="utf-8")
    verified = analyze("verify", "--recursive-errors=yes", unit)
    assert verified.returncode != 0 and "WatchDogSecs" in verified.stderr


def test_what_the_daemon_counts_on_is_set() -> None:
    """systemd repeats keys; the last of these stand alone."""
    unit = configparser.ConfigParser(strict=False, interpolation=None, comment_prefixes="#")
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(DEPLOY / "glatd.service", encoding="utf-8")
    service = unit["Service"]
    assert (service["Type"], service["Restart"]) == ("notify", "on-failure")
    assert int(service["WatchdogSec"]) >= 10
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"  # never given up
    assert service["ExecReload"].startswith("/bin/kill -HUP ")
    assert service["ExecStart"].endswith(" run --config %E/glatd/glatd.toml")


def test_its_configuration_writes_where_the_unit_lets_it() -> None:
    unit = (DEPLOY / "glatd.service").read_text(encoding="utf-8")
    settings = read_settings(DEPLOY / "glatd.toml")
    assert "StateDirectory=glatd\n" in unit and Path(settings.journal).is_relative_to("/var/lib/glatd")
    assert "RuntimeDirectory=glatd\n" in unit and settings.control.startswith("ipc:///run/glatd/")
    assert make_sources(settings) == [] and is_local(settings.publish) and is_local(settings.catchup)
    assert settings.clips.folder == "" and settings.record == ""  # no audio is kept unless somebody asks for it


def test_the_account_is_made_as_the_unit_names_it(tmp_path: Path) -> None:
    if shutil.which("systemd-sysusers") is None:
        pytest.skip("needs systemd-sysusers; apt-get install systemd")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "group").write_text("audio:x:29:\n", encoding="utf-8")
    command = ["systemd-sysusers", f"--root={tmp_path}", str(DEPLOY / "sysusers.conf")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    (account,) = [line for line in (tmp_path / "etc" / "passwd").read_text().splitlines() if line.startswith("glatd:")]
    assert account.split(":")[5:] == ["/var/lib/glatd", "/usr/sbin/nologin"]
    assert "audio:x:29:glatd" in (tmp_path / "etc" / "group").read_text()
