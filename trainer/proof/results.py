"""What came of the runs of a proof: a small JSON file each, which says what it is of."""

import json
from pathlib import Path
from typing import Any

from glatd.errors import DataError
from glatd.trainer.proof.plan import Plan, Run

FOLDER = "results"
Result = dict[str, Any]  # as `trainer/proof/one.py` writes it


def path_of(out: Path, run: Run) -> Path:
    """Where the result of a run stands."""
    return out / FOLDER / f"{run.name}.json"


def write_result(path: Path, result: Result) -> None:
    """A file under its name only when it is whole.

    Raises:
        DataError: it cannot be written.
    """
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}; make space, the same command goes on") from error


def read_result(out: Path, run: Run, made_of: str) -> Result | None:
    """The result of a run; None where there is none yet.

    Args:
        made_of: fingerprint of the scenes.

    Raises:
        DataError: one of another recipe, seed, bundle or scenes stands there, or it cannot be read.
    """
    path = path_of(out, run)
    try:
        result: Result = json.loads(path.read_text(encoding="utf-8"))
        found = result["fingerprint"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no result of a run: {error}; remove it, and it is made again") from error
    if found != run.fingerprint(made_of):
        raise DataError(f"{path} is of another recipe, bundle or corpus; choose another --out, or remove it")
    return result


def read_results(plan: Plan, out: Path, made_of: str) -> dict[str, Result]:
    """All there are, by the name of the run.

    Raises:
        DataError: as of `read_result`.
    """
    found = {run.name: read_result(out, run, made_of) for run in plan.runs}
    return {name: result for name, result in found.items() if result is not None}
