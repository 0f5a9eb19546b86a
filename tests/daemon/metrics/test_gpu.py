"""GPUs in the metrics: what their driver tells, and nothing where there is none."""

import shutil

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from glatd.daemon.metrics.gpu import GpuCollector, open_nvml

HAS_DRIVER = shutil.which("nvidia-smi") is not None


@pytest.mark.skipif(HAS_DRIVER, reason="this machine has NVIDIA's driver")
def test_a_machine_without_a_driver_has_none() -> None:
    assert open_nvml() is None


@pytest.mark.gpu
def test_a_gpu_tells_of_itself() -> None:
    nvml = open_nvml()
    assert nvml is not None
    registry = CollectorRegistry()
    registry.register(GpuCollector(nvml))
    told = generate_latest(registry).decode()
    assert 'glatd_gpu_memory_bytes{gpu="0"}' in told and 'glatd_gpu_temperature_celsius{gpu="0"}' in told


def test_a_gpu_that_answers_some_questions_gets_those_metrics() -> None:
    """As on boards whose driver knows no power: the library itself, with its calls answered as there."""
    import pynvml  # type: ignore[import-untyped]

    class Board:
        """The questions of NVML that a Jetson answers."""

        NVMLError, NVML_TEMPERATURE_GPU = pynvml.NVMLError, pynvml.NVML_TEMPERATURE_GPU

        def nvmlDeviceGetCount(self) -> int:
            return 1

        def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
            return index

        def nvmlDeviceGetTemperature(self, gpu: int, kind: int) -> int:
            return 51

        def __getattr__(self, name: str) -> object:
            def refuse(*_: object) -> None:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

            return refuse

    registry = CollectorRegistry()
    registry.register(GpuCollector(Board()))
    told = generate_latest(registry).decode()
    assert 'glatd_gpu_temperature_celsius{gpu="0"} 51.0' in told
    assert "glatd_gpu_power_watts{" not in told
