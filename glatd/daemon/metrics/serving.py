"""Puts the parts together for a daemon."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

import glatd
from glatd.daemon.journal.journal import Journal
from glatd.daemon.journal.numbering import Numbering
from glatd.daemon.loop import Loop
from glatd.daemon.metrics.collect import LoopCollector, take
from glatd.daemon.metrics.gpu import GpuCollector, open_nvml
from glatd.daemon.metrics.meter import Meter
from glatd.daemon.metrics.server import MetricsServer
from glatd.daemon.settings import Settings
from glatd.messages import Node


def serve_metrics(
    settings: Settings,
    loop: Loop,
    node_status: Callable[[Loop], Node],
    subscriptions: Callable[[], int],
    journal: Journal | Numbering,
) -> MetricsServer:
    """Serve what a loop does, from before it runs.

    Raises:
        ConfigError: the address cannot be used.
    """
    registry = CollectorRegistry()
    meter = Meter(registry)
    loop.sinks = [*loop.sinks, meter]
    loop.timed = meter.time
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    if (nvml := open_nvml()) is not None:
        registry.register(GpuCollector(nvml))
    registry.register(
        LoopCollector(
            lambda: loop.ask(lambda: take(loop, node_status, subscriptions, journal)),
            loop.engine.manifest,
            glatd.__version__,
        )
    )
    return MetricsServer(
        settings.metrics,
        registry,
        lambda seconds: loop.ask(lambda: None).result(seconds),
        lambda: loop.warm,
        settings.insecure,
    )
