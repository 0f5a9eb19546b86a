"""What Prometheus scrapes of a daemon: the books of its messages, names that promtool likes, a dashboard that fits."""

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from glatd.daemon.metrics.address import read_address
from glatd.errors import ConfigError
from tests.conftest import ROOT
from tests.daemon.processes import Running, free_endpoint, running
from tests.daemon.sounds import noise, write_wav
from tests.servers.pcm import PcmTcp

DEPLOY = ROOT / "deploy"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PATIENCE_S = 60.0
needs_prometheus = pytest.mark.skipif(
    shutil.which("promtool") is None or shutil.which("prometheus") is None,
    reason="needs prometheus and promtool; .ci/run names the package",
)
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def get(address: str, path: str, accept: str = "*/*") -> tuple[int, str]:
    """Status and body."""
    request = urllib.request.Request(f"{address}{path}", headers={"Accept": accept})
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def scrape(address: str) -> Samples:
    """Every sample by its name and labels."""
    code, text = get(address, "/metrics", OPENMETRICS)
    assert code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def until(found: Callable[[], Any]) -> Any:
    """What `found` gives once it gives something."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if result := found():
                return result
        except OSError:
            pass
        time.sleep(0.3)
    raise AssertionError("it did not come")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, str]]:
    """One that listens to noise, and the address of its metrics."""
    folder = tmp_path_factory.mktemp("metrics")
    address = free_endpoint().replace("tcp", "http")
    config = folder / "glatd.toml"
    config.write_text(
        f'node = "edge-1"\nstatus_seconds = 1.0\nmetrics = "{address}"\njournal = "{folder / "journal"}"\n'
        "[events]\non = 0.2\noff = 0.1\n"
    )
    sound = write_wav(folder / "noise.wav", noise(3 * 48_000, 1), 48_000)
    with (
        PcmTcp(sound) as server,
        running(
            "run", "--publish", free_endpoint(), "--config", config, "--source", f"yard={server.uri}",
            "--format", "jsonl",
        ) as process,
    ):  # fmt: skip
        process.wait_for(lambda message: message["type"] == "event")
        yield process, address


def between_windows(found: Samples) -> Samples | None:
    """A scrape in the midst of a window has its lateness, but not yet how long it took to publish it."""
    published = found.get(("glatd_stage_seconds_count", frozenset({("stage", "publish")})))
    return found if published == found["glatd_lateness_seconds_count", frozenset()] else None


def test_a_scrape_says_what_the_messages_say(daemon: tuple[Running, str]) -> None:
    process, address = daemon
    before = [message for message in process.messages if message["type"] == "status"][-1]
    found = until(lambda: between_windows(scrape(address)))
    seen = len(process.messages)
    after = process.wait_for(lambda message: message["type"] == "status" and message not in process.messages[:seen])

    def value(name: str, **labels: str) -> float:
        return found[name, frozenset(labels.items())]

    yard = {"stream": "yard"}
    assert value("glatd_streams") == 1
    assert value("glatd_stream_state", **yard, state="live") == 1
    assert value("glatd_stream_state", **yard, state="failed") == 0
    assert before["samples"] <= 32_000 * value("glatd_stream_audio_seconds_total", **yard) <= after["samples"]
    assert value("glatd_stream_lost_seconds_total", **yard) == before["lost"] / 32_000 == 0
    assert before["windows"] <= value("glatd_windows_total", **yard, result="looked") <= after["windows"]
    crops = [value("glatd_crops_total", **yard, result=result) for result in ("looked", "known")]
    windows = value("glatd_windows_total", **yard, result="looked")
    assert windows <= crops[0] <= windows + 2 and crops[1] <= 7 * windows  # one new a hop; eight in all at most
    assert -60 < value("glatd_stream_level_dbfs", **yard) < 0
    events = [message for message in process.messages if message["type"] == "event"]
    assert 1 <= value("glatd_journal_events_total") <= len(events)
    assert value("glatd_trouble") == value("glatd_overload_level") == 0
    (build,) = [dict(labels) for name, labels in found if name == "glatd_build_info"]
    assert build["engine"] == before["engine"] and build["target"] == "cpu"


def test_what_is_well_says_so(daemon: tuple[Running, str]) -> None:
    _, address = daemon
    assert get(address, "/healthz") == (200, "ok\n")
    assert until(lambda: get(address, "/readyz")[0] == 200)
    code, text = get(address, "/etc/passwd")
    assert code == 404 and "/metrics" in text


def test_the_names_in_docs_and_deploy_are_those_that_are_served(daemon: tuple[Running, str]) -> None:
    _, address = daemon
    served = {name for name, _ in scrape(address)}
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    ours = {
        re.sub("_(bucket|sum|count)$", "", name)
        for name in served
        if name.startswith("glatd_") and not name.endswith("_created")
    }
    named = set(re.findall(r"`(glatd_\w+)`", page))
    # Its drift is known after minutes only.
    # This machine may have none; a shadow's are in tests/daemon/swap/.
    named = {name for name in named if not name.startswith(("glatd_gpu_", "glatd_shadow_"))}
    assert named - {"glatd_stream_drift_ratio", "glatd_stage_seconds", "glatd_lateness_seconds"} <= served
    assert ours <= named
    dashboard = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    asked += (DEPLOY / "alerts.yml").read_text(encoding="utf-8")
    for name in set(re.findall(r"\b(?:glatd|process)_\w+", asked)):
        assert name in served, name


@needs_prometheus
def test_prometheus_scrapes_it_and_promtool_likes_it(daemon: tuple[Running, str], tmp_path: Path) -> None:
    _, address = daemon

    def check(*what: str | Path, given: str = "") -> None:
        done = subprocess.run(["promtool", "check", *what], input=given, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    check("metrics", given=get(address, "/metrics")[1])
    check("config", DEPLOY / "prometheus.yml")
    check("rules", DEPLOY / "alerts.yml")

    text = (DEPLOY / "prometheus.yml").read_text(encoding="utf-8")
    text = text.replace("127.0.0.1:9464", address.removeprefix("http://")).replace("15s", "1s")
    (tmp_path / "prometheus.yml").write_text(text)
    shutil.copy(DEPLOY / "alerts.yml", tmp_path)
    own = free_endpoint().replace("tcp", "http")
    prometheus = subprocess.Popen(
        [
            "prometheus", f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address={own.removeprefix('http://')}",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:

        def asked(query: str) -> list[dict[str, Any]]:
            code, text = get(own, f"/api/v1/query?query={query}")
            found: list[dict[str, Any]] = json.loads(text)["data"]["result"] if code == 200 else []
            return found

        (up,) = until(lambda: [each for each in asked("up") if each["value"][1] == "1"])
        assert up["metric"]["job"] == "glatd"
        (audio,) = until(lambda: asked("glatd_stream_audio_seconds_total"))
        assert audio["metric"]["stream"] == "yard" and float(audio["value"][1]) > 1
    finally:
        prometheus.terminate()
        prometheus.wait(20)


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        ("127.0.0.1:9464", "is no address; write http://127.0.0.1:9464"),
        ("http://0.0.0.0:9464", "other machines reach it"),
        ("http://localhost", "is no address"),
        ("https://localhost:9464", "is no address"),
        ("http://localhost:x", "Port could not be cast"),
        ("http://localhost:9464/metrics", "is no address"),
    ],
)
def test_an_address_that_cannot_be_is_told(endpoint: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_address(endpoint, insecure=False)


def test_other_machines_may_be_let_in_when_it_is_said_twice() -> None:
    assert read_address("http://0.0.0.0:9464", insecure=True) == ("0.0.0.0", 9464)
    assert read_address("http://[::1]:9464/", insecure=False) == ("::1", 9464)
