"""The measured part of docs/incremental.md, from docs/benchmarks/incremental.json. No figure is typed by hand."""

from benchmarks.render import where
from benchmarks.tables import Row, pick, table


def lines(result: Row) -> list[str]:
    """What a hop costs, and how far scores lie apart."""
    graphs = ", ".join(f"`{name}` {spent:.2f}" for name, spent in result["graphs"].items())
    return [
        *where(result),
        f"Precision {result['precision']}; one thread; a hop of 0.96 s of a stream that has run for a window, messages "
        "included, all of them in turn in one process. What is kept takes "
        f"{result['memory_mb']:.1f} MB a stream.",
        "",
        *table(
            ["", "CPU ms a hop", "streams a core", "times (a)"],
            pick(result["cost"], name="", cpu_ms=".1f", streams_per_core=".1f", times_peer=".1f"),
        ),
        f"CPU ms of a run of each graph, once a hop: {graphs}.",
        "",
        "How far the two lie apart in the same windows, over all classes: the largest difference of a window, its "
        "median over the windows and its maximum, and the share of windows, or of crops, that agree.",
        "",
        *table(
            ["`local`", "windows", "global, median", "global, max", "local, median", "local, max", "fused, median",
             "fused, max", "same first class", "same top 5", "same crops"],
            pick(result["differences"], local="", windows="", global_median=".4f", global_max=".4f",
                 local_median=".4f", local_max=".4f", score_median=".4f", score_max=".4f", same_first=".2f",
                 same_top_5=".2f", same_crops=".2f"),
        ),
    ]  # fmt: skip
