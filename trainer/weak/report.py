"""What a run leaves for people: REPORT.md with a table of every class, pictures, and evaluation.json."""

from pathlib import Path
from typing import TYPE_CHECKING

from glatd.trainer.evaluation import RECALLS, Evaluation, named, table, write_json
from glatd.trainer.metrics import d_prime
from glatd.trainer.weak.history import read
from glatd.trainer.weak.recipe import ClipRecipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

JSON, TEXT = "evaluation.json", "REPORT.md"
LOSS, MAP, CURVES = "loss.png", "map.png", "precision-recall.png"


def write_report(out: Path, work: Path, recipe: ClipRecipe, found: Evaluation) -> None:
    """Everything, into `out`; the curves come from the history in `work`."""
    write_json(out / JSON, found)
    entries = read(work)
    losses = [entry for entry in entries if "global" in entry]
    judged = [entry for entry in entries if "map" in entry]
    steps = [entry["step"] for entry in losses]
    with Picture(out / LOSS, "step", "loss (BCE)") as axes:
        for name in ("global", "local"):
            if losses and name in losses[-1]:
                axes.plot(steps, [entry[name] for entry in losses], label=name)
    with Picture(out / MAP, "step", f"mAP ({recipe.judged_by})") as axes:
        axes.plot([entry["step"] for entry in judged], [entry["map"] for entry in judged], "o-", label="mAP")
    with Picture(out / CURVES, "recall", "precision, mean over classes") as axes:
        for way in ("global", f"{recipe.glat.grid}/local", f"{recipe.glat.grid}/fused", "all/fused"):
            axes.plot(RECALLS, found.curves[way], label=named(way, found))
    (out / TEXT).write_text(text(recipe, found), encoding="utf-8")


def text(recipe: ClipRecipe, found: Evaluation) -> str:
    """The report's text."""
    report = found.reports[recipe.judged_by]
    optim = recipe.optim
    rows = [
        f"| {found.labels[one]} | {found.positives[one]} | {precision:.4f} | {report.auc[one]:.4f} "
        f"| {d_prime(report.auc[one]):.3f} |"
        for one, precision in sorted(report.per_class.items(), key=lambda item: -item[1])
    ]
    return "\n".join(
        [
            f"# {recipe.name}",
            "",
            f"{recipe.backbone.name}, {'with GL-AT' if recipe.method == 'glat' else 'alone'}; at most {optim.steps:,} "
            f"steps of {optim.batch * optim.accumulate} clips, Adam {optim.learning_rate:g}, {recipe.precision}, "
            f"classifier {recipe.glat.classifier}. Clips are weakly labelled; the test clips also chose when to stop "
            f'where the recipe keeps the best weights (`keep = "{recipe.watch.keep}"`).',
            "",
            "```text",
            *table(found),
            "```",
            "",
            f"![loss]({LOSS}) ![mAP]({MAP}) ![precision and recall]({CURVES})",
            "",
            f"## Every class ({recipe.judged_by})",
            "",
            "| class | clips | AP | AUC | d-prime |",
            "|---|--:|--:|--:|--:|",
            *rows,
            "",
        ]
    )


class Picture:
    """A picture with one pair of axes, written when the block ends; no window, no browser."""

    def __init__(self, path: Path, x: str, y: str) -> None:
        from matplotlib.figure import Figure

        self._path = path
        self._figure = Figure(figsize=(6, 4), layout="constrained")
        self._axes = self._figure.add_subplot()
        self._axes.set(xlabel=x, ylabel=y)
        self._axes.grid(alpha=0.3)

    def __enter__(self) -> "Axes":
        return self._axes

    def __exit__(self, *error: object) -> None:
        if self._axes.get_legend_handles_labels()[0]:
            self._axes.legend()
        self._figure.savefig(self._path, dpi=100)
