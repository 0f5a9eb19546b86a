"""Events for tests of the journal."""

from glatd.messages import Event


def event(
    number: int, phase: str = "update", id: str = "", stream: str = "yard", mid: str = "/m/0bt9lr", session: str = "s1"
) -> Event:
    """An event that knows its number beside its offset, in `onset`."""
    return Event(
        "edge-1", session, stream, "2026-01-01T00:00:25.920000Z",
        offset=0, id=id or f"id{number}", phase=phase, label="Dog", mid=mid, rate=32_000, onset=number,  # type: ignore[arg-type]
        offset_time=None, peak=0.9, mean=0.5, evidence={"crop": [1, 2], "global": 0.5, "local": 0.5, "fused": 0.5},
        cause="",
    )  # fmt: skip


def events(first: int, count: int) -> list[Event]:
    """Events of sounds that each begin and end at once."""
    return [event(number, "end") for number in range(first, first + count)]
