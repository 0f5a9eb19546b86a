"""The page of a proof: tables and what they say, between the marks of a Markdown file, raw results beside it."""

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from glatd.errors import DataError
from glatd.trainer.proof import tables
from glatd.trainer.proof.plan import ALONE, GLAT, LONG, RANDOM, SHARED, Plan
from glatd.trainer.proof.results import Result
from glatd.trainer.proof.tables import GL_AT, Results, difference, title
from glatd.trainer.weak.report import Picture

BEGIN, END = "<!-- proof: begin -->", "<!-- proof: end -->"
FIGURE = "fig2.png"


def write_page(page: Path, plan: Plan, found: Mapping[str, Result]) -> None:
    """Put tables and findings between the marks of `page`; raw results and the picture go into a folder of its name.

    Raises:
        DataError: a page without the marks, or one that cannot be written.
    """
    folder = page.with_suffix("")
    try:
        text = page.read_text(encoding="utf-8")
        before, begin, rest = text.partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise DataError(f"{page} has no place for tables; put the lines {BEGIN} and {END} into it")
        folder.mkdir(exist_ok=True)
        results = Results(plan, found)
        for name, result in found.items():
            raw = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
            (folder / f"{name}.json").write_text(raw, encoding="utf-8")
        drawn = draw(folder / FIGURE, results)
        made = [*told(results), *claims(results), *shown(results, folder.name, drawn)]
        page.write_text(before + BEGIN + "\n\n" + "\n".join(made) + "\n\n" + END + after, encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write {page}: {error.strerror}") from error


def told(found: Results) -> list[str]:
    """What was run, where, and how much of the plan is there."""
    plan, done = found.plan, found.found
    spec = plan.file.scenes
    trained = [result for result in done.values() if "training_s" in result]
    if not trained:
        return ["No network has been trained yet."]
    hours = sum(result.get("training_s", 0.0) + result["judging_s"] for result in done.values()) / 3600
    machine = "; ".join(sorted({result["machine"] for result in trained}))
    rows = []
    for recipe in plan.recipes:
        ours = [result for result in trained if result["network"] == recipe.name]
        if ours:
            longest = [result["training_s"] for result in ours if result["row"] == GLAT]
            rows.append(
                [
                    title(recipe.name),
                    f"{recipe.backbone.width or 1:g}",
                    f"{ours[0]['parameters']:,}",
                    f"{recipe.optim.steps} of {recipe.optim.batch * recipe.optim.accumulate}",
                    f"{median(longest) / 60:.1f}" if longest else tables.MISSING,
                ]
            )
    return [
        f"{len(done)} of the {len(plan.runs)} runs of the plan are here; they took {hours:.1f} h, one after the other "
        f"({machine}). {spec.train:,} scenes to train by, {trained[0]['scenes']} of other recordings to judge by, "
        f"{trained[0]['classes']} classes judged, {len(plan.file.seeds)} seeds planned. "
        "A figure is the mean over the seeds that are here ± their standard deviation; one without ± is of one seed.",
        "",
        *tables.lines(["network", "width", "parameters", "steps", "minutes with GL-AT"], rows, 1),
        "",
    ]


def claims(found: Results) -> list[str]:
    """What the paper says, asked of what came of it here: the differences network by network, and in how many seeds."""
    alone, longer, by_chance = "the network alone", "the network alone, trained as long as GL-AT hears", "random crops"
    more = found.sizes["more"]
    chosen, local = (GLAT, GL_AT.way), (GLAT, "clip/local")
    asked = [
        (f"Does GL-AT beat {alone}, by equal steps?", chosen, (ALONE, "global")),
        (f"Does it beat {longer}?", chosen, (LONG, "global")),
        ("And with all windows besides, which hear more than GL-AT does?", chosen, (LONG, "all/fused")),
        (f"And with {more} random crops besides?", chosen, (LONG, "more/fused")),
        (f"Does it beat two streams trained and judged by {by_chance}?", chosen, (RANDOM, "random/fused")),
        ("Is the local stream better than the global one?", local, (GLAT, "global")),
        ("Are both together better than the local one?", chosen, local),
        ("Is one classifier for both streams better than two?", (SHARED, "clip/fused"), chosen),
        ("Is one crop a sound better than one a class?", (GLAT, "sounds/fused"), chosen),
        ("Are crops evenly spread better than chosen ones?", (GLAT, "even/fused"), chosen),
    ]
    made = ["### What it shows", "", "Differences of mAP, in brackets in how many seeds they are above 0.", ""]
    made += [f"- {question} {_answer(found, ours, theirs)}" for question, ours, theirs in asked]
    over_n, over_tau = tables.sweep(found)
    if len(over_n) > 1:
        best, value = max(over_n, key=lambda one: one[1])
        made.append(
            f"- Does it rise with N, and level off near 5? The highest mAP is {value:.3f}, at N = {best}; "
            f"{over_n[0][1]:.3f} at N = {over_n[0][0]}."
        )
    if len(over_tau) > 1:
        length, value = max(over_tau, key=lambda one: one[1])
        made.append(f"- Is there a peak near tau = 3 s? The highest mAP is {value:.3f}, at {length:g} s.")
    return [*made, ""]


def _answer(found: Results, ours: tuple[str, str], theirs: tuple[str, str]) -> str:
    """On how many networks on the whole, and the difference on each."""
    cells, yes = [], 0
    for network in found.networks:
        left, right = found.by_seed(network, *ours), found.by_seed(network, *theirs)
        both = left.keys() & right.keys()
        if both:
            cells.append(f"{title(network)} {difference(left, right)}")
            yes += sum(left[seed] - right[seed] for seed in both) > 0
    return f"On {yes} of {len(cells)} networks: {', '.join(cells)}." if cells else "Not run yet."


def shown(found: Results, folder: str, drawn: bool) -> list[str]:
    """The tables."""
    over_n, over_tau = tables.sweep(found)
    figure = []
    if drawn:
        values = [f"N = {n}: {value:.3f}" for n, value in over_n] + [f"{t:g} s: {value:.3f}" for t, value in over_tau]
        spec = found.plan.file.sweep
        figure = [
            f"### Fig. 2: number and length of crops ({title(spec.recipe)}, seed {spec.seed})",
            "",
            f"![mAP over the number and the length of crops]({folder}/{FIGURE})",
            "",
            ", ".join(values) + ".",
            "",
        ]
    return [
        "### Table 1: mAP, alone and with GL-AT, on equal terms",
        "",
        *tables.table_1(found),
        "",
        *tables.figures(found),
        "",
        "### Seed by seed",
        "",
        "The difference of mAP, and in how many seeds GL-AT is higher.",
        "",
        *tables.differences(found),
        "",
        "### Table 2: each stream, and both",
        "",
        *tables.table_2(found),
        "",
        *figure,
        "### Which crops",
        "",
        "Networks trained with GL-AT, judged by other crops than they were trained by; fused mAP.",
        "",
        *tables.choices(found),
    ]


def draw(path: Path, found: Results) -> bool:
    """Fig. 2, where there is something of it."""
    over_n, over_tau = tables.sweep(found)
    if len(over_n) < 2 and len(over_tau) < 2:
        return False
    with Picture(path, "N, crops", "mAP (fused)") as axes:
        if len(over_n) > 1:
            axes.plot(*zip(*over_n, strict=True), "o-", color="tab:blue", label="N crops")
        if len(over_tau) > 1:
            above = axes.twiny()
            above.plot(*zip(*over_tau, strict=True), "s--", color="tab:orange", label="length of crops")
            above.set_xlabel("tau, s")
            above.legend(loc="lower right")
    return True
