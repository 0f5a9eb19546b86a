"""The client in JavaScript: its own tests, run by Node's test runner against the real journal, publisher and daemon.

They are in tests/clients/node/; `node --test FILE` runs one by hand, with the Python to use in GLATD_PYTHON.
"""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import time
import typing
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from glatd import __version__
from glatd.clients.feeder import AudioFeeder
from glatd.labels import _nodes
from glatd.messages import TYPES
from tests.clients.nodes import Node
from tests.conftest import ROOT
from tests.daemon.processes import free_endpoint, glatd, running, started

CLIENT = ROOT / "clients" / "node"
TESTS = Path(__file__).with_name("node")
PATIENCE_S = 300.0  # for a file of tests, on a machine that is busy with others

NODE = shutil.which("node")
MISSING = (
    "needs Node.js (Debian: nodejs)" if NODE is None
    else "needs what `npm ci --ignore-scripts` in clients/node installs" if not (CLIENT / "node_modules").is_dir()
    else ""
)  # fmt: skip

pytestmark = [
    pytest.mark.skipif(bool(MISSING) and not os.environ.get("CI"), reason=MISSING),
    pytest.mark.timeout(PATIENCE_S + 60),
]


def node(*arguments: str | Path, where: Path = ROOT, **environment: str) -> str:
    """Run Node.js to its end; what it prints."""
    assert NODE is not None and not MISSING, MISSING
    done = subprocess.run(
        [NODE, *arguments], cwd=where, env=os.environ | environment | {"GLATD_PYTHON": sys.executable},
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-5000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.parametrize("name", ["joiner", "parts", "events"])
def test_its_own_tests(name: str) -> None:
    said = node("--test", TESTS / f"{name}.test.js")
    (count,) = re.findall(r"(?:#|ℹ) pass (\d+)", said)
    assert int(count) >= 8


def test_a_program_in_typescript_is_checked_against_its_types() -> None:
    compiler = CLIENT / "node_modules" / "typescript" / "bin" / "tsc"
    node(
        compiler, "--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--module", "nodenext",
        "--types", "node", "--typeRoots", CLIENT / "node_modules" / "@types", TESTS / "types.ts",
    )  # fmt: skip


def test_it_knows_the_messages_and_labels_that_python_knows() -> None:
    """labels.json is made of glatd/labels.csv by the command in clients/node/README.md."""
    labels = json.loads((CLIENT / "lib" / "labels.json").read_text(encoding="utf-8"))
    assert labels == [[label.mid, label.name, *parents] for label, _, parents in _nodes()]
    program = "import { TYPES } from './lib/messages.js'; console.log(JSON.stringify(TYPES))"
    known = json.loads(node("--input-type=module", "--eval", program, where=CLIENT))
    assert known.keys() == TYPES.keys()
    for kind, cls in TYPES.items():
        fields = {field.name.rstrip("_"): field for field in dataclasses.fields(cls)}
        optional = {name for name, field in fields.items() if field.default is not dataclasses.MISSING}
        assert known[kind]["keys"].keys() == fields.keys() and known[kind]["absent"].keys() == optional
        for parts in (name for name, hint in typing.get_type_hints(cls).items() if typing.get_origin(hint) is tuple):
            (held,) = known[kind]["keys"][parts]
            (of, *_) = typing.get_args(typing.get_type_hints(cls)[parts])
            assert held == "str" if of is str else held.keys() == {f.name.rstrip("_") for f in dataclasses.fields(of)}


def test_the_package_is_whole() -> None:
    package = json.loads((CLIENT / "package.json").read_text(encoding="utf-8"))
    assert package["version"] == __version__
    assert package["dependencies"].keys() == {"zeromq", "@msgpack/msgpack"}
    lock = json.loads((CLIENT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert not [name for name, of in lock.items() if "resolved" in of]  # no registry's address
    assert all("integrity" in of for name, of in lock.items() if name)
    program = "console.log(...Object.keys(await import('glatd-client')))"
    exported = node("--input-type=module", "--eval", program, where=CLIENT)
    types = (CLIENT / "index.d.ts").read_text(encoding="utf-8")
    declared = re.findall(r"^export (?:class|function) (\w+)", types, re.M)
    assert sorted(exported.split()) == sorted(declared)


@pytest.mark.parametrize("number", [0, 1])
def test_the_programs_of_the_documentation_run(tmp_path: Path, number: int) -> None:
    program = re.findall(r"```js\n(.*?)```", (ROOT / "docs" / "node.md").read_text(encoding="utf-8"), re.S)[number]
    with closing(Node(tmp_path / "journal")) as daemon:
        program = program.replace("tcp://127.0.0.1:5555", daemon.publish)
        program = program.replace("tcp://127.0.0.1:5557", daemon.catchup).replace("doorbell", f"{tmp_path}/doorbell")
        # Where the package is, its name means itself.
        command = ["sh", "-c", 'cd "$0" && exec "$@"', str(CLIENT), str(NODE), "--input-type=module", "--eval", program]
        with started(command) as process:
            until = time.monotonic() + PATIENCE_S
            while not process.lines and process.process.poll() is None and time.monotonic() < until:
                daemon.say(1)
                time.sleep(0.1)
            assert process.lines and "yard" in process.lines[0] and "Dog" in process.lines[0], process.errors


@contextmanager
def hearing(folder: Path) -> Iterator[dict[str, str]]:
    """A daemon with keys that hears 10 s of the demo, over and over; how to reach it."""
    import av
    import numpy as np

    keys, publish, catchup, feed = folder / "keys", free_endpoint(), free_endpoint(), free_endpoint()
    assert glatd("keys", "init", "--dir", keys).returncode == 0
    assert glatd("keys", "add", "ear", "--rights", "subscribe,feed", "--dir", keys).returncode == 0
    config = folder / "glatd.toml"
    config.write_text(
        f'node = "edge-1"\nkeys = "{keys}"\npublish = "{publish}"\ncatchup = "{catchup}"\n'
        f'journal = "{folder}/journal"\n[[source]]\nname = "yard"\nuri = "zmq+{feed}"\n'
    )
    with av.open(str(ROOT / "demo" / "street.ogg")) as recording:
        rate = recording.streams.audio[0].rate
        sound = np.concatenate([frame.to_ndarray().mean(0) for frame in recording.decode(audio=0)])
    dog = np.round(32_767 * sound[13 * rate : 22 * rate]).astype("<i2")
    with (
        running("run", "--config", config) as daemon,
        AudioFeeder(feed, rate, keys=keys / "ear.key") as feeder,
    ):
        until = time.monotonic() + 60
        while not feeder.push(dog[: rate // 10].tobytes()) and time.monotonic() < until:
            time.sleep(0.1)
        for start in range(0, len(dog), rate // 5):  # at once: it may be 10 s ahead
            feeder.push(dog[start : start + rate // 5].tobytes())
        yield {"PUBLISH": publish, "CATCHUP": catchup, "KEYS": str(keys / "ear.key")}
        assert daemon.process.poll() is None, daemon.errors


def test_it_hears_a_daemon_that_hears_a_dog(tmp_path: Path) -> None:
    with hearing(tmp_path) as reach:
        node("--test", TESTS / "hearing.test.js", **reach)
