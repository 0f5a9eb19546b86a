"""A proof of two tiny networks, from the corpus to the page; on after a kill, and never by another's results."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from glatd.cli import cli
from glatd.errors import DataError
from glatd.trainer.progress import Progress
from glatd.trainer.proof.one import run_one
from glatd.trainer.proof.page import BEGIN, END
from glatd.trainer.proof.plan import Plan, read_plan
from glatd.trainer.proof.results import Result, path_of, read_results
from glatd.trainer.proof.runner import prove, remaining
from glatd.trainer.proof.scenes import made_of, make_scenes
from glatd.trainer.proof.tables import Results, difference, heard, spread, table_1

PAGE = f"# A proof\n\n{BEGIN}\n\nnothing yet\n\n{END}\n\nThe end.\n"


@pytest.fixture(scope="module")
def done(corpus: Path, plan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of the first seed's TALNet, in this process: a process each would take a minute."""
    out = tmp_path_factory.mktemp("out")
    read = read_plan(plan)
    make_scenes(corpus, read.file.scenes, out / "scenes", Progress())
    for run in read.runs:
        if run.seed == 1 and run.network == "talnet":
            run_one(run, out / "scenes", out, read.file.random, "cpu", Progress())
    return out


@pytest.fixture
def out(done: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(done, tmp_path / "out")
    return tmp_path / "out"


def results(plan: Plan, out: Path) -> dict[str, Result]:
    """All there are."""
    return read_results(plan, out, made_of(out / "scenes"))


def test_what_a_run_tells(done: Path, plan: Path) -> None:
    found = results(read_plan(plan), done)
    glat, alone, longer = (found[f"talnet-{row}-s1"] for row in ("glat", "alone", "long"))
    for one in (glat, alone, longer):
        assert one["scenes"] == 5 and one["classes"] >= 2 and one["more"] == 3
        assert all(0 < figures["map"] <= 1 for figures in one["ways"].values())
    assert set(glat["average_precision"]) == {"global", "clip/fused"} and set(alone["average_precision"]) == {"global"}
    places = {name: {way.rpartition("/")[0] for way in one["ways"]} - {""} for name, one in found.items()}
    assert places["talnet-glat-s1"] == {"clip", "sounds", "even", "random", "all", "more"}
    assert places["talnet-alone-s1"] == places["talnet-long-s1"] == {"all", "more"}
    assert places["talnet-random-s1"] == {"clip", "random"} and places["talnet-shared-s1"] == {"clip"}
    assert (alone["steps"], glat["steps"], longer["steps"]) == (2, 2, 5)
    # Seconds of a clip: 10, and crops of 3 s besides.
    ways = {"global": 10, "clip/fused": 25, "sounds/local": 25, "even/fused": 25, "all/fused": 34, "more/fused": 19}
    assert {way: heard(glat, way) for way in ways} == ways
    other = found["talnet-sounds-s1"]
    assert other["choose"] == "sounds" and "classes/fused" in other["ways"] and "sounds/fused" not in other["ways"]
    assert found["talnet-n5-t1-s1"]["crop_s"] == 1.0 and found["talnet-n1-t3-s1"]["crops"] == 1
    # Alone both streams are one network: crops of another choice are all that differs.
    assert alone["parameters"] == glat["parameters"]


def test_the_same_run_ends_in_the_same_figures(out: Path, plan: Path) -> None:
    read = read_plan(plan)
    run = read.run("talnet-random-s1")
    first = json.loads(path_of(out, run).read_text())
    path_of(out, run).unlink()
    shutil.rmtree(out / "runs" / run.name)
    run_one(run, out / "scenes", out, read.file.random, "cpu", Progress())
    again = json.loads(path_of(out, run).read_text())
    assert again["ways"] == first["ways"] and again["fingerprint"] == first["fingerprint"]


@pytest.mark.timeout(300)
def test_what_is_missing_is_run_in_processes_and_nothing_twice(
    out: Path, plan: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command: one is left, for which there is no room, and then there is; then the page."""
    text = plan.read_text().replace("seeds = [1, 2]", "seeds = [1]").replace(', "mn.toml"', "")
    shutil.copytree(plan.parent, tmp_path / "plan")
    one_seed = tmp_path / "plan" / "plan.toml"
    one_seed.write_text(text)
    (out / "results" / "talnet-alone-s1.json").unlink()
    shutil.rmtree(out / "runs" / "talnet-alone-s1")
    (out / "runs" / "talnet-alone-s1").write_text("in the way")
    before = {file.name: file.stat().st_mtime_ns for file in (out / "results").iterdir()}
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    asked = ["train", "proof", str(one_seed), "--data", str(corpus), "--out", str(out), "--page", str(page)]
    told = CliRunner().invoke(cli, asked)
    failed = f"{told.output}{told.exception}"
    assert told.exit_code and "1 of 8 runs failed, the others are done: talnet-alone-s1" in failed
    (out / "runs" / "talnet-alone-s1").unlink()
    told = CliRunner().invoke(cli, asked, catch_exceptions=False)
    assert told.exit_code == 0 and "page.md: 8 of 8 runs" in told.output
    after = {file.name: file.stat().st_mtime_ns for file in (out / "results").iterdir()}
    assert before.items() <= after.items() and len(after) == len(before) + 1
    said = page.read_text()
    assert said.startswith("# A proof\n") and said.endswith(f"{END}\n\nThe end.\n") and "nothing yet" not in said
    assert "8 of the 8 runs of the plan are here" in said and "### Table 2" in said and "of 1)" in said
    assert len(list((tmp_path / "page").glob("*.json"))) == 8
    assert (tmp_path / "page" / "fig2.png").read_bytes().startswith(b"\x89PNG") and "](page/fig2.png)" in said
    once = page.read_text()
    CliRunner().invoke(cli, asked, catch_exceptions=False)
    assert page.read_text() == once


def test_results_of_another_plan_are_refused(out: Path, plan: Path, corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(plan.parent, tmp_path / "plan")
    recipe = tmp_path / "plan" / "talnet.toml"
    recipe.write_text(recipe.read_text().replace("learning_rate = 1e-3", "learning_rate = 2e-3"))
    with pytest.raises(DataError, match=r"talnet-\w+-s1.json is of another recipe, bundle or corpus"):
        prove(tmp_path / "plan" / "plan.toml", corpus, out, 1, "cpu", Progress())
    (out / "results" / "talnet-glat-s1.json").write_text("{")
    with pytest.raises(DataError, match=r"talnet-glat-s1\.json is no result of a run"):
        prove(plan, corpus, out, 1, "cpu", Progress())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_kill_ends_the_runs_too_and_nobody_else_works_there(corpus: Path, plan: Path, out: Path) -> None:
    command = [sys.executable, "-m", "glatd.cli", "train", "proof", str(plan), "--data", str(corpus), "--out", str(out)]
    process = subprocess.Popen([*command, "--jobs", "1"], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: list((out / "runs").glob("*-s2")) and children_of(process.pid), 120)
        with pytest.raises(DataError, match="another proof runs in"):
            prove(plan, corpus, out, 1, "cpu", Progress())
    finally:
        children = children_of(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert children
    wait_for(lambda: not any(map(lives, children)), 120)


def children_of(parent: int) -> list[int]:
    """Processes that it started."""
    tasks = Path(f"/proc/{parent}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def lives(process: int) -> bool:
    """Whether it runs; what has ended may wait for someone to ask for its status."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(what: Callable[[], object], limit: float) -> None:
    """Until it is so."""
    deadline = time.monotonic() + limit
    while not what():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)


def test_means_spreads_and_differences() -> None:
    assert spread([]) == "–" and spread([0.5]) == "0.500" and spread([0.1, 0.2, 0.3]) == "0.200 ± 0.100"
    assert difference({1: 0.5, 2: 0.5, 3: 0.5}, {1: 0.4, 2: 0.6, 3: 0.2}) == "+0.100 ± 0.200 (2 of 3)"
    assert difference({1: 0.5}, {2: 0.4}) == "–" and difference({1: 0.25}, {1: 0.5}) == "-0.250 (0 of 1)"


def test_a_table_has_a_dash_where_no_run_is(done: Path, plan: Path) -> None:
    read = read_plan(plan)
    found = results(read, done)
    one = table_1(Results(read, {name: result for name, result in found.items() if result["network"] == "talnet"}))
    assert one[0] == "| trained | judged by | heard, s | TALNet | MN |"
    assert all(row.replace("*", "").endswith("| – |") for row in one[2:]) and one[-1].startswith("| **GL-AT** |")
    value = found["talnet-glat-s1"]["ways"]["clip/fused"]["map"]
    assert f"| **{value:.3f}** |" in one[-1] and "| **25** |" in one[-1]


def test_how_long_the_rest_takes(plan: Path) -> None:
    """By the seconds of sound that runs hear, and how long a network takes for one."""
    runs = {run.name: run for run in read_plan(plan).runs}
    took = {"mn-alone-s1": {"training_s": 4.0, "judging_s": 1.0}}  # 2 steps of 2 clips of 10 s: 0.1 s a second
    assert remaining([runs["mn-glat-s2"]], list(runs.values()), took) == pytest.approx(2 * 2 * 25 * 0.1 + 1)
    assert remaining([runs["talnet-alone-s1"]], list(runs.values()), took) == pytest.approx(4 + 1)
    assert remaining([runs["mn-glat-s2"]], list(runs.values()), {}) is None
