"""Puts the parts together for a daemon."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

import glatd
from glatd.daemon.assembly import Assembly
from glatd.daemon.loop import Loop
from glatd.daemon.metrics.collect import LoopCollector, take
from glatd.daemon.metrics.gpu import GpuCollector, open_nvml
from glatd.daemon.metrics.meter import Meter
from glatd.daemon.metrics.server import MetricsServer


def serve_metrics(assembly: Assembly, loop: Loop, subscriptions: Callable[[], int]) -> MetricsServer:
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
    registry.register(LoopCollector(lambda: loop.ask(lambda: take(loop, assembly, subscriptions)), glatd.__version__))
    return MetricsServer(
        assembly.settings.metrics,
        registry,
        lambda seconds: loop.ask(lambda: assembly.node_status(loop).trouble).result(seconds),
        lambda: loop.warm,
        assembly.settings.insecure,
    )
