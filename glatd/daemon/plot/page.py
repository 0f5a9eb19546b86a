"""A page to draw on, measured in inches from its top left corner, and how it looks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from glatd.errors import ConfigError

WIDTH = 8.4  # in
DPI = 180  # a page of documentation is 800 CSS pixels wide; twice that is sharp on any screen
FORMATS = ("png", "svg", "pdf")
INK, SOFT, FAINT, GRID = "#1d2733", "#5c6873", "#a3adb6", "#e3e8ec"
# Told apart by those who see colours otherwise too: Tol's "bright" and "muted", darkened for thin lines on white.
COLOURS = ("#3b6fb6", "#c8553d", "#2a8a57", "#8e4a94", "#b5832a", "#2b8ea3", "#8f3b53", "#6b7280")
LOUDNESS = LinearSegmentedColormap.from_list("ink", ["#ffffff", "#dfe6ec", "#9fb1c1", "#51677c", "#141c26"])
STYLE: dict[RcKeyType, Any] = {
    "font.family": ["DejaVu Sans"],  # matplotlib brings it, so every machine draws the same
    "font.size": 8.0,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": FAINT,
    "xtick.labelcolor": SOFT,
    "ytick.color": FAINT,
    "ytick.labelcolor": SOFT,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "svg.fonttype": "path",  # as it was laid out, whatever fonts the reader has
    "svg.hashsalt": "glatd",  # the same picture is the same file
}


@contextmanager
def style() -> Iterator[None]:
    """The house's look, whatever matplotlib is told to do on this machine."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


class Page:
    """A white page.

    Args:
        height: in.
    """

    def __init__(self, height: float) -> None:
        self.height = height
        self.figure = Figure(figsize=(WIDTH, height), facecolor="white")

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """A panel; `top` is counted from the page's upper edge."""
        place = (left / WIDTH, 1 - (top + height) / self.height, width / WIDTH, height / self.height)
        return self.figure.add_axes(place)

    def text(self, left: float, top: float, text: str, **how: Any) -> None:
        """A line whose upper edge is at `top`."""
        self.figure.text(left / WIDTH, 1 - top / self.height, text, **({"va": "top", "ha": "left"} | how))

    def save(self, path: Path) -> None:
        """Write the file that its suffix names.

        Raises:
            ConfigError: it cannot be written.
        """
        form = path.suffix.lower().removeprefix(".")
        dated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
        try:
            self.figure.savefig(path, format=form, dpi=DPI, metadata=dated)
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror}; choose another file for --out") from error


def bare(axes: Axes, *spines: str) -> None:
    """No ticks, and no lines but these."""
    axes.set_xticks([])
    axes.set_yticks([])
    for name in ("left", "right", "top", "bottom"):
        axes.spines[name].set_visible(name in spines)


def shorten(text: str, most: int) -> str:
    """At most so many letters."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip(' ,')}…"


def two_lines(text: str, most: int) -> str:
    """At most two lines of so many letters."""
    if len(text) <= most:
        return text
    head = text[: most + 1].rpartition(" ")[0] or text[:most]
    return f"{head}\n{shorten(text[len(head) :].strip(), most)}"


def clock(seconds: float) -> str:
    """1:02:03, 2:03; below a minute and at fractions 12.5."""
    if seconds < 60 or seconds % 1:
        return f"{seconds:g}"
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
