"""Engines: `glatd engine`."""

from pathlib import Path

import click

from glatd.cli.engine_bench import bench
from glatd.cli.options import PATH


@click.group(no_args_is_help=False)
def engine() -> None:
    """Compile a weights bundle, and look at what was compiled."""


engine.add_command(bench)


@engine.command()
@click.argument("bundle", type=PATH)
@click.option("--out", type=PATH, required=True, help="Folder of the engine.")
@click.option("--target", default="cpu", help="What to build for: cpu.", show_default=True)
@click.option(
    "--precision",
    default="float32",
    help="float32, or what the CPU is faster at: bfloat16, float16.",
    show_default=True,
)
@click.option(
    "--streams", type=click.IntRange(1, 4096), default=16, help="A GPU looks at so many together.", show_default=True
)
def build(bundle: Path, out: Path, target: str, precision: str, streams: int) -> int:
    """Compile the graphs of BUNDLE into an engine."""
    from glatd.engines.build import build_engine

    manifest = build_engine(bundle, out, target, precision, streams)
    click.echo(f"{out}: {manifest.model} for {target}, {precision}, {manifest.hash}")
    return 0


@engine.command()
@click.argument("folder", type=PATH, required=False)
def show(folder: Path | None) -> int:
    """Say what an engine is (the default one, if no FOLDER is given)."""
    from glatd.engines.load import default_engine
    from glatd.engines.manifest import read_manifest

    manifest = read_manifest(folder or default_engine())
    sizes, runtime = manifest.geometry, manifest.runtime
    frame = sizes.hop / sizes.rate  # s
    rows = {
        "model": manifest.model,
        "hash": manifest.hash,
        "target": f"{runtime.target} ({runtime.name} {runtime.version}), {runtime.precision}",
        "audio": f"{sizes.rate} Hz, {sizes.mels} mel bins every {sizes.hop} samples",
        "window": f"{sizes.window * frame:g} s, {sizes.crops} crops of {sizes.crop * frame:g} s, grid {sizes.grid}",
        "hop": f"a multiple of {sizes.stride * frame:g} s",
        "labels": str(len(manifest.labels)),
        "size": f"{sum(entry.bytes for entry in manifest.files) / 1e6:.1f} MB",
        "licence": manifest.licence,
        **manifest.provenance,
    }
    for name, value in rows.items():
        click.echo(f"{name:<16} {value}")
    return 0


@engine.command()
@click.argument("folder", type=PATH, required=False)
def verify(folder: Path | None) -> int:
    """Check an engine's files, and its answers against the network that it was built from."""
    from glatd.engines.load import default_engine
    from glatd.engines.verify import verify_engine

    verdict = verify_engine(folder or default_engine())
    click.echo(f"log-mel          largest difference {verdict.frames:.2e}")
    click.echo(f"global scores    largest difference {verdict.global_:.2e}")
    click.echo(f"fused scores     largest difference {verdict.fused:.2e}, allowed {verdict.tolerance:g}")
    click.echo(f"crops            {100 * verdict.crops:.0f} % at the same place for the same class")
    click.echo("good" if verdict.good else "beyond the tolerance: build it again, or in float32")
    return 0 if verdict.good else 4
