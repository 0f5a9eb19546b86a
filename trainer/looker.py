"""Whatever looks twice: a network with its weights, or an engine that was compiled of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from glatd.engines.engine import Engine
from glatd.engines.load import load_engine
from glatd.engines.verify import frames_in_blocks
from glatd.errors import ConfigError
from glatd.trainer.frontend import Frontend
from glatd.trainer.glat import Glat
from glatd.trainer.selection import known

GRIDS = ("clip", "stream")


class Looker(Protocol):
    """Both looks. Tensors are on the CPU, whatever computes."""

    rate: int  # Hz
    second: int  # mel frames in a second, about
    window: int  # mel frames
    crop: int  # mel frames
    crops: int  # K
    labels: tuple[str, ...]

    @property
    def samples(self) -> int:
        """Samples of a window."""

    def frames(self, samples: Tensor) -> Tensor:
        """Log-mel [B, window, M] of clips [B, samples] that stand alone."""

    def look_globally(self, frames: Tensor, silent: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Scores [B, C], and the crops that are chosen, by grid: starts [B, K] in mel frames.

        A network also says where it would look by the other rule, by the name of that (`sounds` or `classes`).

        Args:
            silent: [B] mel frames at the start that are not real audio.
        """

    def look_locally(self, crops: Tensor) -> Tensor:
        """Scores [n, C] of crops [n, crop, M]."""


class Network:
    """A network, in float32, on any device.

    Args:
        choose: the rule by which crops are chosen (`GlatSpec.choose`); the network's own when None.
    """

    def __init__(
        self,
        model: Glat,
        labels: tuple[str, ...] = (),
        device: torch.device | str = "cpu",
        choose: str | None = None,
    ) -> None:
        self._model = model.to(device).eval()
        self._device = torch.device(device)
        front, spec = model.global_stream.frontend, model.spec
        self._frontend = Frontend(front).to(device)
        choose = choose or spec.choose
        other = "classes" if choose == "sounds" else "sounds"
        selections = {name: model.selection(name, choose) for name in GRIDS}
        self._selections = {
            name: one.to(device) for name, one in (selections | {other: model.selection(spec.grid, other)}).items()
        }
        self.rate, self.second, self._hop = front.rate, round(front.rate / front.hop), front.hop
        self.window, self.crop, self.crops, self.labels = spec.window, spec.crop, spec.crops, labels

    @property
    def samples(self) -> int:
        """Samples of a window."""
        return self.window * self._hop

    @torch.no_grad()
    def frames(self, samples: Tensor) -> Tensor:
        """Padded by reflection, as published; a frame more than a window is dropped."""
        return self._frontend.clip(samples.to(self._device))[:, : self.window].cpu()

    @torch.no_grad()
    def look_globally(self, frames: Tensor, silent: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """On both grids, and by the other rule on the network's own."""
        logits, frame_logits = self._model.global_stream(frames.to(self._device))
        audible = self._model.audible(silent.to(self._device), frame_logits.shape[2])
        starts = {}
        for name, select in self._selections.items():
            found = select(known(logits), known(frame_logits), audible)[0]
            starts[name] = (found if select.grid.unit == "frame" else (found + self._hop // 2) // self._hop).cpu()
        return logits.sigmoid().cpu(), starts

    @torch.no_grad()
    def look_locally(self, crops: Tensor) -> Tensor:
        """The local stream."""
        return self._model.local_stream.clip_logits(crops.to(self._device)).sigmoid().cpu()


class Compiled:
    """An engine, which hears a clip as the daemon does: with digital silence around, on the grid it was built with."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sizes = sizes = engine.sizes
        self.rate, self.second = sizes.rate, round(sizes.rate / sizes.hop)
        self.window, self.crop, self.crops = sizes.window, sizes.crop, sizes.crops
        self.labels = tuple(label.name for label in engine.manifest.labels)

    @property
    def samples(self) -> int:
        """Samples of a window."""
        return self.window * self._sizes.hop

    def frames(self, samples: Tensor) -> Tensor:
        """By the engine's front end."""
        sizes = self._sizes
        seen = sizes.left + samples.shape[1] + sizes.right - sizes.hop  # samples, up to where the last frame ends
        padded = np.pad(samples.numpy(), ((0, 0), (sizes.left, max(0, sizes.right - sizes.hop))))[:, :seen]
        return torch.from_numpy(np.concatenate([frames_in_blocks(self._engine, row[None]) for row in padded]))

    def look_globally(self, frames: Tensor, silent: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Window by window: an engine need not take more at once."""
        stride = self._sizes.stride
        middles = np.arange(self._sizes.frames) * stride + stride // 2
        scores, starts = [], []
        for row, quiet in zip(frames.numpy(), silent.tolist(), strict=True):
            audible = (middles >= quiet).astype(np.float32)[None]
            glance = self._engine.look_globally(np.ascontiguousarray(row[None]), audible)
            scores.append(glance.scores)
            starts.append(glance.starts)
        return torch.from_numpy(np.concatenate(scores)), {self._sizes.grid: torch.from_numpy(np.concatenate(starts))}

    def look_locally(self, crops: Tensor) -> Tensor:
        """Few at a time, of sizes that the engine has met."""
        rows = np.ascontiguousarray(crops.numpy())
        parts = [self._engine.look_locally(rows[at : at + self.crops]) for at in range(0, len(rows), self.crops)]
        return torch.from_numpy(np.concatenate(parts))


def compiled(folder: Path) -> Compiled:
    """The engine in `folder`.

    Raises:
        EngineError: damaged, or one that cannot run here.
    """
    return Compiled(load_engine(folder))


def find_device(name: str) -> torch.device:
    """A device by name; `auto` is a GPU where there is one.

    On it float32 is float32 from now on: PyTorch lets convolutions round to 10 bits of mantissa (TF32), in which what
    is 60 dB below the loudest bin of a frame is noise.

    Raises:
        ConfigError: no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"no device {name!r} here: {str(error).splitlines()[0]}; take auto, cpu or cuda") from error
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return device
