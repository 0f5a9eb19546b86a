"""docs/benchmarks.md, from the JSON files beside it. No figure is typed by hand."""

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.peers import page
from benchmarks.tables import Row, pick, pivot, table


def where(head: Row) -> list[str]:
    """What was measured, on what, how to do it again."""
    machine = head["machine"]
    sets = ", ".join(machine["instruction_sets"])
    model = f", model {head['model']}" if "model" in head else ""
    engine = f", engine `{head['engine'][:12]}`" if "engine" in head else ""
    packages = ", ".join(f"{name} {number}" for name, number in head["versions"].items())
    return [
        f"`{head['command']}`, {head['date']}, commit {head['commit']}{model}{engine}.",
        f"{machine['cpu']}, {machine['cores']} cores ({sets}), {machine['system']}, "
        f"Python {head['python']}; {packages}.",
        f"Load average before the first measurement: {machine['load_before']}.",
        "",
    ]


def runtimes(result: Row) -> list[str]:
    """OpenVINO against ONNX Runtime."""
    lines = ["## Runtimes", "", *where(result), *latency(result)]
    lines += ["### Start-up and memory, float32, a fresh process each", ""]
    lines += table(
        ["", "import ms", "load ms", "first runs ms", "sum ms", "sum from disk ms", "resident MB", "of it added MB"],
        pick(result["startup"], contender="", import_ms=".0f", load_ms=".0f", first_ms=".0f",
             total_ms=".0f", from_disk_ms=".0f", resident_mb=".0f", added_mb=".0f"),
    )
    lines += ["### Installed size, beyond glatd's other dependencies", ""]
    sizes = [
        row | {"parts": ", ".join(f"{name} {size}" for name, size in row["packages"].items())}
        for row in result["installed"]
    ]
    lines += table(["", "MB", "packages"], pick(sizes, runtime="", total_mb=".1f", parts=""))
    lines += ["### Size of the three graphs, MB", "", *table(["", "MB"], result["graphs_mb"].items())]
    if result.get("accuracy"):
        lines += accuracy(result) + frontend(result["frontend"])
    return lines + executed(result["executed"]) + larger(result["larger"])


def latency(result: Row) -> list[str]:
    """One table for each number of threads."""
    lines = []
    for threads in dict.fromkeys(row["threads"] for row in result["latency"]):
        rows = [
            row | {"text": f"{row['median_ms']:.2f} ({row['ratio']:.2f}×)"}
            for row in result["latency"] if row["threads"] == threads
        ]
        columns, body = pivot(rows, "contender", "case", "text")
        for row in body:
            of = [one for one in rows if one["contender"] == row[0]]
            row += [f"{sum(one[key] for one in of):.1f}" for key in ("median_ms", "cpu_ms")]
        lines += [
            f"### Latency, {threads} thread{'s' if threads > 1 else ''}", "",
            f"ms, median of {result['turns']} interleaved turns; in brackets the ratio to the first row.",
            "", *table(["", *columns, "sum", "CPU ms of it"], body),
        ]
    return lines


def accuracy(result: Row) -> list[str]:
    """mAP and differences to float32."""
    rows = [row | {"same": 100 * row["same_crops"]} for row in result["accuracy"]]
    return [
        "### What a precision costs", "",
        f"On {rows[0]['scenes']} scenes mixed from clips that training never saw; mAP over "
        f"{rows[0]['classes']} classes.", "",
        *table(
            ["", "mAP fused", "change", "global", "local", "largest difference", "mean", "same crops %"],
            pick(rows, contender="", map=".4f", map_change="+.4f", map_global=".4f", map_local=".4f",
                 largest_difference=".6f", mean_difference=".6f", same=".1f"),
        ),
    ]


def frontend(rows: list[Row]) -> list[str]:
    """Log-mel frames against PyTorch's."""
    return [
        "### Log-mel frames", "",
        f"Largest difference on {rows[0]['clips']} recordings, natural logarithm of power (1e-4 is 0.0004 dB).", "",
        *table(
            ["", "to PyTorch", "to the same in float64"],
            pick(rows, runtime="", to_pytorch=".1e", to_float64=".1e"),
        ),
    ]


def larger(rows: list[Row]) -> list[str]:
    """CNN10."""
    texts = [row | {"ratio": f"{row['ratio']:.2f}×"} for row in rows]
    return [
        "### A network a hundred times as costly", "",
        f"{rows[0]['case']}, random weights.", "",
        *table(["", "ms", "CPU ms", "ratio"], pick(texts, contender="", median_ms=".1f", cpu_ms=".1f", ratio="")),
    ]


