"""What a watcher knows of a node, and what of it fits on a screen."""

from typing import Any

from rich.console import Console

from glatd.clients.top.drawn import draw
from glatd.clients.top.picture import MOST_EVENTS, SILENT_S, Picture, fitting
from glatd.messages import Event, Gap, Node, Status, Tag, Tags

TIME = "2026-01-01T00:00:20.000000Z"


def head(stream: str, node: str = "edge-1", session: str = "s1") -> dict[str, Any]:
    return {"node": node, "session": session, "stream": stream, "time": TIME}


def tags(stream: str, *scores: tuple[str, float], level: float = -30.0, **other: Any) -> Tags:
    found = tuple(Tag(label, "/m/0", score, score, score) for label, score in scores)
    return Tags(
        **head(stream, **other), seq=0, start=0, end=320_000, rate=32_000, filled=1.0, level_dbfs=level,
        engine="e", tags=found, crops=(),
    )  # fmt: skip


def status(stream: str, state: str = "live", reason: str = "", **other: Any) -> Status:
    return Status(
        **head(stream, **other), state=state, uri="mic:", engine="e", rate=32_000, samples=1, lost=0, windows=1,
        late_ms=10.0, reason=reason,
    )  # fmt: skip


def node(name: str = "edge-1", live: int = 2, streams: int = 2, level: int = 0, session: str = "s1") -> Node:
    return Node(
        **head("", name, session), engine="e", streams=streams, live=live, windows=9, late_ms=41.0,
        policy="3 crops" if level else "full", level=level, steps=0, crops=5, hops=1, skipped=0, dropped=0, quiet=0,
        memory_mb=310.0, uptime=3725.0,
    )  # fmt: skip


def event(number: int, phase: str = "start", label: str = "Dog") -> Event:
    return Event(
        **head("yard"), offset=number, id=f"{number}", phase=phase, label=label, mid="/m/0bt9lr", rate=32_000,  # type: ignore[arg-type]
        onset=0, offset_time=64_000 if phase == "end" else None, peak=0.93, mean=0.9, evidence={}, cause="",
        onset_at=TIME, offset_at=TIME if phase == "end" else "",
    )  # fmt: skip


def seen(*messages: Any, now: float = 0.0) -> Picture:
    picture = Picture()
    for message in messages:
        picture.take(message, now)
    return picture


def page(picture: Picture, width: int = 80, height: int = 0, now: float = 1.0) -> list[str]:
    console = Console(width=width, record=True, color_system=None, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(draw(picture, width, height, now))
    console.file.close()
    return console.export_text().splitlines()


def test_a_page_tells_what_matters_on_80_columns() -> None:
    picture = seen(
        node(live=1),
        status("yard"), tags("yard", ("Dog", 0.93), ("Bark", 0.81), ("Animal", 0.05)),
        status("hall", "reconnecting", "the connection ended"), status("hall", "reconnecting"),
        event(1), event(2, "end", "Siren"),
    )  # fmt: skip
    lines = page(picture)
    assert all(len(line) <= 80 for line in lines)
    text = "\n".join(lines)
    assert "edge-1  1 of 2 live  41 ms late  310 MB  up 1:02:05" in lines[0]
    assert "Dog 0.93" in text and "Bark 0.81" in text and "Animal" not in text
    assert any(line.startswith("hall") and "reconnecting: the connection ended" in line for line in lines)
    assert any(line.startswith("yard") and "-30" in line for line in lines)
    assert text.index("Siren, 2.0 s") < text.rindex("Dog")  # the newest event first


def test_what_is_wrong_with_a_node_is_told() -> None:
    assert "3 crops" in page(seen(node(level=1)))[0]
    silent = page(seen(node()), now=SILENT_S + 1)
    assert any("edge-1 has not been heard for a while" in line for line in silent)
    assert page(Picture()) == ["nothing has been said yet"]


def test_where_there_is_no_room_trouble_and_the_loudest_stay() -> None:
    messages: list[Any] = [tags(f"s{number:02}", ("Dog", number / 40)) for number in range(30)]
    picture = seen(node(streams=30, live=29), *messages, status("s05", "stalled", "no audio for 3 s"))
    for height in (10, 24):
        lines = page(picture, height=height)
        assert len(lines) <= height
        assert any("stalled: no audio for 3 s" in line for line in lines)
        assert any(line.startswith("s29") for line in lines) and not any(line.startswith("s01") for line in lines)
        assert any("more streams, none with trouble" in line for line in lines)
    rows, more = fitting(picture.rows(), 30)
    assert len(rows) == 30 and more == 0


def test_an_event_is_shown_once_in_its_last_state() -> None:
    picture = seen(event(1), event(2), event(1, "end"), event(2, "retract"))
    assert [each.phase for each in picture.events.values()] == ["end"]
    picture = seen(*(event(number) for number in range(MOST_EVENTS + 5)))
    assert len(picture.events) == MOST_EVENTS and "0" not in picture.events


def test_a_stream_that_was_removed_and_a_node_that_was_started_again_leave_nothing() -> None:
    picture = seen(status("yard"), status("hall"), status("hall", "ended", "removed"))
    assert [row.name for row in picture.rows()] == ["yard"]
    picture.take(status("gate", session="s2"), 0.0)
    assert [row.name for row in picture.rows()] == ["gate"]
    picture.take(Gap(**head("gate", session="s2"), start=0, end=1, rate=1, cause="x"), 0.0)
    assert picture.rows()[0].gaps == 1


def test_streams_of_several_nodes_say_whose_they_are() -> None:
    lines = page(seen(node("a"), node("b"), tags("yard", ("Dog", 0.9), node="a"), tags("yard", node="b")))
    assert any(line.startswith("a/yard") for line in lines) and any(line.startswith("b/yard") for line in lines)
