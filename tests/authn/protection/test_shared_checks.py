"""Password checks that workers share: one hash in all, never a wrong answer, and nobody waits for who is gone."""

from __future__ import annotations

import hmac
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from harness.own_time import OwnTime
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.chain import Chain
from tokenserver.authn.equal_work import EqualWork
from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.htpasswd.file import parse_users
from tokenserver.authn.passwords import HashingFailed
from tokenserver.authn.protection.guard import Protection
from tokenserver.authn.protection.login_cache import CacheLifetime
from tokenserver.authn.protection.plan import Plan
from tokenserver.authn.protection.shared_checks import KEPT_SECONDS, STUCK, UNDER_WAY_SECONDS, WAITERS, SharedChecks
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, InvalidCredentials, Overloaded
from tokenserver.runtime.shared_memory import DIGEST_BYTES, ChecksTable

FORK = pytest.mark.filterwarnings("ignore:This process.*is multi-threaded")  # as the server forks its workers
LINE, OTHER_LINE = ("$2b$04$" + letter * 21 + "e" + "." * 31 for letter in "ac")
ANYWHERE: AbstractContextManager[None] = nullcontext()


def login(user: str = "ann", password: str = "right") -> Password:  # noqa: S107 - made up here
    """The credentials of a client."""
    return Password(user, Secret(password))


@dataclass
class World:
    """The checks of a server's workers, and a clock that advances while a worker waits."""

    entries: int = 64
    now: float = 1000.0
    hashed: int = 0
    waited: float = 0.0
    meanwhile: Callable[[], object] = field(default=lambda: None)

    def __post_init__(self) -> None:
        self.checks = SharedChecks(monotonic=lambda: self.now, sleep=self._sleep, entries=self.entries)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.waited += seconds
        self.meanwhile()

    def check(self, answer: object) -> bool:
        """The result of one hash."""
        self.hashed += 1
        if isinstance(answer, BaseException):
            raise answer
        return bool(answer)

    def ask(
        self,
        credentials: Password | None = None,
        line: str = LINE,
        *,
        answer: object = True,
        seconds: float = 60,
        room: AbstractContextManager[None] = ANYWHERE,
    ) -> bool:
        """One login at some worker."""
        return self.checks.within(seconds)(credentials or login(), line, room, partial(self.check, answer))

    def begin(self, ticket: int = 1) -> bytes:
        """Another worker is at ann's login from now on."""
        digest = self.checks._key(login(), LINE.encode())
        assert self.checks._begin(digest, ticket, 60) == (False, 0)
        return digest


def test_a_right_password_is_hashed_once() -> None:
    """Logins shortly after reuse the result of another worker, and none waits."""
    world = World()
    assert [world.ask() for _ in range(5)] == [True] * 5
    assert (world.hashed, world.waited) == (1, 0)


def test_a_wrong_password_is_hashed_each_time() -> None:
    """It is never remembered, also not where the right one is."""
    world = World()
    world.ask()
    assert [world.ask(login(password="wrong"), answer=False) for _ in range(5)] == [False] * 5
    assert (world.hashed, world.waited) == (6, 0)


@pytest.mark.parametrize(
    ("credentials", "line"),
    [
        pytest.param(login(), OTHER_LINE, id="a changed line"),
        pytest.param(login("anne"), LINE, id="another user with the same line"),
        pytest.param(login(password="right "), LINE, id="another password"),
        pytest.param(login("an", "nright"), LINE, id="the same text cut elsewhere"),
    ],
)
def test_another_login_is_hashed(credentials: Password, line: str) -> None:
    """User, password and line must all be the same."""
    world = World()
    world.ask()
    assert not world.ask(credentials, line, answer=False)
    assert world.hashed == 2


@pytest.mark.parametrize(("cache", "kept"), [(60, KEPT_SECONDS), (3, 3)])
def test_not_for_long(cache: float, kept: float) -> None:
    """Ten seconds, or as long as the source's answers are used; believing it makes it no longer."""
    world = World()
    world.ask(seconds=cache)
    world.now += kept - 0.1
    assert world.ask(answer=False, seconds=cache)
    world.now += 0.1
    assert not world.ask(answer=False, seconds=cache)


