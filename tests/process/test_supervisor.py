"""Heartbeats: shared by the master and its forked workers. The supervisor itself is tested with real workers (e2e)."""

from __future__ import annotations

import os
import signal
import time

from tokenserver.process.supervisor import Heartbeats


def test_new_heartbeats() -> None:
    """No worker has had one, nobody is stopping, and the master is this process."""
    beats = Heartbeats(3)
    assert (beats.last, beats.is_stopping, beats.master) == ({0: 0.0, 1: 0.0, 2: 0.0}, False, os.getpid())


def test_each_worker_has_its_own() -> None:
    """A beat is the monotonic time; a reset forgets it."""
    beats = Heartbeats(2)
    before = time.monotonic()
    beats.beat(1)
    assert beats.last[0] == 0.0
    assert before <= beats.last[1] <= time.monotonic()
    beats.reset(1)
    assert beats.last == {0: 0.0, 1: 0.0}


def test_stopping_is_no_heartbeat() -> None:
    """The flag is next to the times and touches none of them."""
    beats = Heartbeats(2)
    beats.stop()
    assert (beats.is_stopping, beats.last) == (True, {0: 0.0, 1: 0.0})


def test_forked_workers_share_them() -> None:
    """The master sees a worker's beat, and the worker sees that the server is stopping."""
    beats = Heartbeats(1)
    beats.stop()
    child = os.fork()
    if not child:
        beats.beat(0)
        os._exit(0 if beats.is_stopping else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert beats.last[0] > 0


def test_the_thread_beats() -> None:
    """From the start of a worker on, without further calls; in a process of its own, since the thread never ends."""
    beats = Heartbeats(1)
    child = os.fork()
    if not child:
        beats.start_beating(0, ())
        end = time.monotonic() + 5
        while not beats.last[0] and time.monotonic() < end:
            time.sleep(0.01)
        os._exit(0 if beats.last[0] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_worker_ends_with_its_master() -> None:
    """The thread ends an orphan by SIGTERM, where the kernel has not done so."""
    beats = Heartbeats(1)
    beats.master = 0  # never the parent of a process
    child = os.fork()
    if not child:
        beats.start_beating(0, ())
        time.sleep(30)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
