"""Stored credentials end to end: possession, the gate, the owner of now, and what the identity is limited to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

import pytest
from held_credentials import NOW, MemoryStorage, presented, stored, used
from some_ceilings import ceiling

from tokenserver.access_keys import RANDOM_BYTES, AccessKey, DeclaredSecret, compose_key
from tokenserver.authn.authenticator import KeyUses
from tokenserver.authn.protection.guard import OWNER_SECONDS, Protection
from tokenserver.authn.protection.login_cache import CacheLifetime
from tokenserver.authn.protection.plan import Plan
from tokenserver.authn.robots.declared import DeclaredRobots
from tokenserver.authn.stored.backend import RECENT_SECONDS, StoredCredentials
from tokenserver.authn.stored.endings import Endings
from tokenserver.authn.stored.new_networks import NewNetworks
from tokenserver.authn.stored.owners import Owners
from tokenserver.credentials import AccessKeyForm, Secret
from tokenserver.errors import (
    AccountEnded,
    BackendUnavailable,
    InvalidCredentials,
    UnknownRefreshToken,
    UnusableAccessKey,
)
from tokenserver.identity import Identity, Kind, Sort
from tokenserver.runtime.bounded_cache import BoundedCache

KEY, ROBOT, REFRESH, SESSION = AccessKeyForm
HOME, ELSEWHERE = ip_address("192.0.2.1"), ip_address("198.51.100.1")
ANN = Identity("ann", Kind.PASSWORD, "first", frozenset({"web"}), proof=b"p1")
CLAIMS = frozenset({("repository_id", "74")})


@dataclass
class Users:
    """A user source; its users may be errors."""

    name: str = "first"
    users: dict[str, Identity | Exception] = field(default_factory=dict)
    outage: bool = False
    asked: list[str] = field(default_factory=list)
    stamps: dict[str, bytes] = field(default_factory=dict)
    namespaces: dict[str, str] = field(default_factory=dict)

    def find(self, subject: str) -> Identity | None:
        """See `KnownUsers.find`."""
        self.asked.append(subject)
        if self.outage:
            raise BackendUnavailable(self.name, "is down")
        found = self.users.get(subject)
        if isinstance(found, Exception):
            raise found
        return found

    def owner_of(self, namespace: str) -> str | None:
        """See `NamespaceOwner.owner_of`."""
        return self.namespaces.get(namespace)

    def stamp(self, username: str) -> bytes:
        """See `Stamped.stamp`."""
        return self.stamps.get(username, b"")


@dataclass
class Robot:
    """A declared robot without secrets."""

    name: str
    secrets: tuple[DeclaredSecret, ...] = ()


@dataclass
class Jobs:
    """A `WorkloadAuthenticator` that declares workloads by their claims."""

    declared: set[Any] = field(default_factory=lambda: {CLAIMS})

    def authenticate(self, _text: Secret, _verified: int | None = None) -> Identity:
        """No JWT is expected here."""
        raise AssertionError

    def require_declared(self, identity: Identity) -> None:
        """See `WorkloadAuthenticator.require_declared`."""
        if identity.claims not in self.declared:
            raise InvalidCredentials("is no declared workload")


class Clock:
    """Monotonic seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """Two user sources, the first of which knows ann, a robot, workloads, and a guard."""

    def __init__(self, *, cache: float = 600, grace: float = 0, guarded: bool = True) -> None:
        self.storage = MemoryStorage()
        self.first, self.second = Users(users={"ann": ANN}), Users("second")
        self.jobs, self.clock = Jobs(), Clock()
        self.robots = ["ci"]
        self.news: list[str] = []
        lifetimes = {name: CacheLifetime(cache, grace) for name in ("first", "second")}
        plan = Plan(lifetimes, (), None, hashers=1)
        self.guard = Protection(plan, secret=b"s", monotonic=self.clock) if guarded else None
        self.endings = Endings(self.storage.end)
        self.networks = NewNetworks(lambda credential, _, network: self.news.append(f"{credential.id} {network}"))
        self.credentials = self.reloaded()

    def reloaded(self, *sources: Users, workloads: bool = True, namespaces: bool = False) -> StoredCredentials:
        """The authenticator of another snapshot, which keeps what outlives one."""
        known = sources or (self.first, self.second)
        owners = Owners(
            known,
            lambda name: b"".join(source.stamp(name) for source in known),
            DeclaredRobots(map(Robot, self.robots)),
            self.jobs if workloads else None,
            known if namespaces else (),
            self.guard,
        )
        self.credentials = StoredCredentials(self.storage, owners, self.endings, self.networks, monotonic=self.clock)
        self.uses: KeyUses = BoundedCache(99)
        return self.credentials

    def use(self, key: AccessKey, client: Any = HOME, now: float = NOW) -> Identity:
        """One use of the key, which is recalled if it can be."""
        return used(self.credentials, presented(key), client, now, self.uses)

    def reason(self, key: AccessKey) -> str:
        """Why a use is refused."""
        with pytest.raises(UnusableAccessKey) as caught:
            self.use(key)
        return caught.value.reason


