"""The graphs of a bundle: `frontend`, `global`, `local`, and trunks and heads (engines/trunks.py) where the networks
have them, as `.pt2` and `.onnx`, float32.

Every size but the batch is fixed: a graph with an open length silently takes a window of the
wrong length, and runs slower.
"""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from glatd.engines.build import write_geometry
from glatd.engines.manifest import FEATURE, Geometry
from glatd.engines.material import FILE as MATERIAL
from glatd.engines.probe import FILE as PROBE_FILE
from glatd.engines.probe import probe_windows
from glatd.engines.trunks import Trunk as TrunkSizes
from glatd.trainer.backbones.folding import fold_batchnorm
from glatd.trainer.bundle import read_bundle
from glatd.trainer.frontend import Frontend
from glatd.trainer.glat import Glat, cut, fuse, pool
from glatd.trainer.heads import GlobalHead, LocalHead
from glatd.trainer.material import make_material
from glatd.trainer.trunk import Trunk, pieces

LOOK = ("scores", "activations", "starts", "classes", "middles")
INPUTS = {
    "frontend": ("samples",),
    "global": ("frames", "audible"),
    "local": ("frames",),
    "global_trunk": ("frames",),
    "global_head": ("kept", "audible"),
    "local_trunk": ("frames",),
    "local_head": ("kept",),
}
OUTPUTS = {
    "frontend": ("frames",),
    "global": (*LOOK, FEATURE),
    "local": ("scores", FEATURE),
    "global_trunk": ("made", FEATURE),
    "global_head": LOOK,
    "local_trunk": ("made", FEATURE),
    "local_head": ("scores",),
}


class GlobalGraph(GlobalHead):
    """10 s of frames -> scores, activations and the crops to look at, and the feature that all of them come from."""

    def forward(self, frames: Tensor, audible: Tensor) -> tuple[Tensor, ...]:
        """Frames [B, window, M] and audible [B, F] (1.0 or 0.0) float32 -> see `OUTPUTS`."""
        feature = self.stream.feature(frames)
        return *self.look(feature, audible), feature


class LocalGraph(LocalHead):
    """Frames of one crop -> scores, and the feature that they come from."""

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Frames [B, crop, M] float32 -> see `OUTPUTS`."""
        feature = self.stream.feature(frames)
        return self.look(feature), feature


class TrunkGraph(nn.Module):
    """One run of a trunk: its output frames, and the feature before it is turned round to be kept frame by frame."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Frames [B, run, M] float32 -> see `OUTPUTS`."""
        made = self.trunk(frames)
        return made.transpose(1, 2), made


def trunks(model: Glat) -> dict[str, Trunk]:
    """The trunks of the streams, by the graph that they stand for."""
    lengths = {"global": (model.global_stream, model.spec.window), "local": (model.local_stream, model.spec.crop)}
    found = {graph: (stream, pieces(stream, length)) for graph, (stream, length) in lengths.items()}
    return {graph: Trunk(stream, sizes) for graph, (stream, sizes) in found.items() if sizes is not None}


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
        trunks=tuple(
            TrunkSizes(
                of=graph,
                length=trunk.sizes.length,
                stride=backbone.stride,
                left=trunk.sizes.reach.left,
                rows=trunk.sizes.rows,
                provisional=trunk.sizes.provisional,
                size=backbone.trunk_size,
            )
            for graph, trunk in trunks(model).items()
        ),
    )


def graphs(model: Glat, grid: str) -> dict[str, tuple[nn.Module, tuple[Tensor, ...]]]:
    """Each graph as a module, and example inputs of batch 2."""
    sizes = geometry(model, grid)
    frames, audible = torch.zeros(2, sizes.window, sizes.mels), torch.ones(2, sizes.frames)
    further: dict[str, tuple[nn.Module, tuple[Tensor, ...]]] = {}
    for trunk, described in zip(trunks(model).values(), sizes.trunks, strict=True):
        kept = torch.zeros(2, described.frames, described.size)
        further[described.graph] = TrunkGraph(trunk), (frames[:, : described.run],)
        if described.of == "global":
            further[described.head] = GlobalHead(model, grid), (kept, audible)
        else:
            further[described.head] = LocalHead(model), (kept,)
    return {
        "frontend": (Frontend(model.global_stream.frontend), (torch.zeros(2, sizes.block_samples),)),
        "global": (GlobalGraph(model, grid), (frames, audible)),
        "local": (LocalGraph(model), (frames[:, : sizes.crop],)),
        **further,
    }


def name_feature(path: Path) -> None:
    """Make the output `feature` of an ONNX graph a value inside it: an engine does not give it, but a target whose
    trunk computes in a lower precision than its head finds the place by this name."""
    import onnx

    program = onnx.load(path)
    for value in [value for value in program.graph.output if value.name == FEATURE]:
        program.graph.output.remove(value)
        program.graph.value_info.append(value)
        onnx.save(program, path)


def export(
    folder: Path,
    grid: str = "stream",
    data: Path | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Geometry:
    """Write the graphs of the bundle in `folder`, and what they must answer to the probe.

    Args:
        data: folder with corpus.csv and clips/; with it, what they must answer to labelled clips is written, too.

    Returns:
        The sizes of the graphs, also written beside them for `glatd engine build`.
    """
    model, described = read_bundle(folder)
    fold_batchnorm(model)  # an imported MN has it still, so that training may begin with it
    (folder / MATERIAL).unlink(missing_ok=True)  # of other graphs
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
            name_feature(folder / f"{name}.onnx")
    sizes = geometry(model, grid)
    write_geometry(folder, sizes)
    np.savez(folder / PROBE_FILE, allow_pickle=False, **answers(model, grid, sizes))
    if data is not None:
        modules = {name: module for name, (module, _) in graphs(model, grid).items()}
        make_material(folder, modules, sizes, described.weights_sha256, described.labels, data, progress)
    return sizes


@torch.no_grad()
def answers(model: Glat, grid: str, sizes: Geometry) -> dict[str, np.ndarray]:
    """What the float32 network says of the probe: scores [P, C] and starts [P, K]."""
    built = graphs(model, grid)
    samples, audible = probe_windows(sizes)
    frames = built["frontend"][0](torch.from_numpy(samples))
    scores, _, starts, classes, *_ = built["global"][0](frames, torch.from_numpy(audible))
    crops = cut(frames, starts, sizes.crop)
    local = pool(built["local"][0](crops.flatten(0, 1))[0].unflatten(0, starts.shape), 1)
    return {
        "frames": frames[:, ::50].numpy(),
        "global": scores.numpy(),
        "local": local.numpy(),
        "fused": fuse(scores, local).numpy(),
        "starts": starts.numpy(),
        "classes": classes.numpy(),
    }
