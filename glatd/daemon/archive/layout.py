"""How an archive lies in its folder.

    DIR/archive.json                       engine, settings, labels: all that decides the rows
    DIR/windows/part-0000012-000.parquet   rows of windows; 12 is the shard, 0 its first part
    DIR/events/part-0000012-000.parquet    rows of events, of the same recordings
    DIR/inputs/part-0000012-000.parquet    a row a recording; written last: without it the part is none
    DIR/bad.jsonl                          what could not be heard, or not all of it
    DIR/.work/                             what is being written

docs/archive.md is the specification.
"""

VERSION = 1
FILE = "archive.json"
BAD = "bad.jsonl"
METADATA = b"glatd"  # key of each table's schema under which archive.json stands again
TABLES = ("windows", "events", "inputs")


def file_name(table: str, part: str) -> str:
    """Where the rows of a part lie."""
    return f"{table}/part-{part}.parquet"


def part_of(name: str) -> str:
    """The part of a file in the folder of a table; "" for another file."""
    if not (name.startswith("part-") and name.endswith(".parquet")):
        return ""
    return name[len("part-") : -len(".parquet")]