@pytest.fixture
def world() -> World:
    """A new one."""
    return World()


def test_a_personal_key_narrows_its_owner(world: World) -> None:
    """The person's groups and subject of now, a kind of its own, and the ceiling."""
    limit = ceiling(("web/**", "pull"), services={"registry"})
    key = world.storage.add(stored(KEY, ceiling=limit))
    found = world.use(key)
    assert (found.subject, found.source, found.groups, found.kind) == ("ann", "first", frozenset({"web"}), Kind.KEY)
    assert (found.ceiling, found.credential, found.owner, found.via) == (limit, key.id, "ann", "key")
    assert (found.sort, found.services) == (Sort.USER, None)
    assert world.storage.touched == [(key.id, NOW, HOME)]


def test_a_refresh_token_keeps_the_kind_of_its_login(world: World) -> None:
    """It may be used at its registries."""
    key = world.storage.add(stored(REFRESH, proof=b"p1", services=frozenset({"registry"})))
    found = world.use(key)
    assert (found.kind, found.via, found.services, found.credential) == (
        Kind.PASSWORD, "refresh", frozenset({"registry"}), key.id,
    )  # fmt: skip


def test_a_stored_robot(world: World) -> None:
    """It must be declared in the live policies, and has no groups of a source."""
    key = world.storage.add(stored(ROBOT, "robot:ci", ceiling=ceiling(("web/**", "push"))))
    found = world.use(key)
    assert (found.subject, found.kind, found.source, found.owner) == ("robot:ci", Kind.ROBOT, "robots", "robot:ci")
    assert (found.ceiling, found.via) == (ceiling(("web/**", "push")), "key")
    world.robots = ["other"]
    world.reloaded()
    assert world.reason(key) == f"access key {key.id} of robot:ci: robot ci is not declared"
    assert world.storage.ended == []


def test_a_session(world: World) -> None:
    """Claims are those that the issuer vouched for; a workload that is not declared any more has no session."""
    key = world.storage.add(stored(SESSION, "workload:github:repo", source="github", claims=CLAIMS))
    found = world.use(key)
    assert (found.subject, found.kind, found.source, found.claims) == (
        "workload:github:repo", Kind.WORKLOAD, "github", CLAIMS,
    )  # fmt: skip
    assert world.use(key) is found
    world.jobs.declared.clear()
    world.reloaded()
    assert "is no declared workload" in world.reason(key)
    world.reloaded(workloads=False)
    assert "no issuer of tokens is configured" in world.reason(key)


@pytest.mark.parametrize("form", [KEY, ROBOT, REFRESH, SESSION])
def test_unknown_and_wrong(world: World, form: AccessKeyForm) -> None:
    """Both look alike, and nothing is looked up or touched."""
    right = world.storage.add(stored(form))
    other = compose_key(form, bytes([99]) * RANDOM_BYTES)
    login = form in (REFRESH, SESSION)
    for key in (other, AccessKey(form, right.id, other.text)):
        with pytest.raises(UnknownRefreshToken if login else InvalidCredentials) as caught:
            world.use(key)
        assert not isinstance(caught.value, UnusableAccessKey)
        expected = "this server does not know the stored identity token" if login else "wrong user name or password"
        assert str(caught.value).startswith(expected)
    assert (world.first.asked, world.storage.touched) == ([], [])


def test_the_gate_comes_before_the_memory(world: World) -> None:
    """A key that works is refused from the moment at which it ends, whatever is remembered."""
    key = world.storage.add(stored(KEY))
    assert world.use(key, now=NOW + 3599.9).subject == "ann"
    with pytest.raises(UnusableAccessKey, match="expired on"):
        world.use(key, now=NOW + 3600)
    world.storage.change(key.id, ended="lost laptop")
    assert world.reason(key) == f"access key {key.id} of ann has ended: lost laptop"


