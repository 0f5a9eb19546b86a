"""Workers on this machine: processes of their own, so that a file that kills its decoder ends nothing else."""

import contextlib
import logging
import multiprocessing
import os
import queue
import signal
import threading
import time
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from glatd.daemon.archive.job import Job
from glatd.daemon.archive.reports import Died, Finished, Ready, Report, Shard
from glatd.errors import GlatdError

STUCK_SECONDS = 3600.0  # without a word from a worker, after which it is given up: fetching may take long
STOP_SECONDS = 10.0  # for workers to write what is done


class Crew(Protocol):
    """Workers, wherever they are."""

    @property
    def size(self) -> int:
        """How many workers there will be."""

    @property
    def free(self) -> int:
        """How many shards could be given now."""

    def give(self, shard: Shard) -> None:
        """Hand a shard to a free worker."""

    def wait(self, seconds: float) -> list[tuple[Shard | None, Report]]:
        """What was told within so many seconds; returns as soon as there is something."""

    def stop(self) -> None:
        """Ask all workers to write what is done, and to end."""

    def close(self) -> None:
        """End them all."""


class _Member:
    """One process."""

    def __init__(self, job: Job) -> None:
        context = multiprocessing.get_context("spawn")  # what this process has loaded must not be forked
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=serve, args=(theirs, job), name="glatd archive", daemon=True)
        self.process.start()
        theirs.close()
        self.shard: Shard | None = None
        self.ready = False
        self.at: int | None = None  # the recording that it is at
        self.died: Died | None = None  # what it said last
        self.told = time.monotonic()


class LocalCrew:
    """So many processes; one that dies is replaced."""

    def __init__(self, job: Job, count: int) -> None:
        self._job = job
        self._members = [_Member(job) for _ in range(count)]
        self._stopping = False

    @property
    def size(self) -> int:
        """Processes."""
        return len(self._members)

    @property
    def free(self) -> int:
        """Those that are ready and have nothing to do."""
        return 0 if self._stopping else sum(each.ready and each.shard is None for each in self._members)

    def give(self, shard: Shard) -> None:
        """Hand a shard to a free worker."""
        member = next(each for each in self._members if each.ready and each.shard is None)
        # Told of each recording before it is begun: a pipe costs nothing, and it is known over which one a worker dies.
        member.shard, member.at, member.told = replace(shard, careful=True), None, time.monotonic()
        with contextlib.suppress(OSError):  # where it has just died `wait` tells
            member.pipe.send(member.shard)

    def wait(self, seconds: float) -> list[tuple[Shard | None, Report]]:
        """What was told within so many seconds."""
        wait([each.pipe for each in self._members] + [each.process.sentinel for each in self._members], seconds)
        told: list[tuple[Shard | None, Report]] = []
        for place, member in enumerate(self._members):
            told += self._listen(member)
            if member.shard is not None and time.monotonic() - member.told > STUCK_SECONDS:
                member.process.kill()
                member.process.join()
            if not member.process.is_alive():
                told += self._listen(member)  # what it said last
                died = member.died or Died(_why(member.process.exitcode), early=not member.ready)
                told.append((member.shard, replace(died, at=member.at)))
                member.pipe.close()
                gone = self._stopping or died.error is not None
                self._members[place] = member if gone else _Member(self._job)
        self._members = [each for each in self._members if not each.pipe.closed]
        return told

    def stop(self) -> None:
        """Ask all workers to write what is done, and to end."""
        self._stopping = True
        for member in self._members:
            with contextlib.suppress(OSError):
                member.pipe.send(None)

    def close(self) -> None:
        """End them all."""
        for member in self._members:
            member.process.kill()
        for member in self._members:
            member.process.join()
            member.pipe.close()
        self._members = []

    def _listen(self, member: _Member) -> list[tuple[Shard | None, Report]]:
        told: list[tuple[Shard | None, Report]] = []
        with contextlib.suppress(EOFError, OSError):
            while member.pipe.poll():
                report = member.pipe.recv()
                member.told = time.monotonic()
                if isinstance(report, Died):
                    member.died = report  # told with the process's end
                    continue
                told.append((member.shard, report))
                member.at = getattr(report, "index", member.at)
                member.ready = member.ready or isinstance(report, Ready)
                if isinstance(report, Finished):
                    member.shard = member.at = None
        return told


def _why(code: int | None) -> str:
    """Why a process ended, in words."""
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        memory = "; perhaps there was too little memory" if name == "SIGKILL" else ""
        return f"its worker was ended by {name}{memory}"
    return f"its worker ended with code {code}"


def serve(pipe: "Connection[Report, Shard | None]", job: Job) -> None:
    """The process of a worker: shards come by the pipe, reports go back."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; whoever started this says what to do
    logging.getLogger("glatd").setLevel(logging.CRITICAL)  # all that matters is in the reports
    lock = threading.Lock()
    shards: queue.SimpleQueue[Shard | None] = queue.SimpleQueue()
    from glatd.daemon.archive.work import Worker

    def tell(report: Report) -> None:
        with lock:
            pipe.send(report)

    try:
        worker = Worker(job)
    except GlatdError as error:
        tell(Died(str(error), error=error, early=True))
        return

    def listen() -> None:
        while True:
            try:
                shard = pipe.recv()
            except (EOFError, OSError):
                os._exit(1)  # who started this is gone: nobody would ever end it
            shards.put(shard)
            if shard is None:
                worker.stop()
                return

    threading.Thread(target=listen, name="orders", daemon=True).start()
    tell(Ready())
    while (shard := shards.get()) is not None:
        try:
            worker.work(shard, tell)
        except GlatdError as error:
            tell(Died(str(error), error=error))
            return
        except Exception as error:  # of a library, over one recording: the others must not suffer
            tell(Died(f"{type(error).__name__}: {error}"))
            return
