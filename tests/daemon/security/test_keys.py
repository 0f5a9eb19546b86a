"""Keys on disk: private from their first moment, refused when others may read them, listed in one text file."""

import os
import re
import stat
import threading
from pathlib import Path

import pytest

from glatd.clients.keys import Keys, read_keys
from glatd.daemon.control import LARGEST_REQUEST
from glatd.daemon.endpoint import HANDSHAKE_MS
from glatd.daemon.publish import LONGEST_TOPIC, MOST_TOPIC_BYTES, SEND_HWM
from glatd.daemon.security import keyring
from glatd.daemon.security.access import check_reach, is_local, make_access
from glatd.daemon.security.clients import AllowList, read_clients
from glatd.daemon.security.guard import AGAIN_SECONDS, UNKNOWN_AN_HOUR
from glatd.daemon.security.keyring import Keyring
from glatd.daemon.sources.pcm_zmq import MOST_BYTES
from glatd.errors import ConfigError
from tests.daemon.processes import glatd


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keyring.init(tmp_path / "keys")
    return tmp_path / "keys"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_files_are_for_their_owner_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        keyring.init(tmp_path / "a" / "keys")
        file = keyring.add(tmp_path / "a" / "keys", "phone", ["subscribe"])
    finally:
        os.umask(before)
    assert mode(file.parent) == 0o700
    assert {path.name: mode(path) for path in file.parent.iterdir()} == {
        "node.key": 0o600, "clients.toml": 0o600, "phone.key": 0o600,
    }  # fmt: skip


def test_a_clients_file_is_what_it_needs(folder: Path) -> None:
    keys = read_keys(keyring.add(folder, "phone", ["subscribe", "feed"]))
    assert (keys.name, keys.node) == ("phone", Keyring(folder).public)
    assert keys.secret not in repr(keys) and keys.secret not in (folder / "clients.toml").read_text()
    (client,) = keyring.clients(folder)
    assert (client.name, client.public, client.rights) == ("phone", keys.public, ("subscribe", "feed"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", client.since) and not client.revoked


@pytest.mark.parametrize("bits", [0o604, 0o640, 0o602, 0o620])
def test_a_secret_that_others_may_use_is_refused(folder: Path, bits: int) -> None:
    file = keyring.add(folder, "phone", ["subscribe"])
    for path, read in ((file, read_keys), (folder / "node.key", lambda _: Keyring(folder))):
        path.chmod(bits)
        with pytest.raises(ConfigError, match=f"mode {bits:04o}.*chmod 600 {path}"):
            read(path)
        path.chmod(0o600)
        read(path)


def test_a_folder_that_others_may_look_into_is_refused(folder: Path) -> None:
    folder.chmod(0o750)
    with pytest.raises(ConfigError, match=f"chmod 700 {folder}"):
        make_access(str(folder), False)
    with pytest.raises(ConfigError, match="chmod 700"):
        keyring.init(folder)


def test_keys_are_not_overwritten(folder: Path) -> None:
    before = (folder / "node.key").read_bytes()
    with pytest.raises(ConfigError, match=r"node\.key is there already"):
        keyring.init(folder)
    keyring.add(folder, "phone", ["subscribe"])
    with pytest.raises(ConfigError, match="there is a client 'phone'; revoke it first"):
        keyring.add(folder, "phone", ["feed"])
    assert (folder / "node.key").read_bytes() == before
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_who_was_revoked_is_still_known_and_may_get_new_keys(folder: Path) -> None:
    old = read_keys(keyring.add(folder, "phone", ["subscribe"]))
    allowed = AllowList(folder / "clients.toml")
    assert allowed.why_not(old.public, "subscribe") == ""
    assert allowed.why_not(old.public, "control") == "phone has no right to control, only to subscribe"
    keyring.revoke(folder, "phone")
    assert "the key of phone was revoked on 20" in allowed.why_not(old.public, "subscribe")
    assert not (folder / "phone.key").exists()
    with pytest.raises(ConfigError, match="no client 'phone' to revoke; known: none"):
        keyring.revoke(folder, "phone")
    new = read_keys(keyring.add(folder, "phone", ["subscribe"]))
    assert allowed.why_not(new.public, "subscribe") == ""
    assert allowed.why_not(old.public, "subscribe") == f"the key {old.public} is unknown"


def test_a_list_that_cannot_be_read_leaves_all_as_it_was(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys = read_keys(keyring.add(folder, "phone", ["subscribe"]))
    path = folder / "clients.toml"
    allowed, text = AllowList(path), path.read_text()
    path.write_text(text.replace("subscribe", "conquer"))
    assert [allowed.why_not(keys.public, "subscribe") for _ in range(3)] == ["", "", ""]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "there is no right 'conquer'; known: subscribe, feed, control" in caplog.text
    path.write_text(text.replace('["subscribe"]', "[]"))
    assert allowed.why_not(keys.public, "subscribe") == "phone has no right to subscribe, only to nothing"


KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("client = 1", "must be an array"),
        ("[[client]]\nname = 'a'", "'public' is missing"),
        (f"[[client]]\nname = 'a'\npublic = '{KEY[1:]}'\nrights = []\nsince = ''", "public key of 'a' is no key of 40"),
        (f"[[client]]\nname = 'a'\npublic = '{KEY}'\nright = []\nsince = ''", "did you mean 'rights'"),
        (2 * f"[[client]]\nname = 'a'\npublic = '{KEY}'\nrights = []\nsince = ''\n", "two clients have the same name"),
        ("\xff", "not a TOML file"),
    ],
)
def test_what_is_no_list_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "clients.toml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError, match=said) as caught:
        read_clients(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "name = 'a'", "secret = 'abc", "\xff", "name = 'a'\npublic = 'b'\nsecret = 'hush'\nnode = 'd'"]
)
def test_what_is_no_file_of_keys_is_refused_without_quoting_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.key"
    path.write_text(text, encoding="latin-1")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="`glatd keys") as caught:
        read_keys(path)
    assert "abc" not in str(caught.value) and "hush" not in str(caught.value)