def executed(found: Mapping[str, Mapping[str, Mapping[str, int]]]) -> list[str]:
    """What became of the precision hints."""
    graphs = ("frontend", "global", "local")

    def counts(of_graph: Mapping[str, int]) -> str:
        return ", ".join(f"{count} {kind}" for kind, count in sorted(of_graph.items()))

    return [
        "### What OpenVINO executed", "",
        "Convolutions and matrix products, by the precision that they ran in.", "",
        *table(
            ["", *graphs],
            ([name, *(counts(of[graph]) for graph in graphs)] for name, of in found.items()),
        ),
    ]


def daemon(result: Row) -> list[str]:
    """Start-up, cost and memory of glatd."""
    lines = ["## The daemon", "", *where(result)]
    lines += [f"### Fresh processes, median of {result['turns']}", ""]
    lines += table(
        ["", "wall s", "fastest s", "CPU s", "peak MB"],
        pick(result["processes"], process="", wall_s=".2f", fastest_s=".2f", cpu_s=".2f", peak_mb=".0f"),
    )
    lines += ["### Where the replay of a 10 s file spends it", ""]
    lines += table(["step", "median ms"], pick(result["stages"], step="", median_ms=".0f"))
    lines += [f"### `Tagger`, one stream, a window every 0.96 s{looked(result)}", ""]
    lines += table(
        ["threads", "CPU s per stream-second", "wall s per stream-second", "ms a window"],
        pick(result["tagger"], threads="", cpu_s_per_stream_s=".4f", wall_s_per_stream_s=".4f", hop_ms=".1f"),
    )
    lines += ["### `glatd run`, recordings at speed 1, publishing", ""]
    return lines + table(
        ["streams", "threads", "CPU s per stream-second", "resident MB", "peak MB"],
        pick(result["run"], streams="", threads="", cpu_s_per_stream_s=".4f", resident_mb=".0f", peak_mb=".0f"),
    )


def looked(result: Row) -> str:
    """Where the local stream looked; nothing in files from before that was told."""
    return f", `local = \"{result['local']}\"`" if "local" in result else ""


def loader(result: Row) -> list[str]:
    """Clips a worker reads, and how many of them keep training busy."""
    lines = ["## Reading clips for training", "", *where(result)]
    lines += [
        f"CNN10 with GL-AT as published (mixup: two clips make one example; {result['batch']} examples a step) takes "
        f"{result['training_clips_s']:.1f} clips of 10 s a second on {result['device']}. One worker reads "
        f"{result.get('clips', 64)} clips again and again, which come from the system's page cache: this is what "
        "decoding takes. With a corpus of terabytes the disk decides.",
        "",
    ]
    return lines + table(
        ["", "clips a second", "workers that keep it busy"],
        pick(result["workers"], data="", clips_s=".0f", workers=".2f"),
    )


def load(result: Row) -> list[str]:
    """Streams that are held, and twice as many."""
    lines = ["## Load", "", *where(result)]
    lines += [
        "Raw PCM at 48 kHz over TCP, in pieces of 20 ms, from a process of its own. A window is late from when its "
        "newest sample was sent until a subscriber has its tags. A number of streams is held when 99 of 100 windows "
        f"are less than a hop ({result['hop_s']} s) late, with the overload policy off and nothing lost.",
        "",
    ]  # fmt: skip
    networks = [row | {"short": f"`{row['engine'][:12]}`" if "engine" in row else None} for row in result["networks"]]
    if result.get("note"):
        lines += [result["note"], ""]
    lines += table(
        ["network", "model", "precision", "engine", "`local`", "windows side by side", "streams held"],
        pick(networks, network="", model="", precision="", short="", local="", lanes="", held=""),
    )
    for of in result["networks"]:
        attempts = sorted(of["attempts"], key=lambda row: int(row["streams"]))
        rows = [row | {"answer": "yes" if row["held"] else "no", "mb": row["resident_mb"][-1]} for row in attempts]
        lines += [f"### {of['network']}: attempts of {result['seconds']:g} s, after warm-up, without the policy", ""]
        lines += table(
            ["streams", "late, median ms", "late, p99 ms", "cores of glatd", "cores of the feeder", "resident MB",
             "load average before", "held"],
            pick(rows, streams="", late_p50_ms=".0f", late_p99_ms=".0f", cpu_cores=".2f", feeder_cores=".2f",
                 mb=".0f", load_before=".1f", answer=""),
        )  # fmt: skip
        lines += twice(of["network"], of["double"])
    return lines


