"""Workers on a Ray cluster that is there already: an actor for each core, each with an engine of its own.

Actors instead of Ray Data: a shard's rows are written where they are made and nothing but reports comes back, so
neither audio nor rows go through Ray's object store; and it is known which recording an actor died over.
"""

import importlib
import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from glatd.daemon.archive.job import Job
from glatd.daemon.archive.reports import At, Died, Finished, Ready, Report, Shard
from glatd.errors import ConfigError, GlatdError

REACH_S = 5.0  # for somebody to answer at the address of a cluster
GROW_SECONDS = 10.0  # between two looks for machines that have joined
SEND_SECONDS = 2.0  # between two reports on how far a recording is
NEEDS_RAY = "--ray needs ray, which is not installed; pip install 'glatd[archive,ray]' on every machine"


class RayWorker:
    """The actor. Ray calls `stop` while `work` runs."""

    def __init__(self, job: Job) -> None:
        from glatd.daemon.archive.work import Worker

        logging.getLogger("glatd").setLevel(logging.CRITICAL)
        self._worker: Worker | None = None
        self._error: GlatdError | None = None
        try:
            self._worker = Worker(job)
        except GlatdError as error:
            self._error = error

    def ready(self) -> GlatdError | None:
        """Why it cannot work."""
        return self._error

    def work(self, shard: Shard) -> Iterator[list[Report]]:
        """Tag a shard; reports as they come, those that may wait in bundles."""
        worker = self._worker
        assert worker is not None
        told: queue.SimpleQueue[Report | None] = queue.SimpleQueue()

        def go() -> None:
            try:
                worker.work(shard, told.put)
            except GlatdError as error:
                told.put(Died(str(error), error=error))
            except Exception as error:  # of a library, over one recording
                told.put(Died(f"{type(error).__name__}: {error}"))
            told.put(None)

        thread = threading.Thread(target=go, name="shard")
        thread.start()
        waiting: list[Report] = []
        sent = 0.0
        while (report := told.get()) is not None:
            waiting.append(report)
            urgent = not isinstance(report, At) or (shard.careful and report.seconds == 0.0)
            if urgent or time.monotonic() - sent >= SEND_SECONDS:
                yield waiting
                waiting, sent = [], time.monotonic()
        thread.join()
        if waiting:
            yield waiting

    def stop(self) -> None:
        """Write what is done, and end."""
        if self._worker is not None:
            self._worker.stop()


class _Member:
    """One actor."""

    def __init__(self, kind: Any, job: Job) -> None:
        self.actor = kind.remote(job)
        self.starting: Any = self.actor.ready.remote()
        self.told: Any = None  # the generator of its reports
        self.shard: Shard | None = None
        self.at: int | None = None
        self.died: Died | None = None


def _reach(address: str) -> None:
    """Ask whether anybody is there at all: Ray itself waits for minutes, and then ends the process.

    Raises:
        ConfigError: nobody is.
    """
    host, colon, port = address.rpartition(":")
    if not colon:
        return  # "auto", or a name that Ray knows
    try:
        socket.create_connection((host, int(port)), REACH_S).close()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"--ray {address}: no Ray cluster can be joined there ({error}); start one by `ray start --head`, or "
            "leave --ray out"
        ) from error


