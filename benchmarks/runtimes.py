"""OpenVINO against ONNX Runtime on the graphs of a bundle: the figures behind docs/engines.md."""

import shutil
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from benchmarks import accuracy, larger, latency, parity, quantise, startup
from benchmarks.contenders import Contender, contenders, has_onnxruntime
from benchmarks.machine import described, load_average
from benchmarks.progress import say
from benchmarks.scenes import make
from glatd.engines.build import build_engine, read_bundle_files
from glatd.engines.load import load_engine
from glatd.errors import EngineError

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "trainer" / "recipes" / "mn04.toml"
THREADS = (1, 2)
CALIBRATION = 48  # scenes


def base_packages() -> list[str]:
    """What glatd asks for beside the runtime."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [text.partition(">")[0].partition("=")[0].strip() for text in project["dependencies"]]
    return [name for name in names if name not in startup.RUNTIME_PACKAGES.values()]


def with_graphs(bundle: Path, work: Path) -> Path:
    """`bundle`, or a copy of it with its graphs exported where they were not."""
    try:
        read_bundle_files(bundle)
    except EngineError:
        from glatd.trainer.export import export

        copy = work / "bundle"
        shutil.copytree(bundle, copy)
        export(copy)
        return copy
    return bundle


def measure(bundle: Path, data: Path | None, turns: int, scenes: int) -> dict[str, Any]:
    """Everything; without `data`, neither int8 nor mAP.

    Args:
        turns: of the latency measurement; a fifth as many processes for start-up.
        scenes: that mAP is judged on.
    """
    before = load_average()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        say("graphs and an engine")
        bundle = with_graphs(bundle, work)
        built = work / "engine"
        manifest = build_engine(bundle, built)
        shutil.copyfile(bundle / "geometry.json", built / "geometry.json")
        quantised: dict[str, Path] = {}
        if data is not None:
            say("int8")
            engine = load_engine(built)
            seen = make(data, RECIPE, engine.sizes, CALIBRATION, unseen=False, work=work / "calibration")
            rows = quantise.calibration(engine, seen)
            if has_onnxruntime():
                quantised["QDQ"] = quantise.with_onnxruntime(bundle, work / "qdq", rows)
            if (nncf := quantise.with_nncf(bundle, work / "nncf", rows)) is not None:
                quantised["NNCF"] = nncf
        listed = contenders(built, bundle, quantised)
        result: dict[str, Any] = {"latency": [], "executed": {}}
        for threads in THREADS:
            say(f"latency, {threads} threads")
            timed, loaded = latency.measure(listed, manifest.geometry, threads, turns)
            result["latency"] += timed
            result["executed"] = {of.contender.name: of.executed for of in loaded if of.executed}
        plain: list[Contender] = [contender for contender in listed if contender.precision == "float32"]
        say("start-up, memory, size")
        result["startup"] = startup.measure(plain, THREADS[-1], max(1, turns // 5))
        result["installed"] = startup.installed(base_packages())
        result["graphs_mb"] = {
            contender.name: round(sum(path.stat().st_size for path in files_of(contender)) / 1e6, 1)
            for contender in listed if "hint" not in contender.precision
        }
        say("a larger network")
        result["larger"] = larger.measure(work / "larger", THREADS[-1], max(1, turns // 4))
        if data is not None:
            say(f"mAP on {scenes} scenes")
            result["frontend"] = parity.measure(plain, manifest.geometry, data)
            judged = make(data, RECIPE, manifest.geometry, scenes, unseen=True, work=work / "scenes")
            result["accuracy"] = accuracy.measure(listed, manifest, judged, THREADS[-1])
        head = described("python -m benchmarks runtimes BUNDLE --data CORPUS", before)
        weights = manifest.provenance["weights_sha256"][:12]
        return head | {"model": manifest.model, "weights": weights, "turns": turns} | result


def files_of(contender: Contender) -> list[Path]:
    """The files that hold a contender's graphs."""
    paths = [contender.path(graph) for graph in ("frontend", "global", "local")]
    return paths + [path.with_suffix(".bin") for path in paths if path.suffix == ".xml"]
