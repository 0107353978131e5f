"""The throttle: who has to wait, for how long, who never has to, and that counting takes a bounded memory."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.protection.failure_counters import BUCKETS, Failures, Limit, Limits, growing
from tokenserver.authn.protection.throttle import GOOD_SECONDS, REMEMBERED, Standing, Throttle
from tokenserver.errors import BackendUnavailable, InvalidCredentials, Throttled

X, Y, Z = "192.0.2.1", "198.51.100.7", "203.0.113.9"


def _check(right: bool) -> None:
    """A user source's answer."""
    if not right:
        raise InvalidCredentials("wrong password")


@dataclass
class World:
    """A throttle with a clock, and clients that try."""

    limits: Limits = field(
        default_factory=lambda: Limits(growing(5, 300), (Limit(20, 300),), (Limit(100, 300),)),
    )
    now: float = 1000.0
    checked: int = 0
    number: int = 0
    repeats_count: bool = True

    def __post_init__(self) -> None:
        self.throttle = Throttle(self.limits, monotonic=lambda: self.now, repeats_count=self.repeats_count)

    def attempt(self, user: str, *, right: bool = False, address: str | None = X, key: bytes | None = None) -> str:
        """The outcome of one try with a unique password. A throttled one is not checked."""
        self.number += 1
        try:
            place = None if address is None else ip_address(address)
            with self.throttle.attempt(user, place, key or str(self.number).encode()):
                self.checked += 1
                _check(right)
        except Throttled as error:
            return f"wait {error.retry_after}"
        except InvalidCredentials:
            return "wrong"
        return "ok"


def test_the_sixth_try() -> None:
    """After five failures even the right password waits, nothing is checked for it, and later it works.

    See docs/design/threats.md#threat-21.
    """
    world = World()
    assert [world.attempt("ann") for _ in range(5)] == ["wrong"] * 5
    assert (world.attempt("ann", right=True), world.checked) == ("wait 300", 5)
    world.now += 299.5
    assert world.attempt("ann", right=True) == "wait 1"
    world.now += 0.5
    assert (world.attempt("ann", right=True), world.checked) == ("ok", 6)


def test_whoever_goes_on_waits_longer() -> None:
    """Five in five minutes, seven in half an hour, ten in two hours, whatever the rhythm of the tries.

    See docs/design/threats.md#threat-21.
    """
    world = World()
    tries = []
    for second in range(0, 4 * 3600, 10):
        world.now = 1000.0 + second
        if world.attempt("ann") == "wrong":
            tries.append(second)
    most = [max(sum(start <= one < start + span for one in tries) for start in tries) for span in (300, 1800, 7200)]
    assert most == [5, 7, 10]


@given(st.lists(st.floats(min_value=0, max_value=2000), max_size=60))
def test_no_limit_is_ever_passed(pauses: list[float]) -> None:
    """In no rhythm are more tries checked within any of the times than its limit says."""
    world = World()
    times = []
    for pause in pauses:
        world.now += pause
        if world.attempt("ann") == "wrong":
            times.append(world.now)
    for limit in growing(5, 300):
        assert all(sum(end - limit.seconds < one <= end for one in times) <= limit.failures for end in times)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("ALICE", id="case"),
        pytest.param("alice ", id="blank"),
        pytest.param("  alice", id="blanks before"),
        pytest.param("\uff41lice", id="full width"),
    ],
)
def test_one_counter_for_all_spellings(name: str) -> None:
    """Names that a directory may treat as one user count as one user (docs/design/threats.md#threat-6)."""
    world = World()
    for _ in range(5):
        world.attempt(name, address=Y)
    assert world.attempt("alice", right=True) == "wait 300"


def test_others_are_not_touched() -> None:
    """One user's failures are not another's."""
    world = World()
    for _ in range(9):
        world.attempt("ann")
    assert world.attempt("ben", right=True) == "ok"


def test_spraying_from_one_address() -> None:
    """A hundred users with one try each from one address; from another, ann can still log in.

    See docs/design/threats.md#threat-22.
    """
    world = World()
    outcomes = [world.attempt(f"user-{number}") for number in range(100)]
    assert outcomes == ["wrong"] * 20 + ["wait 300"] * 80
    assert (world.checked, world.attempt("user-99", right=True, address=Y)) == (20, "ok")


def test_stuffing_from_everywhere() -> None:
    """Many users from many addresses meet the limit in total (docs/design/threats.md#threat-22)."""
    world = World()
    outcomes = [world.attempt(f"user-{number}", address=f"10.0.{number}.1") for number in range(110)]
    assert outcomes == ["wrong"] * 100 + ["wait 300"] * 10


def test_without_an_address() -> None:
    """Without a known address, failures count by user, and clients do not share one counter."""
    world = World()
    outcomes = [world.attempt(f"user-{number}", address=None) for number in range(30)]
    assert outcomes == ["wrong"] * 30
    assert world.attempt("user-1", right=True, address=None) == "ok"


