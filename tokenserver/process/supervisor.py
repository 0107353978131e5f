"""The master process: granian's, with our own ways to stop, and to keep workers that serve."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from granian.server.mp import MPServer, WorkerProcess

from tokenserver.process.process_limits import has_descriptor
from tokenserver.process.respawn_policy import HANG_SECONDS, Keeper, hanging

logger = logging.getLogger("tokenserver")

DRAIN_SECONDS = 0.5
"""How long after SIGTERM requests are taken as ever, so that none is lost that was on its way."""

GRACE_SECONDS = 20
"""How long a request that is under way may take after SIGTERM before its worker is killed."""

LOOK_SECONDS = 1.0

DESCRIPTOR_LOOKS = 5
"""A worker that has no descriptor left at so many looks in a row ends, and is replaced."""

Load = Callable[["Signs", int], Any]


class Signs:
    """What the processes of one server tell each other: when each worker last lived, and that the server stops."""

    def __init__(self, workers: int) -> None:
        self.master = os.getpid()
        self._workers = workers
        self._moments = multiprocessing.RawArray("d", workers + 1)

    def live(self, worker: int) -> None:
        """Called by a worker, again and again."""
        self._moments[worker] = time.monotonic()

    def reset(self, worker: int) -> None:
        """Called by the master where a new worker takes the place."""
        self._moments[worker] = 0.0

    @property
    def last(self) -> dict[int, float]:
        """When each worker last lived; 0 where it has not yet."""
        return {worker: self._moments[worker] for worker in range(self._workers)}

    @property
    def is_stopping(self) -> bool:
        """Whether the server was told to stop."""
        return bool(self._moments[self._workers])

    def stop(self) -> None:
        """Called by the master when it was told to stop."""
        self._moments[self._workers] = 1.0

    def keep_living(self, worker: int) -> None:
        """Start the thread of a worker that gives its signs. It also ends the worker when there is no master any more,
        and when it can accept nobody more.

        granian's TLS listener does not come back once it was without descriptors: it asks for connections in a loop,
        and no longer ends those whose handshake takes too long.
        """

        def beat() -> None:
            missed, orphaned = 0, 0.0
            while True:
                self.live(worker)
                missed = 0 if has_descriptor() else missed + 1
                if missed >= DESCRIPTOR_LOOKS:
                    logger.critical("worker-%d has had no descriptors for seconds and is replaced", worker + 1)
                    os._exit(1)
                if os.getppid() != self.master:
                    if not orphaned:
                        os.kill(os.getpid(), signal.SIGTERM)  # where the kernel has not done so
                        orphaned = time.monotonic()
                    elif time.monotonic() - orphaned > GRACE_SECONDS:
                        os._exit(1)
                time.sleep(LOOK_SECONDS)

        threading.Thread(target=beat, name="sign-of-life", daemon=True).start()


class Supervisor(MPServer):
    """Runs the workers. What it is given to load is called in each worker with `Signs` and the worker's number."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.signs = Signs(self.workers)

    def signal_handler_interrupt(self, *arguments: object) -> None:
        """SIGTERM, SIGINT: answer what was sent until now, and stop then. The second signal stops at once.

        Stopping closes connections that were accepted but not yet read; what waits there came before the signal.
        """
        # A terminal signals the workers as well; that they end now is expected, and no error in the log.
        for worker in self.wrks:
            worker.interrupt_by_parent = True
        stop = partial(super().signal_handler_interrupt, *arguments)
        if self.signs.is_stopping:
            stop()
        self.signs.stop()
        timer = threading.Timer(DRAIN_SECONDS, stop)
        timer.daemon = True
        timer.start()

    def _stop_workers(self) -> None:
        """Wait here for the workers to end. A thread of granian's waits for each of them as well, and where that one
        hears of the end first, granian takes the worker for alive and says that it had to kill it.
        """
        workers: list[Any] = self.wrks
        for worker in workers:
            worker.terminate()
        end = time.monotonic() + GRACE_SECONDS
        while any(worker.is_alive() for worker in workers) and time.monotonic() < end:
            time.sleep(0.01)
        super()._stop_workers()  # type: ignore[no-untyped-call]  # granian's own has no annotations

    def signal_handler_reload(self, *_: object) -> None:
        """SIGHUP: the workers follow the files by themselves; restarting them would drop connections."""
        logger.info("SIGHUP: changed files are taken within two seconds")

    def _spawn_worker(  # type: ignore[override]  # as MPServer's own, which differs from its base class
        self, idx: int, target: Any, callback_loader: Load
    ) -> WorkerProcess:
        self.signs.reset(idx)
        return super()._spawn_worker(idx, target, partial(callback_loader, self.signs, idx))

    def _serve_loop(self, spawn_target: Any, target_loader: Load) -> None:
        """Until the server is told to stop, or nobody serves any more; that ends with exit code 1."""
        keeper = Keeper()
        looked = time.monotonic()
        while not self.interrupt_signal:
            self.main_loop_interrupt.wait(LOOK_SECONDS)
            self.main_loop_interrupt.clear()
            now = time.monotonic()
            ended, self.interrupt_children = self.interrupt_children, []
            for number in ended:
                keeper.ended(number, now - self.wrks[number].birth, now)
            if keeper.is_hopeless(self._ages(keeper, now)):
                logger.error("no worker starts; giving up")
                self.interrupt_children = ended or [0]
                return
            for number in keeper.due(now):
                self._respawn_workers([number], spawn_target, target_loader)
            if now - looked < HANG_SECONDS / 2:  # else this process itself was not given its time, and knows nothing
                self._end_hanging(now)
            looked = now

    def _ages(self, keeper: Keeper, now: float) -> dict[int, float]:
        """The ages of the workers that live. One that has given a sign serves, and one that may come to it is given
        the time to; neither is too young to count.
        """
        last = self.signs.last
        return {
            worker.idx: math.inf if last[worker.idx] or keeper.may_start(worker.idx) else now - worker.birth
            for worker in self.wrks
            if worker.inner.is_alive()
        }

    def _end_hanging(self, now: float) -> None:
        for number in hanging(self.signs.last, now):
            worker = self.wrks[number]
            if worker.inner.is_alive():
                logger.error("worker-%d gave no sign of life for %d seconds and is killed", number + 1, HANG_SECONDS)
                worker.inner.kill()  # the worker's own `kill` would count as told to, and nobody would replace it
                self.signs.reset(number)
