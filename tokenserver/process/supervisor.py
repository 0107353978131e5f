"""The master process: granian's server with our own graceful stop, worker supervision and heartbeats."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from granian.server.mp import MPServer, WorkerProcess

from tokenserver.process.overload import Overload
from tokenserver.process.process_limits import end_at_the_latest, end_orphan_after_master
from tokenserver.process.respawn_policy import HANG_SECONDS, RespawnPolicy, hanging

logger = logging.getLogger("tokenserver")

DRAIN_SECONDS = 0.5
"""How long after SIGTERM requests are still accepted, so that none in transit is lost."""

GRACE_SECONDS = 20
"""How long a request in progress may take after SIGTERM before its worker is killed."""

HANG_AT_STOP_SECONDS = GRACE_SECONDS + 2
"""How long after SIGTERM, or after the end of its master, a worker that hangs ends by itself."""

MASTER_STOP_SECONDS = GRACE_SECONDS + 5
"""How long the master may take to stop: its workers take the grace, or are killed after it."""

CHECK_SECONDS = 1.0

START_CHECK_SECONDS = 0.05
"""The interval of the master's checks until all workers have started, so that it reports soon that they have."""

OVERLOAD_CHECK_SECONDS = 0.1
"""The interval of a worker's checks while it is out of descriptors."""


@cache
def report_orphan(master: int) -> None:
    """Log, once in this worker, that the master with this process id is gone, and what that means."""
    what = 'if this worker hangs, it ends after that with "Timeout" and the place of each of its threads'
    line = "the master process %d is gone: requests in progress are completed, for at most %d seconds; %s"
    logger.error(line, master, GRACE_SECONDS, what)


Load = Callable[["Heartbeats", int], Any]


class Heartbeats:
    """Shared memory of one server: when each worker was last alive, and whether the server is stopping."""

    def __init__(self, workers: int) -> None:
        self.master = os.getpid()
        self._workers = workers
        self._moments = multiprocessing.RawArray("d", workers + 1)

    def beat(self, worker: int) -> None:
        """Record that a worker is alive. Called by the worker, every `CHECK_SECONDS`."""
        self._moments[worker] = time.monotonic()

    def reset(self, worker: int) -> None:
        """Forget the heartbeat of a worker that is replaced. Called by the master."""
        self._moments[worker] = 0.0

    @property
    def last(self) -> dict[int, float]:
        """The last heartbeat of each worker; 0 if it has had none yet."""
        return {worker: self._moments[worker] for worker in range(self._workers)}

    @property
    def is_stopping(self) -> bool:
        """Whether the server is stopping."""
        return bool(self._moments[self._workers])

    def stop(self) -> None:
        """Record that the server is stopping. Called by the master."""
        self._moments[self._workers] = 1.0

    def start_beating(self, worker: int, ports: tuple[int, ...]) -> None:
        """Start the heartbeat thread of a worker that listens on `ports`. It also deals with a lack of descriptors,
        and ends the worker when the master is gone.
        """

        def run() -> None:
            overload, orphaned = Overload(ports), 0.0
            end_orphan_after_master()
            while True:
                self.beat(worker)
                if not overload.is_relieved(time.monotonic()):
                    logger.critical("worker-%d has had no descriptors for seconds and is replaced", worker + 1)
                    os._exit(1)
                if os.getppid() != self.master:
                    if not orphaned:
                        orphaned = time.monotonic()
                        end_at_the_latest(HANG_AT_STOP_SECONDS)
                        os.kill(os.getpid(), signal.SIGTERM)  # if the kernel has not done so
                        report_orphan(self.master)  # last, since nobody may read the log any more
                    elif time.monotonic() - orphaned > GRACE_SECONDS:
                        os._exit(1)
                time.sleep(OVERLOAD_CHECK_SECONDS if overload.is_exhausted else CHECK_SECONDS)

        threading.Thread(target=run, name="heartbeat", daemon=True).start()


