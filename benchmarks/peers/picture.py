"""Two small pictures: what a stream costs, and what mAP that buys."""

from pathlib import Path

from benchmarks.peers.contender import OURS
from benchmarks.peers.page import PICTURES
from benchmarks.tables import Row

LEFT, BAR, GAP = 2.6, 0.2, 0.09  # in


def draw(result: Row, folder: Path) -> None:
    """Write them into `folder`."""
    from glatd.daemon.plot.page import style

    folder.mkdir(parents=True, exist_ok=True)
    with style():
        cost(result["contenders"], folder / PICTURES[0])
        if any(row.get("map") is not None for row in result["contenders"]):
            quality(result["contenders"], folder / PICTURES[1])


def cost(rows: list[Row], out: Path) -> None:
    """A bar for each contender: CPU of a stream, on a scale of factors."""
    from glatd.daemon.plot.page import COLOURS, FAINT, INK, WIDTH, Page

    ordered = sorted(rows, key=lambda row: float(row["cpu_s_per_stream_s"]))
    height = len(ordered) * (BAR + GAP)
    page = Page(height + 0.75)
    axes = page.axes(LEFT, 0.1, WIDTH - LEFT - 0.6, height)
    for place, row in enumerate(ordered):
        ours = row["contender"] == OURS
        ms = 1000 * row["cpu_s_per_stream_s"]
        axes.barh(place, ms, BAR / (BAR + GAP), color=COLOURS[0] if ours else FAINT)
        axes.text(ms * 1.06, place, f"{ms:.3g}", va="center", color=INK)
    axes.set_yticks(range(len(ordered)), [row["title"] for row in ordered])
    axes.set_xscale("log")
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    axes.set_xlabel("CPU ms for a second of a stream")
    page.save(out)


def quality(rows: list[Row], out: Path) -> None:
    """mAP against CPU."""
    from glatd.daemon.plot.page import COLOURS, FAINT, GRID, INK, WIDTH, Page

    judged = [row for row in rows if row.get("map") is not None]
    page = Page(2.6)
    axes = page.axes(0.7, 0.15, WIDTH - 1.2, 1.9)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for row in judged:
        ms = 1000 * row["cpu_s_per_stream_s"]
        axes.plot(ms, row["map"], "o", color=COLOURS[0] if row["contender"] == OURS else FAINT)
        below = row["contender"].endswith("pytorch")  # it has the scores of its neighbour
        axes.annotate(
            row["title"], (ms, row["map"]), (0, -6 if below else 6), textcoords="offset points", ha="center",
            va="top" if below else "bottom", color=INK,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.margins(x=0.22, y=0.35)
    axes.set_xlabel("CPU ms for a second of a stream")
    axes.set_ylabel("mAP")
    page.save(out)