def test_one_look_up_for_all_keys_of_a_person(world: World) -> None:
    """Within a minute, however long the source's passwords are remembered."""
    keys = [world.storage.add(stored(KEY)) for _ in range(3)]
    first = [world.use(key) for key in keys]
    assert world.first.asked == ["ann"]
    assert [world.use(key) for key in keys] == first
    assert all(world.use(key) is found for key, found in zip(keys, first, strict=True))
    world.clock.now += OWNER_SECONDS
    world.use(keys[0])
    assert world.first.asked == ["ann"] * 2


def test_a_group_that_is_lost(world: World) -> None:
    """Seen at the next look-up."""
    key = world.storage.add(stored(KEY))
    assert world.use(key).groups == {"web"}
    world.first.users["ann"] = replace(ANN, groups=frozenset())
    world.clock.now += OWNER_SECONDS
    assert world.use(key).groups == frozenset()


def test_a_changed_line_is_seen_immediately(world: World) -> None:
    """As at a login of a user of a file: the stamp is part of what the guard remembers across reloads."""
    key = world.storage.add(stored(KEY))
    world.use(key)
    world.first.users["ann"] = AccountEnded("the account is disabled")
    world.reloaded()
    assert world.use(key).subject == "ann"
    world.first.stamps["ann"] = b"!"
    world.reloaded()
    assert world.reason(key).endswith("the account is disabled")


ENDINGS: dict[str, tuple[Callable[[World], object], str]] = {
    "disabled": (lambda world: world.first.users.update(ann=AccountEnded("the account is disabled")), "is disabled"),
    "gone": (lambda world: world.first.users.clear(), "first has no user ann any more"),
    "another": (
        lambda world: world.first.users.update(ann=replace(ANN, subject="Ann")),
        "first has no user ann any more",
    ),
    "password": (lambda world: world.first.users.update(ann=replace(ANN, proof=b"p2")), "the password was changed"),
}


@pytest.mark.parametrize("case", ENDINGS)
def test_what_ends_a_refresh_token_for_good(world: World, case: str) -> None:
    """It does not come back when the account does (docs/design/threats.md#threat-159)."""
    happens, reason = ENDINGS[case]
    key = world.storage.add(stored(REFRESH, proof=b"p1"))
    world.use(key)
    happens(world)
    world.clock.now += OWNER_SECONDS
    with pytest.raises(UnusableAccessKey) as caught:
        world.use(key)
    assert caught.value.reason.endswith(reason)
    assert str(caught.value).startswith("the stored login has ended; fix: log out of the registry and in again")
    assert [(one, why.endswith(reason)) for one, why in world.storage.ended] == [(key.id, True)]
    world.first.users["ann"] = ANN
    world.clock.now += OWNER_SECONDS
    assert "has ended: " in world.reason(key)
    # Known here even if the storage has not been told, and in the next snapshot.
    world.storage.change(key.id, ended=None)
    world.reloaded()
    assert world.reason(key).endswith(reason)


@pytest.mark.parametrize("case", sorted(ENDINGS.keys() - {"password"}))
def test_a_personal_key_comes_back_with_its_owner(world: World, case: str) -> None:
    """All keys are refused while the owner is gone, but the rows are kept."""
    key = world.storage.add(stored(KEY))
    ENDINGS[case][0](world)
    with pytest.raises(UnusableAccessKey, match="the owner of the access key cannot log in now"):
        world.use(key)
    world.first.users["ann"] = ANN
    assert world.use(key).subject == "ann"
    assert world.storage.ended == []


TROUBLES: dict[str, Callable[[World], object]] = {
    "a lock, which anybody can cause": lambda w: w.first.users.update(ann=InvalidCredentials("the account is locked")),
    "no proof any more": lambda w: w.first.users.update(ann=replace(ANN, proof=b"")),
    "a source that is not configured": lambda w: w.reloaded(w.second),
    "a user of an earlier source": lambda w: (w.second.users.update(ann=ANN), w.reloaded(w.second, w.first)),
    "a locked user of an earlier source": lambda w: (
        w.second.users.update(ann=InvalidCredentials("locked")),
        w.reloaded(w.second, w.first),
    ),
    "a namespace of an earlier source": lambda w: (
        w.second.namespaces.update(ann="somebody"),
        w.reloaded(w.second, w.first, namespaces=True),
    ),
}