def test_unknown_addresses_share_a_counter() -> None:
    """Clients without an address are no way around the limit: together they fail half as often as all may in total, and
    whoever has an address goes on as if there were none of them."""
    world = World()
    outcomes = [world.attempt(f"user-{number}", address=None) for number in range(60)]
    assert outcomes == ["wrong"] * 50 + ["wait 300"] * 10
    assert world.attempt("ann", right=True, address=None) == "wait 300"
    assert world.attempt("ann", right=True, address=X) == "ok"
    world.now += 301
    assert world.attempt("ann", right=True, address=None) == "ok"


def test_nobody_is_known_at_an_unknown_address() -> None:
    """A success without an address does not make the next client without one known."""
    world = World()
    assert world.attempt("ann", right=True, address=None) == "ok"
    assert [world.attempt("ann", address=None) for _ in range(6)] == ["wrong"] * 5 + ["wait 300"]


def test_a_victim_at_a_known_place() -> None:
    """ann logged in from Y lately, so an attacker at X does not lock her out there, whatever the spelling.

    See docs/design/threats.md#threat-23.
    """
    world = World()
    assert world.attempt("ann", right=True, address=Y) == "ok"
    for _ in range(9):
        world.attempt("ann", address=X)
    assert world.attempt("Ann", right=True, address=Y) == "ok"
    assert world.attempt("ann", right=True, address=Z) == "wait 300"


def test_a_victim_beside_an_attacker() -> None:
    """The attacker comes from the victim's own address (one proxy for a house) and tries other names.

    See docs/design/threats.md#threat-23.
    """
    world = World()
    world.attempt("ann", right=True)
    for number in range(30):
        world.attempt(f"user-{number}")
    assert world.attempt("ann", right=True) == "ok"


def test_a_victim_under_a_flood() -> None:
    """The total limit does not apply to a user at a known address (docs/design/threats.md#threat-23)."""
    world = World()
    world.attempt("ann", right=True)
    for number in range(110):
        world.attempt(f"user-{number}", address=f"10.0.{number}.1")
    assert (world.attempt("ann", right=True), world.attempt("ben", right=True, address=Y)) == ("ok", "wait 300")


def test_a_known_place_is_no_free_pass() -> None:
    """At a place where ann is known, failures for ann are counted all the same, by themselves."""
    world = World()
    world.attempt("ann", right=True)
    assert [world.attempt("ann") for _ in range(6)] == ["wrong"] * 5 + ["wait 300"]
    assert world.attempt("ann", right=True, address=Y) == "wait 300"


def test_a_known_place_is_forgotten() -> None:
    """After a month without a login a place is as unknown as any."""
    world = World()
    world.attempt("ann", right=True, address=Y)
    world.now += GOOD_SECONDS
    for _ in range(5):
        world.attempt("ann", address=X)
    assert world.attempt("ann", right=True, address=Y) == "wait 300"


def test_successes_never_count() -> None:
    """Parallel layer pulls of one client are no attack (docs/design/threats.md#bug-30)."""
    world = World()
    assert {world.attempt("ann", right=True, address=Y) for _ in range(1000)} == {"ok"}


def test_a_success_does_not_wipe_the_counter() -> None:
    """Or an attacker would have five new tries whenever the victim logs in."""
    world = World()
    for _ in range(4):
        world.attempt("ann", address=X)
    world.attempt("ann", right=True, address=Y)
    assert [world.attempt("ann", address=X) for _ in range(2)] == ["wrong", "wait 300"]


@pytest.mark.parametrize(
    "error", [pytest.param(BackendUnavailable("corp", "is down"), id="down"), pytest.param(ValueError("x"), id="a bug")]
)
def test_what_is_no_failure(error: Exception) -> None:
    """An outage says nothing about a password; the try is not under way any more either."""
    world = World()
    for number in range(10):
        with pytest.raises(type(error)), world.throttle.attempt("ann", None, str(number).encode()):
            raise error
    assert (world.attempt("ann", right=True), world.throttle._under_way) == ("ok", {})


def test_parallel_guesses() -> None:
    """A hundred concurrent passwords for one user: no more of them are under way than may fail."""
    world = World()
    under_way = [world.throttle.attempt("ann", ip_address(X), str(number).encode()) for number in range(5)]
    for one in under_way:
        one.__enter__()
    assert world.attempt("ann", right=True) == "wait 1"
    for one in under_way:
        one.__exit__(None, None, None)
    assert world.attempt("ann", right=True) == "ok"


def test_parallel_guesses_at_a_known_place() -> None:
    """Nor where ann is known, by a count of its own: what is under way elsewhere is not in her way there.

    See docs/design/threats.md#threat-176.
    """
    world = World()
    assert world.attempt("ann", right=True, address=Y) == "ok"
    begun = {
        place: [world.throttle.attempt("ann", ip_address(place), f"{place} {number}".encode()) for number in range(5)]
        for place in (X, Y)
    }
    for one in begun[X]:
        one.__enter__()
    assert [world.attempt("ann", right=True, address=place) for place in (X, Y)] == ["wait 1", "ok"]
    for one in begun[Y]:
        one.__enter__()
    assert world.attempt("ann", right=True, address=Y) == "wait 1"
    for one in (*begun[X], *begun[Y]):
        one.__exit__(None, None, None)
    assert [world.attempt("ann", right=True, address=place) for place in (X, Y)] == ["ok", "ok"]


