"""Passwords in any text: all hidden, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glatd.redact import redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot open rtsp://admin:s3cret@cam/live: refused", "cannot open rtsp://***@cam/live: refused"),
        ("https://token@host/x", "https://***@host/x"),
        ("rtsp://u:p@ss@cam:554/1", "rtsp://***@cam:554/1"),
        ("rtsp://admin:pa/ss?w#d@cam/1", "rtsp://***@cam/1"),
        ("'rtsp://admin:1234@a', \"http://x:y@b\"", "'rtsp://***@a', \"http://***@b\""),
        ("srt://h:9?passphrase=long+one&mode=caller", "srt://h:9?passphrase=***&mode=caller"),
        ("http://h/s?token=a.b-c&channel=1&Key=z", "http://h/s?token=***&channel=1&Key=***"),
        ("http://h/s?access_token=a;apikey=b", "http://h/s?access_token=***;apikey=***"),
        ("rtsp://cam:554/user=admin&password=tlJwpbo6&channel=1", "rtsp://cam:554/user=admin&password=***&channel=1"),
        ("rtsp://cam/user=admin_password=tlJ_channel=1.sdp", "rtsp://cam/user=admin_password=***"),
        ("http://cam/?usr=admin&pwd=12345", "http://cam/?usr=admin&pwd=***"),
        ("Authorization: Basic dTpw", "Authorization: Basic ***"),
        ("{'Authorization': 'Bearer abc.def'}", "{'Authorization': 'Bearer ***'}"),
    ],
)
def test_what_is_secret_is_hidden(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yard live: tcp://127.0.0.1:9000?rate=48000&format=s16le&channels=1; glat-mn04 every 0.96 s",
        "write to someone@example.org",
        "http://radio:8000/stream@128",
        "unknown key 'passwords'; did you mean 'password'?",
        "file:/recordings/night=long.flac",
        "mic:USB Audio: Device (hw:1,0)",
        "keyframe=3 monkey=4",
    ],
)
def test_what_is_not_secret_stays(text: str) -> None:
    assert redact(text) == text


WORD = st.text("abcXYZ012-._~!$*+%", min_size=6)


@given(
    scheme=st.sampled_from(["rtsp", "http", "srt", "zmq+tcp"]),
    user=WORD,
    password=WORD,
    around=st.text(" ab:\n", max_size=9),
)
def test_no_password_of_any_characters_gets_through(scheme: str, user: str, password: str, around: str) -> None:
    shown = redact(f"{around}{scheme}://{user}:{password}@cam:554/a {around}")
    assert shown == f"{around}{scheme}://***@cam:554/a {around}"


@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    once = redact(text)
    assert redact(once) == once
