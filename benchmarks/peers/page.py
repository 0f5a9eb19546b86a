"""The section of docs/benchmarks.md on the contenders."""

from benchmarks.peers.turns import MORE
from benchmarks.tables import Row, pick, table

PICTURES = ("peers-cost.svg", "peers-quality.svg")
YES = {True: "reached", False: "**missed**", None: "not measured"}


def lines(result: Row) -> list[str]:
    """Those of the section, after its head."""
    rows = result["contenders"]
    text = [
        f"What a user would run instead of glatd, on {result['threads']} thread, in float32 but where it says "
        f"otherwise (glatd: {result['precision']}), on {result['sound']}. Each has a process of its own; they take "
        f"turns of ten hops, {result['turns']} of them, in another order every time. Ratios are medians of the ratios "
        "in each turn. Decoding is nobody's, since each gets samples at its own rate; the daemon below does all.",
        "",
    ]
    names = {row["contender"]: row["title"] for row in rows}
    text += ["### What was to be reached", ""]
    text += table(
        ["", "wanted", "measured", ""],
        ([row["aim"], row["wanted"], row["measured"], YES[row["reached"]]] for row in result["aims"]),
    )
    text += ["### CPU of a stream, as a multiple of glatd's", ""]
    text += [f"![CPU of a stream, a bar for each](pictures/{PICTURES[0]})", ""]
    told = [
        row
        | {"ratio": f"{row['cpu_of_ours']:.2f} ×"}
        | {"middle": "{:.2f} to {:.2f}".format(*row["cpu_of_ours_quartiles"])}
        | {"ms": 1000 * row["cpu_s_per_stream_s"]}
        for row in rows
    ]
    text += table(
        ["", "CPU, of glatd's", "middle half of the turns", "CPU ms per stream-second", "streams per core", "mAP"],
        pick(told, title="", ratio="", middle="", ms=".2f", streams_per_core=".1f", map=".4f"),
    )
    text += [*quality(result, names)]
    text += ["### Latency, memory, start", ""]
    text += [
        "From sound to message: a sound waits until its hop is over (half of one in the middle, all of it at p99) and "
        "then for the answer; one stream, nothing else to do. Memory is resident, of a process with Python and the "
        f"contender in it; a stream's is what {MORE} further ones add that have run for a window. Start: from "
        "nothing to the first answer, sound at once: of one hop, or of three for glatd, whose first window is longer "
        "than a second and waits for 6 ms after it.",
        "",
    ]
    text += table(
        ["", "hop s", "answer ms, p50", "p99", "from sound to message s, p50", "p99", "MB without streams",
         "MB a stream", "start s"],
        pick(rows, title="", hop_s=".3f", compute_p50_ms=".1f", compute_p99_ms=".1f", late_p50_s=".2f",
             late_p99_s=".2f", fixed_mb=".0f", stream_mb=".1f", start_s=".2f"),
    )  # fmt: skip
    text += ["What each does at every hop:", "", *(f"- {row['title']}: {row['what']}" for row in rows), ""]
    for key, why in result["left_out"].items():
        text += [f"`{key}` is left out: {why}.", ""]
    return text + (daemon(result["daemon"]) if result["daemon"] else [])


def quality(result: Row, names: dict[str, str]) -> list[str]:
    """What of the scores can be said."""
    judged = [row for row in result["contenders"] if row.get("map") is not None]
    if not judged:
        return []
    lines = [
        f"![mAP against CPU](pictures/{PICTURES[1]})", "",
        f"mAP: on {result['scenes']} weakly labelled scenes of 10 s, mixed from clips that training never saw, macro "
        f"over the {judged[0]['map_classes']} classes that occur and that all contenders know.",
    ]  # fmt: skip
    for row in judged:
        if len(ways := row["map_ways"]) > 1:
            (best, top), (other, low) = sorted(ways.items(), key=lambda item: -item[1])
            lines.append(
                f"{names[row['contender']]} answers for each of its windows; their {best} gives {top:.4f}, "
                f"their {other} {low:.4f}."
            )
    lines += [
        f"{row['title']} has no mAP: {row['map_of']}."
        for row in result["contenders"] if row.get("map") is None and "map_of" in row
    ]  # fmt: skip
    return [*lines, ""]


def daemon(result: Row) -> list[str]:
    """The daemon as a whole."""
    rows = [row | {"mb": row["resident_mb"][-1]} for row in result["attempts"]]
    return [
        "### The daemon as a whole", "",
        "`glatd run` with raw PCM at 48 kHz over TCP, resampled, looked at, told to a subscriber in another process, "
        f"{result['seconds']:g} s of each number of streams after warm-up. By what it costs at half load, "
        f"{result['streams_per_core']:.0f} streams take a core, and this machine bears {result['bears']} streams at "
        f"90 % of its cores. At half load ({result['half_load']} streams) a message comes "
        f"{result['late_p50_s']:.2f} s after the sound in the middle and {result['late_p99_s']:.2f} s at p99, the wait "
        f"for the hop's end included. A stream takes {result['stream_mb']:.1f} MB, the daemon without streams "
        f"{result['fixed_mb']:.0f} MB. It hears {result['start_s']:.2f} s after it was started, and "
        f"{result['after_first_second_s']:.2f} s after a stream's first second its first tags are there "
        f"({result['after_first_second_worst_s']:.2f} s at worst; a hop ends 0.92 s after that second).", "",
        *table(
            ["streams", "late, median ms", "late, p99 ms", "cores of glatd", "resident MB", "load average before"],
            pick(rows, streams="", late_p50_ms=".0f", late_p99_ms=".0f", cpu_cores=".2f", mb=".0f", load_before=".1f"),
        ),
    ]  # fmt: skip
