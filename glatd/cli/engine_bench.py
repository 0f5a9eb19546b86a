"""How fast an engine is: `glatd engine bench`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from glatd.cli.options import FORMAT, PATH
from glatd.errors import ConfigError

if TYPE_CHECKING:
    from glatd.engines.bench import Report


@click.command()
@click.argument("folder", type=PATH, metavar="[DIR]", required=False)
@click.option("--threads", type=click.IntRange(0), default=1, help="Of the CPU; 0: as the runtime likes.")
@click.option("--seconds", type=float, default=1.0, help="To measure each graph at each batch.", show_default=True)
@click.option("--batch", "batches", type=int, multiple=True, help="Windows at a time.  [default: as it was built for]")
@FORMAT
def bench(folder: Path | None, threads: int, seconds: float, batches: tuple[int, ...], form: str) -> int:
    """Measure an engine on this machine: latency by batch, and its share of what the machine can do at most.

    Without DIR it is the default engine.
    """
    import json

    from glatd.engines.bench import bench as measure
    from glatd.engines.load import default_engine

    report = measure(folder or default_engine(), threads, seconds, batches)
    if form == "json":
        click.echo(json.dumps(report.tree()))
    else:
        show(report)
    return 0


def show(report: "Report") -> None:
    """As a table.

    Raises:
        ConfigError: its library is not installed.
    """
    try:
        from rich.console import Console
        from rich.table import Table
    except ModuleNotFoundError as error:
        raise ConfigError(f"the table needs {error.name}; pip install 'glatd[top]', or --format json") from error

    runtime, peak = report.manifest.runtime, report.peak
    memory = f"{report.memory_mb:.0f} MB"
    if report.gpu_memory_mb is not None:
        memory += f", {report.gpu_memory_mb:.0f} MB of the GPU"
    table = Table(caption_justify="left")
    for name in ("graph", "batch", "p50 ms", "p99 ms", "a second", "M multiply-adds", "of the peak"):
        table.add_column(name, justify="left" if name == "graph" else "right")
    before = 0
    for row in report.rows:
        if before and row.batch != before:
            table.add_section()
        before = row.batch
        table.add_row(
            row.graph,
            str(row.batch),
            f"{row.p50_ms:.2f}",
            f"{row.p99_ms:.2f}",
            f"{row.a_second:.1f}",
            "?" if row.multiply_adds is None else f"{row.multiply_adds / 1e6:.1f}",
            "?" if row.share is None else f"{100 * row.share:.1f} %",
        )
    click.echo(f"engine   {report.manifest.model} for {runtime.target} in {runtime.precision}, {report.manifest.hash}")
    click.echo(f"machine  {report.machine}; load {report.load:.1f} before; {report.threads or 'any'} threads")
    click.echo(f"loaded   in {report.load_seconds:.2f} s, {memory}")
    click.echo(
        f"peak     {peak.multiply_adds / 1e9:.0f} G multiply-adds a second in {peak.precision} (a matrix product), "
        f"{peak.copied / 1e9:.1f} GB/s copied"
    )
    Console().print(table)