def test_what_is_found_right_while_one_waits() -> None:
    """A waiting worker gets the result, and does not hash."""
    world = World()
    digest = world.begin()

    def meanwhile() -> None:
        if world.now > 1000.2:
            world.checks._end(digest, 1, is_right=True)

    world.meanwhile = meanwhile
    assert world.ask(answer=False)
    assert world.hashed == 0
    assert world.waited == pytest.approx(0.2, abs=0.02)


def test_what_is_found_wrong_while_one_waits() -> None:
    """A worker that waited then hashes by itself, even if another check has begun by then: none waits twice."""
    world = World()
    digest = world.begin()

    def end() -> None:
        world.checks._end(digest, 1, is_right=False)
        world.checks._begin(digest, 2, 60)

    world.meanwhile = end
    assert not world.ask(answer=False)
    assert (world.hashed, world.waited < 0.01) == (1, True)
    assert world.checks._begin(digest, 3, 60) == (False, 2)  # that one is still at it


def test_who_is_gone_is_not_waited_for() -> None:
    """A check that never ends is taken over, and is then under way for the others."""
    world = World()
    digest = world.begin()
    seen = []
    room = _entering(lambda: seen.append(world.checks._begin(digest, 7, 60)[1]))
    assert world.ask(room=room)
    assert world.waited == pytest.approx(UNDER_WAY_SECONDS, abs=0.02)
    assert 0 not in seen
    assert world.ask(answer=False)


def test_nobody_waits_longer_than_the_bound() -> None:
    """Also where the other one goes on and on."""
    world = World()
    digest = world.begin()
    world.meanwhile = lambda: world.checks._begin(digest, 1, 60)
    assert world.ask()
    assert world.waited == pytest.approx(UNDER_WAY_SECONDS, abs=0.02)


def test_only_so_many_wait() -> None:
    """Each waiting login holds a thread; the next one hashes."""
    world = World()
    world.begin()
    for _ in range(WAITERS):
        assert world.checks._free.acquire(blocking=False)
    assert world.ask()
    assert (world.hashed, world.waited) == (1, 0)
    world.checks._free.release()
    world.ask(login("ben"))
    assert world.checks._free.acquire(blocking=False)


@contextmanager
def _entering(enter: Callable[[], object]) -> Iterator[None]:
    """A room in which something happens before one is let in."""
    enter()
    yield


def test_what_is_found_right_while_one_queues() -> None:
    """Who waited for a core looks again before he uses it."""
    world = World()
    digest = world.checks._key(login(), LINE.encode())
    assert world.ask(answer=False, room=_entering(lambda: world.checks._end(digest, 9, is_right=True)))
    assert world.hashed == 0


def test_a_long_queue_is_no_death() -> None:
    """Others count the time from when the hash is begun."""
    world = World()
    digest = world.checks._key(login(), LINE.encode())
    seen = []

    def check() -> bool:
        world.now += UNDER_WAY_SECONDS - 1
        seen.append(world.checks._begin(digest, 8, 60)[1])
        return True

    def queue() -> None:
        world.now += UNDER_WAY_SECONDS - 1

    assert world.checks.within(60)(login(), LINE, _entering(queue), check)
    assert seen[0] not in {0, 8}


@pytest.mark.parametrize(
    "error",
    [HashingFailed("no memory"), ValueError("a bug"), KeyboardInterrupt()],
    ids=lambda error: type(error).__name__,
)
def test_a_check_that_fails_is_over(error: BaseException) -> None:
    """Nobody waits for it, and nothing is right because of it."""
    world = World()
    with pytest.raises(type(error)):
        world.ask(answer=error)
    assert not world.ask(answer=False)
    assert (world.hashed, world.waited) == (2, 0)


def test_who_is_sent_away_is_over() -> None:
    """So it is where there was no room for it."""
    world = World()

    def full() -> None:
        raise Overloaded("hashing", "overloaded")

    with pytest.raises(Overloaded):
        world.ask(room=_entering(full))
    assert not world.ask(answer=False)
    assert (world.hashed, world.waited) == (1, 0)


