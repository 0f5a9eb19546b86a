"""One process or many: Lightning Fabric, told what torchrun says."""

import os
import warnings
from typing import Any

from glatd.errors import ConfigError
from glatd.trainer.looker import find_device


def make_fabric(precision: str, device: str) -> Any:
    """A Fabric that is launched: alone, or as one of torchrun's processes, on as many GPUs and machines as it started.

    Args:
        precision: "32-true", "bf16-mixed" or "16-mixed".
        device: auto, cpu or cuda.

    Raises:
        ConfigError: no such device here, or a precision that it has not.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.plugins import MixedPrecision, Precision

    class FloatInputs(MixedPrecision):
        """Weights and sums as Fabric has them, but frames as they are: as bfloat16 they lie 0.25 dB apart."""

        def convert_input(self, data: Any) -> Any:
            return data

    kind = find_device(device).type
    if precision == "16-mixed" and kind == "cpu":
        raise ConfigError("precision 16-mixed needs a GPU; take bf16-mixed or 32-true on a CPU")
    here, everywhere = (int(os.environ.get(name, "1")) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on devices that are left unused on purpose
        fabric = Fabric(
            accelerator=kind,
            devices=here,
            num_nodes=max(1, everywhere // here),
            plugins=Precision() if precision == "32-true" else FloatInputs(precision, kind),  # type: ignore[arg-type]
            strategy="ddp" if everywhere > 1 else "auto",
        )
        fabric.launch()
    return fabric
