"""What stands in front of the sources, put together: in which order it decides, and what outlives a reload."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import bcrypt
import pytest

from tokenserver.access_keys import RANDOM_BYTES, compose_key
from tokenserver.authn.chain import Chain
from tokenserver.authn.htpasswd.account import parse_end
from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.htpasswd.file import parse_users
from tokenserver.authn.protection.circuit_breaker import Sheltered
from tokenserver.authn.protection.failure_counters import Limit, Limits, growing
from tokenserver.authn.protection.guard import Protection
from tokenserver.authn.protection.login_cache import CacheLifetime
from tokenserver.authn.protection.plan import FOLLOWERS, Plan
from tokenserver.authn.protection.throttle import Counted, Standing
from tokenserver.credentials import AccessKeyForm, Key, Password, RefreshToken, Secret, UnreadSecret
from tokenserver.errors import BackendUnavailable, Incomplete, InvalidCredentials, Throttled, TokenserverError
from tokenserver.identity import Identity, Kind

HOME = ip_address("192.0.2.1")
AWAY = ip_address("198.51.100.7")
DOWN = BackendUnavailable("corp", "connection refused")


@dataclass
class Directory:
    """A directory of people with passwords, which can be down."""

    people: dict[str, str]
    name: str = "corp"
    down: bool = False
    is_incomplete: bool = False
    asked: int = 0

    def authenticate(self, credentials: Password) -> Identity | None:
        """As a directory does; the subject is folded."""
        self.asked += 1
        if self.down:
            raise DOWN
        if self.is_incomplete:
            raise Incomplete(self.name, "tells a part of the groups")
        subject = credentials.username.lower()
        if subject not in self.people:
            return None
        if credentials.password != Secret(self.people[subject]):
            raise InvalidCredentials("wrong password")
        return Identity(subject, Kind.PASSWORD, self.name)


@dataclass
class World:
    """A directory behind a protection."""

    directory: Directory = field(default_factory=lambda: Directory({"ann": "right"}))
    lifetime: CacheLifetime = field(default_factory=lambda: CacheLifetime(60))
    now: float = 1000.0
    is_throttled: bool = True

    def __post_init__(self) -> None:
        limits = Limits(growing(5, 300), (Limit(50, 300),), (Limit(1000, 300),))
        plan = Plan({"corp": self.lifetime}, ("corp",), limits if self.is_throttled else None, 1)
        self.protection = Protection(plan, secret=b"s" * 64, monotonic=lambda: self.now)

    def chain(self) -> Chain:
        """A new chain, as after a reload."""
        return Chain([self.protection.sheltered(self.directory)], anonymous=False, decoy=None, guard=self.protection)

    def login(self, user: str = "ann", password: str = "right", client: Any = HOME) -> str:  # noqa: S107 - made up here
        """The identity, or the error."""
        try:
            identity = self.chain().authenticate(Password(user, Secret(password)), client)
        except TokenserverError as error:
            return type(error).__name__
        return f"{identity.subject}{' (stale)' if identity.stale else ''}"


def test_remembered_across_reloads() -> None:
    """A hundred logins within a minute ask the directory once, however often the files were loaded meanwhile."""
    world = World()
    assert ({world.login() for _ in range(100)}, world.directory.asked) == ({"ann"}, 1)


def refreshed(world: World, token: str, client: Any = HOME) -> str:
    """The error of a login with a refresh token."""
    try:
        world.chain().authenticate(RefreshToken(Secret(token)), client)
    except TokenserverError as error:
        return type(error).__name__
    raise AssertionError("no refresh token is known")


def test_unknown_refresh_tokens_count_for_their_address_and_no_user() -> None:
    """They take one user's share of what the address may fail, so that logins by password go on there."""
    world = World()
    assert [refreshed(world, f"{number}") for number in range(7)] == ["UnknownRefreshToken"] * 5 + ["Throttled"] * 2
    assert refreshed(world, "0", AWAY) == "UnknownRefreshToken"
    assert refreshed(world, "0", None) == "UnknownRefreshToken"
    assert world.login() == "ann"
    # The address may fail 50 times in all: 5 did already.
    failures = [world.login(f"user-{number}", "wrong") for number in range(50)]
    assert failures == ["InvalidCredentials"] * 45 + ["Throttled"] * 5
    assert refreshed(world, "fresh") == "Throttled"


def test_a_repeated_refresh_token_is_no_further_guess() -> None:
    """Within seconds; later it counts again where a password would, since the sources of this world are directories."""
    world = World()
    assert {refreshed(world, "0") for _ in range(20)} == {"UnknownRefreshToken"}
    assert refreshed(world, "1") == "UnknownRefreshToken"
    world.now += 11
    assert [refreshed(world, f"{number}") for number in range(4)] == ["UnknownRefreshToken"] * 3 + ["Throttled"]


