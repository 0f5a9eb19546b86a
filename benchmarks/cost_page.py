"""The measured part of docs/capacity.md and its picture, from docs/benchmarks/cost.json and local.json."""

from pathlib import Path

from benchmarks import marked
from benchmarks.render import where
from benchmarks.tables import Row, pick, table


def write(page: Path, cost: Row | None, local: Row | None) -> None:
    """Put tables into the page, between its marks, and the picture beside it."""
    if cost:
        draw(cost, page.parent / "pictures" / "cost.svg")
    marked.fill(page, [*(local_lines(local) if local else []), *(cost_lines(cost) if cost else [])])


def local_lines(result: Row) -> list[str]:
    """Both ways to look."""
    rows = []
    for way in ("top-k", "all"):
        spent, events = result["cost"][way], result["events"][way]
        rows.append(
            [
                f"`{way}`",
                f"{result['map'][way]:.3f}",
                f"{events['f1_macro']:.3f}",
                f"{events['f1_micro']:.3f}",
                f"{100 * events['within_collar']:.0f}",
                f"{spent['new_crops']:.2f}",
                f"{100 * spent['hit_rate']:.0f}",
                f"{spent['cpu_ms']:.1f}",
            ]
        )
    others = ", ".join(f"{name} {value:.3f}" for name, value in result["map"].items() if name not in ("top-k", "all"))
    return [
        "### Second looks: chosen, or everywhere",
        "",
        *where(result),
        f"mAP on {result['scenes']} weakly labelled scenes of clips that training never saw; event F1 in "
        f"{result['minutes']} minutes with eight sounds each, thresholds set on as many others; CPU of both looks at a "
        "window of a stream that has run for a while, the mean of its windows, on one thread.",
        "",
        *table(
            ["`local`", "mAP", "event F1, macro", "event F1, micro", "onsets within 0.5 s %", "new crops a hop",
             "known %", "CPU ms a window"],
            rows,
        ),
        f"mAP of other ways: {others}.",
        "",
    ]  # fmt: skip


def cost_lines(result: Row) -> list[str]:
    """The model, how well it predicts, and what is held."""
    parts, off = result["parts_ms"], result["off"]
    lines = [
        "### Cost as work grows",
        "",
        *where(result),
        "![CPU by streams, by K and by hop](pictures/cost.svg)",
        "",
        "CPU ms of a stream-second = "
        f"**{parts['second']:.2f} + ({parts['window']:.2f} + {parts['crop']:.2f} × new crops) / hop**: found from the "
        f"runs of one stream. Over all {len(result['rows'])} runs it is off by {100 * off['median']:.1f} % in the "
        f"middle and {100 * off['most']:.1f} % at most; in those of more than one stream, which it was not fitted to, "
        f"by {100 * off['median_of_many_streams']:.1f} % in the middle.",
        "",
        *table(
            ["streams", "`local`", "K", "hop s", "new crops a window", "CPU ms a stream-second", "predicted"],
            pick(
                [row | {"new": row["crops"] / row["windows"], "way": f"`{row['local']}`"} for row in result["rows"]],
                streams="", way="", crops_asked="", hop="g", new=".2f", cpu_ms=".2f", predicted_ms=".2f",
            ),
        ),
    ]  # fmt: skip
    for way, live in result["live"].items():
        lines += [
            f'In real time, `local = "{way}"`, hop {live["hop"]:g} s: **{live["held"]} streams** are held. '
            f"{live['fixed_cores']:.3f} cores do not grow with the streams, and a stream takes "
            f"{live['ms_a_stream_second']:.1f} ms a second ({live['ms_of_recordings']:.1f} as a recording; the rest is "
            "waking up for each 20 ms of sound).",
            "",
            *table(
                ["streams", "late, median ms", "late, p99 ms", "cores", "held"],
                [
                    [
                        one["streams"],
                        f"{1000 * one['late_p50']:.0f}",
                        f"{1000 * one['late_p99']:.0f}",
                        f"{one['cores']:.2f}",
                        "yes" if one["held"] else "no",
                    ]
                    for one in live["attempts"]
                ],
            ),
        ]
    return lines


def draw(result: Row, path: Path) -> None:
    """Three curves: dots are measured, lines are the model's."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    path.parent.mkdir(exist_ok=True)
    rows = result["rows"]
    panels = (
        ("streams", "streams", lambda row: row["hop"] == 0.96 and row["crops_asked"] in (None, 5)),
        ("crops_asked", "K", lambda row: row["streams"] == 1 and row["hop"] == 0.96 and row["local"] == "top-k"),
        ("hop", "hop, s", lambda row: row["streams"] == 1 and row["crops_asked"] in (None, 5)),
    )
    with mpl.rc_context({"svg.hashsalt": "glatd", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(9, 2.8), layout="constrained")
        for axes, (key, name, chosen) in zip(figure.subplots(1, 3, sharey=True), panels, strict=True):
            for way, colour in (("all", "#0b6e99"), ("top-k", "#b3541e")):
                of = sorted((row for row in rows if row["local"] == way and chosen(row)), key=lambda row: row[key])
                if not of:
                    continue
                at = [row[key] for row in of]
                axes.plot(at, [row["cpu_ms"] for row in of], "o", color=colour, ms=3.5, label=f"{way}, measured")
                axes.plot(at, [row["predicted_ms"] for row in of], "-", color=colour, lw=1, label=f"{way}, model")
            axes.set_xlabel(name)
            axes.set_ylim(bottom=0)
            axes.grid(alpha=0.3)
            if key == "streams":
                axes.set_xscale("log", base=2)
                axes.set_ylabel("CPU ms a stream-second")
                axes.legend(fontsize=7, frameon=False)
        figure.savefig(path, metadata={"Date": None})
