"""The three tables: their columns, and how messages become rows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from glatd.daemon.archive.job import TOP, Scores
from glatd.messages import Event, Gap, Tags

_TAG = pa.struct(
    [("label", pa.string()), ("score", pa.float32()), ("global", pa.float32()), ("local", pa.float32())]
)  # fmt: skip
_CROP = pa.struct(
    [("label", pa.string()), ("start", pa.int64()), ("end", pa.int64()), ("activation", pa.float32())]
)  # fmt: skip
_GAP = pa.struct([("start", pa.int64()), ("end", pa.int64()), ("cause", pa.string())])
_TIME = pa.timestamp("us", tz="UTC")

WINDOWS = pa.schema(
    [
        ("file", pa.string()),
        ("seq", pa.int32()),  # of the file, from 0
        ("start", pa.int64()),  # samples at `rate`; negative in the first 10 s
        ("end", pa.int64()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("time", _TIME),  # of `end`; null where the recording does not tell it
        ("filled", pa.float32()),
        ("level_dbfs", pa.float32()),
        ("quiet", pa.bool_()),
        ("tags", pa.list_(_TAG)),
        ("crops", pa.list_(_CROP)),
    ]
)
EVENTS = pa.schema(
    [
        ("file", pa.string()),
        ("label", pa.string()),
        ("mid", pa.string()),
        ("onset", pa.int64()),  # samples at `rate`
        ("offset", pa.int64()),
        ("onset_s", pa.float64()),
        ("offset_s", pa.float64()),
        ("onset_at", _TIME),  # null where the recording does not tell it
        ("peak", pa.float32()),
        ("mean", pa.float32()),
        ("crop_start", pa.int64()),  # of the evidence
        ("crop_end", pa.int64()),
        ("global", pa.float32()),
        ("local", pa.float32()),
        ("fused", pa.float32()),
        ("chosen_for", pa.string()),
        ("cause", pa.string()),
    ]
)
INPUTS = pa.schema(
    [
        ("file", pa.string()),
        ("size", pa.int64()),  # bytes
        ("stamp", pa.string()),  # ns of the last change, or the store's tag
        ("seconds", pa.float64()),  # of real audio
        ("windows", pa.int32()),
        ("events", pa.int32()),
        ("lost_s", pa.float64()),
        ("gaps", pa.list_(_GAP)),
        ("trouble", pa.string()),  # why not all of it was heard; "" if it was
    ]
)


def window_schema(scores: Scores, classes: int) -> pa.Schema:
    """The columns of `windows`, with the scores of all classes if they are kept."""
    if scores == "top":
        return WINDOWS
    return WINDOWS.append(pa.field("scores", pa.list_(_number(scores), classes)))


def _number(scores: Scores) -> pa.DataType:
    return pa.float32() if scores == "all" else pa.float16()


def window_row(name: str, tags: Tags, dated: bool) -> dict[str, Any]:
    """The row of one window; of its tags the best.

    Args:
        name: of the recording.
        dated: whether its times are those of the recording, and not of its tagging.
    """
    return {
        "file": name,
        "seq": tags.seq,
        "start": tags.start,
        "end": tags.end,
        "start_s": tags.start / tags.rate,
        "end_s": tags.end / tags.rate,
        "time": datetime.fromisoformat(tags.time) if dated else None,
        "filled": tags.filled,
        "level_dbfs": tags.level_dbfs,
        "quiet": tags.quiet,
        "tags": [
            {"label": tag.label, "score": tag.score, "global": tag.global_, "local": tag.local}
            for tag in tags.tags[:TOP]
        ],
        "crops": [
            {"label": crop.label, "start": crop.start, "end": crop.end, "activation": crop.activation}
            for crop in tags.crops
        ],
    }


def all_scores(tags: Tags, places: Mapping[str, int]) -> list[float] | None:
    """The scores of all classes in the engine's order; None of a window that was not looked at.

    Args:
        places: of the classes, by mid.
    """
    if tags.quiet:
        return None
    scores = [0.0] * len(places)
    for tag in tags.tags:
        scores[places[tag.mid]] = tag.score
    return scores


def window_table(
    rows: Sequence[Mapping[str, Any]], scores: Sequence[list[float] | None], schema: pa.Schema
) -> pa.Table:
    """Rows as they are written.

    Args:
        scores: of all classes, one list a row; empty where they are not kept.
    """
    table = pa.Table.from_pylist(list(rows), WINDOWS)
    if "scores" in schema.names:
        kind = schema.field("scores").type
        empty = [0.0] * kind.list_size
        number = np.float32 if kind.value_type == pa.float32() else np.float16
        flat = np.array([row or empty for row in scores], number).reshape(-1)
        mask = pa.array([row is None for row in scores])
        column = pa.FixedSizeListArray.from_arrays(pa.array(flat), kind.list_size, mask=mask)
        table = table.append_column(schema.field("scores"), column.cast(kind))
    return table.cast(schema)


def event_row(name: str, event: Event, dated: bool) -> dict[str, Any]:
    """The row of an event that has ended; arguments as of `window_row`."""
    found, offset = event.evidence, event.offset_time or 0
    return {
        "file": name,
        "label": event.label,
        "mid": event.mid,
        "onset": event.onset,
        "offset": offset,
        "onset_s": event.onset / event.rate,
        "offset_s": offset / event.rate,
        "onset_at": datetime.fromisoformat(event.onset_at) if dated else None,
        "peak": event.peak,
        "mean": event.mean,
        "crop_start": found["crop"][0],
        "crop_end": found["crop"][1],
        "global": found["global"],
        "local": found["local"],
        "fused": found["fused"],
        "chosen_for": found["chosen_for"],
        "cause": event.cause,
    }


def event_rows(name: str, events: Sequence[tuple[Event, bool]]) -> list[dict[str, Any]]:
    """Rows of events that have ended, by onset; beside each whether it is dated, as of `window_row`."""
    made = [event_row(name, event, dated) for event, dated in events]
    return sorted(made, key=lambda row: (row["onset"], row["offset"], row["mid"]))


def gap_rows(gaps: Sequence[Gap]) -> list[dict[str, Any]]:
    """Gaps as they stand in a row of `inputs`."""
    return [{"start": gap.start, "end": gap.end, "cause": gap.cause} for gap in gaps]