class RayCrew:
    """Actors on all the cores that the cluster has, or on so many.

    Args:
        address: of the cluster, HOST:PORT or "auto".
        count: actors; None for one a core, also of machines that join later.

    Raises:
        ConfigError: there is no Ray here, or no cluster at that address.
    """

    def __init__(self, job: Job, address: str, count: int | None) -> None:
        if address.startswith("ray://"):
            raise ConfigError(
                f"--ray {address} is Ray's client, which cannot hand back reports as they come; run glatd archive on "
                "a machine of the cluster (ray job submit does), with --ray auto"
            )
        _reach(address)
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nobody was asked
        # A worker that cannot get memory is to be told of, not to be tried again unseen.
        try:
            ray: Any = importlib.import_module("ray")
        except ModuleNotFoundError as error:
            raise ConfigError(NEEDS_RAY) from error
        try:
            ray.init(address=address, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"--ray {address}: no Ray cluster can be joined there ({str(error).splitlines()[0]}); "
                "start one by `ray start --head`, or leave --ray out"
            ) from error
        self._ray, self._job, self._count = ray, job, count
        # Two calls at once: `stop` while `work` runs. A crew decides itself what is done once more.
        self._kind = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0, max_concurrency=2)(RayWorker)
        self._members: list[_Member] = []
        self._stopping = False
        self._grown = 0.0
        self._grow()

    @property
    def size(self) -> int:
        """Actors, so far."""
        return len(self._members)

    @property
    def free(self) -> int:
        """Those that are ready and have nothing to do."""
        return 0 if self._stopping else len(self._idle())

    def give(self, shard: Shard) -> None:
        """Hand a shard to a free worker."""
        member = self._idle()[0]
        member.shard, member.at = shard, None
        member.told = member.actor.work.options(num_returns="streaming").remote(shard)

    def wait(self, seconds: float) -> list[tuple[Shard | None, Report]]:
        """What was told within so many seconds."""
        self._grow()
        asked = {each.starting or each.told: each for each in self._members if each.starting or each.told}
        if not asked:
            time.sleep(min(seconds, 0.1))
            return []
        ready, _ = self._ray.wait(list(asked), num_returns=len(asked), timeout=0)
        if not ready:
            ready, _ = self._ray.wait(list(asked), num_returns=1, timeout=seconds)
        told: list[tuple[Shard | None, Report]] = []
        for each in ready:
            told += self._listen(asked[each])
        return told

    def stop(self) -> None:
        """Ask all workers to write what is done, and to end."""
        self._stopping = True
        for member in self._members:
            member.actor.stop.remote()

    def close(self) -> None:
        """End them all, and leave the cluster."""
        for member in self._members:
            self._ray.kill(member.actor)
        self._members = []
        self._ray.shutdown()

    def _idle(self) -> list[_Member]:
        return [each for each in self._members if each.starting is None and each.shard is None]

    def _grow(self) -> None:
        now = time.monotonic()
        if self._stopping or now - self._grown < GROW_SECONDS:
            return
        self._grown = now
        cores = int(self._ray.cluster_resources().get("CPU", 0))
        wanted = self._count or max(1, cores)
        self._members += [_Member(self._kind, self._job) for _ in range(wanted - len(self._members))]

    def _listen(self, member: _Member) -> list[tuple[Shard | None, Report]]:
        try:
            if member.starting is not None:
                error = self._ray.get(member.starting)
                member.starting = None
                if error is not None:
                    return [(None, Died(str(error), error=error, early=True))]
                return [(None, Ready())]
            reports = self._ray.get(next(member.told))
        except StopIteration:
            shard, member.told, member.shard = member.shard, None, None
            if member.died is None:
                return []
            return [(shard, self._bury(member, member.died))]
        except self._ray.exceptions.RayError as error:
            died = Died(_why(error), early=member.starting is not None)
            return [(member.shard, self._bury(member, died))]
        told: list[tuple[Shard | None, Report]] = []
        for report in reports:
            member.at = getattr(report, "index", member.at)
            if isinstance(report, Died):
                member.died = report
            elif isinstance(report, Finished):
                told.append((member.shard, report))
                member.at = None
            else:
                told.append((member.shard, report))
        return told

    def _bury(self, member: _Member, died: Died) -> Died:
        """Do without a worker from now on; the next look for machines puts another in its place."""
        self._members.remove(member)
        self._ray.kill(member.actor)
        self._grown = 0.0
        return replace(died, at=member.at)


def _why(error: Exception) -> str:
    """Why an actor ended, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "its worker on the cluster ended: " + "; ".join(lines[:1] + lines[-1:])[:300]