def test_refresh_tokens_without_a_throttle() -> None:
    """Unknown, each of them."""
    world = World(is_throttled=False)
    assert [refreshed(world, f"{number}") for number in range(99)] == ["UnknownRefreshToken"] * 99


@dataclass
class Keys:
    """Robots that have a single key."""

    right: Secret

    def __contains__(self, _identifier: str) -> bool:
        """A policy file declares it."""
        return True

    def authenticate(self, key: Key, _client: Any, _now: float, _uses: Any, /) -> Identity:
        """As for declared robots."""
        if key.text != self.right:
            raise InvalidCredentials("wrong secret")
        return Identity("robot:ci", Kind.ROBOT, "robots")


def keyed(world: World, number: int, name: str = "ann", client: Any = HOME) -> str:
    """The subject, or the error, of a login with the key of this number; that of the robot is 0."""
    keys = [compose_key(AccessKeyForm.ROBOT, bytes([one]) * RANDOM_BYTES).text for one in (0, number)]
    source = world.protection.sheltered(world.directory)
    chain = Chain([source], anonymous=False, decoy=None, guard=world.protection, robots=Keys(keys[0]))
    try:
        return chain.authenticate(Password(name, keys[1]), client).subject
    except TokenserverError as error:
        return type(error).__name__


def test_wrong_keys_count_for_their_address_and_no_user() -> None:
    """Nobody locks ann out with rubbish keys, nor a robot with a right key; no directory sees any of them."""
    world = World()
    assert [keyed(world, number) for number in range(1, 8)] == ["InvalidCredentials"] * 5 + ["Throttled"] * 2
    assert keyed(world, 0) == "robot:ci"
    assert keyed(world, 1, client=AWAY) == "InvalidCredentials"
    assert world.directory.asked == 0
    assert world.login() == "ann"
    # The address may fail 50 times in all: 5 did already.
    failures = [world.login(f"user-{number}", "wrong") for number in range(50)]
    assert failures == ["InvalidCredentials"] * 45 + ["Throttled"] * 5
    assert keyed(world, 0) == "robot:ci"


BUILD = Identity("workload:ci:1", Kind.WORKLOAD, "ci", valid_for=100.0)


@dataclass
class Issuers:
    """Issuers that vouch for the token `right`, unless they raise an error; `wait` is called for each verification."""

    error: TokenserverError | None = None
    answer: Identity = BUILD
    wait: Callable[[], object] = lambda: None
    asked: list[str] = field(default_factory=list)

    def authenticate(self, text: Secret, _verified: int | None = None) -> Identity:
        """As for workload sources."""
        self.asked.append(text.reveal())
        self.wait()
        if self.error is not None:
            raise self.error
        if text != Secret("eyJright"):
            raise InvalidCredentials("signature")
        return self.answer

    def require_declared(self, identity: Identity) -> None:
        """Every workload is."""
        assert identity.kind is Kind.WORKLOAD


NO_KEYS = BackendUnavailable("ci", "has no keys")


def proved(world: World, issuers: Issuers, token: str = "right", client: Any = HOME) -> str:  # noqa: S107 - made up here
    """The subject, or the error, of a login by a workload's token."""
    chain = Chain(
        [], anonymous=False, decoy=None, guard=world.protection, workloads=issuers, issuer_of=lambda _: "https://ci"
    )
    try:
        identity = chain.authenticate(Password("ci", Secret(f"eyJ{token}")), client)
    except TokenserverError as error:
        return type(error).__name__
    return f"{identity.subject}{' (stale)' if identity.stale else ''}"


def with_issuer(*, fresh: float = 60, grace: float = 0) -> World:
    """A world whose plan has a lifetime for the answers of the issuer."""
    world = World()
    plan = Plan({"ci": CacheLifetime(fresh, grace)}, (), LIMITS, 1)
    world.protection = Protection(plan, secret=b"s" * 64, monotonic=lambda: world.now)
    return world


def test_a_cached_token_is_not_read_again() -> None:
    """The cache finds it by its text alone, which takes less time than reading it."""
    world, issuers, read = with_issuer(), Issuers(), list[str]()

    def issuer_of(text: str) -> str:
        read.append(text)
        return "https://ci"

    chain = Chain([], anonymous=False, decoy=None, guard=world.protection, workloads=issuers, issuer_of=issuer_of)
    for _ in range(3):
        assert chain.authenticate(Password("ci", Secret("eyJright")), HOME) == BUILD
    assert (read, issuers.asked) == (["eyJright"], ["eyJright"])


