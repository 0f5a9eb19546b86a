"""glatd.toml and the command line: what is taken, and what is refused by name."""

from pathlib import Path

import pytest

from glatd.daemon.settings import Settings, SourceSettings, read_settings
from glatd.errors import ConfigError


def toml(folder: Path, text: str) -> Path:
    path = folder / "glatd.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_given_is_the_defaults() -> None:
    assert read_settings(None) == Settings()


def test_a_file_is_read_and_the_command_line_stands_above_it(tmp_path: Path) -> None:
    path = toml(tmp_path, """
        node = "edge-1"
        hop = 1
        [[source]]
        name = "yard"
        uri = "mic:"
        [[source]]
        uri = "file:a.wav"
    """)
    settings = read_settings(path, hop=0.64, node=None)
    assert settings.node == "edge-1" and settings.hop == 0.64
    assert settings.source == (SourceSettings("mic:", "yard"), SourceSettings("file:a.wav"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nodes = 'a'", "unknown key 'nodes'; did you mean 'node'?"),
        ("[[sources]]\nuri = 'mic:'", "unknown key 'sources'; did you mean 'source'?"),
        ("[[source]]\nurl = 'mic:'", "source: unknown key 'url'; did you mean 'uri'?"),
        ("[[source]]\nname = 'yard'", "source: the key 'uri' is missing"),
        ("hop = 'fast'", "hop = 'fast' must be of type float"),
        ("hop = -1", "hop = -1.0 must be a number from 0.01 on"),
        ("hop = nan", "hop = nan must be"),
        ("hop = inf", "hop = inf must be"),
        ("status_seconds = 0", "status_seconds = 0.0 must be"),
        ("top = -1", "top = -1 must be"),
        ("crops = 0", "crops = 0 must be"),
        ("node = 'a/b'", "node = 'a/b' must be 1 to 64 letters"),
        (f"node = '{'a' * 65}'", "must be 1 to 64 letters"),
        ("hop = ", "is not a TOML file: Invalid value"),
    ],
)
def test_what_cannot_be_is_refused_with_the_file_the_key_and_the_value(tmp_path: Path, text: str, said: str) -> None:
    path = toml(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_settings(path)
    assert str(path) in str(caught.value) and said in str(caught.value)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*No such file"):
        read_settings(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*directory"):
        read_settings(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"node = '\xfc'")
    with pytest.raises(ConfigError, match="not a TOML file"):
        read_settings(tmp_path / "latin.toml")


def test_values_of_the_command_line_are_checked_too() -> None:
    with pytest.raises(ConfigError, match="command line: hop = nan"):
        read_settings(None, hop=float("nan"))


@pytest.mark.parametrize(
    ("host", "node"), [("edge-1.example", "edge-1.example"), ("my box ü", "my-box--"), ("", "node")]
)
def test_a_host_name_is_made_fit_for_topics(monkeypatch: pytest.MonkeyPatch, host: str, node: str) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: host)
    assert read_settings(None).node_name == node
