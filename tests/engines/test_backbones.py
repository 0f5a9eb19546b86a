"""Every backbone goes the whole way: weights, graphs, labelled material, engine, certificate, loaded and run.

Narrow, with few classes; and of their real size, on the real corpus. To export takes minutes, so all but MN is slow.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glatd.engines.build import build_engine
from glatd.engines.certificate import read_certificate
from glatd.engines.load import load_engine
from glatd.engines.manifest import read_manifest
from glatd.engines.targets import find_target
from glatd.engines.verify import verify_engine
from tests.engines.corpus import LABELS, RATE, sound, write_corpus

torch = pytest.importorskip("torch")

# Mel bins, samples of a hop, frames of a window, and output frames, of 10 s.
SIZES = {
    "mn": (128, 320, 1000, 32),
    "cnn10": (64, 320, 1000, 62),
    "resnet38": (64, 320, 1000, 31),
    "talnet": (64, 800, 400, 100),
    "at_sca": (64, 320, 1000, 62),
}


def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few channels everywhere."""
    from glatd.trainer.backbones import at_sca, cnn10, resnet38, talnet

    for module in (cnn10, at_sca):
        monkeypatch.setattr(module, "CHANNELS", (16, 16, 16, 32))
    monkeypatch.setattr(resnet38, "LAYERS", ((8, 3), (8, 4), (16, 6), (16, 3)))
    monkeypatch.setattr(resnet38, "LAST", 32)
    monkeypatch.setattr(talnet, "CHANNELS", (4, 8, 8, 16, 16))
    monkeypatch.setattr(talnet, "UNITS", 16)


def heard(backbone: Any, samples: Any) -> None:
    """Let the normalisations see sound: a network that has seen none says the same of every frame."""
    from glatd.trainer.frontend import Frontend

    for module in backbone.modules():
        if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            module.momentum = None  # the average of everything seen
            if not module.weight.detach().any():  # ResNet38's residual branches begin at nothing
                torch.nn.init.ones_(module.weight)
    with torch.no_grad():
        frames = Frontend(backbone.frontend)(samples)
        for _ in range(2):
            backbone.train()(frames)
        backbone.eval()


def make_bundle(
    folder: Path, name: str, data: Path, labels: tuple[str, ...], counts: tuple[int, int, int], **config: Any
) -> Path:
    """A bundle with its graphs, and material out of `data`."""
    from glatd.trainer import export, material
    from glatd.trainer.backbones import make_backbone
    from glatd.trainer.bundle import write_bundle
    from glatd.trainer.glat import Glat, GlatSpec

    torch.manual_seed(0)
    backbone = make_backbone({"name": name, "classes": len(labels), **config})
    samples = np.stack([np.resize(sound(kind, number), 4 * RATE) for number, kind in enumerate(LABELS)])
    heard(backbone, torch.from_numpy(samples.astype(np.float32)))
    window, crop = 10 * RATE // backbone.frontend.hop, 3 * RATE // backbone.frontend.hop
    network = Glat(backbone, GlatSpec(window=window, crop=crop, crops=2))
    write_bundle(folder, network, name, {"made": "by a test"}, "MIT", labels=labels, half=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "trunks", lambda model: {})  # tests of their own have these
        make: Callable[..., Path] = material.make_material
        patch.setattr(export, "make_material", lambda *given: make(*given, counts=counts))
        export.export(folder, data=data)
    return folder


def walk(bundle: Path, name: str, precision: str, windows: int) -> None:
    """Build, look at the certificate, load and run."""
    engine_folder = bundle.with_name(f"{name}-{precision}")
    manifest = build_engine(bundle, engine_folder, precision=precision)
    certificate = read_certificate(engine_folder, manifest)
    assert certificate is not None and certificate.windows == windows and not certificate.faults()
    assert certificate.quiet_tone < 0.01 and certificate.precision == precision
    assert verify_engine(engine_folder).frames < 0.1  # decibels, down to the floor of an FFT in float32
    engine = load_engine(engine_folder)
    sizes = engine.sizes
    assert (sizes.mels, sizes.hop, sizes.window, sizes.frames) == SIZES[name]
    random = np.random.default_rng(0)
    frames = random.normal(-20, 8, (2, sizes.window, sizes.mels)).astype(np.float32)
    look = engine.look(frames, np.ones((2, sizes.frames), np.float32))
    assert look.scores.shape == (2, len(manifest.labels)) and look.framewise.shape[2] == sizes.frames
    assert ((look.scores > 0) & (look.scores < 1)).all()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["mn", *(pytest.param(name, marks=pytest.mark.slow) for name in list(SIZES)[1:])])
def test_a_narrow_network_becomes_a_certified_engine(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """float16 is cut into pieces, whatever the machine computes in: the cut must be right for each of them."""
    narrow(monkeypatch)
    config = {"width": 0.1} if name == "mn" else {}
    data = write_corpus(tmp_path / "data")
    bundle = make_bundle(tmp_path / "bundle", name, data, LABELS, (4, 4, 4), **config)
    windows = 4 + 4 + 1
    walk(bundle, name, "float32", windows)
    walk(bundle, name, "float16", windows)
    assert not (tmp_path / f"{name}-float16" / "global.xml").exists()
    assert (tmp_path / f"{name}-float16" / "global.head.xml").is_file()
    for precision in find_target("tensorrt").precisions:  # up to the first call that needs a GPU
        manifest = build_engine(bundle, tmp_path / f"gpu-{precision}", "tensorrt", precision, streams=2)
        plans = {entry.name: entry.bytes for entry in manifest.files if entry.name.endswith(".engine")}
        assert set(plans) == {"frontend.engine", "global.engine", "local.engine"}
        assert all(size > 10_000 for size in plans.values())


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SIZES)
def test_a_network_of_real_size_becomes_a_certified_engine(name: str, tmp_path: Path, shared: Path) -> None:
    from glatd.labels import audioset

    labels = tuple(label.name for label in audioset())
    config = {"width": 0.4} if name == "mn" else {}
    bundle = make_bundle(tmp_path / "bundle", name, shared / "audio", labels, (120, 100, 16), **config)
    walk(bundle, name, "float32", 221)
    manifest = read_manifest(tmp_path / f"{name}-float32")
    certificate = read_certificate(tmp_path / f"{name}-float32", manifest)
    assert certificate is not None and certificate.windows >= 200 and certificate.classes > 20
