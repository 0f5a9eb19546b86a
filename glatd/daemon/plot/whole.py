"""A whole recording on a page: what was heard when, where the networks looked twice, and what was told of it."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from glatd.daemon.plot.page import COLOURS, GRID, INK, LOUDNESS, SOFT, WIDTH, Page, bare, clock, two_lines
from glatd.daemon.plot.watching import Watching

LEFT, RIGHT = 1.75, 0.3  # in, margins
WATERFALL, DENSITY, LANE, SPACE = 1.6, 0.13, 0.5, 0.1  # in, heights
MOST_LANES = 8


def draw_whole(seen: Watching) -> Page:
    """The page of all that was watched."""
    lanes = _lanes(seen)
    top = 0.78
    below = top + DENSITY + 0.06 + WATERFALL + 0.42
    page = Page(below + max(1, len(lanes)) * (LANE + SPACE) + 0.45)
    width = WIDTH - LEFT - RIGHT
    length = f"{seen.length:.1f} s" if seen.length < 60 else clock(round(seen.length))
    page.text(0.2, 0.17, f"{seen.name}, {length}", size=12, weight="bold")
    told = "1 event" if len(seen.events) == 1 else f"{len(seen.events)} events"
    looks = f"{len({start for _, start in seen.crops})} places looked at twice"
    page.text(0.2, 0.42, f"{told}, {looks}; {seen.manifest.model}, {seen.manifest.hash}", color=SOFT)

    strip = page.axes(LEFT, top, width, DENSITY)
    _density(strip, seen)
    page.text(LEFT - 0.14, top + DENSITY / 2, "second looks", ha="right", va="center", color=SOFT)
    at = top + DENSITY + 0.06
    _waterfall(page.axes(LEFT, at, width, WATERFALL), seen)
    words = f"what the network sees:\nlog-mel, {seen.manifest.geometry.mels} bands"
    page.text(LEFT - 0.14, at + WATERFALL / 2, words, ha="right", va="center", color=SOFT, linespacing=1.4)

    legend = page.axes(LEFT, below - 0.27, width, 0.2)
    _legend(legend)
    for number, index in enumerate(lanes):
        at = below + number * (LANE + SPACE)
        colour = COLOURS[number % len(COLOURS)]
        label = two_lines(seen.manifest.labels[index].name, 22)
        page.text(LEFT - 0.14, at + LANE / 2, label, ha="right", va="center", color=colour)
        axes = page.axes(LEFT, at, width, LANE)
        _lane(axes, seen, index, colour)
        if number == len(lanes) - 1:
            steps = [1, 2, 3, 5, 6, 10] if seen.length < 120 else [1, 1.5, 3, 6, 10]
            axes.xaxis.set_major_locator(MaxNLocator(12, steps=steps))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))
            axes.set_xlabel("seconds of the recording" if seen.length < 60 else "time in the recording", labelpad=2)
    return page


def _lanes(seen: Watching) -> list[int]:
    """Classes on the page: those with events, in the order of their first ones, then those with the best scores."""
    names = [entry.mid for entry in seen.manifest.labels]
    told = sorted(seen.events.values(), key=lambda event: -event.peak)
    loudest = list(dict.fromkeys(names.index(event.mid) for event in told))[:MOST_LANES]
    rows = seen.scores.rows()
    ranked = [int(index) for index in np.argsort(-rows.max(0), kind="stable")] if len(rows) else []
    fewest = max(3, len(loudest))
    lanes = (loudest + [index for index in ranked if index not in loudest])[:fewest]
    first = {names.index(event.mid): event.onset for event in sorted(told, key=lambda event: -event.onset)}
    return sorted(lanes, key=lambda index: first.get(index, float("inf")))


def _density(axes: Axes, seen: Watching) -> None:
    """How many different crops hold each moment."""
    bare(axes)
    sizes = seen.manifest.geometry
    columns = 2000
    counts = np.zeros(columns + 1)
    for start in {start for _, start in seen.crops}:
        first, last = (
            min(columns, max(0, round(sample / sizes.rate / max(seen.length, 1e-9) * columns)))
            for sample in (start, start + sizes.crop * sizes.hop)
        )
        counts[first] += 1
        counts[last] -= 1
    axes.imshow(
        np.cumsum(counts)[None, :columns], aspect="auto", extent=(0, seen.length, 0, 1), cmap="Blues", vmin=0,
        vmax=max(1.0, float(np.cumsum(counts).max()) * 1.3),
    )  # fmt: skip


def _waterfall(axes: Axes, seen: Watching) -> None:
    bare(axes)
    rows = seen.waterfall.rows()
    if not len(rows):
        return
    real = rows[np.isfinite(rows).all(1)]
    low, high = (float(np.quantile(real, share)) for share in (0.02, 0.998))
    end = len(rows) * seen.waterfall.seconds
    axes.imshow(
        np.where(np.isfinite(rows), rows, low).T, origin="lower", aspect="auto", extent=(0, end, 0, rows.shape[1]),
        cmap=LOUDNESS, vmin=low, vmax=max(high, low + 1e-6), interpolation="antialiased",
    )  # fmt: skip
    axes.set_xlim(0, seen.length)


def _legend(axes: Axes) -> None:
    """What the three things in a lane are, drawn as they are drawn there."""
    bare(axes)
    axes.set_xlim(0, WIDTH - LEFT - RIGHT)
    axes.set_ylim(0, 1)
    axes.plot([0.0, 0.25], [0.5, 0.5], color=INK, lw=3.2, solid_capstyle="butt")
    axes.text(0.31, 0.5, "event, from onset to end", va="center", color=SOFT)
    axes.fill_between([1.85, 2.1], 0.25, 0.75, color=INK, alpha=0.3, lw=0)
    axes.text(2.16, 0.5, "where the class is active", va="center", color=SOFT)
    axes.plot([3.85, 4.1], [0.5, 0.5], color=INK, lw=0.9)
    axes.text(4.16, 0.5, "score of the 10 s that end here", va="center", color=SOFT)


def _lane(axes: Axes, seen: Watching, index: int, colour: str) -> None:
    bare(axes, "bottom")
    activations = seen.activations
    values = np.nan_to_num(activations.rows()[:, index], neginf=0.0)
    axes.stairs(values, np.arange(len(values) + 1) * activations.seconds, fill=True, color=colour, alpha=0.3, lw=0)
    scores = seen.scores.rows()[:, index]
    there = np.flatnonzero(np.isfinite(scores))
    axes.plot((there + 0.5) * seen.scores.seconds, scores[there], color=colour, lw=0.9, drawstyle="steps-mid")
    for event in seen.events.values():
        if event.mid == seen.manifest.labels[index].mid:
            end = seen.length if event.offset_time is None else event.offset_time / event.rate
            axes.plot([event.onset / event.rate, end], [1.1, 1.1], color=colour, lw=3.2, solid_capstyle="butt")
    axes.axhline(1, color=GRID, lw=0.6, zorder=0)
    axes.set_xlim(0, seen.length)
    axes.set_ylim(0, 1.2)
