"""Engines: `glatd engine`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from glatd.cli.engine_bench import bench
from glatd.cli.options import PATH

if TYPE_CHECKING:
    from glatd.engines.certificate import Certificate
    from glatd.engines.manifest import Manifest


@click.group(no_args_is_help=False)
def engine() -> None:
    """Compile a weights bundle, and look at what was compiled."""


engine.add_command(bench)


@engine.command()
@click.argument("bundle", type=PATH)
@click.option("--out", type=PATH, required=True, help="Folder of the engine.")
@click.option("--target", default="cpu", help="What to build for: cpu, tensorrt, cuda.", show_default=True)
@click.option(
    "--precision",
    default="float32",
    help="float32, or what the machine is faster at: bfloat16, float16, int8.",
    show_default=True,
)
@click.option("--streams", type=click.IntRange(1, 4096), help="A GPU looks at so many together.  [default: 16]")
@click.option("--no-cache", is_flag=True, help="Build even what was built before.")
def build(bundle: Path, out: Path, target: str, precision: str, streams: int | None, no_cache: bool) -> int:
    """Compile the graphs of BUNDLE into an engine, and hold it against the network.

    An engine that is too far from its network is not written. For its certificate BUNDLE needs labelled clips:
    `glatd train export BUNDLE --data CLIPS`.
    """
    from glatd.engines.build import build_engine
    from glatd.engines.cache import Cache, default_cache
    from glatd.engines.certificate import read_certificate

    cache = None if no_cache else Cache(default_cache())
    manifest = build_engine(bundle, out, target, precision, streams, cache)
    click.echo(f"{out}: {manifest.model} for {target}, {precision}, {manifest.hash}")
    certificate = read_certificate(out, manifest)
    if certificate is not None:
        click.echo(f"certificate: {summary(certificate)}")
    else:
        click.echo(f"glatd: {out} has NO certificate: {uncertified(manifest, bundle)}", err=True)
    return 0


def summary(certificate: "Certificate") -> str:
    """A certificate in a line."""
    return (
        f"{certificate.windows} windows ({certificate.clips} clips, {certificate.scenes} scenes); scores within "
        f"{certificate.end_to_end.max:.2g}, {certificate.end_to_end.mean:.1g} on average; "
        f"{certificate.crops:.1%} of the crops; mAP {certificate.map_engine:.4f}, "
        f"{certificate.map_lost:.4f} lost; computed in {certificate.computed}"
    )


def uncertified(manifest: "Manifest", bundle: Path) -> str:
    """Why an engine that was just built has no certificate, and what to do."""
    from glatd.engines.targets import find_target

    obstacle = find_target(manifest.runtime.target).obstacle(manifest)
    if obstacle:
        return f"{obstacle}; where it runs, `glatd engine verify DIR --bundle BUNDLE` gives it one"
    return f"{bundle} has no labelled clips, only the probe was looked at; `glatd train export {bundle} --data CLIPS`"


@engine.command()
@click.argument("folder", type=PATH, required=False)
def show(folder: Path | None) -> int:
    """Say what an engine is (the default one, if no FOLDER is given)."""
    from glatd.engines.certificate import read_certificate
    from glatd.engines.load import default_engine
    from glatd.engines.manifest import read_manifest

    folder = folder or default_engine()
    manifest = read_manifest(folder)
    certificate = read_certificate(folder, manifest)
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
        "certificate": "NONE: see `glatd engine verify --help`" if certificate is None else summary(certificate),
    }
    for name, value in rows.items():
        click.echo(f"{name:<16} {value}")
    return 0


@engine.command()
@click.argument("folder", type=PATH, required=False)
@click.option("--bundle", type=PATH, help="The weights that it was built from, with labelled clips: certify it anew.")
def verify(folder: Path | None, bundle: Path | None) -> int:
    """Check an engine: its files, its answers to the probe on this machine, and its certificate.

    The certificate says what was measured where it was built. With --bundle it is measured on this machine, and
    written into the engine.
    """
    from glatd.engines.certificate import read_certificate
    from glatd.engines.load import default_engine
    from glatd.engines.manifest import read_manifest
    from glatd.engines.verify import verify_engine

    folder = folder or default_engine()
    verdict = verify_engine(folder)
    click.echo(f"log-mel          largest difference {verdict.frames:.2e}")
    click.echo(f"global scores    largest difference {verdict.global_:.2e}")
    click.echo(f"fused scores     largest difference {verdict.fused:.2e}, allowed {verdict.tolerance:g}")
    click.echo(f"crops            {100 * verdict.crops:.0f} % at the same place for the same class")
    manifest = read_manifest(folder)
    if bundle is not None:
        from glatd.engines.build import certify_again

        certificate: Certificate | None = certify_again(folder, bundle)
    else:
        certificate = read_certificate(folder, manifest)
    for line in [] if certificate is None else lines(certificate):
        click.echo(line)
    faults = [] if certificate is None else certificate.faults()
    for fault in faults:
        click.echo(f"beyond           {fault}")
    if certificate is None:
        click.echo("certificate      NONE: it was held against the probe alone; give --bundle")
    good = verdict.good and not faults
    click.echo("good" if good else "beyond the tolerance: build it again, or in float32")
    return 0 if good else 4


def lines(certificate: "Certificate") -> list[str]:
    """A certificate in full, a line a figure."""
    rows = {
        "front end, log-mel": certificate.graphs["frontend"],
        "global": certificate.graphs["global"],
        "activations": certificate.graphs["activations"],
        "each crop": certificate.graphs["local"],
        "local": certificate.local,
        "fused": certificate.fused,
        "end to end": certificate.end_to_end,
    }
    return [
        f"certificate      {certificate.windows} windows: {certificate.clips} clips, {certificate.scenes} scenes",
        f"  made           {certificate.made}, {certificate.runtime}, {certificate.machine}",
        f"  computed in    {certificate.computed}",
        *(f"  {name:<20} largest {errors.max:.2e}, mean {errors.mean:.2e}" for name, errors in rows.items()),
        f"  tone of -60 dBFS     within {certificate.quiet_tone:.2e} in log-mel, beside one of -6 dBFS",
        f"  top 5                {certificate.top5:.2%} the network's",
        f"  crops                {certificate.crops:.2%} the network's",
        f"  mAP                  {certificate.map_engine:.4f} over {certificate.classes} classes, the network's "
        f"{certificate.map_network:.4f}",
    ]
