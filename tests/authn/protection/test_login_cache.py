"""The memory of verified logins: what is found again, for how long, by whom, and what is never kept."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.protection.login_cache import REFRESH_SECONDS, CacheLifetime, LoginKey, VerifiedLogins
from tokenserver.credentials import Password, Secret
from tokenserver.identity import Identity, Kind

ANN = Identity("ann", Kind.PASSWORD, "corp", frozenset({"web"}))
KEY = b"k"


@dataclass
class Clock:
    """A clock that advances only when it is set."""

    now: float = 1000.0

    def __call__(self) -> float:
        """The seconds."""
        return self.now


def logins(clock: Clock, fresh: float = 60, grace: float = 0, size: int = 10) -> VerifiedLogins:
    """A memory for one source."""
    return VerifiedLogins({"corp": CacheLifetime(fresh, grace)}, monotonic=clock, size=size)


def password(username: str, text: str) -> Password:
    """Credentials."""
    return Password(username, Secret(text))


@given(
    first=st.tuples(st.text(), st.text(), st.binary(max_size=80)),
    second=st.tuples(st.text(), st.text(), st.binary(max_size=80)),
)
def test_keys_differ(first: tuple[str, str, bytes], second: tuple[str, str, bytes]) -> None:
    """Two logins have the same key only if user, password and stamp are the same (docs/design/threats.md#threat-26)."""
    key = LoginKey(b"x" * 64)
    keys = [key(password(user, text), stamp) for user, text, stamp in (first, second)]
    assert (keys[0] == keys[1]) is (first == second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(("ab", "c", b""), ("a", "bc", b""), id="user and password"),
        pytest.param(("a", "bc", b""), ("a", "b", b"c"), id="password and stamp"),
        pytest.param(("", "abc", b""), ("abc", "", b""), id="empty"),
    ],
)
def test_parts_do_not_run_together(first: tuple[str, str, bytes], second: tuple[str, str, bytes]) -> None:
    """Length prefixes keep concatenated fields distinct (docs/design/threats.md#threat-26)."""
    key = LoginKey(b"x")
    keys = {key(password(user, text), stamp) for user, text, stamp in (first, second)}
    assert len(keys) == 2


def test_keys_of_two_processes() -> None:
    """A key says nothing without the secret of its process."""
    assert LoginKey(b"one")(password("ann", "x")) != LoginKey(b"two")(password("ann", "x"))


def test_nothing_of_the_password_is_kept() -> None:
    """Memory contains neither the password nor an unkeyed hash of it."""
    memory, login = logins(Clock()), password("ann", "canary-71c3")
    memory.remember(LoginKey(b"s")(login), ANN)
    assert "canary-71c3" not in repr(vars(memory))


@pytest.mark.parametrize(
    ("after", "expected"),
    [pytest.param(0, ANN, id="at once"), pytest.param(47, ANN, id="young"), pytest.param(60, None, id="over")],
)
def test_lifetime(after: float, expected: Identity | None) -> None:
    """An identity is found until its lifetime ends, and not at its end."""
    clock = Clock()
    memory = logins(clock)
    memory.remember(KEY, ANN)
    clock.now += after
    assert memory.get(KEY) == expected


def test_use_does_not_prolong() -> None:
    """A login in constant use is still rechecked (docs/design/threats.md#threat-26)."""
    clock = Clock()
    memory = logins(clock)
    memory.remember(KEY, ANN)
    found = []
    for _ in range(70):
        clock.now += 1
        found.append(memory.get(KEY))
    assert found[59:] == [None] * 11


def test_one_request_checks_anew_while_the_others_still_use_it() -> None:
    """Before the lifetime ends, one request finds nothing and the others do; after a while the next one tries."""
    clock = Clock()
    memory = logins(clock, fresh=100)
    memory.remember(KEY, ANN)
    clock.now += 80
    assert [memory.get(KEY) for _ in range(3)] == [None, ANN, ANN]
    clock.now += REFRESH_SECONDS
    assert [memory.get(KEY) for _ in range(3)] == [None, ANN, ANN]


def test_who_asks_twice_refreshes_by_the_second_question() -> None:
    """The first one finds nothing, and leaves it to the second one to be the only one that checks anew."""
    clock = Clock()
    memory = logins(clock, fresh=100)
    memory.remember(KEY, ANN)
    assert memory.get(KEY, may_refresh=False) == ANN
    clock.now += 80
    assert [memory.get(KEY, may_refresh=False) for _ in range(2)] == [None, None]
    assert memory.get(KEY) is None
    assert memory.get(KEY, may_refresh=False) == ANN


