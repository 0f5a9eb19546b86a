"""The dashboard's addresses, asked of a daemon that runs."""

import json
import os
import re
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="needs the extra web")

import av
import numpy as np

from glatd.audio import read_mono
from glatd.clients.control import ask
from tests.conftest import ROOT
from tests.daemon.processes import glatd
from tests.daemon.sounds import write_wav
from tests.daemon.web.served import Served, of, served

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One that hears a dog, a horn and then a second of nothing, over and over."""
    folder = tmp_path_factory.mktemp("served")
    street = read_mono(ROOT / "demo" / "street.ogg", 48_000)[14 * 48_000 : 18 * 48_000]
    sound = np.concatenate([street, np.zeros(2 * 48_000, np.float32)])
    with served(folder, write_wav(folder / "street.wav", sound, 48_000)) as running:
        yield running


@pytest.fixture(scope="module")
def ended(daemon: Served) -> dict[str, Any]:
    """The row of an event that has ended, of the journal."""
    told = daemon.process.wait_for(lambda message: message["type"] == "event" and message["phase"] == "end")
    rows = daemon.get("/api/events?limit=200")["events"]
    row: dict[str, Any] = next(row for row in rows if row["id"] == told["id"])
    return row


def test_the_page_and_its_parts_are_served(daemon: Served) -> None:
    status, headers, body = daemon.ask("/")
    assert status == 200 and b"<html" in body and "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    assert "server" not in headers
    (script,) = re.findall(rb'<script type="module" src="([^"]+)"', body)
    status, headers, _ = daemon.ask(script.decode())
    assert status == 200 and headers["Content-Type"].startswith("text/javascript")
    assert daemon.ask(script.decode(), If_None_Match=headers["ETag"])[0] == 304
    assert not re.search(rb"(src|href)=.?(https?:)?//", body)


def test_the_state_says_what_there_is(daemon: Served) -> None:
    state = daemon.get("/api/state")
    assert state["node"] == "edge-1" and state["engine"]["classes"] == len(state["labels"]) == 527
    engine = state["engine"]
    assert engine["rate"] == 32_000 and engine["window_s"] == 10.0 and engine["frame_s"] == 0.01
    assert engine["spec_floor_db"] < engine["spec_ceiling_db"] and len(engine["mel_hz"]) == engine["mels"]
    (yard,) = state["streams"]
    assert yard["type"] == "status" and yard["stream"] == "yard" and yard["state"] == "live"
    assert yard["rules"]["*"] == {"on": 0.15, "off": 0.1, "publish": True}
    assert yard["rules"]["Silence"]["publish"] is False and len(yard["rules"]) == 2
    web = state["web"]
    assert web == web | {"token_set": True, "may_write": False, "listen": True, "clips": True, "journal": True}
    assert web["memory_s"] == pytest.approx(7200, abs=1)
    assert daemon.get("/api/state", **daemon.bearer)["web"]["may_write"] is True


def test_a_viewer_hears_everything_and_sees_what_it_watches(daemon: Served) -> None:
    with daemon.viewer() as viewer:
        viewer.until(of("hello"))
        assert len(viewer.messages) == 1 and viewer.messages[0]["engine"] == daemon.get("/api/state")["engine"]
        viewer.until(of("tags"))
        viewer.until(of("status"))
        assert not viewer.pictures and not [one for one in viewer.messages if one["type"] == "scores"]
        viewer.watch(["yard", "nowhere"], ["Dog", "No such class"])
        first = viewer.picture()
        assert first[:6] == b"\x01\x04yard" and len(first) > 96 * 128
        scores = viewer.until(of("scores"))
        assert list(scores["scores"]) == ["Dog"] and 0 <= scores["scores"]["Dog"] <= 1
        assert scores["end"] % (96 * 320) == 0 and datetime.fromisoformat(scores["time"])
        said = daemon.process.wait_for(lambda one: one["type"] == "tags" and one["end"] == scores["end"])
        assert next((m for m in viewer.messages if m["type"] == "tags" and m["end"] == scores["end"]), said) == said
        viewer.until(of("scores"))
        ends = [int.from_bytes(one[6:14], "little", signed=True) + int.from_bytes(one[14:16], "little")
                for one in [first, *viewer.pictures]]  # fmt: skip
        begins = [int.from_bytes(one[6:14], "little", signed=True) for one in [first, *viewer.pictures]]
        assert ends[:-1] == begins[1:], "no frame twice, none left out"
        viewer.watch([], [])
        viewer.until(of("alive"))


def test_the_timeline_reaches_back(daemon: Served) -> None:
    told = daemon.get("/api/timeline?stream=yard&label=Dog&label=Vehicle&seconds=60")
    assert told["stream"] == "yard" and told["rate"] == 32_000 and list(told["scores"]) == ["Dog", "Vehicle"]
    assert len(told["end"]) == len(told["time"]) == len(told["scores"]["Dog"]) >= 2 and told["gaps"] == []
    for path, text in (
        ("/api/timeline?stream=yard", "label=NAME"),
        ("/api/timeline?stream=yard&label=Dgo", "did you mean 'Dog'"),
        ("/api/timeline?stream=yard&label=Dog&seconds=1e9", "from 1 to 7200"),
        ("/api/timeline?stream=yard&stream=yard&label=Dog", "comes twice"),
        ("/api/timeline?stream=yard&label=Dog&hours=1", "unknown key 'hours'"),
    ):
        status, line = daemon.refused(path)
        assert status == 400 and text in line
    assert daemon.refused("/api/timeline?stream=x&label=Dog") == (404, "there is no stream 'x'; there are: yard")


def test_an_event_has_its_story_and_its_clip(daemon: Served, ended: dict[str, Any]) -> None:
    assert ended["phase"] == "end" and ended["clip"] is True and ended["verdict"] is None
    whole = daemon.get(f"/api/events/{ended['id']}")
    assert whole["phases"][0]["phase"] == "start" and whole["phases"][-1]["phase"] == "end"
    path = f"/api/events/{ended['id']}/clip"
    assert daemon.refused(path)[0] == 401
    for _ in range(100):  # it is complete soon after the end
        status, headers, body = daemon.ask(path, **daemon.bearer)
        if status == 200:
            break
        daemon.process.wait_for(lambda message: message["type"] == "tags")
    assert status == 200 and headers["Content-Type"] == "audio/flac" and body[:4] == b"fLaC"
    status, headers, part = daemon.ask(path, Range="bytes=4-19", **daemon.bearer)
    assert status == 206 and part == body[4:20] and headers["Content-Range"] == f"bytes 4-19/{len(body)}"
    assert daemon.refused(f"/api/events/{'0' * 20}/clip", **daemon.bearer)[0] == 404
    assert daemon.refused(f"/api/events/{'0' * 20}")[0] == 404
    assert daemon.refused("/api/events/x.y")[0] == 404


def test_a_login_is_a_cookie_that_scripts_and_other_pages_cannot_use(daemon: Served) -> None:
    assert daemon.refused("/api/login", {"token": "not the token"})[0] == 401
    status, headers, _ = daemon.ask("/api/login", {"token": daemon.token})
    cookie = headers["Set-Cookie"]
    assert status == 200 and "HttpOnly" in cookie and "SameSite=strict" in cookie and "Secure" not in cookie
    assert daemon.token not in cookie
    secure = daemon.ask("/api/login", {"token": daemon.token}, Origin="https://box.example")[1]["Set-Cookie"]
    assert "Secure" in secure
    shown = {"Cookie": cookie.partition(";")[0]}
    assert daemon.get("/api/state", **shown)["web"]["may_write"] is True
    assert daemon.get("/api/state", Cookie=f"glatd-{daemon.port}=0")["web"]["may_write"] is False
    status, headers, _ = daemon.ask("/api/logout", {}, **shown)
    assert status == 200 and "Max-Age=0" in headers["Set-Cookie"]


def test_a_verdict_is_told_to_all_and_kept(daemon: Served, ended: dict[str, Any]) -> None:
    fields = {"id": ended["id"], "verdict": "confirmed", "note": "I saw it"}
    assert daemon.refused("/api/verdicts", fields)[0] == 401
    with daemon.viewer() as viewer:
        viewer.until(of("hello"))
        assert daemon.ask("/api/verdicts", fields, **daemon.bearer)[0] == 200
        assert viewer.until(of("verdict")) == {"type": "verdict", **fields}
    (row,) = daemon.get("/api/events?verdict=confirmed")["events"]
    assert (row["id"], row["note"]) == (ended["id"], "I saw it")
    status, headers, table = daemon.ask("/api/verdicts.tsv")
    assert status == 200 and headers["Content-Type"].startswith("text/tab-separated-values")
    lines = table.decode().splitlines()
    assert lines[0] == "filename\tonset\toffset\tevent_label" and lines[1].split("\t")[3] == ended["label"]
    assert daemon.get("/api/verdicts.json")["verdicts"][0]["id"] == ended["id"]
    for wrong in ({"id": ended["id"], "verdict": "maybe"}, {"id": ended["id"]}, {"verdict": None}, fields | {"x": 1}):
        assert daemon.refused("/api/verdicts", wrong, **daemon.bearer)[0] == 400
    assert daemon.ask("/api/verdicts", {"id": ended["id"], "verdict": None}, **daemon.bearer)[0] == 200
    assert daemon.get("/api/events?verdict=confirmed")["events"] == []


def test_a_rehearsal_needs_no_token(daemon: Served) -> None:
    status, _, body = daemon.ask("/api/rehearse", {"stream": "yard", "label": "Dog", "threshold": 0.5})
    found = json.loads(body)
    assert status == 200 and found.keys() == {"fired", "actual", "seconds", "toml"} and found["seconds"] > 0
    assert daemon.refused("/api/rehearse", {"stream": "yard", "label": "Dgo", "threshold": 0.5})[0] == 400
    assert daemon.refused("/api/rehearse", {"stream": "x", "label": "Dog", "threshold": 0.5})[0] == 404
    assert daemon.refused("/api/rehearse", [])[0] == 400


def test_those_with_the_token_hear_what_is_heard_and_the_log_says_so(daemon: Served, tmp_path: Path) -> None:
    assert daemon.refused("/api/listen?stream=yard")[0] == 401
    request = urllib.request.Request(f"{daemon.address}/api/listen?stream=yard", headers=daemon.bearer)
    with urllib.request.urlopen(request, timeout=60) as reply:
        assert reply.headers["Content-Type"] == "audio/wav"
        data = reply.read(44 + 2 * 2 * 32_000)
    assert data[:4] == b"RIFF" and data[8:12] == b"WAVE"
    path = tmp_path / "live.wav"
    path.write_bytes(data)
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        assert (stream.rate, stream.channels) == (32_000, 1)
        samples = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(stream)])
    assert len(samples) == 2 * 32_000 and np.abs(samples).max() > 300
    for _ in range(20):
        if any("listens to yard no more" in line for line in daemon.process.errors):
            break
        daemon.process.wait_for(lambda message: message["type"] == "tags")
        with daemon.viewer() as viewer:  # its loop has turned
            viewer.until(of("tags"))
    assert any("127.0.0.1 listens to yard now" in line for line in daemon.process.errors)
    assert any("listens to yard no more" in line for line in daemon.process.errors)
    assert not any(daemon.token in line for line in daemon.process.errors)


def test_streams_come_and_go_and_rules_change_while_it_is_looked_at(daemon: Served) -> None:
    with daemon.viewer() as viewer:
        viewer.until(of("hello"))
        viewer.watch(["gate"], ["Dog"])
        ask(daemon.control, "add", source=f"gate={daemon.uri}")
        ask(daemon.control, "set", stream="gate", label="Dog", key="on", value="0.7")
        viewer.until(lambda message: message["type"] == "tags" and message["stream"] == "gate")
        assert viewer.until(of("scores"))["stream"] == "gate" and viewer.picture()[2:6] == b"gate"
        gate = next(stream for stream in daemon.get("/api/state")["streams"] if stream["stream"] == "gate")
        assert gate["rules"]["Dog"]["on"] == 0.7
        assert daemon.get("/api/timeline?stream=gate&label=Dog")["end"]
        ask(daemon.control, "remove", stream="gate")
        viewer.until(lambda message: message["type"] == "status" and message["reason"] == "removed")
        assert [stream["stream"] for stream in daemon.get("/api/state")["streams"]] == ["yard"]
        assert daemon.refused("/api/timeline?stream=gate&label=Dog")[0] == 404


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:

    (tmp_path / "starlette.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'starlette'\", name='starlette')"
    )
    config = tmp_path / "glatd.toml"
    config.write_text('publish = ""\n[web]\naddress = "http://127.0.0.1:1"\n')
    done = glatd(
        "run", "--config", config, "--source", f"file:{ROOT / 'demo' / 'street.ogg'}",
        environment=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "glatd: the dashboard needs starlette; pip install 'glatd[web]'\n")
