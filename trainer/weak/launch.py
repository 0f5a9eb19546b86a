"""One process or many: Lightning Fabric, told what torchrun says."""

import os
import warnings
from datetime import timedelta
from typing import Any

from glatd.errors import ConfigError
from glatd.trainer.looker import find_device

PATIENCE = timedelta(days=1)  # of processes that wait while the first one judges


def make_fabric(precision: str, device: str) -> Any:
    """A Fabric that is launched: alone, or as one of torchrun's processes, on as many GPUs and machines as it started.

    Args:
        precision: "32-true", "bf16-mixed" or "16-mixed".
        device: auto, cpu, cuda, or where there is one process cuda:1 ...

    Raises:
        ConfigError: no such device here, a precision that it has not, or one device for several processes.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.plugins import MixedPrecision, Precision
    from lightning_fabric.strategies.ddp import DDPStrategy

    class FloatInputs(MixedPrecision):
        """Weights and sums as Fabric has them, but frames as they are: as bfloat16 they lie 0.25 dB apart."""

        def convert_input(self, data: Any) -> Any:
            return data

    found = find_device(device)
    kind, index = found.type, found.index if found.type == "cuda" else None
    if precision == "16-mixed" and kind == "cpu":
        raise ConfigError("precision 16-mixed needs a GPU; take bf16-mixed or 32-true on a CPU")
    here, everywhere = (int(os.environ.get(name, "1")) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    if index is not None and everywhere > 1:
        raise ConfigError(f"--device {device} names one of the devices that torchrun's processes share; take {kind}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on devices that are left unused on purpose
        fabric = Fabric(
            accelerator=kind,
            devices=here if index is None else [index],
            num_nodes=max(1, everywhere // here),
            plugins=Precision() if precision == "32-true" else FloatInputs(precision, kind),  # type: ignore[arg-type]
            strategy=DDPStrategy(timeout=PATIENCE) if everywhere > 1 else "auto",
        )
        fabric.launch()
    return fabric
