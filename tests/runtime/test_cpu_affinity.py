"""CPU affinity: the number of usable cores, and workers pinned to one core each."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tokenserver.runtime import cpu_affinity as machine
from tokenserver.runtime.cpu_affinity import CORES, OnAllCores, WorkerCores, core_count

SEVERAL = pytest.mark.skipif(len(CORES) < 2, reason="this machine has one core, so there is no choice")


@pytest.fixture
def own_affinity(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restores the affinity of this process, and the module's record of it."""
    before = os.sched_getaffinity(0)
    monkeypatch.setattr(machine, "_home", None)
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("100000 100000\n", 1, id="one"),
        pytest.param("50000 100000\n", 1, id="half of one"),
        pytest.param(f"{100000 * len(CORES) * 2} 100000\n", len(CORES), id="more than there are"),
        pytest.param("max 100000\n", len(CORES), id="no limit"),
        pytest.param("", len(CORES), id="empty"),
        pytest.param("0 100000\n", 1, id="none at all"),
    ],
)
def test_a_container_has_the_cores_that_it_may_use(tmp_path: Path, text: str, expected: int) -> None:
    """Otherwise a container that is limited to two cores would start a worker for each of the machine's 64."""
    limit = tmp_path / "cpu.max"
    limit.write_text(text)
    assert core_count(limit) == expected


def test_without_a_limit_it_is_the_machine(tmp_path: Path) -> None:
    """No control group, no limit."""
    assert core_count(tmp_path / "none") == len(CORES)


@SEVERAL
@pytest.mark.parametrize("workers", [1, len(CORES) + 1])
def test_no_worker_is_pinned_if_workers_and_cores_differ(own_affinity: None, workers: int) -> None:
    """Fewer workers would leave cores idle while others are crowded; more would have to share."""
    assert WorkerCores(workers).claim() is None
    assert os.sched_getaffinity(0) == CORES


@SEVERAL
def test_each_worker_has_a_core_of_its_own(own_affinity: None) -> None:
    """Forked children claim cores as workers do; one more finds none, and the core of a dead one is free again."""
    cores = WorkerCores(len(CORES))
    taken = [_child_claims(cores) for _ in CORES]
    assert sorted(core for core, _ in taken) == sorted(CORES)
    assert cores.claim() is None
    assert os.sched_getaffinity(0) == CORES
    core, child = taken[0]
    _end(child)
    again, other = _child_claims(cores)
    assert again == core
    for process in [other, *(process for _, process in taken[1:])]:
        _end(process)


@SEVERAL
def test_a_thread_that_hashes_may_use_every_core(own_affinity: None) -> None:
    """Only inside the room; afterwards it is pinned again, also after an error."""
    room = OnAllCores(nullcontext())
    with room:
        assert os.sched_getaffinity(0) == CORES
    core = WorkerCores(len(CORES)).claim()
    assert os.sched_getaffinity(0) == {core}
    with pytest.raises(ZeroDivisionError):
        _fail_in(room)
    assert os.sched_getaffinity(0) == {core}


def test_a_core_that_is_unavailable_is_no_error(
    own_affinity: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The cores of a container may be changed while it runs; the process stays where it is, and says so."""
    monkeypatch.setattr(machine, "CORES", frozenset({4000, 4001}))
    before = os.sched_getaffinity(0)
    WorkerCores(2, frozenset({4000, 4001})).claim()
    assert os.sched_getaffinity(0) == before
    assert "cannot run on core 4000" in caplog.text
    with OnAllCores(nullcontext()):
        assert os.sched_getaffinity(0) == before


def _child_claims(cores: WorkerCores) -> tuple[int, int]:
    """Fork a child that claims a core, reports it and waits to be killed; the core and the child's process id."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        core = cores.claim()
        is_bound = core is not None and os.sched_getaffinity(0) == {core}
        os.write(writing, f"{core if is_bound else -1}\n".encode())
        signal.pause()
    os.close(writing)
    with os.fdopen(reading) as lines:
        return int(lines.readline()), child


@SEVERAL
def test_a_worker_that_is_killed_while_claiming_a_core(own_affinity: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not block the workers that start after it."""
    cores = WorkerCores(len(CORES))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:

        def stop(core: int) -> None:
            os.write(writing, f"{core}\n".encode())
            signal.pause()

        monkeypatch.setattr(machine, "_pin_to", stop)
        cores.claim()
        os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as lines:
        core = int(lines.readline())
    _end(child)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    waiting = os.fork()
    if waiting == 0:
        signal.alarm(5)
        os._exit(0 if cores.claim() == core else 1)
    assert os.waitpid(waiting, 0)[1] == 0


def test_no_lock_outlives_the_process_that_holds_it() -> None:
    """Only the kernel's record locks guard what processes share, since they end with their process. A semaphore of
    `multiprocessing` would stay taken, and an flock would stay with every process forked in the meantime."""
    package = Path(machine.__file__).parents[1]
    made = r"\b(?:multiprocessing|context)\.(?:Array|Value|R?Lock|Bounded|Semaphore|Condition|Barrier|Event|Queue)"
    found = {
        f"{path.relative_to(package)}: {match[0]}"
        for path in package.rglob("*.py")
        for match in re.finditer(made, path.read_text("utf-8"))
    }
    assert found == set()


def _fail_in(room: OnAllCores) -> None:
    with room:
        assert os.sched_getaffinity(0) == CORES
        raise ZeroDivisionError


def _end(child: int) -> None:
    os.kill(child, 9)
    os.waitpid(child, 0)
