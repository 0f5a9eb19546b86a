"""Which commands of the documentation are not run by the tests, and why: every line here is used."""

import re

from tests.docs.pages import Command

ROOT_AND_SYSTEMD = "changes the system, as root; tests/deploy/ judges the unit, and that every file is there"
REGISTRY = "asks a package registry; tests/house/test_wheel.py installs the wheel without one"
CONTAINER = "needs a container runtime; tests/deploy/test_container.py reads the Containerfile"
ITSELF = "is what runs this test, or one of its neighbours"

# The beginning of a command, as a regular expression; the whole of it up to there is meant.
EXCUSED = {
    r"(sudo )?apt-get install ": ROOT_AND_SYSTEMD + "; CI installs such packages by .ci/run",
    r"python3 -m venv ": REGISTRY,
    r"(\S*/)?pip install ": REGISTRY,
    r"pipx install ": REGISTRY,
    r"npm install ": "asks a package registry; tests/clients/test_node.py runs the package",
    r"\. ~/glatd-env/bin/activate": "there is no such environment; the one that tests run in is active",
    r"ln -s /opt/": ROOT_AND_SYSTEMD,
    r"cp deploy/": ROOT_AND_SYSTEMD,
    r"install -d ": ROOT_AND_SYSTEMD,
    r"install -m ": ROOT_AND_SYSTEMD,
    r"install -D -m 0644 deploy/drop-ins/nvidia.conf": ROOT_AND_SYSTEMD,
    r"runuser ": ROOT_AND_SYSTEMD,
    r"systemctl ": ROOT_AND_SYSTEMD,
    r"podman ": CONTAINER,
    r"make (demo|test|docs)": ITSELF,
    r"\.venv/bin/": ITSELF,
    r"scripts/(types|layers)": ITSELF,
    r"make release": "makes dist/ from a clone; tests/deploy/ or CI does so",
    r"scripts/sbom ": "judges an installation that is not here; tests/deploy/ judges one that is",
    r"sudo scripts/bare_debian": "makes a Debian root, as root, from a mirror",
    r"python -m benchmarks ": "takes an hour, and a corpus that does not come along",
    r"glatd engine build .* --target (tensorrt|cuda) ": "takes minutes; tests/engines/ builds small ones",
    r"glatd engine verify ~/": "needs a GPU, and the engine built before it; tests/engines/ verifies others",
    r"glatd engine bench": "takes a while; tests/engines/test_bench.py runs short ones",
    r"glatd control \S+ engine |glatd run .*--shadow ": "needs another engine; tests/daemon/swap/ has some",
    r"glatd bench ": "takes minutes of the whole machine; tests/daemon/planner/ runs a short one",
    r"glatd archive s3://": "needs an object store; tests/daemon/archive/ has another of fsspec's",
    r"(RAY_USAGE_STATS_ENABLED=0 )?ray |glatd archive .* --ray ": "needs Ray; tests/daemon/archive/ starts a cluster",
    r"curl ": "asks the dashboard, and never ends; tests/daemon/web/ asks it all that",
    r"glatd train fit ": "takes hours and a corpus; tests/trainer/test_fit.py fits a small one",
    r"glatd train (pack|eval|sweep|proof) ": "needs a corpus; tests/trainer/ does it with a small one",
    r"torchrun ": "needs several GPUs; tests/trainer/weak/test_train.py trains with two processes",
    r"glatd train export cnn10|glatd engine build cnn10": "needs a trained network; tests/engines/ has small ones",
    r"glatd train finetune |glatd run .*--engine mine/engine": "takes minutes; tests/trainer/test_finetune.py does it",
    r"glatd verdicts ": "needs events that were judged; tests/daemon/web/test_gathering.py has some",
    r"glatd train import ": "the published weights do not come along; tests/trainer/test_importing.py imports some",
}

# Run by `make test-long` alone: these compile networks, or need what a costly command before them has made.
SLOW = re.compile(r"glatd (train export|engine build|engine verify my-|run --engine my-|archive export)")
# Each loads the engine, which takes more than a second: in `make test` once, whatever the options, and once with keys.
HEAVY = {
    f"glatd {name}"
    for name in (
        "run",
        "replay",
        "calibrate",
        "explain",
        "plot",
        "archive",
        "check",
        "doctor",
    )
}
# Exit codes beside 0 that are an answer and no failure.
ANSWERS = {r"glatd doctor": (0, 1)}
# What goes on until it is stopped.
LASTING = re.compile(r"glatd (run|listen|top|hub|bridge (?!.*--test))\b")


def excuse(command: Command) -> str | None:
    """The regular expression that excuses a command."""
    return next((pattern for pattern in EXCUSED if re.match(pattern, command.text)), None)


def answers(command: Command) -> tuple[int, ...]:
    """Exit codes that are good."""
    return next((codes for pattern, codes in ANSWERS.items() if re.match(pattern, command.text)), (0,))
