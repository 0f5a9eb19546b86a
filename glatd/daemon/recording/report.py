"""What a comparison tells a user."""

from collections import Counter
from collections.abc import Mapping, Sequence

from glatd.daemon.recording.verdict import Verdict
from glatd.render import clock

MOST_SHOWN = 20  # differences


def report(verdicts: Mapping[str, Verdict], lacking: Sequence[str] = ()) -> list[str]:
    """Lines for a terminal; the last one is the result.

    Args:
        verdicts: by stream.
        lacking: streams that are expected and were not replayed.
    """
    lines: list[str] = []
    left = MOST_SHOWN
    for stream, verdict in verdicts.items():
        for difference in verdict.differences[:left]:
            lines.append(f"{clock(max(0, difference.sample), difference.rate):>9}  {stream:<12} {difference.what}")
        left -= min(left, len(verdict.differences))
    differences = sum(len(verdict.differences) for verdict in verdicts.values())
    if differences > MOST_SHOWN:
        lines.append(f"{'':>9}  and {differences - MOST_SHOWN} more")
    lines += _hints(verdicts)
    for stream in lacking:
        lines.append(f"stream {stream} is expected, but it was not replayed")
    excused: Counter[str] = Counter()
    equal: Counter[str] = Counter()
    for verdict in verdicts.values():
        excused += verdict.excused
        equal += verdict.equal
    for what, count in sorted(excused.items()):
        lines.append(f"not compared: {count} {what}")
    as_expected = ", ".join(f"{equal[what]} {what}" for what in ("windows", "gaps", "events") if equal[what])
    if is_equal(verdicts, lacking):
        lines.append(f"equal: {as_expected or 'nothing'} as expected")
    else:
        places = f"{differences} differences" if differences != 1 else "1 difference"
        lines.append(f"different: {places}; {as_expected or 'nothing'} as expected")
    return lines


def is_equal(verdicts: Mapping[str, Verdict], lacking: Sequence[str] = ()) -> bool:
    """Whether all was as expected."""
    return not (lacking or any(verdict.differences for verdict in verdicts.values()))


def _hints(verdicts: Mapping[str, Verdict]) -> list[str]:
    """What would explain many differences at once."""
    hops = {verdict.hops for verdict in verdicts.values() if verdict.hops}
    engines = {verdict.engines for verdict in verdicts.values() if verdict.engines}
    lines = [f"the hop: {was:g} s expected, {is_:g} s came" for was, is_ in sorted(hops)]
    return lines + [f"another engine: {was} expected, {is_} replayed" for was, is_ in sorted(engines)]
