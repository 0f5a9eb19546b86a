"""What names an event for those who are sent it more than once."""

import re
from collections.abc import Sequence
from hashlib import sha256

from glatd.messages import Event

_OTHER = re.compile(r"[^A-Za-z0-9_-]")


def identity(event: Event) -> str:
    """The same for an event whenever and by whichever bridge it is sent, and no other event's.

    It is made of what the message itself says, so that its receiver can make it too: an offset names one event of a
    journal, and a journal that begins anew does so in another session. The characters are such as fit in a header.
    """
    return f"{_OTHER.sub('-', event.session)}-{event.offset}"


def identity_of_all(events: Sequence[Event]) -> str:
    """Of several that are sent as one: the same for the same events in the same order."""
    if len(events) == 1:
        return identity(events[0])
    return f"batch-{sha256(' '.join(map(identity, events)).encode()).hexdigest()[:32]}"