def twice(network: str, double: Row) -> list[str]:
    """What the overload policy did."""
    memory = double["resident_mb"]
    return [
        f"### {network}: {double['streams']} streams, twice as many, for {double['seconds']:g} s, with the policy", "",
        *table(["s after the first windows", "policy"], pick(double["steps"], at_s=".1f", policy="")),
        f"In the second half, windows are {double['late_p50_ms']:.0f} ms late in the middle, "
        f"{double['late_p99_ms']:.0f} ms at p99. {double['looked_at']} windows were looked at, "
        f"{double['skipped']} skipped for longer hops, "
        f"{double['dropped']} dropped; {double['lost_s']:g} s of audio were lost, {100 * double['lost_share']:.1f} %. "
        f"Resident memory every 5 s, MB: {', '.join(f'{value:.0f}' for value in memory)}.", "",
    ]  # fmt: skip


def viewers(result: Row) -> list[str]:
    """The dashboard at full load."""
    rows = [
        row
        | {
            "who": str(row["viewers"]),
            "percent": f"{row['percent_a_viewer']:.1f}" if "percent_a_viewer" in row else "",
            "windows": f"{100 * row['windows_share']:.1f}",
        }
        for row in result["rows"]
    ]
    return [
        "## Dashboard", "", *where(result),
        f"{result['streams']} streams, as many as the machine holds, and viewers that each watch the spectrogram and "
        f"four classes of one of them; {result['turns']} turns of {result['seconds']:g} s, means. Late is as above. "
        "What a viewer costs is the daemon's; drawing is the browser's.", "",
        *table(
            ["viewers", "cores of glatd", "% of a core a viewer", "late, median ms", "late, p99 ms", "windows %",
             "kbit/s a viewer", "missed"],
            pick(rows, who="", cpu_cores=".3f", percent="", late_p50_ms=".0f", late_p99_ms=".0f", windows="",
                 kbit_s=".0f", missed=".0f"),
        ),
    ]  # fmt: skip


def delivery(result: Row) -> list[str]:
    """Events through the journal and the publisher."""
    rows = [
        row
        | {
            "keys": "yes" if row["curve"] else "no",
            "live": f"{100 * min(row['got_live']) / row['of']:.1f} %",
            "rate": str(row["asked_per_s"]),
        }
        for row in result["runs"]
    ]
    return [
        "## Delivery", "", *where(result),
        f"Events of 0.4 kB through the journal and the publisher over TCP to {result['subscribers']} subscribers, a "
        "process each, on the same machine. A pass of the loop is 10 ms; its events are one commit. Late is from when "
        "an event was made until the slowest subscriber has read it.", "",
        *table(
            ["asked for, a second", "keys", "journal_sync", "published a second", "heard live", "late, median ms",
             "late, p99 ms", "CPU us an event", "caught up afterwards, a second", "load average before"],
            pick(rows, rate="", keys="", sync="", published_per_s="", live="", late_p50_ms=".1f", late_p99_ms=".1f",
                 producer_us=".0f", catch_up_per_s="", load_before=".1f"),
        ),
    ]  # fmt: skip


def wheels(result: Row) -> list[str]:
    """Which platforms have what."""
    columns = list(next(iter(result["wheels"].values())))
    return [
        "## Wheels", "",
        f"`{result['command']}`, {result['date']}, Python {result['python']}. The oldest system for which "
        "pip finds a wheel; none of these platforms but Linux x86-64 was tested.", "",
        *table(
            ["", *columns],
            ([package, *((found[name] or {"system": "**none**"})["system"] for name in columns)]
             for package, found in result["wheels"].items()),
        ),
    ]


def peers(result: Row) -> list[str]:
    """glatd and what a user would run instead."""
    return ["## Side by side", "", *where(result), *page.lines(result)]


SECTIONS = {
    "peers": peers, "daemon": daemon, "load": load, "viewers": viewers, "loader": loader, "delivery": delivery,
    "runtimes": runtimes, "wheels": wheels,
}  # fmt: skip


def render(folder: Path, out: Path) -> None:
    """Write `out` from the files in `folder`."""
    lines = [
        "# Benchmarks", "",
        "Made from the files in [benchmarks/](benchmarks/); do not edit. `make bench` measures what stands under "
        "*Side by side*, *The daemon* and *Runtimes*; each other section begins with the command that measures it. "
        "What was decided by them stands in [engines.md](engines.md).", "",
    ]
    for name, section in SECTIONS.items():
        path = folder / f"{name}.json"
        if path.exists():
            lines += section(json.loads(path.read_text(encoding="utf-8")))
    out.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
