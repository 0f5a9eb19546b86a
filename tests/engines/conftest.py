"""A weights bundle with its graphs, exported once, and an engine that is built from it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from glatd.engines.build import build_engine


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A bundle of the trainer's, with graphs of the real sizes and a network that takes seconds to export."""
    torch = pytest.importorskip("torch")
    from glatd.trainer.backbones import BACKBONES
    from glatd.trainer.bundle import write_bundle
    from glatd.trainer.export import export
    from glatd.trainer.glat import Glat, GlatSpec
    from tests.engines.tiny import Tiny

    folder = tmp_path_factory.mktemp("engines") / "bundle"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "tiny", Tiny)
        torch.manual_seed(0)
        network = Glat(Tiny(), GlatSpec())
        network.local_stream.load_state_dict(Tiny().state_dict())  # not the copy of the global stream
        write_bundle(folder, network, "tiny", {"made": "by a test"}, "MIT")
        export(folder)
        yield folder


@pytest.fixture(scope="session")
def built(bundle: Path) -> Path:
    """An engine of it. Not to be changed."""
    folder = bundle.with_name("engine")
    build_engine(bundle, folder)
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(built, tmp_path / "engine"))


