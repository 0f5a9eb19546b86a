"""The order of events, whatever comes when: a daemon that is killed, drops, forgets and begins anew, made up."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from glatd.clients.cursor import Position
from glatd.clients.joining import MOST_HELD, NEW_JOURNAL, NEW_SESSION, NOT_HEARD, WENT_BACK, Joiner, Loss
from glatd.clients.reply import Reply
from glatd.messages import Event
from tests.daemon.journal.made import event


def live(offset: int, session: str = "s1") -> Event:
    """As it is published."""
    return dataclasses.replace(event(offset, session=session), offset=offset)


def told(joiner: Joiner) -> list[int | tuple[int, int, str]]:
    """Offsets of events, and losses, that were ready; the positions fit them."""
    found: list[int | tuple[int, int, str]] = []
    while joiner.ready:
        position, item = joiner.ready.popleft()
        if item is None:
            assert not found or position.offset > 0
        elif isinstance(item, Loss):
            found.append((item.start, item.stop, item.cause))
            assert item.start == item.stop or position.offset == item.stop - 1
        else:
            found.append(item.offset)
            assert position.offset == item.offset
    return found


class Node:
    """A daemon's journal, as its catch-up tells it."""

    def __init__(self, journal: str = "j1") -> None:
        self.journal, self.session = journal, "s1"
        self.events: dict[int, Event] = {}
        self.last, self.first = 0, 1

    def publish(self) -> Event:
        """One more event."""
        self.last += 1
        self.events[self.last] = live(self.last, self.session)
        return self.events[self.last]

    def reply(self, start: int, limit: int) -> Reply:
        """As of the real one."""
        found = [self.events[offset] for offset in sorted(self.events) if offset >= start][:limit]
        full = len(found) == limit and limit > 0 and found[-1].offset < self.last
        after = start if limit == 0 else found[-1].offset + 1 if full else max(start, self.last + 1)
        holes = ((start, min(self.first, after), "removed"),) if start < min(self.first, after) else ()
        return Reply("n", self.journal, self.first, self.last, after, holes, tuple(found))


def settle(joiner: Joiner, node: Node, limit: int = 3) -> None:
    """Ask until nothing is missing."""
    joiner.look()
    for _ in range(10_000):
        wanted = joiner.wanted()
        if wanted is None:
            return
        start, most = wanted
        joiner.reply(node.reply(start, limit if most is None else most), start, joiner.epoch)
    raise AssertionError("asks for ever")


def test_live_and_missed_events_join() -> None:
    node, joiner = Node(), Joiner("n", Position("j1", 2))
    for _ in range(5):
        node.publish()
    assert joiner.wanted() == (3, None)
    joiner.live(node.publish())
    joiner.live(node.publish())
    assert told(joiner) == []  # 3 to 5 are to come first
    settle(joiner, node)
    assert told(joiner) == [3, 4, 5, 6, 7] and joiner.wanted() is None
    joiner.live(node.publish())
    assert told(joiner) == [8]  # at once
    node.publish()  # dropped on the way
    joiner.live(node.publish())
    assert told(joiner) == [] and joiner.wanted() == (9, None)
    settle(joiner, node)
    assert told(joiner) == [9, 10]


def test_a_new_node_begins_with_all_that_is_kept_or_with_what_comes() -> None:
    node = Node()
    for _ in range(9):
        node.publish()
    for offset in range(1, 5):
        del node.events[offset]
    node.first = 5
    first, now = Joiner("n", None), Joiner("n", None, "now")
    assert first.wanted() == (1, 0) and first.new
    settle(first, node)
    settle(now, node)
    assert told(first) == [5, 6, 7, 8, 9] and told(now) == []  # and what was removed before is no loss
    now.live(node.publish())
    settle(now, node)  # its session is a new one
    assert told(now) == [10]


def test_what_retention_removed_is_told() -> None:
    node, joiner = Node(), Joiner("n", Position("j1", 2))
    for _ in range(9):
        node.publish()
    for offset in range(1, 6):
        del node.events[offset]
    node.first = 6
    settle(joiner, node)
    assert told(joiner) == [(3, 6, "removed"), 6, 7, 8, 9]


def test_holes_between_events_are_told_in_their_place() -> None:
    joiner = Joiner("n", Position("j1", 0))
    reply = Reply("n", "j1", 1, 9, 10, ((2, 4, "a"), (6, 7, "b"), (9, 10, "c")), (live(1), live(4), live(5), live(8)))
    joiner.reply(reply, 1, 0)
    assert told(joiner) == [1, (2, 4, "a"), 4, 5, (6, 7, "b"), 8, (9, 10, "c")] and joiner.wanted() is None


