"""An engine that is to run in a daemon that runs: loaded, held against the settings, warmed up and verified."""

from dataclasses import dataclass
from pathlib import Path

from glatd.daemon.assembly import check_engine
from glatd.daemon.headroom import check_room
from glatd.daemon.settings import Settings
from glatd.daemon.tagging import Floats, first_runs, silence
from glatd.engines.certificate import read_certificate
from glatd.engines.engine import Engine
from glatd.engines.load import load_engine
from glatd.engines.manifest import Manifest, read_manifest
from glatd.engines.verify import judge
from glatd.errors import EngineError


@dataclass(frozen=True, slots=True)
class Candidate:
    """An engine that is fit to take over."""

    engine: Engine
    settings: Settings  # that it was held against
    silence: Floats  # as of `tagging.silence`

    @classmethod
    def load(cls, folder: Path, settings: Settings, running: Manifest) -> "Candidate":
        """Load, check, warm up and verify. Takes seconds.

        Args:
            settings: that it is to run by.
            running: of the engine that runs.

        Raises:
            EngineError: it cannot be loaded, is of another rate, does not answer as it should, or is too large.
            ConfigError: the settings ask for what it cannot do.
        """
        manifest = read_beside(folder, running)
        check_room(manifest)
        certificate = read_certificate(folder, manifest)
        if certificate is not None and (faults := certificate.faults()):
            raise EngineError(f"{folder} is certified to be off: {'; '.join(faults)}; build it again")
        engine = load_engine(folder, settings.threads, settings.incremental, settings.lanes)
        check_engine(settings, engine)
        for _ in first_runs(engine, settings.local, settings.crops):
            pass
        verdict = judge(engine, folder)
        if not verdict.good:
            raise EngineError(
                f"{folder} does not answer as the network that it was built from: scores are off by up to "
                f"{max(verdict.global_, verdict.fused):.3g}, and {verdict.tolerance:g} is allowed; build it again"
            )
        return cls(engine, settings, silence(engine))


def read_beside(folder: Path, running: Manifest) -> Manifest:
    """The manifest of an engine that is to take over from another one, or to look beside it.

    Raises:
        EngineError: there is none, or it is of another rate.
    """
    manifest = read_manifest(folder)
    if manifest.geometry.rate != running.geometry.rate:
        raise EngineError(
            f"{folder} wants {manifest.geometry.rate} Hz, and the streams are resampled to "
            f"{running.geometry.rate} Hz; start glatd again with it"
        )
    return manifest