class Supervisor(MPServer):
    """Runs the workers. The target loader is called in each worker with the `Heartbeats` and the worker's number."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.heartbeats = Heartbeats(self.workers)
        self.listens_at = ""
        self._has_started = False
        self.on_hangup: Callable[[], None] = lambda: None
        """Called at SIGHUP, by the main thread."""

    def read_certificate_from(self, certificate: Path, key: Path) -> None:
        """Have workers read the files at these paths. granian follows links in them once, so that workers would read
        files that are no longer there when certbot or Kubernetes have let the links point to others.
        """
        files: Any = (str(certificate.absolute()), str(key.absolute()))  # granian's attribute has no type of its own
        self.ssl_ctx = (*self.ssl_ctx[:1], *files, *self.ssl_ctx[3:])

    def signal_handler_interrupt(self, *arguments: object) -> None:
        """SIGTERM, SIGINT: answer the requests sent so far, then stop. A second signal stops immediately.

        Stopping closes connections that were accepted but not read; those requests were sent before the signal.
        """
        # A terminal signals the workers too; their end is expected then, and must not be logged as an error.
        for worker in self.wrks:
            worker.interrupt_by_parent = True
        stop = partial(super().signal_handler_interrupt, *arguments)
        if self.heartbeats.is_stopping:
            stop()
        self.heartbeats.stop()

        def end() -> None:
            end_at_the_latest(MASTER_STOP_SECONDS)
            # Not in the handler itself, which may have interrupted a line of the log.
            logger.info("stopping: requests in progress are completed, for at most %d seconds", GRACE_SECONDS)
            stop()

        timer = threading.Timer(DRAIN_SECONDS, end)
        timer.daemon = True
        timer.start()

    def _stop_workers(self) -> None:
        """Wait for the workers to end. granian has a thread that waits for each of them too; if that thread notices
        the end first, granian believes that the worker is alive, and logs that it had to kill it.
        """
        workers: list[Any] = self.wrks
        for worker in workers:
            worker.terminate()
        end = time.monotonic() + GRACE_SECONDS
        while any(worker.is_alive() for worker in workers) and time.monotonic() < end:
            time.sleep(0.01)
        super()._stop_workers()  # type: ignore[no-untyped-call]  # granian's own has no annotations

    def signal_handler_reload(self, *_: object) -> None:
        """SIGHUP. Nothing is restarted, because a restart drops connections."""
        self.on_hangup()

    def _spawn_worker(  # type: ignore[override]  # as MPServer's own, which differs from its base class
        self, idx: int, target: Any, callback_loader: Load
    ) -> WorkerProcess:
        self.heartbeats.reset(idx)
        return super()._spawn_worker(idx, target, partial(callback_loader, self.heartbeats, idx))

    def _serve_loop(self, spawn_target: Any, target_loader: Load) -> None:
        """Supervise the workers until the server is told to stop, or until no worker starts (exit code 1)."""
        policy = RespawnPolicy()
        checked = time.monotonic()
        while not self.interrupt_signal:
            self.main_loop_interrupt.wait(CHECK_SECONDS if self._has_started else START_CHECK_SECONDS)
            self.main_loop_interrupt.clear()
            now = time.monotonic()
            self._report_start()
            ended, self.interrupt_children = self.interrupt_children, []
            for number in ended:
                policy.ended(number, now - self.wrks[number].birth, now)
            if policy.is_hopeless(self._ages(policy, now)):
                logger.error("no worker starts; giving up")
                self.interrupt_children = ended or [0]
                return
            for number in policy.due(now):
                self._respawn_workers([number], spawn_target, target_loader)
            if now - checked < HANG_SECONDS / 2:  # otherwise this process itself was not scheduled, and cannot judge
                self._end_hanging(now)
            checked = now

    def _report_start(self) -> None:
        """Log once that all workers have started."""
        if not self._has_started and all(self.heartbeats.last.values()):
            self._has_started = True
            logger.info("ready: %d workers listen on %s", self.workers, self.listens_at)

    def _ages(self, policy: RespawnPolicy, now: float) -> dict[int, float]:
        """The ages of the live workers; infinite for those that have had a heartbeat, or may still have one, so that
        they never count as too young.
        """
        last = self.heartbeats.last
        return {
            worker.idx: math.inf if last[worker.idx] or policy.may_start(worker.idx) else now - worker.birth
            for worker in self.wrks
            if worker.inner.is_alive()
        }

    def _end_hanging(self, now: float) -> None:
        for number in hanging(self.heartbeats.last, now):
            worker = self.wrks[number]
            if worker.inner.is_alive():
                logger.error("worker-%d gave no sign of life for %d seconds and is killed", number + 1, HANG_SECONDS)
                worker.inner.kill()  # the worker's own `kill` would count as a wanted end, without a replacement
                self.heartbeats.reset(number)
