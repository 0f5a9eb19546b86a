"""The camera's program; run by Debian's python3, which has GStreamer's bindings. See rtsp.py.

Orders on stdin: `lose SHARE`, packets of audio that do not leave, at random.
"""

import argparse
import random
import sys
import threading
import wave

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

RATE = 48_000  # Hz, of the tone
# Encoder and payloader, by the codec's name.
CODECS = {
    "l16": "rtpL16pay name=pay0",
    "pcmu": "audioresample ! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay0",
    "pcma": "audioresample ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay0",
    "opus": "audioresample ! audio/x-raw,rate=48000 ! opusenc ! rtpopuspay name=pay0",
}
VIDEO = (
    " videotestsrc is-live=true ! video/x-raw,format=I420,width=160,height=120,framerate=10/1"
    " ! jpegenc ! rtpjpegpay name=pay1"
)
share_lost = 0.0


class Loop:
    """Pushes the samples of a WAV file into an appsrc, over and over, with time stamps that go on."""

    def __init__(self, path):
        with wave.open(path, "rb") as file:
            self.rate, self.channels = file.getframerate(), file.getnchannels()
            self.data = file.readframes(file.getnframes())

    def feed(self, element):
        at = 0  # samples

        def need(source, _length):
            nonlocal at
            samples = self.rate // 50
            frame = 2 * self.channels
            first = at * frame % len(self.data)
            data = (self.data[first:] + self.data)[: samples * frame]
            buffer = Gst.Buffer.new_wrapped(data)
            buffer.pts = at * Gst.SECOND // self.rate
            buffer.duration = samples * Gst.SECOND // self.rate
            at += samples
            source.emit("push-buffer", buffer)

        element.connect("need-data", need)


class Camera(GstRtspServer.RTSPMediaFactory):
    def __init__(self, options):
        super().__init__()
        self.loop = Loop(options.sound) if options.sound else None
        if self.loop:
            caps = f"audio/x-raw,format=S16LE,layout=interleaved,rate={self.loop.rate},channels={self.loop.channels}"
            source = (
                f"appsrc name=sound format=time is-live=true block=false max-bytes=0 caps={caps} ! identity sync=true"
            )
        else:
            source = (
                f"audiotestsrc is-live=true freq=440 samplesperbuffer={RATE // 50} ! audio/x-raw,rate={RATE},channels=1"
            )
        self.set_launch(f"( {source} ! audioconvert ! {CODECS[options.codec]}{VIDEO if options.video else ''} )")
        self.set_shared(True)
        self.set_latency(0)
        self.connect("media-configure", self.configure)

    def configure(self, _factory, media):
        element = media.get_element()
        if self.loop:
            self.loop.feed(element.get_by_name("sound"))
        packets = element.get_by_name("pay0").get_static_pad("src")
        packets.add_probe(Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST, lose)


def lose(_pad, _info):
    """What becomes of a packet, or of the few that were made of 20 ms of sound."""
    return Gst.PadProbeReturn.DROP if random.random() < share_lost else Gst.PadProbeReturn.OK


def client_connected(_server, client):
    client.connect("setup-request", asked_for)


def asked_for(_client, context):
    print("asked for", context.uri.abspath, flush=True)


def orders():
    global share_lost
    for line in sys.stdin:
        word, value = line.split()
        assert word == "lose"
        share_lost = float(value)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", required=True)
    parser.add_argument("--codec", choices=CODECS, default="l16")
    parser.add_argument("--sound")
    parser.add_argument("--video", action="store_true")
    parser.add_argument("--login")
    options = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    server.connect("client-connected", client_connected)
    camera = Camera(options)
    if options.login:
        user, _, password = options.login.partition(":")
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("user", "media.factory.access", True)
        permissions.add_permission_for_role("user", "media.factory.construct", True)
        camera.set_permissions(permissions)
    server.get_mount_points().add_factory("/live", camera)
    server.attach(None)
    threading.Thread(target=orders, daemon=True).start()
    GLib.MainLoop().run()


main()
