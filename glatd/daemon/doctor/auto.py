"""What `engine = "auto"` chose, where there was something to choose: engines that cannot run here, a GPU left idle."""

from collections.abc import Iterator

from glatd.daemon.doctor.finding import Finding, failure, ok, warning
from glatd.engines.choose import Choice
from glatd.engines.targets.cuda_gpu import DRIVER, find_gpu
from glatd.errors import EngineError

_NAME = "Engine auto"


def chosen(choice: Choice) -> Iterator[Finding]:
    """Nothing where only the default engine is there, and no GPU."""
    for reason in choice.others:
        yield failure(_NAME, EngineError(reason), "warning")
    runtime = choice.manifest.runtime
    if choice.others or runtime.target != "cpu":
        yield ok(_NAME, choice.why)
    if runtime.target == "cpu" and DRIVER.exists():
        try:
            gpu = find_gpu()
        except EngineError as raised:
            yield failure("GPU", raised, "warning")
        else:
            yield warning(
                "GPU",
                f"{gpu.name} is not used: there is no engine for it that can run",
                "glatd engine build BUNDLE --out ~/.local/share/glatd/engines/gpu --target tensorrt (docs/gpu.md)",
            )
