"""What is counted as it happens: how long each stage takes, what is told. A sink of the loop."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from glatd.messages import Event, Gap, Message, Status, Tags

# From a window on two idle cores (20 ms) to one that has waited for as long as audio may wait (10 s).
BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Meter:
    """Counters and histograms of one process; called in the loop's thread, read by those that serve.

    Args:
        registry: into which they go.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._stages = Histogram(
            "glatd_stage_seconds",
            "Time of a stage: frontend of all new audio, wait of a window for its turn, look of both streams at a "
            "batch, publish of what it brings.",
            ["stage"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._late = Histogram(
            "glatd_lateness_seconds",
            "From when the newest sample of a window came until its tags were published.",
            buckets=BUCKETS,
            registry=registry,
        )
        self._level = Gauge("glatd_stream_level_dbfs", "RMS of the newest hop.", ["stream"], registry=registry)
        self._gaps = Counter("glatd_stream_gaps", "Stretches of audio that were lost.", ["stream"], registry=registry)
        self._events = Counter(
            "glatd_events", "Messages of events, by phase.", ["stream", "label", "phase"], registry=registry
        )

    def time(self, stage: str, seconds: float) -> None:
        """A stage has taken so long; `late` is all of a window's."""
        (self._late if stage == "late" else self._stages.labels(stage)).observe(seconds)

    def __call__(self, message: Message) -> None:
        """Count a message."""
        if isinstance(message, Tags):
            self._level.labels(message.stream).set(message.level_dbfs)
        elif isinstance(message, Gap):
            self._gaps.labels(message.stream).inc()
        elif isinstance(message, Event):
            self._events.labels(message.stream, message.label, message.phase).inc()
        elif isinstance(message, Status):
            self._gaps.labels(message.stream)  # a stream that has lost nothing says so
