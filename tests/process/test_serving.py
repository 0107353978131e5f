"""The stop of a worker's listeners. Everything else of a worker is tested with real ones (e2e)."""

from __future__ import annotations

import os
import signal

from tokenserver.process.body_reader import WorkerLoop
from tokenserver.process.serving import _Stop


def test_a_listener_is_ended_once() -> None:
    """However many signals come. The second `set` of a signal that granian has not read yet would wait for that with
    the GIL held, so that nothing in the process can go on (docs/design/threats.md#threat-242).
    """
    child = os.fork()
    if not child:
        stop = _Stop(WorkerLoop())
        for _ in range(2):
            stop.of_listener()
        for _ in range(3):
            stop._begin()
        os._exit(0 if stop.is_stopping else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_sigterm_and_sigint_stop_it() -> None:
    """In the thread of the loop."""
    child = os.fork()
    if not child:
        loop = WorkerLoop()
        stop = _Stop(loop)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        loop.call_later(0.2, loop.stop)
        loop.run_forever()
        os._exit(0 if stop.is_stopping else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