def test_a_full_group() -> None:
    """The memory does not grow: only the least recently used login is hashed again."""
    world = World(entries=4)
    size = world.checks.memory.size
    users = [f"user-{number}" for number in range(5)]
    for user in users:
        world.now += 0.1
        world.ask(login(user))
    assert [world.ask(login(user), answer=False) for user in reversed(users)] == [True] * 4 + [False]
    assert world.checks.memory.size == size


def test_a_mark_that_was_pushed_out() -> None:
    """Its check ends like any other: a right login is remembered, and only that one."""
    world = World(entries=4)

    def check() -> bool:
        for number in range(8):
            world.now += 0.1
            world.ask(login(f"user-{number}"))
        return True

    assert world.checks.within(60)(login(), LINE, ANYWHERE, check)
    assert world.ask(answer=False)


LOGINS = st.tuples(
    st.sampled_from(["a", "ab", "abc"]), st.sampled_from(["c", "bc", "b"]), st.sampled_from([LINE, OTHER_LINE])
)
STEPS = st.lists(st.tuples(LOGINS, st.booleans(), st.sampled_from([2.0, 60.0]), st.floats(0, 8)), max_size=40)


@given(STEPS, st.sampled_from([4, 64]))
def test_right_only_if_found_right_lately(
    steps: list[tuple[tuple[str, str, str], bool, float, float]], entries: int
) -> None:
    """In any order and rhythm: an accepted login was verified by a hash of the same login, not too long ago."""
    world = World(entries)
    found: dict[tuple[str, str, str], float] = {}
    for one, answer, cache, pause in steps:
        world.now += pause
        before = world.hashed
        told = world.ask(login(*one[:2]), one[2], answer=answer, seconds=cache)
        if world.hashed == before:
            assert told
            assert world.now - found[one] < min(cache, KEPT_SECONDS)
        else:
            assert told == answer
            if told:
                found[one] = world.now


def test_nothing_of_a_login_stands_there() -> None:
    """Digests under a key that another server does not have."""
    worlds = [World(), World()]
    contents = []
    for world in worlds:
        world.ask(login("somebody", "a long password"))
        content = bytes(world.checks.memory.parts[0])
        assert not [text for text in (b"somebody", b"a long", LINE.encode()) if text in content]
        digest = world.checks._key(login("somebody", "a long password"), LINE.encode())
        assert digest in content
        contents.append(content)
    assert digest not in contents[0]
    assert len(digest) >= 16


# --- a worker that dies while it writes ------------------------------------------------------------------------------


class _Died(BaseException):
    """This process ends here."""


@dataclass
class _Life:
    writes: int