def test_ten_at_once_are_all_let_in(folder: Path) -> None:
    adding = [threading.Thread(target=keyring.add, args=(folder, f"c{i}", ["feed"])) for i in range(10)]
    for thread in adding:
        thread.start()
    for thread in adding:
        thread.join()
    assert {client.name for client in keyring.clients(folder)} == {f"c{i}" for i in range(10)}


@pytest.mark.parametrize("name", ["", "../a", "a b", "node", ".a", "x" * 65, 'a"b'])
def test_what_cannot_be_the_name_of_a_file_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a client"):
        keyring.add(folder, name, ["feed"])


@pytest.mark.parametrize(
    ("endpoint", "local"),
    [
        ("tcp://127.0.0.1:1", True), ("tcp://[::1]:1", True), ("tcp://localhost:1", True), ("ipc:///x", True),
        ("tcp://0.0.0.0:1", False), ("tcp://*:1", False), ("tcp://192.168.1.5:1", False), ("tcp://[::]:1", False),
        ("tcp://lo:1", False), ("tcp://127.0.0.1.example.org:1", False),
    ],
)  # fmt: skip
def test_other_machines_are_let_in_with_keys_or_when_it_is_said_twice(folder: Path, endpoint: str, local: bool) -> None:
    assert is_local(endpoint) == local
    check_reach(endpoint, "x", "y", make_access(str(folder), False))
    check_reach(endpoint, "x", "y", make_access("", True))
    if not local:
        with pytest.raises(ConfigError, match=r"make keys \(`glatd keys init`\).*insecure = true"):
            check_reach(endpoint, "x", "y", make_access("", False))


def test_the_command_line(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    for arguments, code, said in (
        (("list",), 2, f"make it with `glatd keys init --dir {folder}`"),
        (("init",), 0, "a node whose public key is "),
        (("init",), 2, "is there already"),
        (("add", "phone", "--rights", "subscribe, control"), 0, f"{folder}/phone.key: a secret"),
        (("add", "tv", "--rights", "watch"), 2, "there is no right 'watch'"),
        (("list",), 0, "phone                subscribe,control"),
        (("revoke", "phone"), 0, "phone is let in no more"),
        (("list",), 0, "phone                revoked 20"),
    ):
        done = glatd("keys", *arguments, "--dir", folder)
        assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done
        assert len((done.stdout + done.stderr).splitlines()) <= 2


def test_keys_that_were_made_are_keys(folder: Path) -> None:
    keys = read_keys(keyring.add(folder, "phone", ["feed"]))
    assert isinstance(keys, Keys) and {len(keys.public), len(keys.secret), len(keys.node)} == {40}


def test_the_limits_of_the_docs_are_so() -> None:
    """docs/security.md; its commands run in tests/docs/."""
    assert (LONGEST_TOPIC, LARGEST_REQUEST, MOST_BYTES, HANDSHAKE_MS, SEND_HWM) == (
        512,
        16 << 10,
        1 << 20,
        10_000,
        10_000,
    )
    assert MOST_TOPIC_BYTES == 1 << 20 and AGAIN_SECONDS == 3600 and UNKNOWN_AN_HOUR == 20
