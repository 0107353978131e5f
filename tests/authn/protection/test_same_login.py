"""Which wrong logins count as one: the very same ones, whatever passwords an attacker chooses.

See docs/design/threats.md#threat-21 and docs/design/threats.md#bug-30.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sorted_words import words_of_one_tag

from tokenserver.authn.protection.combined_counters import Counters
from tokenserver.authn.protection.failure_counters import Limit, Limits, growing, shared
from tokenserver.authn.protection.guard import Protection
from tokenserver.authn.protection.login_cache import CacheLifetime
from tokenserver.authn.protection.plan import Plan
from tokenserver.authn.protection.throttle import REPEAT_SECONDS, Counted, Standing, Throttle, Together
from tokenserver.authn.protection.worker_counters import WorkersTogether
from tokenserver.credentials import Password, Secret
from tokenserver.errors import InvalidCredentials, Throttled
from tokenserver.identity import Identity
from tokenserver.runtime.shared_memory import TAG_BYTES, AttemptsTable, LastSeenTable

HOME = ip_address("192.0.2.1")
LIMITS = Limits(growing(5, 300), (Limit(50, 300),), (Limit(1000, 300),))
PART = Limits(*(shared(limit, 2) for limit in (LIMITS.user, LIMITS.address, LIMITS.total)))
NUMBERS = itertools.count()


@dataclass
class Worker:
    """A worker as the server builds it: with a protection of its own, and a source where every password is wrong."""

    together: Together | None
    directories: tuple[str, ...] = ()
    checked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        plan = Plan({"local": CacheLifetime(60)}, self.directories, PART if self.together else LIMITS, 1)
        secret = next(NUMBERS).to_bytes(8, "big")  # another one in each process
        self.protection = Protection(plan, secret=secret, monotonic=lambda: 1000.0, together=self.together)

    def login(self, user: str, password: str) -> str:
        """The outcome of one login."""

        def check(_: Password) -> Identity:
            self.checked.append(password)
            raise InvalidCredentials("wrong password")

        try:
            self.protection.login(Password(user, Secret(password)), HOME, b"", check)
        except (InvalidCredentials, Throttled) as error:
            return type(error).__name__
        raise AssertionError("every password is wrong")


def counters(limits: Limits = LIMITS, repeat: float = REPEAT_SECONDS) -> WorkersTogether:
    """The memory of one server's workers."""
    return WorkersTogether(limits, repeat=repeat, monotonic=lambda: 1000.0)


@pytest.mark.parametrize("directories", [pytest.param((), id="files"), pytest.param(("corp",), id="a directory")])
def test_a_sorted_word_list(directories: tuple[str, ...]) -> None:
    """Twelve wrong passwords that a short digest under a known key takes for one: five are checked, at two workers."""
    memory = counters(repeat=REPEAT_SECONDS if directories else 7200.0)
    workers = [Worker(memory, directories) for _ in range(2)]
    words = words_of_one_tag("ann", 12)
    found = [workers[number % 2].login("ann", word) for number, word in enumerate(words)]
    assert found == ["InvalidCredentials"] * 5 + ["Throttled"] * 7
    assert sum(len(worker.checked) for worker in workers) == 5


CHOSEN = st.one_of(
    st.text(min_size=1), st.deferred(lambda: st.sampled_from(words_of_one_tag("ann", 12))), st.from_regex(r"[a-b]{1,4}")
)


@settings(deadline=None)
@given(st.lists(st.tuples(CHOSEN, st.integers(0, 2)), max_size=30))
def test_no_choice_of_passwords_gets_more_than_five(tries: Sequence[tuple[str, int]]) -> None:
    """Whatever passwords are chosen, in whatever order, at whichever of three workers, again or not: no more than five
    different ones are checked; and nobody has to wait who has not tried five different ones.
    """
    memory = counters(repeat=7200.0)
    workers = [Worker(memory) for _ in range(3)]
    outcomes = [workers[number].login("ann", password) for password, number in tries]
    checked = {password for worker in workers for password in worker.checked}
    assert len(checked) == min(len({password for password, _ in tries}), 5)
    for place, outcome in enumerate(outcomes):
        if outcome == "Throttled":
            assert len({password for password, _ in tries[:place]}) >= 5


@given(
    st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 31), st.integers(1, 255)), max_size=6, unique=True),
)
def test_every_byte_of_a_digest_counts(bases: list[bytes], changes: list[tuple[int, int]]) -> None:
    """Logins whose digests differ anywhere are different logins: as many failures are counted as there are digests."""
    digests = {*bases}
    for place, change in changes:
        digests |= {base[:place] + bytes([base[place] ^ change]) + base[place + 1 :] for base in bases}
    memory = counters(Limits((Limit(100, 300),), (), ()))
    for _ in range(2):  # the second time each of them is the same login again
        for digest in sorted(digests):
            memory.failed(Counted("ann", "", 1, 1, 1, digest), is_good=False)
    standing = memory.standing(Counted("ann", "", 1, 1, 1, b"another"))
    assert standing is not None
    assert standing.left == 100 - len(digests)


