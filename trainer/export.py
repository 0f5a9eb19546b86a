"""The three graphs of a bundle: `frontend`, `global`, `local`, as `.pt2` and `.onnx`, float32.

Every size but the batch is fixed: a graph with an open length silently takes a window of the
wrong length, and runs slower.
"""

import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from glatd.engines.build import write_geometry
from glatd.engines.manifest import GRAPHS, Geometry
from glatd.engines.probe import FILE as PROBE_FILE
from glatd.engines.probe import probe_windows
from glatd.trainer.bundle import read_bundle
from glatd.trainer.frontend import Frontend
from glatd.trainer.glat import Glat, cut, fuse, pool
from glatd.trainer.selection import Selection

INPUTS = {"frontend": ("samples",), "global": ("frames", "audible"), "local": ("frames",)}
OUTPUTS = {
    "frontend": ("frames",),
    "global": ("scores", "activations", "starts", "classes", "middles"),
    "local": ("scores",),
}


class GlobalGraph(nn.Module):
    """10 s of frames -> scores, activations and the crops to look at."""

    def __init__(self, model: Glat, grid: str) -> None:
        super().__init__()
        self.model = model
        self.select = Selection(model.grid(grid), model.spec.crops)

    def forward(self, frames: Tensor, audible: Tensor) -> tuple[Tensor, ...]:
        """Frames [B, window, M] and audible [B, F] (1.0 or 0.0) float32 -> see `OUTPUTS`."""
        logits, frame_logits = self.model.global_stream(frames)
        starts, classes, middles = self.select(logits, frame_logits, audible > 0.5)
        if self.select.grid.unit == "sample":
            hop = self.model.global_stream.frontend.hop
            starts = (starts + hop // 2) // hop
        return logits.sigmoid(), frame_logits.sigmoid(), starts, classes, middles


class LocalGraph(nn.Module):
    """Frames of one crop -> scores."""

    def __init__(self, model: Glat) -> None:
        super().__init__()
        self.stream = model.local_stream

    def forward(self, frames: Tensor) -> Tensor:
        """Frames [B, crop, M] float32 -> scores [B, C]."""
        return self.stream.clip_logits(frames).sigmoid()


def geometry(model: Glat, grid: str) -> Geometry:
    """Sizes of the graphs of `model`."""
    spec, backbone = model.spec, model.global_stream
    front = backbone.frontend
    return Geometry(
        rate=front.rate,
        hop=front.hop,
        left=front.left,
        right=front.right,
        mels=front.n_mels,
        block=backbone.stride,
        window=spec.window,
        crop=spec.crop,
        crops=spec.crops,
        stride=backbone.stride,
        frames=backbone.output_frames(spec.window),
        grid=grid,
    )


def graphs(model: Glat, grid: str) -> dict[str, tuple[nn.Module, tuple[Tensor, ...]]]:
    """Each graph as a module, and example inputs of batch 2."""
    sizes = geometry(model, grid)
    frames = torch.zeros(2, sizes.window, sizes.mels)
    return {
        "frontend": (Frontend(model.global_stream.frontend), (torch.zeros(2, sizes.block_samples),)),
        "global": (GlobalGraph(model, grid), (frames, torch.ones(2, sizes.frames))),
        "local": (LocalGraph(model), (frames[:, : sizes.crop],)),
    }


def export(folder: Path, grid: str = "stream") -> Geometry:
    """Write the graphs of the bundle in `folder`, and what they must answer to the probe.

    Returns:
        The sizes of the graphs, also written beside them for `glatd engine build`.
    """
    model, _ = read_bundle(folder)
    batch = torch.export.Dim("batch", min=1, max=4096)
    for name, (module, example) in graphs(model, grid).items():
        module.eval()
        shapes = tuple({0: batch} for _ in example)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # notes of the exporter on its own deprecations
            logging.getLogger("torch.onnx").setLevel(logging.ERROR)
            program = torch.export.export(module, example, dynamic_shapes=shapes, strict=True)
            torch.export.save(program, folder / f"{name}.pt2")
            torch.onnx.export(
                program,
                (),
                folder / f"{name}.onnx",
                dynamo=True,
                external_data=False,
                verbose=False,
                input_names=list(INPUTS[name]),
                output_names=list(OUTPUTS[name]),
                optimize=True,
            )
    assert set(GRAPHS) == set(INPUTS)
    sizes = geometry(model, grid)
    write_geometry(folder, sizes)
    np.savez(folder / PROBE_FILE, allow_pickle=False, **answers(model, grid, sizes))
    return sizes


@torch.no_grad()
def answers(model: Glat, grid: str, sizes: Geometry) -> dict[str, np.ndarray]:
    """What the float32 network says of the probe: scores [P, C] and starts [P, K]."""
    built = graphs(model, grid)
    samples, audible = probe_windows(sizes)
    frames = built["frontend"][0](torch.from_numpy(samples))
    scores, _, starts, classes, _ = built["global"][0](frames, torch.from_numpy(audible))
    crops = cut(frames, starts, sizes.crop)
    local = pool(built["local"][0](crops.flatten(0, 1)).unflatten(0, starts.shape), 1)
    return {
        "frames": frames[:, ::50].numpy(),
        "global": scores.numpy(),
        "local": local.numpy(),
        "fused": fuse(scores, local).numpy(),
        "starts": starts.numpy(),
        "classes": classes.numpy(),
    }