def test_a_cached_token_by_its_tag() -> None:
    """One that was sent before in the same words is not even decoded, until the cache has it no more."""
    world, issuers, read = with_issuer(), Issuers(), list[str]()

    def unread() -> str:
        read.append("eyJright")
        return "eyJright"

    def used(tag: bytes) -> tuple[str, int, int]:
        chain = Chain(
            [], anonymous=False, decoy=None, guard=world.protection, workloads=issuers, issuer_of=lambda _: "https://ci"
        )
        read.clear()
        try:
            found = chain.authenticate(Password("ci", UnreadSecret(unread, tag)), HOME).subject
        except InvalidCredentials as error:
            found = error.reason
        return found, len(read), len(issuers.asked)

    first = [used(b"1") for _ in range(4)]
    assert first == [(BUILD.subject, 1, 1)] + [(BUILD.subject, 0, 1)] * 3
    assert [used(b"2") for _ in range(2)] == [(BUILD.subject, 1, 1), (BUILD.subject, 0, 1)]
    world.now += 61
    issuers.error = InvalidCredentials("expired")
    assert used(b"1") == ("expired", 1, 2)
    issuers.error = None
    assert [used(b"1")[0], used(b"1")] == [BUILD.subject, (BUILD.subject, 0, 3)]


@dataclass
class Sent:
    """A password as clients send it again: who reads it is noted."""

    text: str
    reads: int = 0

    def read(self) -> str:
        """The text."""
        self.reads += 1
        return self.text

    def by(self, world: World, user: str = "ann", tag: bytes = b"1") -> tuple[str, bool, int]:
        """The identity or the error, whether the text was read, and how often the directory was asked so far."""
        self.reads = 0
        try:
            found = world.chain().authenticate(Password(user, UnreadSecret(self.read, tag)), HOME).subject
        except TokenserverError as error:
            found = type(error).__name__
        return found, self.reads > 0, world.directory.asked


def test_a_cached_password_by_its_tag() -> None:
    """One that was sent before in the same words is not even read, for as long as the cache has it.

    See docs/design/threats.md#threat-26.
    """
    world, right = World(), Sent("right")
    assert [right.by(world) for _ in range(2)] == [("ann", True, 1)] * 2
    assert [right.by(world) for _ in range(2)] == [("ann", False, 1)] * 2
    assert right.by(world, tag=b"2") == ("ann", True, 1)
    world.now += 61
    world.directory.people["ann"] = "other"
    assert right.by(world) == ("InvalidCredentials", True, 2)
    assert right.by(world)[0] == "InvalidCredentials"


def test_a_wrong_password_is_never_found_by_its_tag() -> None:
    """Nothing is learned from a login that failed, however often it comes."""
    world, wrong = World(), Sent("wrong")
    found = [wrong.by(world) for _ in range(3)]
    assert [(error, was_read) for error, was_read, _ in found] == [("InvalidCredentials", True)] * 3


def test_logins_by_tags_are_refreshed_before_they_end() -> None:
    """One request asks the directory, and the others are still answered without."""
    world, right = World(), Sent("right")
    for _ in range(3):
        right.by(world)
    world.now += 48
    assert [right.by(world) for _ in range(3)] == [("ann", True, 2), ("ann", False, 2), ("ann", False, 2)]
    world.now += 30
    assert right.by(world) == ("ann", False, 2)


