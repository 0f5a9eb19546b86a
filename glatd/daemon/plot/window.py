"""One window on a page: what the network sees, where it looks twice, and what comes of it."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from glatd.daemon.plot.page import (
    COLOURS,
    FAINT,
    GRID,
    INK,
    LOUDNESS,
    SOFT,
    WIDTH,
    Page,
    bare,
    shorten,
    two_lines,
)
from glatd.daemon.plot.watching import LookSeen
from glatd.engines.manifest import Manifest

LEFT, RIGHT = 1.75, 0.2  # in, margins
SCORES = 1.7  # in
BETWEEN = 0.3  # in, of the panels
LANE, WATERFALL, ROW, SPACE = 0.185, 1.75, 0.5, 0.09  # in, heights
OTHERS = 2  # classes beside the chosen, with the best fused scores


def draw_window(look: LookSeen, name: str, manifest: Manifest) -> Page:
    """The page of one look.

    Args:
        name: of the stream.
    """
    rows = _rows(look)
    lanes = LANE * len(look.crops)
    top = 0.78
    below = top + lanes + WATERFALL + 0.42
    page = Page(below + len(rows) * (ROW + SPACE) + 0.45)
    width = WIDTH - LEFT - RIGHT - SCORES - BETWEEN
    colours = _colours(look, rows)
    sizes = manifest.geometry
    piece = sizes.stride * sizes.hop / sizes.rate  # s, of an output frame
    _heading(page, look, name, manifest)

    strip = page.axes(LEFT, top, width, lanes)
    _brackets(strip, look, manifest, colours)
    page.text(LEFT - 0.14, top + lanes / 2, "second looks", ha="right", va="center", color=SOFT)
    picture = page.axes(LEFT, top + lanes + 0.05, width, WATERFALL)
    _waterfall(picture, look, colours)
    middle = top + lanes + 0.05 + WATERFALL / 2
    words = f"what the network sees:\nlog-mel, {look.frames.shape[1]} bands"
    page.text(LEFT - 0.14, middle, words, ha="right", va="center", color=SOFT, linespacing=1.4)

    page.text(LEFT, below - 0.22, "Class-wise activation", weight="bold")
    page.text(LEFT + 1.42, below - 0.22, "of the global network, and the moment it chose", color=SOFT)
    scores = LEFT + width + BETWEEN
    _legend(page, scores, below - 0.22)
    for number, index in enumerate(rows):
        at = below + number * (ROW + SPACE)
        colour = colours[index]
        chosen = any(crop.index == index for crop in look.crops)
        label = two_lines(manifest.labels[index].name, 22)
        page.text(LEFT - 0.14, at + ROW / 2, label, ha="right", va="center", color=colour if chosen else SOFT)
        lane = page.axes(LEFT, at, width, ROW)
        _activation(lane, look, index, colour, piece)
        _bars(page.axes(scores, at, SCORES, ROW), look, index, colour)
        if number == len(rows) - 1:
            lane.set_xticks(np.arange(np.ceil(look.start), look.end + 0.001))
            lane.set_xlabel("seconds of the recording", labelpad=2)
    return page


def _rows(look: LookSeen) -> list[int]:
    """Classes on the page: those chosen, then the best of the others; by their fused score."""
    chosen = list(dict.fromkeys(crop.index for crop in look.crops))
    ranked = [int(index) for index in np.argsort(-look.scores, kind="stable")]
    others = [index for index in ranked if index not in chosen][:OTHERS]
    return sorted(chosen + others, key=lambda index: -look.scores[index])


def _colours(look: LookSeen, rows: list[int]) -> dict[int, str]:
    chosen = [index for index in rows if any(crop.index == index for crop in look.crops)]
    named = dict(zip(chosen, COLOURS, strict=False))
    return {index: named.get(index, FAINT) for index in rows}


def _heading(page: Page, look: LookSeen, name: str, manifest: Manifest) -> None:
    crop = look.crops[0] if look.crops else None
    tau = f" of {crop.end - crop.start:g} s" if crop else ""
    page.text(0.2, 0.17, f"{name}, {look.start:.2f} to {look.end:.2f} s", size=12, weight="bold")
    told = f"one window of {look.end - look.start:g} s, {len(look.crops)} crops{tau}; {manifest.model}, {manifest.hash}"
    page.text(0.2, 0.42, told, color=SOFT)


def _brackets(axes: Axes, look: LookSeen, manifest: Manifest, colours: dict[int, str]) -> None:
    """Each crop as a bar with its class, in the order of choice."""
    bare(axes)
    axes.set_xlim(look.start, look.end)
    axes.set_ylim(len(look.crops), 0)
    for rank, crop in enumerate(look.crops):
        colour = colours[crop.index]
        axes.add_patch(Rectangle((crop.start, rank + 0.1), crop.end - crop.start, 0.8, color=colour, lw=0))
        text = shorten(f"{rank + 1}  {manifest.labels[crop.index].name}", 18)
        axes.text(crop.start + 0.08, rank + 0.53, text, color="white", size=7, va="center", weight="bold")


def _waterfall(axes: Axes, look: LookSeen, colours: dict[int, str]) -> None:
    bare(axes)
    frames = look.frames.T
    low, high = (float(np.quantile(frames, share)) for share in (0.02, 0.998))
    axes.imshow(
        frames, origin="lower", aspect="auto", extent=(look.start, look.end, 0, len(frames)), cmap=LOUDNESS,
        vmin=low, vmax=max(high, low + 1e-6), interpolation="antialiased",
    )  # fmt: skip
    # Crops that lie on one place are drawn inside each other.
    for rank, crop in reversed(list(enumerate(look.crops))):
        inset = 1.2 + 2.2 * sum(other.start == crop.start for other in look.crops[:rank])
        side = 0.015 * inset
        axes.add_patch(
            Rectangle(
                (crop.start + side, inset),
                crop.end - crop.start - 2 * side,
                len(frames) - 2 * inset,
                fill=False,
                edgecolor=colours[crop.index],
                lw=1.5,
                joinstyle="miter",
            )
        )
    axes.set_xlim(look.start, look.end)
    axes.set_ylim(0, len(frames))


def _activation(axes: Axes, look: LookSeen, index: int, colour: str, piece: float) -> None:
    """One class along the window, in pieces of so many seconds, and the crops that were chosen for it."""
    bare(axes, "bottom")
    values = look.framewise[index]
    edges = look.start + piece * np.arange(len(values) + 1)  # the last one may reach beyond the window
    for crop in look.crops:
        if crop.index == index:
            axes.axvspan(crop.start, crop.end, color=colour, alpha=0.12, lw=0)
    axes.stairs(values, edges, fill=True, color=colour, alpha=0.55, lw=0)
    axes.stairs(values, edges, color=colour, lw=0.9)
    for crop in look.crops:
        if crop.index == index:
            axes.plot([crop.moment] * 2, [0, 1], color=colour, lw=0.8, ls=(0, (3, 2)))
            axes.plot(crop.moment, crop.activation, "o", ms=4.5, color=colour, mec="white", mew=0.9, clip_on=False)
    axes.axhline(1, color=GRID, lw=0.6, zorder=0)
    axes.set_xlim(look.start, look.end)
    axes.set_ylim(0, 1.04)


def _legend(page: Page, left: float, top: float) -> None:
    page.text(left, top, "Scores", weight="bold")
    # In the order of the bars below.
    page.text(left + 0.55, top, "global, local,", color=SOFT)
    page.text(left + 1.36, top, "fused", color=INK, weight="bold")


def _bars(axes: Axes, look: LookSeen, index: int, colour: str) -> None:
    bare(axes, "left")
    axes.spines["left"].set_color(FAINT)
    values = (look.global_[index], look.local[index], look.scores[index])
    for place, (value, alpha, tall) in enumerate(zip(values, (0.3, 0.55, 1.0), (0.2, 0.2, 0.34), strict=True)):
        middle = (0.14, 0.40, 0.76)[place]
        axes.barh(middle, 1, height=tall, color=GRID, alpha=0.5, lw=0)
        axes.barh(middle, value, height=tall, color=colour, alpha=alpha, lw=0)
        bold = place == 2
        axes.text(
            1.04, middle, f"{value:.2f}", va="center", size=8 if bold else 6.5, color=INK if bold else SOFT,
            weight="bold" if bold else "normal",
        )  # fmt: skip
    axes.set_xlim(0, 1.22)
    axes.set_ylim(1, 0)
