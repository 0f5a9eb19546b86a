"""What the graphs of a bundle say in float32, as they were written: the network's part, where no torch is at hand."""

from pathlib import Path

import numpy as np

from glatd.engines.engine import Engine, Graph
from glatd.engines.manifest import Geometry, LabelEntry, Manifest, Runtime, graph_inputs
from glatd.engines.material import EVERY, TONE, VERSION, About, write_material
from glatd.engines.probe import FILE, probe_windows
from glatd.engines.targets.cpu import compile_graph
from glatd.engines.verify import frames_in_blocks


def network(folder: Path, sizes: Geometry, classes: int) -> Engine:
    """The graphs of a bundle, in front of nothing."""
    graphs: dict[str, Graph] = {
        name: compile_graph(folder / f"{name}.onnx", shapes, "float32", 1)
        for name, shapes in graph_inputs(sizes).items()
    }
    graphs["global"] = first_five(graphs["global"])
    labels = tuple(LabelEntry(f"Sound {number}", f"/x/{number}") for number in range(classes))
    runtime = Runtime("cpu", "openvino", "0", "float32")
    return Engine(Manifest(1, "network", sizes, runtime, labels, (), {}, "MIT", ""), graphs)


def first_five(graph: Graph) -> Graph:
    return lambda *inputs: graph(*inputs)[:5]


def write_probe(folder: Path, sizes: Geometry, classes: int) -> None:
    """What it says of the probe."""
    engine = network(folder, sizes, classes)
    samples, audible = probe_windows(sizes)
    frames = frames_in_blocks(engine, samples)
    look = engine.look(np.ascontiguousarray(frames), audible)
    np.savez(
        folder / FILE, **{"frames": frames[:, ::EVERY], "global": look.global_, "local": look.local},
        fused=look.scores, starts=look.starts, classes=look.classes,
    )  # fmt: skip


def write_sounds(folder: Path, sizes: Geometry, classes: int, windows: int = 12, weights: str = "0" * 64) -> Path:
    """Material of noise in bursts, with labels that the network would give."""
    engine = network(folder, sizes, classes)
    random = np.random.default_rng(1)
    length = sizes.left + sizes.hop * (sizes.window - 1) + sizes.right
    bursts = random.normal(0, 0.1, (windows, length)) * (random.random((windows, length // 50 + 1)) < 0.3).repeat(
        50, axis=1
    )[:, :length]
    samples = np.clip(np.rint(bursts * 32_768), -32_768, 32_767).astype(np.int16)
    audible = np.ones((windows, sizes.frames), np.float32)
    frames = np.ascontiguousarray(frames_in_blocks(engine, samples / np.float32(32_768)))
    look = engine.look(frames, audible)
    rows = np.arange(windows)[:, None]
    half = windows // 2
    names = [TONE, *(f"clip {n}.wav" for n in range(1, half)), *(f"scene {n}" for n in range(windows - half))]
    arrays = {
        "samples": samples,
        "audible": audible,
        "truth": look.scores > np.median(look.scores, axis=0),
        "frames": frames[:, ::EVERY],
        "global": look.global_,
        "activations": look.framewise[rows, look.classes],
        "starts": look.starts,
        "classes": look.classes,
        "of_crops": look.of_crops,
        "fused": look.scores,
        "seen_frames": frames[: windows // 2].astype(np.float16),
        "seen_audible": audible[: windows // 2],
        "seen_starts": look.starts[: windows // 2],
    }
    return write_material(folder, About(VERSION, weights, sizes, tuple(names)), arrays)
