"""The audio track of a live stream that FFmpeg has opened: its blocks, with every loss shown."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from glatd.audio import Block, exact_bits, forget_speakers, to_float
from glatd.daemon.sources.base import pick_channel
from glatd.errors import SourceError
from glatd.lost import LostAudio

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

# Damage is passed over, but what gives nothing else is no audio.
_MOST_DAMAGED = 200  # packets one after the other; seconds of them
# What RTP loses are packets, so a jump of less than half the smallest of them is jitter of the sender's clock.
_LEAST_LOST = 0.5
_JITTER_S = 0.010
# A connection that gives nothing for 10 s is given up: a longer jump is a clock that was set.
_LONGEST_LOST_S = 60.0
# Before it has seen a few packets FFmpeg guesses stamps (AAC in MPEG-TS: a frame too few), and Icecast keeps
# the first page of Ogg FLAC with the headers and sends it, old sound, to every new listener.
_PREFACE_S = 0.5  # of sound whose stamps tell nothing, of a stream that is not RTP


def live_blocks(
    container: "InputContainer", where: str, channel: int | None = None, rtp: bool = False
) -> Iterator[Block]:
    """Decode the first audio track packet by packet; other tracks are left alone.

    What cannot be read or decoded is lost audio, and so is what the time stamps jump over: the index moves
    on by as much.

    Args:
        container: just opened; the caller closes it.
        where: what to call the source in errors.
        channel: as in `pick_channel`.
        rtp: whether it comes in RTP packets, of which every one counts.

    Raises:
        SourceError: no audio track, nothing but damage, a rate or number of channels that changes.
        av.error.FFmpegError: reading fails.
    """
    if not container.streams.audio:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise SourceError(f"{where}: no audio track (it sends {kinds}); switch the sound on at the sender")
    track = container.streams.audio[0]
    lost: LostAudio | None = None
    preface = 0.0 if rtp else _PREFACE_S
    shape, tick = (0, 0), 0.0  # rate and channels; samples a step of the stamps
    bits: int | None = None
    damaged = False
    for frame in _frames(container, track, where):
        if frame is None:
            damaged = True
            continue
        if frame.samples == 0:
            continue
        rate = frame.sample_rate
        now_shape = (rate, frame.layout.nb_channels)
        if lost is None:
            shape = now_shape
            tick = float(frame.time_base * rate) if frame.time_base else 0.0
            lost = LostAudio(rate, tick, _JITTER_S, _LONGEST_LOST_S)
        elif now_shape != shape:
            was, now = (f"{hertz} Hz, {channels} channels" for hertz, channels in (shape, now_shape))
            raise SourceError(f"{where}: the sound changes from {was} to {now}; it is opened again")
        stamp = None
        if preface > 0:
            preface -= frame.samples / rate
        elif frame.pts is not None and frame.time_base:
            stamp = frame.pts * frame.time_base * rate
        if rtp:
            lost.tolerance = max(min(lost.tolerance, _LEAST_LOST * frame.samples), 2 * tick)
        arrival, bits = time.monotonic(), exact_bits(frame)
        for start, run in lost.push(stamp, to_float(frame), damaged):
            yield Block(start, pick_channel(run, channel, where), rate, arrival, bits)
        damaged = False
    if lost is not None:
        for start, run in lost.flush():
            yield Block(start, pick_channel(run, channel, where), shape[0], time.monotonic(), bits)


def _frames(container: "InputContainer", track: "AudioStream", where: str) -> Iterator["AudioFrame | None"]:
    """Decoded frames, and None wherever something could not be read or decoded."""
    import av

    track.codec_context.thread_count = 1  # audio is light; threads would only delay it
    forget_speakers(track.codec_context)
    for other in container.streams:
        if other is not track:
            other.discard = av.stream.Discard.all
    # Elsewhere "corrupt" is what is cut short by the end of the file.
    checked = container.format.name in ("mpegts", "hls")
    failures = 0
    while failures < _MOST_DAMAGED:
        packets = container.demux()  # of all tracks: one that is not wanted must not hide that ours is silent
        while failures < _MOST_DAMAGED:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.InvalidDataError:
                failures += 1
                yield None
                break
            if packet.stream is not track:
                continue
            if packet.is_corrupt and checked:
                failures += 1
                yield None
                continue
            try:
                frames = track.decode(packet)
            except av.error.FFmpegError:  # not only InvalidDataError: AC-3 and ALAC have errors of their own
                failures += 1
                yield None
                continue
            if frames:
                failures = 0
            yield from frames
    raise SourceError(f"{where}: {failures} packets in a row cannot be decoded; check the sender and the network")