@pytest.mark.parametrize(
    "memory",
    [
        pytest.param(logins(Clock(), fresh=0), id="never"),
        pytest.param(VerifiedLogins({}, monotonic=Clock()), id="an unknown source"),
    ],
)
def test_switched_off(memory: VerifiedLogins) -> None:
    """With a lifetime of 0 nothing is kept, not even for a moment."""
    memory.remember(KEY, ANN)
    assert (memory.get(KEY), len(memory)) == (None, 0)


def test_forgotten() -> None:
    """What turned out wrong is not found any more."""
    memory = logins(Clock())
    memory.remember(KEY, ANN)
    memory.forget(KEY)
    memory.forget(KEY)
    assert (memory.get(KEY), memory.without_source(KEY, "corp")) == (None, None)


def test_bounded() -> None:
    """The entry that was not used for the longest time goes first."""
    memory = logins(Clock(), size=3)
    for key in (b"1", b"2", b"3"):
        memory.remember(key, ANN)
    assert memory.get(b"1") == ANN
    memory.remember(b"4", ANN)
    assert [memory.get(key) for key in (b"1", b"2", b"3", b"4")] == [ANN, None, ANN, ANN]


@pytest.mark.parametrize(
    ("after", "source", "expected"),
    [
        pytest.param(10, "corp", (True, False), id="within its lifetime"),
        pytest.param(10, "other", (True, False), id="within its lifetime, another source is down"),
        pytest.param(60, "corp", (True, True), id="within the grace"),
        pytest.param(60, "other", (False, False), id="the grace of another source"),
        pytest.param(359, "corp", (True, True), id="the last moment"),
        pytest.param(360, "corp", (False, False), id="over"),
    ],
)
def test_grace(after: float, source: str, expected: tuple[bool, bool]) -> None:
    """An unreachable directory does not log out recently verified users, and their identities are marked."""
    clock = Clock()
    memory = logins(clock, fresh=60, grace=300)
    memory.remember(KEY, ANN)
    clock.now += after
    found = memory.without_source(KEY, source)
    assert (found is not None, found is not None and found.stale) == expected


def test_no_grace_by_default() -> None:
    """Without grace, an outage takes effect as soon as the lifetime has passed."""
    clock = Clock()
    memory = logins(clock)
    memory.remember(KEY, ANN)
    clock.now += 60
    assert (memory.get(KEY), memory.without_source(KEY, "corp"), len(memory)) == (None, None, 0)


def test_grace_is_not_for_daily_use() -> None:
    """While the source can be asked, it is: the grace prolongs nothing."""
    clock = Clock()
    memory = logins(clock, fresh=60, grace=300)
    memory.remember(KEY, ANN)
    clock.now += 61
    assert memory.get(KEY) is None


@pytest.mark.parametrize(
    ("seconds", "after", "is_cached", "is_stale"),
    [
        pytest.param(30, 29, True, True, id="until the password expires"),
        pytest.param(30, 30, False, False, id="then no longer, also while the source is unreachable"),
        pytest.param(60, 59, True, True, id="a grace login, which no early refresh uses up"),
        pytest.param(60, 60, False, False, id="a grace login: no longer than a minute"),
        pytest.param(100, 59, False, True, id="a login that ends later is refreshed early, as others are"),
        pytest.param(100, 61, False, True, id="while the source is unreachable"),
        pytest.param(100, 100, False, False, id="which ends with the password, too"),
        pytest.param(9000, 359, False, True, id="later than the settings say"),
        pytest.param(9000, 360, False, False, id="the settings count then"),
        pytest.param(0, 0, False, False, id="it expires now"),
    ],
)
def test_a_login_that_the_source_limits(seconds: float, after: float, is_cached: bool, is_stale: bool) -> None:
    """No login is used for longer than its source vouches for it (docs/design/threats.md#threat-26)."""
    clock = Clock()
    memory = logins(clock, fresh=60, grace=300)
    memory.remember(KEY, replace(ANN, valid_for=float(seconds)))
    clock.now += after
    found = (memory.verified_since(KEY, 0) and memory.get(KEY), memory.without_source(KEY, "corp"))
    assert [one is not None for one in found] == [is_cached, is_stale]
