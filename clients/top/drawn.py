"""The picture of a node on a terminal, or as plain lines where there is none; drawn by rich."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from glatd.clients.lines import EventLines
from glatd.clients.top.picture import Picture, Row, fitting
from glatd.messages import Node
from glatd.render import LOUDEST_DBFS, QUIETEST_DBFS, SHOWN, bar

METER = 6  # characters of a level
SCORE_BAR = 4  # characters of a score
NAME = 14  # characters of a stream
SHARE = 0.6  # of the screen that streams may take, where there are events too


def draw(picture: Picture, width: int, height: int, now: float) -> RenderableType:
    """Everything that fits.

    Args:
        width, height: of the screen in characters; a height of 0 is no limit.
        now: monotonic s.
    """
    rows, nodes = picture.rows(), len(picture.heard)
    if not picture.heard:
        return Text("nothing has been said yet", style="dim")
    lines: list[RenderableType] = [_node(picture.nodes[name]) for name in sorted(picture.nodes)]
    lines += [Text(f"{name} has not been heard for a while", style="bold red") for name in picture.silent(now)]
    room = len(rows) if not height else max(3, int(SHARE * (height - len(lines) - 2)))
    shown, more = fitting(rows, room)
    lines.append(_streams(shown, nodes > 1, width))
    if more:
        troubled = sum(bool(row.trouble) for row in rows) - sum(bool(row.trouble) for row in shown)
        lines.append(Text(f"and {more} more streams, {troubled or 'none'} with trouble", style="dim"))
    left = 10 if not height else height - len(lines) - len(shown) - 1
    return Group(*lines, Text(), *_events(picture, width, left))


def _node(node: Node) -> Text:
    hours, rest = divmod(int(node.uptime), 3600)
    up = f"{hours}:{rest // 60:02}:{rest % 60:02}"
    line = Text(node.node, style="bold")
    live = f"  {node.live} of {node.streams} live"
    line.append(live, style="green" if node.live == node.streams else "yellow")
    line.append(f"  {node.late_ms:.0f} ms late  {node.memory_mb:.0f} MB  up {up}")
    if node.level:
        line.append(f"  {node.policy}", style="bold yellow")
    if node.shadow:
        differ = f"{node.shadow_top5:.0%} of the five best, {node.shadow_decisions} decisions differ"
        windows = f"in {node.shadow_windows} windows, {node.shadow_dropped} dropped"
        line.append(f"  shadow {node.shadow[:8]}: {differ} {windows}", style="cyan")
    if node.trouble:
        line.append(f"  {node.trouble}", style="bold red")
    return line


def _streams(rows: list[Row], with_nodes: bool, width: int) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(max_width=NAME + (NAME if with_nodes else 0), no_wrap=True, overflow="ellipsis")
    table.add_column(width=METER + 4, no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        name = f"{row.node}/{row.name}" if with_nodes else row.name
        table.add_row(Text(name, style="bold"), _level(row), _heard(row))
    table.width = width
    return table


def _level(row: Row) -> Text:
    if row.tags is None or row.trouble:
        return Text("")
    level = row.tags.level_dbfs
    share = (level - QUIETEST_DBFS) / (LOUDEST_DBFS - QUIETEST_DBFS)
    return Text(f"{level:>3.0f} ").append(bar(share, METER), style="cyan")


def _heard(row: Row) -> Text:
    """What is wrong with it, or what it hears."""
    if row.trouble:
        return Text(row.trouble, style="yellow" if row.state in ("live", "silent") else "red")
    if row.state != "live":
        return Text(row.state, style="dim")
    if row.tags is None:
        return Text("")
    if row.tags.quiet:
        return Text("quiet", style="dim")
    line = Text()
    for tag in row.tags.tags:
        if tag.score < SHOWN:
            break
        style = "bold" if tag.score >= 0.5 else "dim"
        line.append(f"{bar(tag.score, SCORE_BAR)}", style="green" if tag.score >= 0.5 else "dim")
        line.append(f" {tag.label} {tag.score:.2f}  ", style=style)
    return line


def _events(picture: Picture, width: int, room: int) -> list[RenderableType]:
    """The newest events, the newest first, each in its last state."""
    if room < 1 or not picture.events:
        return []
    drawn: list[RenderableType] = []
    lines = EventLines(colour=True, width=width)
    for event in reversed(picture.events.values()):
        drawn += [Text.from_ansi(line, no_wrap=True) for line in lines.event(event)]
        if len(drawn) >= room:
            break
    return drawn[:room]