def test_what_is_kept_cannot_be_foretold() -> None:
    """Two servers keep different tags of one login, of at least 16 bytes, and neither is its digest."""
    digest = bytes(range(32))
    counted = Counted("ann", "", 1, 1, 1, digest)
    kept = []
    for _ in range(2):
        memory = counters()
        standing = memory.standing(counted)
        memory.failed(counted, is_good=False)
        found = [bytes(table._tags).strip(b"\0") for table in (memory._refused, memory._under_way)]
        assert standing is not None
        assert all(len(tag) >= TAG_BYTES - 2 for tag in found)  # a tag may begin or end with a zero
        assert not any(tag[:4] in digest for tag in found)
        kept.append(found[0])
    assert TAG_BYTES >= 16
    assert kept[0] != kept[1]


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60))
def test_the_tables_tell_tags_apart(steps: list[tuple[int, bool]]) -> None:
    """Tags that agree in all but their last byte, in one group of one table: as a set would have them."""
    kept, now = 8, 10.0
    tries, under_way = AttemptsTable(memoryview(bytearray(kept * AttemptsTable.ENTRY_BYTES)), kept, 1), set[bytes]()
    for number, is_new in steps:
        tag = bytes(TAG_BYTES - 1) + bytes([number % 8])
        now += 1
        if is_new and tag not in under_way:
            tries.add(3, tag, now)
            under_way.add(tag)
        elif not is_new:
            tries.remove(3, tag)
            under_way.discard(tag)
        assert tries.tags(3, 0.0) == under_way
    seen = LastSeenTable(memoryview(bytearray(16 * (8 + TAG_BYTES))))
    for number in range(4):
        seen.put(bytes(TAG_BYTES - 1) + bytes([number]), 100.0 + number)
    assert [seen.is_within(bytes(TAG_BYTES - 1) + bytes([number]), 103.5, 2.0) for number in range(5)] == [
        *(False, False, True, True),
        False,
    ]


# --- either counter is enough ----------------------------------------------------------------------------------------


@dataclass
class Blind:
    """Shared counters that always admit, like those of a Redis that is emptied repeatedly."""

    limits: Limits = LIMITS
    note: None = None
    is_good: bool = False
    ended: int = 0

    def limit(self, limits: Limits, *, repeat: float) -> None:  # noqa: ARG002 - as `Together` has it
        self.limits = limits

    def was_refused(self, counted: Counted) -> bool:  # noqa: ARG002 - as `Together` has it
        return False

    def standing(self, counted: Counted) -> Standing | None:  # noqa: ARG002 - as above
        return Standing(5, 0.0, 0.0, is_good=self.is_good, weight=1, ended=self._end)

    def failed(self, counted: Counted, *, is_good: bool) -> None:  # noqa: ARG002 - as above
        return

    def succeeded(self, counted: Counted) -> None:  # noqa: ARG002 - as above
        return

    def _end(self) -> None:
        self.ended += 1


def wrong(throttle: Throttle, user: str = "ann") -> str:
    """The outcome of one wrong login with a unique password."""
    key = str(next(NUMBERS)).encode()
    try:
        with throttle.attempt(user, HOME, key):
            raise InvalidCredentials("wrong password")  # noqa: TRY301 - as a source does
    except Throttled as error:
        return f"wait {error.retry_after}"
    except InvalidCredentials:
        return "wrong"


@pytest.mark.parametrize("is_good", [pytest.param(False, id="anywhere"), pytest.param(True, id="at a known place")])
def test_the_own_counter_refuses_too(is_good: bool) -> None:
    """If the shared counters never reject, one process admits what all together may, and no more."""
    together = Blind(is_good=is_good)
    throttle = Throttle(PART, monotonic=lambda: 1000.0, together=together)
    assert [wrong(throttle) for _ in range(7)] == ["wrong"] * 5 + ["wait 300"] * 2
    assert together.ended == 7  # also of those that had to wait
    assert not throttle._under_way


def test_the_own_counters_of_address_and_total_refuse_too() -> None:
    """The same when one password is tried on many users."""
    limits = Limits(LIMITS.user, (Limit(6, 300),), (Limit(9, 300),))
    throttle = Throttle(Limits((), (), ()), monotonic=lambda: 1000.0, together=Blind(limits))
    assert [wrong(throttle, f"user-{number}") for number in range(8)] == ["wrong"] * 6 + ["wait 300"] * 2


def test_the_common_counters_refuse_too() -> None:
    """A process without failures of its own trusts them, and no counter overrules another."""
    memory = counters()
    for number in range(5):
        memory.failed(Counted("ann", "", _user("ann"), 1, 1, str(number).encode()), is_good=False)
    for together in (memory, Counters(Blind(), memory), Counters(memory, Blind())):
        assert wrong(Throttle(PART, monotonic=lambda: 1000.0, together=together)) == "wait 300"
    # Where she is known, the first that can tell says so, and nobody else's failures count there.
    known = Throttle(PART, monotonic=lambda: 1000.0, together=Counters(Blind(is_good=True), memory))
    assert wrong(known) == "wrong"


def _user(name: str) -> int:
    return Throttle(PART, monotonic=lambda: 1000.0)._users.bucket(name)
