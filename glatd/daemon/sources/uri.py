"""`[NAME=]URI` -> a source that is not yet opened."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from glatd.daemon.sources.base import NAME, Source
from glatd.daemon.sources.file import FileSource
from glatd.daemon.sources.mic import parse_mic
from glatd.daemon.sources.pcm import nearest, parse_format
from glatd.daemon.sources.pcm_tcp import TcpPcmSource
from glatd.errors import ConfigError

_EXAMPLES = "mic: | mic:NAME | file:PATH | tcp://HOST:PORT?rate=48000&format=s16le&channels=1"
_KNOWN = ("mic", "file", "tcp")
_LATER = ("rtsp", "rtsps", "rtmp", "http", "https", "srt", "rtp", "udp", "zmq+tcp")


def parse_source(text: str) -> Source:
    """Make the source that `[NAME=]URI` describes, without opening it.

    Raises:
        ConfigError: a scheme, name, address or option that is not known.
    """
    name, uri = _split_name(text)
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme.lower() not in _KNOWN:
        raise ConfigError(_unknown(uri, scheme, bool(colon)))
    scheme = scheme.lower()
    if scheme == "mic":
        return parse_mic(rest, name)
    if scheme == "file":
        return FileSource(_path(rest, uri), name)
    return _parse_tcp(uri, name)


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
        remedy = f"did you mean '{scheme}:'?" if scheme in _KNOWN else f"for a recording write 'file:{shown}'"
        return f"source {shown!r} has no scheme; {remedy} (known: {_EXAMPLES})"
    if scheme.lower() in _LATER:
        return f"source {shown!r}: {scheme}: is not supported yet; known: {_EXAMPLES}"
    return f"source {shown!r}: unknown scheme {scheme!r}; {nearest(scheme, _KNOWN)} (known: {_EXAMPLES})"


def _path(rest: str, uri: str) -> Path:
    """`file:PATH` takes the path as it stands, `file:///PATH` (RFC 8089) with its %-escapes."""
    if rest.startswith("//"):
        parts = urlsplit(f"file:{rest}")
        if parts.netloc not in ("", "localhost"):
            raise ConfigError(f"source {uri!r}: a file on host {parts.netloc!r} cannot be read; write file:PATH")
        rest = unquote(parts.path)
    if not rest or "\0" in rest:
        raise ConfigError(f"source {uri!r} names no file; write file:PATH")
    return Path(rest).expanduser() if rest.startswith("~/") else Path(rest)


def _parse_tcp(uri: str, name: str | None) -> Source:
    shown = without_password(uri)
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"source {shown!r}: {error}; write tcp://HOST:PORT") from error
    if not host or not port:
        raise ConfigError(f"source {shown!r} needs a host and a port; write tcp://HOST:PORT")
    if "@" in parts.netloc:
        raise ConfigError(f"source {shown!r}: raw PCM knows no user and password; write tcp://HOST:PORT")
    if parts.path not in ("", "/") or parts.fragment:
        raise ConfigError(f"source {shown!r}: raw PCM knows no path; write {_EXAMPLES.split(' | ')[-1]}")
    return TcpPcmSource(host, port, parse_format(parts.query, f"source {shown!r}"), name)


def without_password(uri: str) -> str:
    """The URI with what stands before an `@` in its address hidden."""
    scheme, slashes, rest = uri.partition("://")
    ends = [at for at in map(rest.find, "/?#") if at >= 0]
    end = min(ends, default=len(rest))
    login, at, address = rest[:end].rpartition("@")
    return f"{scheme}://***@{address}{rest[end:]}" if slashes and at and login else uri
