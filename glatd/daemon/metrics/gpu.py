"""The GPUs of this machine, as NVIDIA's own library (NVML) tells them at a scrape; none where there is none.

The driver brings the library; nvidia-ml-py, of NVIDIA, calls it. A GPU that answers one question and not another, as
those of Jetson boards do, gets the metrics that it answers.
"""

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


def open_nvml() -> Any | None:
    """NVML, ready to be asked; None where there is no driver."""
    import pynvml  # type: ignore[import-untyped]

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


class GpuCollector(Collector):
    """Memory, use, temperature and power of each GPU.

    Args:
        nvml: from `open_nvml`.
    """

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        count = nvml.nvmlDeviceGetCount()
        self._gpus = [(str(index), nvml.nvmlDeviceGetHandleByIndex(index)) for index in range(count)]

    def collect(self) -> Iterator[Metric]:
        nvml = self._nvml
        asked: tuple[tuple[str, str, Callable[[Any], float]], ...] = (
            (
                "glatd_gpu_memory_used_bytes",
                "in use, of all programs",
                lambda gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used,
            ),
            ("glatd_gpu_memory_bytes", "there is", lambda gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).total),
            (
                "glatd_gpu_utilization_ratio",
                "share of the recent past in which the GPU computed",
                lambda gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100,
            ),
            (
                "glatd_gpu_temperature_celsius",
                "of the chip",
                lambda gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
            ),
            ("glatd_gpu_power_watts", "drawn now", lambda gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000),
        )
        for name, what, ask in asked:
            family = GaugeMetricFamily(name, what, labels=["gpu"])
            for index, gpu in self._gpus:
                try:
                    family.add_metric([index], ask(gpu))
                except nvml.NVMLError:
                    continue  # this GPU does not tell
            yield family
