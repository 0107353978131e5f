"""Failed logins that workers count together in shared memory: by several throttles, and by real processes."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from ipaddress import ip_address

import pytest
from harness.own_time import OwnTime
from hypothesis import given
from hypothesis import strategies as st
from worker_worlds import LIMITS, Worker, World, X, Y, Z, counted_as

from tokenserver.authn.protection.failure_counters import Limit, Limits, growing
from tokenserver.authn.protection.throttle import GOOD_SECONDS, REPEAT_SECONDS, Throttle
from tokenserver.authn.protection.worker_counters import UNDER_WAY_SECONDS, TooManyToShare, WorkersTogether
from tokenserver.errors import InvalidCredentials, Throttled
from tokenserver.runtime.shared_memory import LOCK_SECONDS

FORK = pytest.mark.filterwarnings("ignore:This process.*is multi-threaded")  # as the server forks its workers


def test_five_in_all() -> None:
    """Five failures wherever they happen, then everybody waits, and later they do not.

    See docs/design/threats.md#threat-21.
    """
    world = World()
    one, two = world.workers()
    assert [(one, two)[number % 2].attempt() for number in range(5)] == ["wrong"] * 5
    assert [side.attempt(right=True, address=Y) for side in (one, two)] == ["wait 300"] * 2
    assert (one.checked, two.checked) == (3, 2)
    assert two.attempt("ben", right=True) == "ok"
    world.now += 299.5
    assert one.attempt(right=True) == "wait 1"
    world.now += 0.5
    assert one.attempt(right=True) == "ok"


def test_one_worker_may_use_all_of_it() -> None:
    """All tries at one worker: five, not the part of one worker."""
    one, _ = World().workers()
    assert [one.attempt() for _ in range(6)] == ["wrong"] * 5 + ["wait 300"]


def test_whoever_goes_on_waits_longer() -> None:
    """Five in five minutes, seven in half an hour, ten in two hours, whatever the rhythm of the tries.

    See docs/design/threats.md#threat-21.
    """
    world = World()
    sides = itertools.cycle(world.workers())
    tries = []
    for second in range(0, 4 * 3600, 10):
        world.now = 1000.0 + second
        if next(sides).attempt() == "wrong":
            tries.append(second)
    most = [max(sum(start <= one < start + span for one in tries) for start in tries) for span in (300, 1800, 7200)]
    assert most == [5, 7, 10]


def test_addresses_and_total() -> None:
    """Password spraying from one /64 and credential stuffing from everywhere, spread over workers.

    See docs/design/threats.md#threat-22.
    """
    one, two = World().workers()
    sides = itertools.cycle((one, two))
    sprayed = [next(sides).attempt(f"user-{number}", address=f"2001:db8::{number:x}") for number in range(22)]
    assert sprayed == ["wrong"] * 20 + ["wait 300"] * 2
    assert two.attempt("olga", right=True, address="2001:db8:0:1::1") == "ok"
    stuffed = [next(sides).attempt(f"name-{number}", address=f"10.0.{number}.1") for number in range(81)]
    assert stuffed == ["wrong"] * 80 + ["wait 300"]


def test_a_victim_at_a_known_place() -> None:
    """An address known to one worker is known to all, so failures of others do not lock ann out there.

    See docs/design/threats.md#threat-23.
    """
    world = World()
    one, two = world.workers()
    assert one.attempt(right=True, address=Y) == "ok"
    assert [two.attempt(address=X) for _ in range(7)] == ["wrong"] * 5 + ["wait 300"] * 2
    assert [side.attempt(right=True, address=Y) for side in (two, one)] == ["ok", "ok"]
    assert two.attempt(right=True, address=Z) == "wait 300"
    # And there she has a count of her own, which is common as well.
    assert [(one, two)[number % 2].attempt(address=Y) for number in range(6)] == ["wrong"] * 5 + ["wait 300"]
    world.now += GOOD_SECONDS
    assert [one.attempt(address=X) for _ in range(5)] == ["wrong"] * 5
    assert two.attempt(right=True, address=Y) == "wait 300"


def test_post_here_and_get_there() -> None:
    """The second request of one wrong login is refused unchecked, and counts nothing; later it does.

    See docs/design/threats.md#bug-30.
    """
    world = World()
    one, two = world.workers()
    for number in range(4):
        assert [side.attempt(password=f"mistake {number}") for side in (one, two)] == ["wrong", "wrong"]
    assert (one.checked, two.checked) == (4, 0)
    assert two.attempt(right=True, address=Y) == "ok"
    world.now += REPEAT_SECONDS
    assert two.attempt(password="mistake 3") == "wrong"
    assert one.attempt(right=True) == "wait 290"


def test_an_old_password_in_a_loop() -> None:
    """Without a directory the same wrong password counts once, at however many workers."""
    one, two = World(repeats_count=False).workers()
    assert {side.attempt(password="old") for side in (one, two) * 10} == {"wrong"}
    assert one.attempt(right=True, address=Y) == "ok"


def test_guesses_at_the_same_moment() -> None:
    """Tries under way count wherever they are, until they end, or until their worker must have died."""
    world = World()
    one, two = world.workers()
    under_way = [
        (one, two)[number % 2].throttle.attempt("ann", ip_address(X), str(number).encode(), bytes([0, number]))
        for number in range(5)
    ]
    for attempt in under_way:
        attempt.__enter__()
    assert [side.attempt(right=True) for side in (one, two)] == ["wait 1"] * 2
    under_way[0].__exit__(None, None, None)
    assert two.attempt(right=True) == "ok"
    world.now += UNDER_WAY_SECONDS
    assert one.attempt(right=True) == "ok"
    for attempt in under_way[1:]:
        attempt.__exit__(None, None, None)


def test_guesses_at_the_same_moment_at_a_known_place() -> None:
    """Tries under way count there as well, wherever they are; one login at all workers is one.

    See docs/design/threats.md#threat-176.
    """
    world = World()
    one, two = world.workers()
    assert one.attempt(right=True, address=Y) == "ok"
    under_way = [
        (one, two)[number % 2].throttle.attempt("ann", ip_address(Y), str(number).encode(), bytes([0, number // 2]))
        for number in range(10)
    ]
    for attempt in under_way:
        attempt.__enter__()
    assert [side.attempt(right=True, address=Y) for side in (one, two)] == ["wait 1"] * 2
    assert two.attempt(right=True, address=X) == "ok"
    for attempt in under_way:
        attempt.__exit__(None, None, None)
    assert [side.attempt(right=True, address=Y) for side in (one, two)] == ["ok"] * 2


def test_one_login_at_many_workers() -> None:
    """One client whose requests reach twelve workers concurrently makes one guess; none is rejected.

    See docs/design/threats.md#bug-30.
    """
    world = World()
    workers = [Worker(world) for _ in range(12)]
    under_way = [worker.throttle.attempt("ann", ip_address(X), b"key", b"ab") for worker in workers]
    for attempt in under_way:
        attempt.__enter__()
    assert workers[0].attempt(right=True, address=Y) == "ok"
    for attempt in under_way:
        attempt.__exit__(None, None, None)
    assert world.counters.note is None


def test_an_outage_is_no_failure() -> None:
    """What ends otherwise than with a wrong password is not under way any more, and nothing is counted."""
    world = World()
    one, two = world.workers()
    for number in range(20):
        with pytest.raises(OSError), one.throttle.attempt("ann", None, str(number).encode()):  # noqa: PT011
            raise OSError
    assert two.attempt(right=True) == "ok"


def test_limits_that_are_too_high() -> None:
    """The memory is never large: such limits are not shared."""
    with pytest.raises(TooManyToShare):
        WorkersTogether(Limits(growing(100_000, 300), (), ()), repeat=10.0, monotonic=time.monotonic)
    high = Limits(growing(50, 300), (Limit(1000, 300),), (Limit(100_000, 300),))
    assert WorkersTogether(high, repeat=10.0, monotonic=time.monotonic).note is None


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(min_value=0.5, max_value=400)), max_size=40))
def test_as_one_process_counts(tries: list[tuple[int, float]]) -> None:
    """In any rhythm, every worker gives the same answers as one throttle with the same limits."""
    world = World()
    sides = itertools.cycle(world.workers())
    alone = Worker(world)
    alone.throttle = Throttle(LIMITS, monotonic=lambda: world.now)
    for user, pause in tries:
        world.now += pause
        assert next(sides).attempt(f"user-{user}") == alone.attempt(f"user-{user}")


@pytest.mark.long
def test_a_million_random_names_and_addresses() -> None:
    """Less than 20 MB, for all workers together, and no counter of a real user is pushed out.

    See docs/design/threats.md#threat-24.
    """
    world = World()
    counters = world.counters
    one, _ = world.workers()
    assert one.attempt(right=True, address=Y) == "ok"
    for _ in range(5):
        one.attempt(address=X)
    size = counters.memory.size
    usual = Limits(growing(5, 300), (Limit(50, 300),), (Limit(1000, 300),))  # what is configured by default
    for limits in (LIMITS, usual):
        made = WorkersTogether(limits, repeat=10.0, monotonic=time.monotonic)
        assert made.memory.size < 20_000_000
    users = one.throttle._users
    others = [number for number in range(200_000) if users.bucket(f"name-{number}") != users.bucket("ann")]
    for number in others[:20_000]:
        counters.failed(counted_as(f"name-{number}", users.bucket(f"name-{number}")), is_good=False)
    assert counters.memory.size == size
    assert one.attempt(right=True, address=Z) == "wait 300"


# --- real processes --------------------------------------------------------------------------------------------------


def _forked(target: Callable[[], None]) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=target, daemon=True)
    process.start()
    return process


@FORK
def test_processes_at_once() -> None:
    """Four processes try fifty passwords each at the same moment: five are checked, no more."""
    counters = WorkersTogether(LIMITS, repeat=10.0, monotonic=time.monotonic)
    context = multiprocessing.get_context("fork")
    start = context.Event()
    checked = context.Value("i", 0)

    def work() -> None:
        throttle = Throttle(LIMITS, monotonic=time.monotonic, together=counters)
        start.wait()
        for number in range(50):
            key = (os.getpid() * 100 + number).to_bytes(8, "big")
            try:
                with throttle.attempt("ann", ip_address(X), key, key):
                    with checked.get_lock():
                        checked.value += 1
                    time.sleep(0.002)
                    raise InvalidCredentials("wrong password")  # noqa: TRY301 - as a source does
            except (InvalidCredentials, Throttled):
                continue

    processes = [_forked(work) for _ in range(4)]
    start.set()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0] * 4
    assert checked.value == 5


def _hold(counters: WorkersTogether, is_held: multiprocessing.synchronize.Event) -> None:
    with counters.memory.alone():
        is_held.set()
        time.sleep(60)


@FORK
def test_a_worker_that_gets_no_cpu_while_it_has_the_lock(caplog: pytest.LogCaptureFixture) -> None:
    """As under a CPU limit: the others wait for it, and do not count their own part beside what all have counted.

    See docs/design/threats.md#threat-177.
    """
    world = World()
    one, two = world.workers()
    assert [one.attempt() for _ in range(5)] == ["wrong"] * 5
    is_held = multiprocessing.get_context("fork").Event()

    def pause() -> None:
        with world.counters.memory.alone():
            is_held.set()
            time.sleep(0.3)

    process = _forked(pause)
    assert is_held.wait(60)
    assert two.attempt() == "wait 300"
    process.join(10)
    assert (process.exitcode, caplog.messages) == (0, [])


@FORK
def test_a_worker_that_dies_with_the_lock() -> None:
    """The system releases it; the counts stay."""
    world = World()
    one, _ = world.workers()
    one.attempt()
    is_held = multiprocessing.get_context("fork").Event()
    process = _forked(lambda: _hold(world.counters, is_held))
    assert is_held.wait(60)
    process.kill()
    process.join(10)
    assert [one.attempt() for _ in range(5)] == ["wrong"] * 4 + ["wait 300"]


@FORK
def test_a_worker_that_is_stopped_with_the_lock(caplog: pytest.LogCaptureFixture) -> None:
    """One login of each worker waits a second, the others a moment; each counts its part by itself, and logs it.

    See docs/design/threats.md#fault-24.
    """
    world = World()
    one, two = world.workers()
    is_held = multiprocessing.get_context("fork").Event()
    process = _forked(lambda: _hold(world.counters, is_held))
    assert is_held.wait(60)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        for most in (LOCK_SECONDS + 1, LOCK_SECONDS / 2):
            own = OwnTime(os.getpid())
            assert one.attempt("ben", right=True) == "ok"
            assert own.seconds < most
        assert [one.attempt().partition(" ")[0] for _ in range(3)] == ["wrong", "wrong", "wait"]
        assert two.attempt() == "wrong"
    finally:
        process.kill()
        process.join(10)
    told = "throttle: another worker holds the lock of the shared counters; this one counts by itself for now"
    assert caplog.messages == [told]
    assert one.attempt() == "wrong"


def test_other_limits() -> None:
    """All workers measure the same failures against them, and recognise a refused login for another time."""
    world = World()
    one, two = world.workers()
    assert [side.attempt(password="old") for side in (one, two)] == ["wrong", "wrong"]
    assert one.attempt() == "wrong"
    world.counters.limit(Limits(growing(2, 60), (Limit(20, 300),), (Limit(100, 300),)), repeat=0.5)
    assert [side.attempt(right=True) for side in (one, two)] == ["wait 60"] * 2
    world.now += 1
    counted = counted_as("ben")
    world.counters.failed(counted, is_good=False)
    world.now += 0.6
    assert not world.counters.was_refused(counted)