def test_the_same_wrong_login_twice() -> None:
    """containerd asks with POST and then with GET; the second one is answered without being counted.

    See docs/design/threats.md#bug-30.
    """
    world = World()
    for number in range(5):
        key = f"login {number}".encode()
        world.throttle.repeated(key)
        world.attempt("ann", key=key)
        if number < 4:
            for _ in range(20):
                with pytest.raises(InvalidCredentials) as raised:
                    world.throttle.repeated(key)
                assert raised.value.reason == "wrong password"
        world.now += 1
    assert world.attempt("ann", right=True) == "wait 295"


def test_the_same_wrong_login_later() -> None:
    """After ten seconds it is a try of its own: a directory may have another password by now."""
    world = World()
    world.attempt("ann", key=b"login")
    world.now += 9.9
    with pytest.raises(InvalidCredentials):
        world.throttle.repeated(b"login")
    world.now += 0.1
    world.throttle.repeated(b"login")


@pytest.mark.parametrize(("repeats_count", "expected"), [(True, "wait 180"), (False, "ok")])
def test_an_old_password_in_a_loop(repeats_count: bool, expected: str) -> None:
    """Repeating one wrong password is not guessing, so it locks no user out, unless a directory counts it as well."""
    world = World(repeats_count=repeats_count)
    for _ in range(5):
        world.attempt("ann", key=b"old password")
        world.now += 24
    assert world.attempt("ann", right=True) == expected


def test_other_wrong_passwords_count_beside_a_repeated_one() -> None:
    """Where repeats do not count, each new password does, and the repeated one once."""
    world = World(repeats_count=False)
    for _ in range(20):
        world.attempt("ann", key=b"old password")
    for _ in range(3):
        assert world.attempt("ann") == "wrong"
    assert world.attempt("ann", key=b"old password") == "wrong"
    assert world.attempt("ann") == "wrong"
    assert world.attempt("ann", right=True) == "wait 300"


@pytest.mark.parametrize(
    ("standing", "under_way", "expected"),
    [
        pytest.param(Standing(5, 9.0, 0.0, is_good=False, weight=2), 0, 0.0, id="nothing against it"),
        pytest.param(Standing(5, 9.0, 0.0, is_good=False, weight=2), 2, 0.0, id="two under way weigh four"),
        pytest.param(Standing(5, 9.0, 0.0, is_good=False, weight=2), 3, 1.0, id="three weigh six"),
        pytest.param(Standing(0, 9.0, 0.0, is_good=False, weight=2), 0, 9.0, id="no failure is left"),
        pytest.param(Standing(0, 0.0, 0.0, is_good=False, weight=2), 0, 1.0, id="none left, and clocks differ"),
        pytest.param(Standing(5, 9.0, 7.0, is_good=False, weight=2), 0, 7.0, id="the address waits"),
        pytest.param(Standing(0, 3.0, 7.0, is_good=False, weight=2), 0, 7.0, id="both wait"),
    ],
)
def test_standing(standing: Standing, under_way: int, expected: float) -> None:
    """What several processes know together makes wait; tries under way count for all of them."""
    assert standing.wait(under_way) == expected


def test_a_right_login_is_not_remembered_as_wrong() -> None:
    """Only failures are answered so."""
    world = World()
    world.attempt("ann", right=True, key=b"login")
    world.throttle.repeated(b"login")


def resident() -> int:
    """The memory of this process in bytes."""
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.long
def test_a_million_random_names() -> None:
    """They take less than 20 MB, evict no other counter, and do not lock out all other users.

    See docs/design/threats.md#threat-24.
    """
    failures = Failures(growing(5, 300))
    victim = failures.bucket("ann")
    for _ in range(5):
        failures.add(victim, 1000.0)
    before = resident()
    for number in range(1_000_000):
        failures.add(failures.bucket(f"name-{number}"), 1000.0 + number / 100)
    assert resident() - before < 20_000_000
    assert len(failures) <= BUCKETS
    assert failures.wait(victim, 1000.0 + 10_000) > 0


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known places and repeated logins take a bounded memory too."""
    assert REMEMBERED == 10_000
    monkeypatch.setattr("tokenserver.authn.protection.throttle.REMEMBERED", 100)
    world = World(Limits((), (), ()))
    for number in range(110):
        world.attempt(f"user-{number}", right=number % 2 == 0, key=str(number).encode())
        world.attempt(f"user-{number}", right=number % 2 == 1, key=f"{number}+".encode())
    assert (len(world.throttle._good), len(world.throttle._refused)) == (100, 100)
