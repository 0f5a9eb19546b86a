"""What is said of a run: aims, the page, the pictures."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import aims, page, picture
from benchmarks.peers.contender import OURS


def row(key: str, ratio: float, map_: float | None = None) -> dict[str, Any]:
    return {
        "contender": key, "title": f"the {key}", "what": "something", "hop_s": 0.96,
        "cpu_s_per_stream_s": 0.01 * ratio, "streams_per_core": 100 / ratio, "cpu_of_ours": ratio,
        "cpu_of_ours_quartiles": [ratio, ratio], "compute_p50_ms": 1.0, "compute_p99_ms": 2.0, "late_p50_s": 0.5,
        "late_p99_s": 1.0, "fixed_mb": 100.0, "stream_mb": 1.0, "start_s": 1.0, "map": map_,
        "map_of": "one window" if map_ else "its weights are not here",
        "map_ways": {"max": map_, "mean": 0.1} if key == "yamnet" else {"one window": map_}, "map_classes": 80,
    }  # fmt: skip


LIVE = {
    "seconds": 20.0, "bears": 210, "streams_per_core": 120.0, "half_load": 105, "late_p50_s": 0.52,
    "late_p99_s": 1.3, "stream_mb": 2.0, "fixed_mb": 190.0, "start_s": 1.0, "after_first_second_s": 1.2,
    "after_first_second_worst_s": 1.3,
    "attempts": [{"streams": 8, "late_p50_ms": 20.0, "late_p99_ms": 40.0, "cpu_cores": 0.07, "resident_mb": [200.0],
                  "load_before": 0.1}],
}  # fmt: skip


def by_name(rows: list[dict[str, Any]], part: str) -> dict[str, Any]:
    (found,) = [one for one in rows if part in one["aim"]]
    return found


def test_aims_are_reached_or_missed() -> None:
    rows = [row("cnn10", 41.0), row("yamnet", 0.2, 0.5), row("glat-engine", 2.9), row(OURS, 1.0, 0.59)]
    judged = aims.judge(rows, LIVE, cnn10=False)
    assert by_name(judged, "(a) CNN10")["reached"] is True
    assert by_name(judged, "(d) on the same")["reached"] is False
    missing = by_name(judged, "(d) in PyTorch")
    assert missing["reached"] is None and missing["measured"] is None
    assert by_name(judged, "CPU per stream-second")["measured"] == 5.0
    assert by_name(judged, "mAP above")["measured"] == pytest.approx(0.09) and by_name(judged, "mAP")["reached"]
    assert by_name(judged, "at half load, p99")["reached"] is False
    assert by_name(judged, "streams of PCM")["reached"] is True
    assert aims.ratios(rows)[0] == {"name": "streams per core, of cnn10", "value": 41.0}
    assert len(aims.ratios(rows)) == 3


def test_a_cnn10_has_an_aim_of_its_own() -> None:
    judged = aims.judge([row("cnn10", 14.0), row(OURS, 1.0)], None, cnn10=True)
    assert judged[0]["wanted"] == "at least 15 ×" and judged[0]["reached"] is False
    assert by_name(judged, "cold start")["reached"] is None


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    rows = [row("cnn10", 41.0), row("yamnet", 0.2, 0.5), row(OURS, 1.0, 0.6)]
    return {
        "threads": 1, "precision": "float32", "sound": "clips", "turns": 3, "scenes": 20, "contenders": rows,
        "aims": aims.judge(rows, LIVE, cnn10=False), "left_out": {"mn04": "it needs a file"}, "daemon": LIVE,
    }  # fmt: skip


def test_the_page_says_what_was_measured(result: dict[str, Any]) -> None:
    text = "\n".join(page.lines(result))
    assert "| the cnn10 | 41.00 × |" in text and "**missed**" in text and "reached" in text
    assert "`mn04` is left out: it needs a file." in text
    assert "the cnn10 has no mAP: its weights are not here." in text
    assert "their max gives 0.5000, their mean 0.1000" in text
    assert "210 streams" in text
    without = "\n".join(page.lines(result | {"daemon": None}))
    assert "The daemon as a whole" not in without


def test_pictures_are_drawn_the_same_each_time(result: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for folder in ("one", "two"):
        picture.draw(result, tmp_path / folder)
    for name in page.PICTURES:
        one = (tmp_path / "one" / name).read_bytes()
        assert one.startswith(b"<?xml") and len(one) < 100_000
        assert one == (tmp_path / "two" / name).read_bytes()
