"""What FFmpeg is asked to open for the URI of a network stream, and with which options."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from glatd.daemon.sources import tls
from glatd.daemon.sources.hidden import without_password
from glatd.daemon.sources.pcm import nearest, parse_query
from glatd.errors import ConfigError

_TRANSPORTS = {"tcp": "through the connection itself", "udp": "in datagrams", "http": "in an HTTP tunnel"}

# FFmpeg looks at this much at most, in bytes and microseconds, before it says what a stream is: a picture
# may stand before the sound. What it takes is waited for at every reconnect.
_PROBE = {"probesize": "500000", "analyzeduration": "1000000"}


@dataclass(frozen=True, slots=True)
class Target:
    """What FFmpeg is asked to open.

    Attributes:
        url: with its password.
        shown: the same as it may be printed.
        options: FFmpeg's, of the protocol and the format.
        format: FFmpeg's name of it, where it cannot find out.
        rtp: whether its sound comes in RTP packets.
        silent_s: seconds without sound after which it is opened again.
        jitter_s: as `Source.jitter`.
    """

    url: str
    shown: str
    options: Mapping[str, str] = field(default_factory=dict)
    format: str | None = None
    rtp: bool = False
    silent_s: float = 10.0
    jitter_s: float = 0.5

    @property
    def checked(self) -> bool:
        """Whether its certificate is checked."""
        return self.options.get("tls_verify") == "1"


def network_target(uri: str) -> tuple[Target, dict[str, str]]:
    """The target of `rtsp://`, `rtmp://`, `http://` and their TLS kin, and the options of ours in it.

    Options stand behind a `#`, which no server ever sees: what is behind a `?` is the server's own.

    Raises:
        ConfigError: no host, an option that is not known.
    """
    url, _, options = uri.partition("#")
    shown = without_password(uri)
    scheme = url.partition(":")[0].lower()
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"source {shown!r}: {error}; write {scheme}://HOST:PORT/PATH") from error
    if not host:
        raise ConfigError(f"source {shown!r} needs a host; write {scheme}://HOST/PATH")
    secure = scheme in tls.SCHEMES
    keys = ("channel", *(("transport",) if scheme in ("rtsp", "rtsps") else ()), *(tls.KEYS if secure else ()))
    values = parse_query(options, keys, f"source {shown!r}")
    ffmpeg = _PROBE | (tls.tls_options(values, f"source {shown!r}") if secure else {})
    if scheme in ("rtsp", "rtsps"):
        transport = values.get("transport", "tcp")
        if transport not in _TRANSPORTS:
            raise ConfigError(f"source {shown!r}: unknown transport {transport!r}; {nearest(transport, _TRANSPORTS)}")
        # Of a camera only the sound is asked for, so no picture is even sent.
        ffmpeg |= {"rtsp_transport": transport, "allowed_media_types": "audio", "analyzeduration": "0"}
    elif scheme in ("rtmp", "rtmps"):
        ffmpeg["analyzeduration"] = "100000"  # it never knows whether something else will come, and waits for it
    # The segments of HLS come when their list is looked at, which may be a whole segment late.
    jitter = 10.0 if parts.path.lower().endswith(".m3u8") else 0.5
    return Target(url, shown, ffmpeg, rtp=scheme in ("rtsp", "rtsps"), jitter_s=jitter), values


def rtp_target(path: Path) -> Target:
    """The target of `rtp:PATH.sdp`: datagrams that arrive here, as the SDP file (RFC 8866) describes them."""
    ffmpeg = _PROBE | {"analyzeduration": "0", "protocol_whitelist": "file,crypto,rtp,udp"}
    # FFmpeg drops the packets of a sender that was started again as old ones, until it is opened again; that
    # costs nothing here, where there is no connection.
    return Target(str(path), f"rtp:{path}", ffmpeg, "sdp", True, silent_s=1.5)
