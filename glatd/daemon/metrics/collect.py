"""What a scrape asks the loop for: what its `status` and `node` messages would say at this moment."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from glatd.daemon.assembly import Assembly
from glatd.daemon.disagreement import Figures
from glatd.daemon.loop import Loop
from glatd.engines.manifest import Manifest
from glatd.messages import Node, Status

STATES = ("starting", "live", "silent", "stalled", "reconnecting", "muted", "ended", "failed", "stopped")
PATIENCE_S = 2.0  # for the loop to answer between two passes; a pass is one inference


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The daemon at one moment."""

    node: Node
    manifest: Manifest  # of the engine
    refused: int  # engines that were asked for and not taken
    shadow: Figures | None  # of an engine that is compared
    streams: tuple[Status, ...]
    waiting: tuple[float, ...]  # s of audio that wait for the loop, by stream
    crops: tuple[tuple[int, int], ...]  # looked at and known, by stream
    subscriptions: int
    journal: int  # the newest offset
    unwritten: int  # events that wait in memory for a disk


def take(loop: Loop, assembly: Assembly, subscriptions: Callable[[], int]) -> Snapshot:
    """In the loop's thread."""
    now, tracks, journal = time.time(), loop.live(), assembly.journal
    return Snapshot(
        assembly.node_status(loop),
        loop.engine.manifest,
        assembly.refusals,
        assembly.shadow.figures if assembly.shadow is not None else None,
        tuple(track.status(now) for track in tracks),
        tuple(track.worker.waiting + track.channel.pending / track.channel.stream.sizes.rate for track in tracks),
        tuple((track.channel.stream.local.computed, track.channel.stream.local.known) for track in tracks),
        subscriptions(),
        journal.last,
        journal.waiting,
    )


class LoopCollector(Collector):
    """Families of metrics from one `Snapshot` a scrape.

    Args:
        ask: has a snapshot taken in the loop's thread.
        version: of glatd.
    """

    def __init__(self, ask: Callable[[], "Future[Snapshot]"], version: str) -> None:
        self._ask, self._version = ask, version

    def describe(self) -> list[Metric]:
        """Nothing is asked when it is registered: the loop does not run yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        """As Prometheus reads them.

        Raises:
            TimeoutError: the loop does not answer.
        """
        snapshot = self._ask().result(PATIENCE_S)
        manifest, runtime = snapshot.manifest, snapshot.manifest.runtime
        build = {
            "version": self._version,
            "engine": manifest.hash,
            "model": manifest.model,
            "target": runtime.target,
            "precision": runtime.precision,
        }
        yield InfoMetricFamily("glatd_build", "Which glatd, with which engine.", build)
        yield from _of_node(snapshot)
        if snapshot.shadow is not None:
            yield from _of_shadow(snapshot.node, snapshot.shadow)
        yield from _of_streams(snapshot)


def _of_node(snapshot: Snapshot) -> Iterator[Metric]:
    node = snapshot.node
    for name, text, value in (
        ("glatd_streams", "Streams that have not ended.", node.streams),
        ("glatd_overload_level", "Rung of the overload ladder; 0 when everything is looked at.", node.level),
        ("glatd_crops_per_window", "Crops that a window gets at most.", node.crops),
        ("glatd_subscriptions", "Topics that somebody has subscribed to.", snapshot.subscriptions),
        ("glatd_journal_unwritten_events", "Events in memory that could not be written yet.", snapshot.unwritten),
        ("glatd_trouble", "1 while a journal or clip cannot be written, or an engine was refused.", bool(node.trouble)),
    ):
        yield GaugeMetricFamily(name, text, value)
    yield CounterMetricFamily("glatd_engine_swaps", "Engines that took over from the one before.", node.swaps)
    yield CounterMetricFamily("glatd_engine_refusals", "Engines that were asked for and refused.", snapshot.refused)
    yield CounterMetricFamily("glatd_overload_steps", "Steps of the overload policy.", node.steps)
    yield CounterMetricFamily("glatd_journal_events", "Offsets given out, over all runs of the node.", snapshot.journal)


def _of_shadow(node: Node, figures: Figures) -> Iterator[Metric]:
    windows = CounterMetricFamily(
        "glatd_shadow_windows", "Windows that the shadow has compared, or had no time for.", labels=["result"]
    )
    windows.add_metric(["compared"], figures.windows)
    windows.add_metric(["dropped"], node.shadow_dropped)
    yield windows
    for name, text, value in (
        ("glatd_shadow_top5_ratio", "Share of the five best classes that both name.", figures.top5),
        ("glatd_shadow_score_difference_mean", "Of the scores of both.", figures.mean),
        ("glatd_shadow_score_difference_max", "Of the scores of both.", figures.max),
    ):
        yield GaugeMetricFamily(name, text, value)
    alone = CounterMetricFamily(
        "glatd_shadow_decisions", "Windows in which only one hears a class.", labels=["label", "heard_by"]
    )
    for heard_by, counts in (("live", figures.live_alone), ("shadow", figures.shadow_alone)):
        for label, count in sorted(counts.items()):
            alone.add_metric([label, heard_by], count)
    yield alone


def _of_streams(snapshot: Snapshot) -> Iterator[Metric]:
    state = GaugeMetricFamily("glatd_stream_state", "1 for the state that a stream is in.", labels=["stream", "state"])
    findings = GaugeMetricFamily("glatd_stream_findings", "What is wrong with the signal.", labels=["stream"])
    drift = GaugeMetricFamily(
        "glatd_stream_drift_ratio", "By how much the source's clock is slow against this machine's.", labels=["stream"]
    )
    waiting = GaugeMetricFamily("glatd_stream_waiting_seconds", "Audio that waits for the loop.", labels=["stream"])
    counted = {
        "audio_seconds": CounterMetricFamily("glatd_stream_audio_seconds", "Audio received.", labels=["stream"]),
        "lost_seconds": CounterMetricFamily("glatd_stream_lost_seconds", "Audio lost.", labels=["stream"]),
        "connections": CounterMetricFamily(
            "glatd_stream_connections", "Times that the source was opened and gave audio.", labels=["stream"]
        ),
    }
    windows = CounterMetricFamily(
        "glatd_windows", "Windows: looked at, quiet, skipped and dropped under overload.", labels=["stream", "result"]
    )
    crops = CounterMetricFamily(
        "glatd_crops", "Crops of windows: looked at, or known from before.", labels=["stream", "result"]
    )
    for status, seconds, (looked, known) in zip(snapshot.streams, snapshot.waiting, snapshot.crops, strict=True):
        name = status.stream
        for each in STATES:
            state.add_metric([name, each], float(each == status.state))
        findings.add_metric([name], len(status.findings))
        waiting.add_metric([name], seconds)
        if status.drift_ppm is not None:
            drift.add_metric([name], status.drift_ppm / 1e6)
        counted["audio_seconds"].add_metric([name], status.samples / status.rate)
        counted["lost_seconds"].add_metric([name], status.lost / status.rate)
        counted["connections"].add_metric([name], status.connections)
        for result, value in (
            ("looked", status.windows - status.quiet),
            ("quiet", status.quiet),
            ("skipped", status.skipped),
            ("dropped", status.dropped),
        ):
            windows.add_metric([name, result], value)
        crops.add_metric([name, "looked"], looked)
        crops.add_metric([name, "known"], known)
    yield from (state, findings, drift, waiting, *counted.values(), windows, crops)
