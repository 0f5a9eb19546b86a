"""Configurations and programs in the documentation: each reads, compiles or runs as it stands."""

import ast
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from glatd.clients.bridges.base import read_bridge_settings
from glatd.clients.bridges.mqtt_settings import MqttSettings
from glatd.clients.bridges.webhook import WebhookSettings
from glatd.daemon.hub import read_hub
from glatd.daemon.journal.catchup import VERSION as CATCHUP
from glatd.daemon.journal.schema import VERSION as JOURNAL
from glatd.daemon.recording.layout import VERSION as RECORDING
from glatd.daemon.settings import read_settings
from glatd.engines.manifest import VERSION as MANIFEST
from glatd.messages import VERSION as MESSAGES
from tests.clients.nodes import Node
from tests.conftest import ROOT
from tests.daemon.processes import PATIENCE_S, started
from tests.docs.pages import Block, blocks, pages

ALL = [block for page in pages() for block in blocks(page)]
PACKAGE = ROOT / "clients" / "node"


def of(language: str) -> list[Block]:
    return [block for block in ALL if block.language == language]


def test_every_fenced_block_names_its_language() -> None:
    bare = [f"{block.page}:{block.line}" for block in ALL if not block.language and is_fenced(block)]
    assert not bare, f"mark them sh, toml, json, python ... or text: {', '.join(bare)}"


def is_fenced(block: Block) -> bool:
    lines = (ROOT / block.page).read_text(encoding="utf-8").splitlines()
    return lines[block.line - 2].strip().startswith("```")


@pytest.mark.parametrize("block", of("toml"), ids=lambda block: f"{block.page}:{block.line}")
def test_every_configuration_reads(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    path.write_text(block.text, encoding="utf-8")
    keys = tomllib.loads(block.text).keys()
    if "broker" in keys:
        read_bridge_settings(MqttSettings, path)
    elif "url" in keys:
        read_bridge_settings(WebhookSettings, path)
    elif "box" in keys:
        read_hub(path)
    else:
        read_settings(path)


@pytest.mark.parametrize("block", of("python"), ids=lambda block: f"{block.page}:{block.line}")
def test_every_program_in_python_is_one(block: Block) -> None:
    ast.parse(block.text)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with closing(Node(tmp_path_factory.mktemp("node"))) as made:
        yield made


def subscriber(language: str, node: Node) -> str:
    """The program of docs/subscriber.md in a language, for this node."""
    (block,) = [block for block in of(language) if block.page == "docs/subscriber.md"]
    return block.text.replace("tcp://127.0.0.1:5555", node.publish)


def hears(command: list[str], node: Node) -> None:
    """A program prints the stream, phase, label and peak of an event."""
    with started(command, os.environ) as process:
        until = time.monotonic() + PATIENCE_S
        while not process.lines and process.process.poll() is None and time.monotonic() < until:
            node.say(1, label="Truck", phase="end", peak=0.875)
            time.sleep(0.2)
        assert process.lines, process.errors
        assert re.fullmatch(r"yard end Truck 0\.8[78]", process.lines[0])


def test_the_subscriber_in_python_hears(node: Node) -> None:
    hears([sys.executable, "-u", "-c", subscriber("python", node)], node)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js (Debian: nodejs)")
@pytest.mark.skipif(not (PACKAGE / "node_modules" / "zeromq").is_dir(), reason="needs scripts/npm to have run")
def test_the_subscriber_in_javascript_hears(node: Node) -> None:
    # Where the packages are.
    program = ["node", "--input-type=module", "--eval", subscriber("js", node)]
    hears(["sh", "-c", 'cd "$0" && exec "$@"', str(PACKAGE), *program], node)


def test_the_subscriber_in_c_hears(node: Node, tmp_path: Path) -> None:
    lacking = [name for name in ("zmq.h", "msgpack.h") if not (Path("/usr/include") / name).is_file()]
    if shutil.which("cc") is None or lacking:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs a C compiler, libzmq3-dev and libmsgpack-dev")
    (tmp_path / "listen.c").write_text(subscriber("c", node))
    text = (ROOT / "docs" / "subscriber.md").read_text(encoding="utf-8")
    (build,) = re.findall(r"`cc (.*?)`", text)
    command = ["cc", "-Wall", "-Wextra", "-Werror", *build.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    hears([str(tmp_path / "listen")], node)


def test_the_versions_that_upgrading_tells_of_are_those_there_are() -> None:
    text = (ROOT / "docs" / "upgrading.md").read_text(encoding="utf-8")
    told = {name.strip(): int(version) for name, version in re.findall(r"^\| ([\w ]+)[^|]*\| (\d+) \|", text, re.M)}
    bundle = re.findall(r"^VERSION = (\d+)", (ROOT / "trainer" / "bundle.py").read_text(encoding="utf-8"), re.M)
    assert told == {
        "messages": MESSAGES,
        "requests to the control and catch": CATCHUP,
        "journal": JOURNAL,
        "recordings": RECORDING,
        "engines": MANIFEST,
        "weights bundles": int(*bundle),
    }