class _Dying:
    """Memory that accepts this many writes; the next one is done by half, if it has parts, and the worker dies."""

    def __init__(self, memory: Any, life: _Life) -> None:
        self._memory = memory
        self._life = life

    def __getitem__(self, place: Any) -> Any:
        return self._memory[place]

    def __setitem__(self, place: Any, value: Any) -> None:
        if self._life.writes == 0:
            if isinstance(place, slice):
                half = place.start + DIGEST_BYTES // 2
                self._memory[place.start : half] = value[: DIGEST_BYTES // 2]
            raise _Died
        self._life.writes -= 1
        self._memory[place] = value


@pytest.mark.parametrize("writes", range(6))
@pytest.mark.parametrize("is_right", [True, False])
def test_killed_while_it_writes(writes: int, *, is_right: bool) -> None:
    """Wherever it is killed, no login is right that was not verified, and no check is under way that was not begun."""
    memory = memoryview(bytearray(4 * ChecksTable.ENTRY_BYTES))
    old = [bytes([number]) * DIGEST_BYTES for number in range(4)]
    new = [bytes([number]) * DIGEST_BYTES for number in (7, 8)]
    table = ChecksTable(memory)
    for number, digest in enumerate(old):
        table.begin(digest, 5, 10.0 + number)
        table.found_right(digest, 10.0 + number)
    dying, life = ChecksTable(memory), _Life(writes)
    for name in ("_begun", "_right", "_tickets", "_digests"):
        setattr(dying, name, _Dying(getattr(dying, name), life))

    def write() -> None:
        for digest in new:
            if is_right:
                dying.found_right(digest, 20.0)
            else:
                dying.begin(digest, 6, 20.0)

    with pytest.raises(_Died):
        write()
    found_right = {*old, *new} if is_right else {*old}
    begun = {5: {*old}, 6: set() if is_right else {*new}}
    for start in range(4 * 24, len(memory), DIGEST_BYTES):
        digest = bytes(memory[start : start + DIGEST_BYTES])
        assert digest in found_right or not table.is_right(digest, 0.0)
        ticket = table.under_way(digest, 0.0)
        assert ticket == 0 or digest in begun[ticket]


@pytest.mark.parametrize("writes", range(3))
def test_killed_while_it_takes_over(writes: int) -> None:
    """The new ticket is never paired with the time of the old one."""
    digest = b"d" * DIGEST_BYTES
    table = ChecksTable(memoryview(bytearray(4 * ChecksTable.ENTRY_BYTES)))
    table.begin(digest, 5, 10.0)
    life = _Life(writes)
    begun, tickets = table._begun, table._tickets
    setattr(table, "_begun", _Dying(begun, life))  # noqa: B010 - of another type
    setattr(table, "_tickets", _Dying(tickets, life))  # noqa: B010 - of another type
    with pytest.raises(_Died):
        table.begin(digest, 6, 20.0)
    assert table.under_way(digest, 0.0) == (5 if writes == 0 else 0)
    assert table.under_way(digest, 15.0) == 0


# --- real processes --------------------------------------------------------------------------------------------------


def _forked(target: Callable[[], object]) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=target, daemon=True)
    process.start()
    return process


def _at_once(workers: int, check: Callable[[], bool]) -> tuple[int, int]:
    """Checks one login in this many processes concurrently: the number of hashes, and of right answers."""
    context = multiprocessing.get_context("fork")
    checks = SharedChecks(monotonic=time.monotonic)
    ready, start = context.Semaphore(0), context.Event()
    hashed, right = context.Value("i", 0), context.Value("i", 0)

    def counted() -> bool:
        with hashed.get_lock():
            hashed.value += 1
        return check()

    def work() -> None:
        ready.release()
        start.wait()
        if checks.within(60)(login(), LINE, ANYWHERE, counted):
            with right.get_lock():
                right.value += 1

    processes = [_forked(work) for _ in range(workers)]
    for _ in processes:
        assert ready.acquire(timeout=30)
    start.set()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0] * workers
    return hashed.value, right.value


@FORK
def test_processes_at_once() -> None:
    """Eight workers, one login, one hash in all (docs/design/threats.md#fault-29)."""

    def check() -> bool:
        time.sleep(0.3)
        return True

    assert _at_once(8, check) == (1, 8)


@FORK
def test_processes_with_a_wrong_password_at_once() -> None:
    """Each hashes it for itself, and they do not wait for each other in a row."""
    all_of_them = multiprocessing.get_context("fork").Barrier(8)

    def check() -> bool:
        all_of_them.wait(60)  # broken unless all of them hash at the same time
        return False

    assert _at_once(8, check) == (8, 0)