def test_a_new_journal_and_one_that_went_back_are_told() -> None:
    node, joiner = Node("j2"), Joiner("n", Position("j1", 50))
    for _ in range(3):
        node.publish()
    settle(joiner, node)
    assert told(joiner) == [(51, 51, NEW_JOURNAL), 1, 2, 3]
    back = Joiner("n", Position("j2", 50))
    settle(back, node)
    node.publish()
    settle(back, node)
    assert told(back) == [(51, 51, WENT_BACK), 4]


def test_numbers_of_a_new_session_are_not_trusted_until_the_node_is_asked() -> None:
    """The journal was deleted, the daemon started again, and by chance its next live event has the next number."""
    node, joiner = Node(), Joiner("n", Position("j1", 0))
    for _ in range(3):
        joiner.live(node.publish())
    settle(joiner, node)
    assert told(joiner) == [1, 2, 3]
    old = node.reply(4, 3)
    epoch = joiner.epoch
    anew = Node("j2")
    anew.session = "s2"
    for _ in range(4):
        last = anew.publish()
    joiner.live(last)
    assert told(joiner) == [] and joiner.epoch == epoch + 1
    joiner.reply(old, 4, epoch)  # of the daemon that is gone: void
    assert told(joiner) == []
    settle(joiner, anew)
    assert told(joiner) == [(4, 4, NEW_JOURNAL), 1, 2, 3, 4]


def test_an_end_after_a_kill_that_names_the_old_session_is_in_order() -> None:
    node, joiner = Node(), Joiner("n", Position("j1", 0))
    joiner.live(node.publish())
    settle(joiner, node)
    joiner.live(node.publish())
    node.session = "s2"
    joiner.live(node.publish())
    assert told(joiner) == [1, 2]
    settle(joiner, node)
    node.session = "s1"
    joiner.live(node.publish())
    assert told(joiner) == [3, 4]


def test_without_a_catch_up_what_is_missed_is_told() -> None:
    joiner = Joiner("n", None, linked=False)
    for offset in (7, 8, 8, 11):
        joiner.live(live(offset))
    joiner.live(live(3, "s2"))
    assert told(joiner) == [7, 8, (9, 11, NOT_HEARD), 11, (12, 12, NEW_SESSION), (1, 3, NOT_HEARD), 3]
    assert joiner.repeats == 1 and joiner.wanted() is None


def test_a_catch_up_that_never_answers_is_done_without() -> None:
    joiner = Joiner("n", None)
    for offset in (5, 4, 7):
        joiner.live(live(offset))
    assert told(joiner) == []
    joiner.unlink()
    assert told(joiner) == [4, 5, (6, 7, NOT_HEARD), 7]


def test_memory_is_bounded_while_a_hole_is_filled() -> None:
    node, joiner = Node(), Joiner("n", Position("j1", 0))
    settle(joiner, node)
    node.publish()
    for _ in range(3 * MOST_HELD):
        joiner.live(node.publish())
    assert len(joiner._held) <= MOST_HELD
    settle(joiner, node, 1000)
    assert told(joiner) == list(range(1, 3 * MOST_HELD + 2)) and joiner.wanted() is None


STEPS = st.lists(
    st.sampled_from(["publish", "drop", "late", "ask", "answer", "look", "restart", "again"]), max_size=120
)


@given(STEPS, st.integers(1, 4), st.none() | st.integers(0, 3))
def test_every_event_once_and_in_order_whatever_happens(steps: list[str], limit: int, cursor: int | None) -> None:
    node = Node()
    for _ in range(3):
        node.publish()
    joiner = Joiner("n", None if cursor is None else Position("j1", cursor))
    way: list[Event] = []  # published and not delivered yet: a slow reader, one reconnection
    asked: list[tuple[Reply, int, int]] = []
    sessions = 1
    for step in steps:
        wanted = joiner.wanted()
        if step == "publish":
            joiner.live(node.publish())
        elif step == "drop":
            node.publish()
        elif step == "late":
            way.append(node.publish())
        elif step == "again" and way:
            joiner.live(way.pop(0))
        elif step == "look":
            joiner.look()
        elif step == "ask" and wanted is not None and not asked:
            start, most = wanted
            asked.append((node.reply(start, limit if most is None else most), start, joiner.epoch))
        elif step == "answer" and asked:
            joiner.reply(*asked.pop())
        elif step == "restart":
            sessions += 1
            node.session = f"s{sessions}"
    for late in way:
        joiner.live(late)
    settle(joiner, node, limit)
    assert told(joiner) == list(range(1 if cursor is None else cursor + 1, node.last + 1))