def test_a_tag_of_a_login_with_another_stamp(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password whose user's line changed is checked again immediately, as is every one after a change of the sources.

    See docs/design/threats.md#threat-26.
    """
    checked: list[str] = []

    def verify(_password: str, hashed: str) -> bool:
        checked.append(hashed)
        return True

    monkeypatch.setattr("tokenserver.authn.htpasswd.verify.verify", verify)
    plan = Plan({"local": CacheLifetime(60)}, (), LIMITS, 1)
    protection = Protection(plan, secret=b"s", monotonic=lambda: 0.0)

    def hashed(lines: str) -> int:
        source = Htpasswd("local", "users", parse_users(lines, "users"), protection.hashing)
        chain = Chain([source], anonymous=False, decoy=None, guard=protection)
        before = len(checked)
        for _ in range(3):
            chain.authenticate(Password("ann", UnreadSecret(lambda: "right", b"1")))
        return len(checked) - before

    one, other = (bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode() for _ in range(2))
    assert [hashed(f"ann:{one}\n"), hashed(f"ann:{one}\n"), hashed(f"ann:{other}\n")] == [1, 0, 1]
    for unchanged, again in ((("local",), 0), ((), 1)):
        protection = protection.renewed(plan, secret=b"t", limits=LIMITS, unchanged=unchanged)
        assert hashed(f"ann:{other}\n") == again


def test_a_changed_source_is_asked_about_known_tokens() -> None:
    """Tags find no login that a changed configuration dropped."""
    world, issuers = with_issuer(), Issuers()
    assert [proved(world, issuers), proved(world, issuers), len(issuers.asked)] == [BUILD.subject, BUILD.subject, 1]
    plan = Plan({"ci": CacheLifetime(60, 0)}, (), LIMITS, 1)
    for unchanged, asked in ((("ci",), 1), ((), 2)):
        world.protection = world.protection.renewed(plan, secret=b"t" * 64, limits=LIMITS, unchanged=unchanged)
        assert [proved(world, issuers), proved(world, issuers)] == [BUILD.subject] * 2
        assert len(issuers.asked) == asked


def test_a_verified_token_is_cached() -> None:
    """Used many times within a minute, from anywhere, it is verified once."""
    world, issuers = with_issuer(), Issuers()
    found = {proved(world, issuers, client=client) for client in [HOME, AWAY, None] * 20}
    assert (found, len(issuers.asked)) == ({"workload:ci:1"}, 1)


@pytest.mark.parametrize(
    ("fresh", "seconds", "times"),
    [
        pytest.param(60, 40, 1, id="cached"),
        pytest.param(60, 61, 2, id="lifetime of the source"),
        pytest.param(600, 99, 1, id="valid"),
        pytest.param(600, 101, 2, id="end of the token"),
        pytest.param(0, 0, 2, id="not cached"),
    ],
)
def test_how_long_a_token_is_cached(fresh: float, seconds: float, times: int) -> None:
    """For the lifetime of the source, and never beyond the end of the token."""
    world, issuers = with_issuer(fresh=fresh), Issuers()
    assert proved(world, issuers) == "workload:ci:1"
    world.now += seconds
    assert proved(world, issuers) == "workload:ci:1"
    assert len(issuers.asked) == times


def test_wrong_tokens_count_for_their_address_and_lock_no_workload_out() -> None:
    """A build with a wrong token blocks no other build behind the same address."""
    world, issuers = with_issuer(fresh=0), Issuers()
    assert [proved(world, issuers, f"{number}") for number in range(7)] == ["InvalidCredentials"] * 5 + [
        "Throttled"
    ] * 2
    assert proved(world, issuers) == "workload:ci:1"
    assert proved(world, issuers, "wrong", AWAY) == "InvalidCredentials"


def test_an_outage_of_an_issuer() -> None:
    """Without grace no answer is given; with it, the last one, marked as stale. Nothing counts as a failure."""
    for grace, expected in ((0, "BackendUnavailable"), (500, "workload:ci:1 (stale)")):
        world, issuers = with_issuer(fresh=10, grace=grace), Issuers()
        assert proved(world, issuers) == "workload:ci:1"
        issuers.error = NO_KEYS
        assert {proved(world, issuers) for _ in range(9)} == {"workload:ci:1"}
        world.now += 20
        assert {proved(world, issuers) for _ in range(9)} == {expected}
        assert proved(world, issuers, "other") == "BackendUnavailable"


def test_a_token_that_is_no_longer_right_is_forgotten() -> None:
    """An issuer that does not vouch any more leaves no grace either."""
    world, issuers = with_issuer(fresh=10, grace=500), Issuers()
    assert proved(world, issuers) == "workload:ci:1"
    world.now += 20
    issuers.error = InvalidCredentials("revoked")
    assert proved(world, issuers) == "InvalidCredentials"
    issuers.error = NO_KEYS
    assert proved(world, issuers) == "BackendUnavailable"


def test_concurrent_builds_with_one_token_verify_it_once() -> None:
    """The others wait for the first one."""
    world, entered, may_end = with_issuer(), threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        assert may_end.wait(10)

    issuers = Issuers(wait=wait)
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(proved, world, issuers) for _ in range(4)]
        assert entered.wait(10)
        may_end.set()
        assert [one.result(10) for one in found] == ["workload:ci:1"] * 4
    assert len(issuers.asked) == 1


def test_only_workloads_come_from_issuers() -> None:
    """A source that reports anybody else broke its contract; nobody logs in by it."""
    world = with_issuer()
    assert proved(world, Issuers(answer=Identity("ann", Kind.PASSWORD, "ci"))) == "BackendUnavailable"
    assert proved(world, Issuers(answer=Identity("robot:ci", Kind.ROBOT, "ci"))) == "BackendUnavailable"


LIMITS = Limits(growing(5, 300), (Limit(50, 300),), (Limit(1000, 300),))


def renewed(world: World, *, unchanged: tuple[str, ...] = ("corp",), failures: int = 5, grace: float = 0.0) -> None:
    """Another plan, as after a change of the configuration."""
    limits = Limits(growing(failures, 300), (Limit(50, 300),), (Limit(1000, 300),))
    plan = Plan({"corp": CacheLifetime(60, grace)}, ("corp",), limits, 1)
    world.protection = world.protection.renewed(plan, secret=b"t" * 64, limits=limits, unchanged=unchanged)


def test_a_changed_configuration_keeps_what_it_must() -> None:
    """Cached logins and hashing while no source changed; a changed one is asked again, for each login."""
    world = World()
    assert (world.login(), world.directory.asked) == ("ann", 1)
    hashing = world.protection.hashing
    renewed(world)
    assert (world.login(), world.directory.asked) == ("ann", 1)
    renewed(world, unchanged=(), grace=30)
    assert (world.login(), world.login(), world.directory.asked) == ("ann", "ann", 2)
    assert world.protection.hashing is hashing


def test_failures_outlive_a_changed_configuration() -> None:
    """Under lower and higher limits, whether sources changed or not."""
    world = World()
    assert [world.login(password=f"{number}") for number in range(3)] == ["InvalidCredentials"] * 3
    renewed(world, failures=3, unchanged=())
    assert world.login() == "Throttled"
    renewed(world, failures=4)
    assert [world.login(password="x"), world.login(password="y")] == ["InvalidCredentials", "Throttled"]


def test_a_throttle_that_was_off() -> None:
    """Starts to count with the change that switches it on."""
    world = World(is_throttled=False)
    assert [world.login(password=f"{number}") for number in range(9)] == ["InvalidCredentials"] * 9
    renewed(world, failures=2)
    assert [world.login(password=f"{number}") for number in range(3)] == ["InvalidCredentials"] * 2 + ["Throttled"]


def test_circuit_breakers_of_unchanged_directories_stay_open() -> None:
    """One whose configuration changed may answer now, so it is asked."""
    world = World()
    before = world.protection._breakers["corp"]
    renewed(world)
    assert world.protection._breakers["corp"] is before
    renewed(world, unchanged=())
    assert world.protection._breakers["corp"] is not before


def test_limits_of_all_processes_together() -> None:
    """They are handed on; without shared counters there is nothing to hand on."""
    counters = Asked()
    plan = Plan({}, (), LIMITS, 1)
    limits = Limits(growing(2, 10), (), ())
    Protection(plan, secret=b"s", monotonic=lambda: 0.0, together=counters).limit_together(limits, repeat=7.0)
    assert (counters.limits, counters.asked) == (limits, [7.0])
    Protection(plan, secret=b"s", monotonic=lambda: 0.0).limit_together(limits, repeat=7.0)


def test_a_changed_password() -> None:
    """After a change the old password works at most for the lifetime, and the new one immediately.

    See docs/design/threats.md#threat-26.
    """
    world = World()
    world.login()
    world.directory.people["ann"] = "new"
    assert [world.login(), world.login(password="new")] == ["ann", "ann"]
    world.now += 60
    assert [world.login(), world.login(password="new")] == ["InvalidCredentials", "ann"]


def test_who_comes_as_a_check_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login that misses the cache just before it is filled, and finds no check to follow, is not checked again."""
    world = World()
    assert world.login() == "ann"
    monkeypatch.setattr(world.protection._remembered, "get", lambda _key: None)
    assert (world.login(), world.directory.asked) == ("ann", 1)
    world.now += 1
    assert (world.login(), world.directory.asked) == ("ann", 2)


def test_a_change_that_is_found_early_holds_for_all() -> None:
    """The one request that rechecks before expiry removes an entry that is no longer right."""
    world = World()
    world.login()
    world.directory.people["ann"] = "new"
    world.now += 50
    assert [world.login(), world.login()] == ["InvalidCredentials", "InvalidCredentials"]


def test_another_password_never_hits() -> None:
    """The right user with another password is checked, whatever is remembered (docs/design/threats.md#threat-26)."""
    world = World()
    world.login()
    assert (world.login(password="wrong"), world.login("anne", "right"), world.directory.asked) == (
        "InvalidCredentials",
        "InvalidCredentials",
        3,
    )


def test_throttled_before_anything_is_asked() -> None:
    """After five failures the directory sees no sixth one, which keeps it below its lockout threshold.

    See docs/design/threats.md#threat-21.
    """
    world = World()
    outcomes = [world.login(password=f"wrong-{number}") for number in range(20)]
    assert (outcomes, world.directory.asked) == (["InvalidCredentials"] * 5 + ["Throttled"] * 15, 5)
    assert (world.login(client=AWAY), world.directory.asked) == ("Throttled", 5)
    world.now += 300
    assert world.login(client=AWAY) == "ann"


def test_one_count_for_all_spellings() -> None:
    """Names with a domain that a source removes count for the user, and another domain's for somebody else."""
    world = World(directory=Directory({"ann": "right", "corp\\ann": "right", "other\\ann": "right"}))
    plan = Plan({}, ("corp",), LIMITS, 1, domains=("CORP", "corp.example.com"))
    world.protection = Protection(plan, secret=b"s" * 64, monotonic=lambda: world.now)
    for number, name in enumerate(
        ("ann", "CORP\\ann", "ann@CORP", "\uff21NN@corp.example.com", "corp.example.com\\Ann")
    ):
        world.directory.people[name.lower()] = "right"
        assert world.login(name, f"wrong-{number}") == "InvalidCredentials"
    assert [world.login(name) for name in ("ann", "CORP\\ann", "OTHER\\ann")] == [
        "Throttled",
        "Throttled",
        "other\\ann",
    ]


def test_who_is_remembered_passes_the_throttle() -> None:
    """A verified login needs no check, so there is nothing to throttle, from wherever.

    See docs/design/threats.md#threat-23.
    """
    world = World()
    world.login()
    for number in range(20):
        world.login(password=f"wrong-{number}", client=AWAY)
    assert [world.login(), world.login(client=AWAY)] == ["ann", "ann"]


def test_a_fresh_entry_outlives_a_throttled_refresh() -> None:
    """If the request that should recheck is throttled, the entry is still valid and is used."""
    world = World()
    world.login(client=AWAY)
    for number in range(20):
        world.login(password=f"wrong-{number}", client=HOME)
    world.now += 50
    assert (world.login(client=HOME), world.directory.asked) == ("ann", 6)


def test_post_then_get() -> None:
    """One wrong login that containerd tries twice is one failure, and one bind (docs/design/threats.md#bug-30)."""
    world = World()
    for number in range(4):
        assert [world.login(password=f"wrong-{number}") for _ in range(2)] == ["InvalidCredentials"] * 2
    assert (world.login(), world.directory.asked) == ("ann", 5)


def test_switched_off() -> None:
    """Without a throttle every wrong password is checked."""
    world = World(is_throttled=False)
    outcomes = {world.login(password=f"wrong-{number}") for number in range(20)}
    assert (outcomes, world.directory.asked) == ({"InvalidCredentials"}, 20)


def test_an_outage_without_grace() -> None:
    """After the lifetime, a directory that is down results in 503, and after three failures it is not asked."""
    world = World()
    world.login()
    world.directory.down = True
    world.now += 60
    assert [world.login() for _ in range(10)] == ["BackendUnavailable"] * 10
    assert world.directory.asked == 1 + 3
    assert world.protection.problem("corp") is not None
    world.directory.down = False
    world.now += 5
    assert (world.login(), world.protection.problem("corp")) == ("ann", None)


def test_an_outage_with_grace() -> None:
    """Grace keeps recently verified logins valid for that long, but no other user and no other password."""
    world = World(lifetime=CacheLifetime(60, 300))
    world.login()
    world.directory.down = True
    world.now += 60
    assert [world.login() for _ in range(10)] == ["ann (stale)"] * 10
    assert [world.login(password="wrong"), world.login("ben")] == ["BackendUnavailable"] * 2
    world.now += 300
    assert world.login() == "BackendUnavailable"


def test_an_outage_is_no_failure_of_a_user() -> None:
    """Whoever tries during an outage is not throttled after it."""
    world = World()
    world.directory.down = True
    for number in range(20):
        world.login(password=f"wrong-{number}")
    world.directory.down = False
    world.now += 5
    assert world.login() == "ann"


def test_grace_does_not_outlive_a_refusal() -> None:
    """Who was refused by the directory is not let in by its outage a moment later."""
    world = World(lifetime=CacheLifetime(60, 300))
    world.login()
    world.now += 60
    world.directory.people["ann"] = "new"
    assert world.login() == "InvalidCredentials"
    world.directory.down = True
    world.now += 20
    assert world.login() == "BackendUnavailable"


@pytest.mark.parametrize("seconds", [pytest.param(50, id="checked early"), pytest.param(60, id="past the lifetime")])
def test_no_grace_for_who_may_be_in_another_group(seconds: int) -> None:
    """A directory that tells a part of the groups does answer: no grace, no open breaker, and no word of before."""
    world = World(lifetime=CacheLifetime(60, 300))
    world.login()
    world.directory.is_incomplete = True
    world.now += seconds
    assert [world.login() for _ in range(5)] == ["Incomplete"] * 5
    assert world.protection.problem("corp") is None
    world.directory.is_incomplete = False
    assert world.login() == "ann"


def test_only_directories_are_sheltered() -> None:
    """An htpasswd file has no breaker: it cannot be down."""
    world = World()
    other = Directory({}, name="other")
    assert world.protection.sheltered(other) is other
    assert world.protection.problem("other") is None
    assert isinstance(world.protection.sheltered(world.directory), Sheltered)


def test_whatever_is_asked_is_sheltered() -> None:
    """The work of a wrong password for an unknown user is refused where that of a known one would be."""
    world = World()
    done: list[str] = []
    world.protection.through(world.directory, lambda: done.append("while it is up"))
    world.directory.down = True
    for _ in range(3):
        world.login("ben")
    with pytest.raises(BackendUnavailable):
        world.protection.through(world.directory, lambda: done.append("while it is down"))
    world.protection.through(Directory({}, name="a file"), lambda: done.append("of a file"))
    assert done == ["while it is up", "of a file"]


def test_what_is_done_for_an_outage_is_not_done_for_the_remembered() -> None:
    """A login that memory answers while the directory is down is a success, and as fast as one."""
    world = World(lifetime=CacheLifetime(60, 600))
    noted: list[str] = []

    @dataclass
    class Rest:
        def wrong(self, credentials: Password, number: int) -> None:
            noted.append(f"wrong {credentials.username} {number}")

        def unavailable(self, credentials: Password, name: str) -> None:
            noted.append(f"{name} for {credentials.username}")

    def login(user: str, password: str) -> str:
        sheltered = [world.protection.sheltered(world.directory)]
        chain = Chain(sheltered, anonymous=False, decoy=None, rest=Rest(), guard=world.protection)
        try:
            return chain.authenticate(Password(user, Secret(password)), HOME).subject
        except TokenserverError as error:
            return type(error).__name__

    assert login("ann", "right") == "ann"
    assert login("ann", "wrong") == "InvalidCredentials"
    world.now += 100
    world.directory.down = True
    assert (login("ann", "right"), login("ben", "x")) == ("ann", "BackendUnavailable")
    assert noted == ["wrong ann 0", "corp for ben"]


# --- no room to hash -------------------------------------------------------------------------------------------------


@dataclass
class Asked:
    """A stub for the counters that processes share; records its calls."""

    note: str | None = None
    limits: Limits = field(default_factory=lambda: Limits((), (), ()))
    asked: list[object] = field(default_factory=list)

    def limit(self, limits: Limits, *, repeat: float) -> None:
        self.limits = limits
        self.asked.append(repeat)

    def was_refused(self, counted: Counted) -> bool:
        self.asked.append(counted)
        return False

    def standing(self, counted: Counted) -> Standing | None:
        self.asked.append(counted)
        return None

    def failed(self, counted: Counted, *, is_good: bool) -> None:
        self.asked.append((counted, is_good))

    def succeeded(self, counted: Counted) -> None:
        self.asked.append(counted)


@dataclass
class Crowded:
    """An htpasswd file whose only hashing slot is taken or free, with no queue."""

    directories: tuple[str, ...] = ()
    now: float = 1000.0
    checked: int = 0
    counters: Asked = field(default_factory=Asked)

    def __post_init__(self) -> None:
        limits = Limits(growing(5, 300), (Limit(50, 300),), (Limit(1000, 300),))
        plan = Plan({"local": CacheLifetime(60)}, self.directories, limits, 1)
        self.protection = Protection(plan, secret=b"s", monotonic=lambda: self.now, together=self.counters)
        self.protection.hashing.queue = 0

    def login(self, password: str = "right", hold: Callable[[], object] = lambda: None) -> str:  # noqa: S107 - made up
        """The identity of ann, or the error; `hold` is called during the hash."""

        def check(_: Password) -> Identity:
            with self.protection.hashing:
                self.checked += 1
                hold()
                if password != "right":
                    raise InvalidCredentials("wrong password")
                return Identity("ann", Kind.PASSWORD, "local")

        try:
            return self.protection.login(Password("ann", Secret(password)), HOME, b"", check).subject
        except TokenserverError as error:
            return f"{type(error).__name__} {getattr(error, 'retry_after', '')}".strip()


def test_no_room_costs_nothing() -> None:
    """A login without a slot is rejected with a retry time before any counter is asked; it is not a failure.

    See docs/design/threats.md#fault-29.
    """
    crowd = Crowded()
    with crowd.protection.hashing:
        assert {crowd.login(f"guess-{number}") for number in range(20)} == {"Overloaded 4"}
    assert (crowd.counters.asked, crowd.checked, crowd.protection.hashing.rejected) == ([], 0, 20)
    assert crowd.login() == "ann"


def test_who_needs_no_room_is_answered_without_it() -> None:
    """Known logins, refused ones, and those whose check is under way."""
    crowd = Crowded()
    assert [crowd.login(), crowd.login("wrong")] == ["ann", "InvalidCredentials"]
    with crowd.protection.hashing:
        assert [crowd.login(), crowd.login("wrong"), crowd.login("other")] == [
            "ann",
            "InvalidCredentials",
            "Overloaded 4",
        ]
        crowd.now += 50  # the entry should be checked anew, and is good for as long as it cannot be
        assert crowd.login() == "ann"
        crowd.now += 10
        assert crowd.login() == "Overloaded 4"
    begun, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert may_end.wait(10)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(crowd.login, hold=hold)
        assert begun.wait(10)
        second = pool.submit(crowd.login)
        deadline = time.monotonic() + 10
        while crowd.protection._flights._free == FOLLOWERS and not second.done():
            assert time.monotonic() < deadline
            time.sleep(0.001)
        may_end.set()
        assert [first.result(), second.result(), crowd.checked] == ["ann", "ann", 3]


def test_a_directory_needs_no_room_to_hash() -> None:
    """If a directory may answer, it is not known in advance whether a hash is needed."""
    crowd = Crowded(directories=("corp",))
    credentials = Password("ann", Secret("right"))
    with crowd.protection.hashing:
        identity = crowd.protection.login(credentials, HOME, b"", lambda _: Identity("ann", Kind.PASSWORD, "corp"))
    assert (identity.source, len(crowd.counters.asked) > 0) == ("corp", True)


# --- htpasswd files that change --------------------------------------------------------------------------------------

FIRST = "$2b$04$" + "a" * 21 + "e" + "." * 31
SECOND = "$2b$04$" + "c" * 21 + "e" + "." * 31


def test_a_changed_line_is_another_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload immediately forgets the users whose line changed or was removed, and no others.

    See docs/design/threats.md#threat-26.
    """
    checked: list[str] = []

    def verify(password: str, hashed: str) -> bool:
        checked.append(hashed)
        return password == "right"

    monkeypatch.setattr("tokenserver.authn.htpasswd.verify.verify", verify)
    protection = Protection(Plan({"local": CacheLifetime(60)}, (), None, 1), secret=b"s", monotonic=lambda: 0.0)

    def work(lines: str) -> list[str]:
        """The number of hashes for ann and for ben, or the error, with the current file."""
        source = Htpasswd("local", "users", parse_users(lines, "users"), protection.hashing)
        chain = Chain([source], anonymous=False, decoy=None, guard=protection)
        found = []
        for user in ("ann", "ben"):
            before = len(checked)
            try:
                chain.authenticate(Password(user, Secret("right")))
                found.append(f"{len(checked) - before} hashed")
            except InvalidCredentials as error:
                found.append(error.reason)
        return found

    assert work(f"ann:{FIRST}\nben:{FIRST}\n") == ["1 hashed", "1 hashed"]
    assert work(f"# moved\nben:{FIRST}\nann:{FIRST}\n") == ["0 hashed", "0 hashed"]
    assert work(f"ann:{SECOND}\nben:{FIRST}\n") == ["1 hashed", "0 hashed"]
    assert work(f"ann:{SECOND}\n") == ["0 hashed", "unknown user"]


def test_a_login_is_forgotten_when_the_account_ends() -> None:
    """A remembered login ends at that very moment, not when its minute is over, and the failure counts.

    See docs/design/threats.md#threat-26.
    """
    end, moment = parse_end("2027-01-31").moment, 0.0
    limits = Limits(growing(3, 300), growing(1000, 300), growing(1000, 300))
    protection = Protection(
        Plan({"local": CacheLifetime(60, 600)}, (), limits, 1), secret=b"s", monotonic=lambda: moment - end
    )
    lines = (
        f"# tokenserver-account: ann: until 2027-01-31\nann:!{bcrypt.hashpw(b'right', bcrypt.gensalt(4)).decode()}\n"
    )
    source = Htpasswd("local", "users", parse_users(lines, "users"), protection.hashing, now=lambda: moment)
    chain = Chain([source], anonymous=False, decoy=None, guard=protection)
    login = Password("ann", Secret("right"))
    moment = end - 1
    assert chain.authenticate(login).subject == "ann"
    moment = end - 0.001
    assert chain.authenticate(login).subject == "ann"
    moment = end
    reasons = []
    for password in ("right", "guess", "other", "right"):
        try:
            chain.authenticate(Password("ann", Secret(password)))
        except InvalidCredentials as error:
            reasons.append(error.reason)
        except Throttled:
            reasons.append("throttled")
        moment += 11
    ended = "the account has expired (until 2027-01-31)"
    assert reasons == [ended, *[f"wrong password, and {ended}"] * 2, "throttled"]


def test_a_new_line_comes_before_what_a_later_source_said() -> None:
    """A user added to the first source belongs to it immediately, although the second one's answer is cached."""
    world = World()
    chain = Chain([world.directory], anonymous=False, decoy=None, guard=world.protection)
    login = Password("ann", Secret("right"))
    assert chain.authenticate(login).source == "corp"
    source = Htpasswd("local", "users", parse_users(f"ann:{FIRST}\n", "users"))
    both = Chain([source, world.directory], anonymous=False, decoy=None, guard=world.protection)
    with pytest.raises(InvalidCredentials):
        both.authenticate(login)