@FORK
def test_a_worker_that_is_killed_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one takes over when the time limit has passed, and not before; its result is valid for all."""
    limit = 1.0
    monkeypatch.setattr("tokenserver.authn.protection.shared_checks.UNDER_WAY_SECONDS", limit)
    checks = SharedChecks(monotonic=time.monotonic)
    is_at_it = multiprocessing.get_context("fork").Event()

    def hang() -> bool:
        is_at_it.set()
        time.sleep(60)
        return True

    begin = time.monotonic()
    process = _forked(lambda: checks.within(60)(login(), LINE, ANYWHERE, hang))
    assert is_at_it.wait(60)
    own = OwnTime(os.getpid())
    process.kill()
    process.join(10)
    assert checks.within(60)(login(), LINE, ANYWHERE, lambda: True)
    assert own.seconds < limit + 2
    assert time.monotonic() - begin > limit
    assert checks.within(60)(login(), LINE, ANYWHERE, lambda: False)


def _hold(checks: SharedChecks, is_held: Any) -> None:
    with checks.memory.alone():
        is_held.set()
        time.sleep(60)


@FORK
def test_a_worker_that_is_stopped_with_the_lock(caplog: pytest.LogCaptureFixture) -> None:
    """No login waits for it longer than a moment; each worker hashes by itself, and logs it.

    See docs/design/threats.md#fault-24.
    """
    world = World()
    world.ask()
    is_held = multiprocessing.get_context("fork").Event()
    process = _forked(lambda: _hold(world.checks, is_held))
    assert is_held.wait(60)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        own = OwnTime(os.getpid())
        assert [world.ask(answer=answer) for answer in (True, False)] == [True, False]
        assert own.seconds < 2
    finally:
        process.kill()
        process.join(10)
    assert caplog.messages == [STUCK]
    assert world.hashed == 3
    assert world.ask(answer=False)


# --- in front of the sources -----------------------------------------------------------------------------------------


@dataclass
class Steps:
    """A stub for the shared checks; records its calls."""

    asked: list[tuple[str, str]] = field(default_factory=list)

    def __call__(
        self, credentials: Password, hashed: str, room: AbstractContextManager[None], check: Callable[[], bool]
    ) -> bool:
        self.asked.append((credentials.username, hashed[:7]))
        with room:
            return check()


def test_an_unknown_user_goes_the_same_way() -> None:
    """The others are asked as for a wrong password, no matter which source has the name.

    See docs/design/threats.md#threat-19.
    """
    steps = Steps()
    shared = Htpasswd("one", "users", parse_users(f"ann:{LINE}\n", "users"), once=steps)
    alone = Htpasswd("two", "users", parse_users(f"ben:{LINE.replace('04', '05')}\n", "users"))
    equal = EqualWork([shared, alone], lambda _, question: question())
    chain = Chain([shared, alone], anonymous=False, decoy=equal.unknown, rest=equal)
    for user in ("ann", "ben", "unknown"):
        steps.asked.clear()
        with pytest.raises(InvalidCredentials):
            chain.authenticate(login(user, "wrong"))
        assert steps.asked == [(user, "$2b$04$")]


def test_short_memory_is_not_shared() -> None:
    """A hash that cannot be computed here says nothing to the others."""
    world = World()
    source = Htpasswd("one", "users", parse_users(f"ann:{LINE}\n", "users"), once=world.checks.within(60))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tokenserver.authn.htpasswd.verify.verify", lambda *_: world.check(HashingFailed("no memory")))
        with pytest.raises(BackendUnavailable):
            source.authenticate(login())
    with pytest.raises(InvalidCredentials):
        source.authenticate(login())
    assert world.waited == 0


@pytest.mark.parametrize(
    ("cache", "is_shared"), [pytest.param(60, True, id="remembered"), pytest.param(0, False, id="cache: 0")]
)
def test_only_for_sources_that_are_remembered(cache: float, *, is_shared: bool) -> None:
    """With caching off, each login is hashed, and none waits for another worker."""
    plan = Plan({"local": CacheLifetime(cache)}, (), None, 1)
    checks = World().checks
    protection = Protection(plan, secret=b"s", monotonic=lambda: 0.0, checks=checks)
    assert (protection.once("local") is not None) == is_shared
    assert Protection(plan, secret=b"s", monotonic=lambda: 0.0).once("local") is None


def test_digests_are_compared_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two digests with the same prefix share a group and stay distinct; comparing them takes constant time."""
    compared: list[int] = []
    real = hmac.compare_digest

    def compare(one: Any, other: Any) -> bool:
        compared.append(len(one))
        return real(one, other)

    monkeypatch.setattr("tokenserver.runtime.shared_memory.hmac.compare_digest", compare)
    table = ChecksTable(memoryview(bytearray(8 * ChecksTable.ENTRY_BYTES)))
    table.found_right(b"a" * DIGEST_BYTES, 1.0)
    assert table.is_right(b"a" * DIGEST_BYTES, 0.0)
    assert not table.is_right(b"a" * (DIGEST_BYTES - 1) + b"b", 0.0)
    assert set(compared) == {DIGEST_BYTES}