@pytest.mark.parametrize("case", TROUBLES)
def test_what_refuses_a_refresh_token_for_a_while(case: str) -> None:
    """It works again afterwards: the account has not ended."""
    world = World(cache=0)
    key = world.storage.add(stored(REFRESH, proof=b"p1"))
    world.use(key)
    TROUBLES[case](world)
    world.clock.now += RECENT_SECONDS
    assert world.reason(key).startswith(f"stored login {key.id} of ann: ")
    assert world.storage.ended == []
    world.first.users["ann"] = ANN
    world.reloaded(world.first)
    assert world.use(key).subject == "ann"


def test_an_empty_proof_proves_nothing(world: World) -> None:
    """A source that begins to say when passwords change says so because one did."""
    world.first.users["ann"] = replace(ANN, proof=b"")
    key = world.storage.add(stored(REFRESH, proof=b""))
    assert world.use(key).subject == "ann"
    world.first.users["ann"] = ANN
    world.clock.now += OWNER_SECONDS
    assert world.reason(key).endswith("the password was changed")


def test_a_directory_that_is_down() -> None:
    """As for a password: within the grace of the source the last answer counts, and says so; then nobody can tell."""
    world = World(cache=60, grace=30)
    key = world.storage.add(stored(REFRESH, proof=b"p1"))
    assert world.use(key).stale is False
    world.first.outage = True
    world.clock.now += 61
    assert world.use(key).stale is True
    world.clock.now += 30
    with pytest.raises(BackendUnavailable, match="first: is down"):
        world.use(key)
    assert world.storage.ended == []
    world.first.outage = False
    assert world.use(key).stale is False


def test_a_storage_that_is_down(world: World) -> None:
    """Cannot tell is never unknown."""
    key = world.storage.add(stored(KEY))
    world.storage.outage = True
    with pytest.raises(BackendUnavailable, match="storage: is down"):
        world.use(key)


def test_an_earlier_source_that_is_down_cannot_tell_whose_name_it_is(world: World) -> None:
    """As at a login by password."""
    key = world.storage.add(stored(KEY))
    world.second.outage = True
    world.reloaded(world.second, world.first)
    with pytest.raises(BackendUnavailable, match="second: is down"):
        world.use(key)


def test_a_use_from_another_network(world: World) -> None:
    """Reported once; and each use is recorded with its address."""
    key = world.storage.add(stored(REFRESH, proof=b"p1", created_from=str(HOME)))
    for client in (HOME, ELSEWHERE, HOME, ELSEWHERE):
        world.use(key, client)
    assert world.news == [f"{key.id} 198.51.100.0/24"]
    assert [client for _, _, client in world.storage.touched] == [HOME, ELSEWHERE, HOME, ELSEWHERE]


def test_another_version_is_another_identity(world: World) -> None:
    """What narrows a key is read again when its row has changed."""
    key = world.storage.add(stored(KEY))
    assert world.use(key).ceiling is None
    credential = replace(world.storage.rows[key.id].credential, ceiling=ceiling(("web/**", "pull")))
    world.storage.change(key.id, credential=credential)
    assert world.use(key).ceiling == ceiling(("web/**", "pull"))


def test_people_of_an_uncached_source_are_looked_up_each_time(world: World) -> None:
    """As at their logins by password."""
    key = world.storage.add(stored(KEY))
    owners = Owners((world.first,), world.first.stamp, DeclaredRobots(()))
    made = StoredCredentials(world.storage, owners, world.endings, world.networks, uncached=["first"])
    for _ in range(3):
        used(made, presented(key), HOME, NOW, world.uses)
    assert world.first.asked == ["ann"] * 3


def test_without_a_guard_the_owner_is_looked_up_each_second(world: World) -> None:
    """Uses within a second share one look."""
    unguarded = World(guarded=False)
    key = unguarded.storage.add(stored(KEY))
    assert [unguarded.use(key), unguarded.use(key)] == [world.use(world.storage.add(stored(KEY)))] * 2
    assert unguarded.first.asked == ["ann"]
    unguarded.clock.now += RECENT_SECONDS
    unguarded.use(key)
    assert unguarded.first.asked == ["ann"] * 2
