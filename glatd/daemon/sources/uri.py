"""`[NAME=]URI` -> a source that is not yet opened."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from glatd.daemon.recording.layout import is_recorded_stream, is_recording
from glatd.daemon.recording.reader import RecordingSource
from glatd.daemon.sources.base import NAME, Source, safe_name
from glatd.daemon.sources.file import FileSource
from glatd.daemon.sources.folder import FolderSource
from glatd.daemon.sources.hidden import without_password as without_password  # for those who print URIs
from glatd.daemon.sources.mic import parse_mic
from glatd.daemon.sources.network import NetworkSource
from glatd.daemon.sources.pcm import MOST_CHANNELS, PcmFormat, nearest, parse_count, parse_format, parse_query
from glatd.daemon.sources.pcm_tcp import TcpPcmSource
from glatd.daemon.sources.pcm_udp import UdpPcmSource
from glatd.daemon.sources.pcm_zmq import ZmqPcmSource
from glatd.daemon.sources.srt import SrtSource
from glatd.daemon.sources.target import network_target, rtp_target
from glatd.errors import ConfigError

_PCM = "HOST:PORT?rate=48000&format=s16le&channels=1"
# What to write, by scheme.
_EXAMPLES = {
    "mic": "mic: | mic:NAME",
    "file": "file:PATH",
    "rtsp": "rtsp://USER:PASSWORD@HOST/PATH",
    "rtsps": "rtsps://HOST/PATH",
    "rtmp": "rtmp://HOST/APP/STREAM",
    "rtmps": "rtmps://HOST/APP/STREAM",
    "http": "http://HOST/MOUNT",
    "https": "https://HOST/PLAYLIST.m3u8",
    "srt": "srt://HOST:PORT?passphrase=PASSPHRASE",
    "rtp": "rtp:PATH.sdp",
    "tcp": f"tcp://{_PCM}",
    "udp": f"udp://{_PCM}",
    "zmq+tcp": "zmq+tcp://127.0.0.1:PORT",
}
_USUAL = " | ".join(_EXAMPLES[scheme] for scheme in ("mic", "file", "rtsp", "http", "tcp"))


def parse_source(text: str) -> Source:
    """Make the source that `[NAME=]URI` describes, without opening it.

    Raises:
        ConfigError: a scheme, name, address or option that is not known.
    """
    name, uri = _split_name(text)
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme.lower() not in _EXAMPLES:
        raise ConfigError(_unknown(uri, scheme, bool(colon)))
    scheme = scheme.lower()
    if scheme == "mic":
        return parse_mic(rest, name)
    if scheme == "file":
        path, channel = _path(rest, uri, scheme)
        if is_recording(path):
            raise ConfigError(f"source {uri!r} is a recording of several streams; name one of them: {uri}/stream-NAME")
        if is_recorded_stream(path):
            return RecordingSource(path, name, channel)
        return (FolderSource if os.path.isdir(path) else FileSource)(path, name, channel)
    if scheme == "rtp":
        path, channel = _path(rest, uri, scheme)
        return NetworkSource(rtp_target(path), name or safe_name(path.stem, "rtp"), name is not None, channel)
    if scheme == "tcp":
        return _parse_pcm(uri, name, TcpPcmSource)
    if scheme == "udp":
        return _parse_pcm(uri, name, UdpPcmSource)
    if scheme == "zmq+tcp":
        return _parse_zmq(uri, name)
    return _parse_network(uri, name)


def _split_name(text: str) -> tuple[str | None, str]:
    """`NAME=URI` in two; an equals sign after the scheme belongs to the URI."""
    text = text.strip()
    name, equals, uri = text.partition("=")
    if not equals or ":" in name:
        return None, text
    if not NAME.fullmatch(name):
        raise ConfigError(f"source name {name!r} must be 1 to 64 letters, digits or any of _ . -")
    return name, uri


def _unknown(uri: str, scheme: str, is_uri: bool) -> str:
    shown = without_password(uri)
    if not is_uri:
        remedy = f"did you mean '{scheme}:'?" if scheme in _EXAMPLES else f"for a recording write {'file:' + shown!r}"
        return f"source {shown!r} has no scheme; {remedy} (for example: {_USUAL})"
    return f"source {shown!r}: unknown scheme {scheme!r}; {nearest(scheme, _EXAMPLES)} (for example: {_USUAL})"


def _path(rest: str, uri: str, scheme: str) -> tuple[Path, int | None]:
    """`file:PATH` takes the path as it stands, `file:///PATH` (RFC 8089) with its %-escapes; and `?channel=`."""
    channel = None
    # Names of files may have question marks; options look like options.
    if match := re.fullmatch(r"(.*)\?channel=(.*)", rest):
        rest, channel = match[1], _channel(match[2], f"source {uri!r}")
    if rest.startswith("//"):
        try:
            parts = urlsplit(f"file:{rest}")
        except ValueError as error:  # of a bracket in the host
            raise ConfigError(f"source {uri!r}: {error}; write {_EXAMPLES[scheme]}") from error
        if parts.netloc not in ("", "localhost"):
            raise ConfigError(f"source {uri!r}: a file on host {parts.netloc!r} cannot be read; write file:PATH")
        rest = unquote(parts.path)
    if not rest or "\0" in rest:
        raise ConfigError(f"source {uri!r} names no file; write {_EXAMPLES[scheme]}")
    return Path(rest).expanduser() if rest.startswith("~/") else Path(rest), channel


def _channel(text: str, where: str) -> int:
    return parse_count(text, "channel", 1, MOST_CHANNELS, where)


def _parse_network(uri: str, name: str | None) -> Source:
    target, values = network_target(uri)
    channel = _channel(values["channel"], f"source {target.shown!r}") if "channel" in values else None
    parts = urlsplit(target.url)
    default = safe_name(f"{parts.netloc.rpartition('@')[2]}{parts.path}", parts.scheme)
    if parts.scheme == "srt":
        return SrtSource(target.url, target.shown, name or default, name is not None, channel)
    return NetworkSource(target, name or default, name is not None, channel)


def _parse_pcm(uri: str, name: str | None, make: Callable[[str, int, PcmFormat, str | None], Source]) -> Source:
    host, port, query = _address(uri)
    return make(host, port, parse_format(query, f"source {without_password(uri)!r}"), name)


def _parse_zmq(uri: str, name: str | None) -> Source:
    host, port, query = _address(uri)
    where = f"source {without_password(uri)!r}"
    values = parse_query(query, ("channel",), where)
    channel = _channel(values["channel"], where) if "channel" in values else None
    return ZmqPcmSource(f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}", name, channel)


def _address(uri: str) -> tuple[str, int, str]:
    """Host, port and query of a URI that has nothing else."""
    shown = without_password(uri)
    scheme = uri.partition(":")[0].lower()
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"source {shown!r}: {error}; write {scheme}://HOST:PORT") from error
    if not host or not port:
        raise ConfigError(f"source {shown!r} needs a host and a port; write {scheme}://HOST:PORT")
    if "@" in parts.netloc:
        raise ConfigError(f"source {shown!r}: raw PCM knows no user and password; write {scheme}://HOST:PORT")
    if parts.path not in ("", "/") or parts.fragment:
        raise ConfigError(f"source {shown!r}: raw PCM knows no path; write {_EXAMPLES[scheme]}")
    return host, port, parts.query
