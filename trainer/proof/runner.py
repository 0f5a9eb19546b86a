"""All runs of a plan, each in a process of its own with one thread, the most telling ones first; on after a kill."""

import fcntl
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from glatd.errors import DataError
from glatd.trainer.progress import Progress
from glatd.trainer.proof.plan import OWN, Plan, Run, read_plan
from glatd.trainer.proof.results import Result, read_result, read_results
from glatd.trainer.proof.scenes import make_scenes

SCENES, LOG, LOCK = "scenes", "log.txt", "lock"
# One thread a run. Page faults of large tensors that come and go eat most of the time otherwise.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}
GRACE_S = 20.0
ENDING_S = 5.0  # that a run has to see that who started it is gone
WAIT_S = 5.0


def prove(plan_path: Path, corpus: Path, out: Path, jobs: int, device: str, progress: Progress) -> dict[str, Result]:
    """Make the scenes, do every run that has no result yet, `jobs` at a time, and return all results.

    Args:
        corpus: folder with corpus.csv and clips/.
        out: scenes/, runs/ (weights and logs) and results/.

    Raises:
        DataError: another proof runs in `out`, results of another plan stand there, or runs failed.
    """
    plan = read_plan(plan_path)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / LOCK).open("w")
    except OSError as error:
        raise DataError(f"cannot write into {out}: {error.strerror}") from error
    with lock:
        _take(lock.fileno(), out)
        made_of = make_scenes(corpus, plan.file.scenes, out / SCENES, progress)
        known = read_results(plan, out, made_of)
        pending = [run for run in plan.runs if run.name not in known]
        crew = Crew(plan, plan_path, out, made_of, device, progress, known)
        crew.work(pending, jobs, lock.fileno())
    if crew.failed:
        told = "; ".join(f"{name}: {reason}" for name, reason in crew.failed.items())
        raise DataError(f"{len(crew.failed)} of {len(plan.runs)} runs failed, the others are done: {told}")
    return crew.results


def _take(lock: int, out: Path) -> None:
    """Lock the folder; the runs of a proof that was killed just now end within a moment.

    Raises:
        DataError: another proof runs there.
    """
    deadline = time.monotonic() + ENDING_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise DataError(f"another proof runs in {out}; wait for it, or choose another --out") from error
        time.sleep(ENDING_S / 10)


@dataclass
class Crew:
    """Processes at work, and what they brought."""

    plan: Plan
    path: Path  # of the plan
    out: Path
    made_of: str
    device: str
    progress: Progress
    results: dict[str, Result]
    failed: dict[str, str] = field(default_factory=dict)
    _children: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _ends: threading.Event = field(default_factory=threading.Event)

    def work(self, pending: Sequence[Run], jobs: int, lock: int) -> None:
        """Do all of them; what interrupts this ends the processes, too.

        Args:
            lock: file that a process keeps open, so that it is locked as long as one of them lives.
        """
        if not pending:
            return
        self.progress.say(f"{len(self.results)} of {len(self.plan.runs)} runs are done{self._left(pending, jobs)}")
        waiting: queue.SimpleQueue[Run] = queue.SimpleQueue()
        for run in pending:
            waiting.put(run)
        threads = [threading.Thread(target=self._serve, args=(waiting, pending, jobs, lock)) for _ in range(jobs)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():  # a bare join would not hear an interrupt
                    thread.join(WAIT_S)
        finally:
            self._ends.set()
            self._stop()
            for thread in threads:
                thread.join()

    def _serve(self, waiting: "queue.SimpleQueue[Run]", pending: Sequence[Run], jobs: int, lock: int) -> None:
        while not self._ends.is_set():
            try:
                run = waiting.get_nowait()
            except queue.Empty:
                return
            reason = self._do(run, lock)
            with self._guard:
                if self._ends.is_set():
                    return
                try:
                    result = None if reason else read_result(self.out, run, self.made_of)
                except DataError as error:
                    result, reason = None, str(error)
                if result is None:
                    self.failed[run.name] = reason or "it left no result"
                    self.progress.say(f"{run.name} failed: {self.failed[run.name]}")
                    continue
                self.results[run.name] = result
                way = OWN[run.row]
                self.progress.say(
                    f"{len(self.results)} of {len(self.plan.runs)}: {run.name}, mAP {result['ways'][way]['map']:.4f} "
                    f"({way}){self._left(pending, jobs)}"
                )

    def _do(self, run: Run, lock: int) -> str:
        """One run in its process; what went wrong, or nothing."""
        folder = self.out / "runs" / run.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return f"cannot make the folder {folder}: {error.strerror}"
        command = [sys.executable, "-m", "glatd.trainer.proof.one"]
        command += [str(self.path), str(self.out / SCENES), str(self.out), run.name, self.device]
        log = folder / LOG
        with log.open("ab") as file:
            with self._guard:
                if self._ends.is_set():
                    return "interrupted"
                child = subprocess.Popen(
                    command,
                    env=os.environ | ENVIRONMENT,
                    stdin=subprocess.PIPE,  # the process ends when it closes, so never without this one
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    pass_fds=(lock,),
                )
                self._children.append(child)
            code = child.wait()
            if child.stdin is not None:
                child.stdin.close()
        if code == 0:
            return ""
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"{lines[-1] if lines else f'it ended with {code}'} ({log})"

    def _stop(self) -> None:
        with self._guard:
            alive = [child for child in self._children if child.poll() is None]
            for child in alive:
                child.terminate()
        for child in alive:
            try:
                child.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                child.kill()

    def _left(self, pending: Sequence[Run], jobs: int) -> str:
        """About how long the rest takes, as far as runs of this machine tell."""
        missing = [run for run in pending if run.name not in self.results and run.name not in self.failed]
        seconds = remaining(missing, list(self.plan.runs), self.results)
        if seconds is None or not missing:
            return ""
        return f"; {len(missing)} to do, about {spoken(seconds / jobs)}"


def remaining(missing: Sequence[Run], runs: Sequence[Run], results: dict[str, Result]) -> float | None:
    """Seconds of one core that runs take, by what runs of the same network took for a second of sound heard.

    Networks of which nothing is known count as the mean of the others. Medians, since a run that went on after a kill
    knows only how long its last part took.
    """
    rates: dict[str, list[float]] = {}
    judging: list[float] = []
    for run in runs:
        if run.name in results and run.recipe is not None:
            result = results[run.name]
            rates.setdefault(run.network, []).append(result["training_s"] / (run.heard * run.recipe.optim.steps))
            judging.append(result["judging_s"])
    if not judging:
        return None
    known = {network: median(values) for network, values in rates.items()}
    usual = sum(known.values()) / len(known)
    total = 0.0
    for run in missing:
        if run.recipe is not None:
            total += known.get(run.network, usual) * run.heard * run.recipe.optim.steps
        total += median(judging)
    return total


def spoken(seconds: float) -> str:
    """A span of time for people."""
    minutes = max(1, round(seconds / 60))
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
