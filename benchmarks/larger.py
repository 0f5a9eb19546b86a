"""The runtimes on a network a hundred times as costly: CNN10, one of the paper's backbones.

What the default model does not show: how far each runtime gets with an int8 that the CPU has. Weights
are random, which is enough for latency; mAP is not judged here.
"""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import quantise
from benchmarks.contenders import ONNXRUNTIME, OPENVINO, REFERENCE, Contender, has_onnxruntime, load_graph
from benchmarks.latency import compare
from glatd.engines.targets import cpu

FRAMES, MELS = 1000, 64
CALIBRATION = 4  # inputs; random weights need no more
GRAPH = "cnn10"


def export(folder: Path) -> None:
    """CNN10's convolutions and head (PANNs: 4 blocks of two 3x3 convolutions, 64 to 512 channels) as ONNX."""
    import torch
    from torch import nn

    layers: list[nn.Module] = []
    channels = 1
    for width in (64, 128, 256, 512):
        for before in (channels, width):
            layers += [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        layers.append(nn.AvgPool2d(2))
        channels = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 527), nn.Sigmoid()]
    network = nn.Sequential(*layers).eval()
    example = torch.zeros(1, 1, FRAMES, MELS)
    torch.onnx.export(
        network, (example,), folder / f"{GRAPH}.onnx", dynamo=True, external_data=False, verbose=False,
        input_names=["frames"], output_names=["scores"],
    )  # fmt: skip


def measure(work: Path, threads: int, turns: int) -> list[dict[str, Any]]:
    """Rows of the table."""
    work.mkdir(parents=True)
    export(work)
    rng = np.random.default_rng(2)
    inputs = [rng.standard_normal((1, 1, FRAMES, MELS), np.float32) for _ in range(CALIBRATION)]
    rows = {GRAPH: [{"frames": one} for one in inputs]}
    ov = cpu.runtime()
    (work / "ir").mkdir()
    ov.save_model(ov.convert_model(work / f"{GRAPH}.onnx"), work / "ir" / f"{GRAPH}.xml")
    listed = [Contender(OPENVINO, "float32", work / "ir"), Contender(OPENVINO, "bfloat16 hint", work / "ir", "bf16")]
    if (folder := quantise.with_nncf(work, work / "nncf", rows)) is not None:
        listed.append(Contender(OPENVINO, "int8 (NNCF)", folder))
    if has_onnxruntime():
        folder = quantise.with_onnxruntime(work, work / "qdq", rows)
        listed += [
            Contender(OPENVINO, "int8 (QDQ)", folder),
            Contender(ONNXRUNTIME, "float32", work),
            Contender(ONNXRUNTIME, "int8 (QDQ)", folder),
        ]
    names = [contender.name for contender in listed]
    assert names[0] == REFERENCE
    runs = [load_graph(contender, GRAPH, contender.hint, threads)[0] for contender in listed]
    return compare(f"CNN10, 10 s, {threads} threads", names, runs, (inputs[0],), threads, turns)
