"""Keys that come again in the same header: found by its tag, and never accepted where they would not be otherwise.

See docs/design/threats.md#threat-262.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Any

import pytest
from held_credentials import NOW, MemoryStorage, presented, stored, used
from hypothesis import given
from hypothesis import strategies as st
from some_ceilings import ceiling

from tokenserver.access_keys import RANDOM_BYTES, AccessKey, DeclaredSecret, compose_key, declare
from tokenserver.authn.authenticator import KeyAuthenticator, KeyUse
from tokenserver.authn.chain import Chain
from tokenserver.authn.robots.declared import DeclaredRobots
from tokenserver.authn.stored.backend import RECENT_SECONDS, StoredCredentials
from tokenserver.authn.stored.endings import Endings
from tokenserver.authn.stored.new_networks import NewNetworks
from tokenserver.authn.stored.owners import Owners
from tokenserver.authn.token_tags import tag_of
from tokenserver.credentials import AccessKeyForm, Key, Password, RefreshToken, Secret, UnreadSecret
from tokenserver.errors import AccountEnded, BackendUnavailable, InvalidCredentials, TokenserverError, UnusableAccessKey
from tokenserver.identity import Identity, Kind
from tokenserver.runtime.bounded_cache import BoundedCache

PERSONAL, ROBOT, REFRESH, SESSION = AccessKeyForm
CLIENTS = [ip_address("192.0.2.1"), ip_address("192.0.2.2"), ip_address("2001:db8::1")]
HOME = CLIENTS[0]
ANN = Identity("ann", Kind.PASSWORD, "first", frozenset({"web"}), proof=b"p1")
DECLARED = compose_key(ROBOT, bytes([200]) * RANDOM_BYTES)


@dataclass
class Machine:
    """A declared robot."""

    name: str
    secrets: tuple[DeclaredSecret, ...] = ()


@dataclass
class People:
    """A user source with one user, or why there is none."""

    name: str = "first"
    found: Identity | Exception | None = ANN

    def find(self, _subject: str) -> Identity | None:
        """See `KnownUsers.find`."""
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@dataclass
class Site:
    """Stored keys of ann and of a robot, one that a policy file declares, and all that can happen to them."""

    storage: MemoryStorage = field(default_factory=MemoryStorage)
    people: People = field(default_factory=People)
    robots: list[Machine] = field(default_factory=lambda: [Machine("ci", (declared(),))])
    now: float = NOW
    seconds: float = 1000.0
    client: Any = HOME
    reported: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.endings = Endings(self.storage.end)
        self.networks = NewNetworks(lambda _credential, _client, network: self.reported.append(str(network)))
        proof = {"proof": b"p1"}
        self.keys = [
            self.storage.add(stored(form, owner, idle=idle, **(proof if form is REFRESH else {})))
            for form, owner, idle in ((PERSONAL, "ann", None), (ROBOT, "robot:ci", None), (REFRESH, "ann", 60))
        ]
        self.reload()

    def reload(self, robots: list[Machine] | None = None) -> None:
        """Another snapshot, perhaps with other robots."""
        if robots is not None:
            self.robots = robots
        self.declared = DeclaredRobots(self.robots)
        owners = Owners((self.people,), lambda _: b"", self.declared)
        self.stored = StoredCredentials(
            self.storage, owners, self.endings, self.networks, monotonic=lambda: self.seconds
        )
        self.uses: BoundedCache[bytes, KeyUse] = BoundedCache(9)

    def ways(self) -> list[tuple[KeyAuthenticator, Key]]:
        """Every key, and what verifies it."""
        ways: list[tuple[KeyAuthenticator, Key]] = [(self.stored, presented(key)) for key in self.keys]
        return [*ways, (self.declared, presented(DECLARED, "ci"))]

    def outcomes(self, use: Callable[[KeyAuthenticator, Key], Identity]) -> list[object]:
        """What each key gets: the identity, or the class of the error: a refresh token that is refused may end."""
        found: list[object] = []
        for authenticator, key in self.ways():
            try:
                identity = use(authenticator, key)
                found.append((identity, identity.owner, identity.via, identity.services))
            except TokenserverError as error:
                found.append(type(error))
        return found

    def recalled(self) -> list[object]:
        """By the same header as before."""
        return self.outcomes(lambda one, key: used(one, key, self.client, self.now, self.uses))

    def fresh(self) -> list[object]:
        """By a header that nobody has seen."""
        return self.outcomes(lambda one, key: one.authenticate(key, self.client, self.now, BoundedCache(1)))

    def change(self, number: int, **more: Any) -> None:
        """Change what is stored of a key."""
        identifier = self.keys[number].id
        self.storage.change(identifier, credential=replace(self.storage.rows[identifier].credential, **more))

    def passes(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds
        self.seconds += seconds


def declared(networks: tuple[IPv4Network, ...] = ()) -> DeclaredSecret:
    """The secret of the robot, as a policy file declares it."""
    return declare(DECLARED, datetime.fromtimestamp(NOW + 90, UTC), networks)


NET = ip_network("192.0.2.0/31")
STEPS: dict[str, Callable[[Site, int], object]] = {
    "ended": lambda site, one: site.storage.change(site.keys[one].id, ended="lost"),
    "revived": lambda site, one: site.storage.change(site.keys[one].id, ended=None),
    "shortened": lambda site, one: site.change(one, ends=int(site.now) + one),
    "prolonged": lambda site, one: site.change(one, ends=int(site.now) + 3600),
    "narrowed": lambda site, one: site.change(one, ceiling=ceiling(("web/**", "pull"))),
    "moved": lambda site, one: site.change(one, networks=(NET,)),
    "for one registry": lambda site, one: site.change(one, services=frozenset({"registry"})),
    "storage down": lambda site, _: setattr(site.storage, "outage", True),
    "storage up": lambda site, _: setattr(site.storage, "outage", False),
    "disabled": lambda site, _: setattr(site.people, "found", AccountEnded("the account is disabled")),
    "locked": lambda site, _: setattr(site.people, "found", InvalidCredentials("the account is locked")),
    "gone": lambda site, _: setattr(site.people, "found", None),
    "another password": lambda site, _: setattr(site.people, "found", replace(ANN, proof=b"p2")),
    "another group": lambda site, _: setattr(site.people, "found", replace(ANN, groups=frozenset({"api"}))),
    "directory down": lambda site, _: setattr(site.people, "found", BackendUnavailable("first", "is down")),
    "back": lambda site, _: setattr(site.people, "found", ANN),
    "robots gone": lambda site, _: site.reload([]),
    "robots back": lambda site, _: site.reload([Machine("ci", (declared(),))]),
    "robot in its network": lambda site, _: site.reload([Machine("ci", (declared((IPv4Network("192.0.2.2/32"),)),))]),
    "a reload": lambda site, _: site.reload(),
    "a moment": lambda site, _: site.passes(0.3),
    "a second": lambda site, _: site.passes(RECENT_SECONDS),
    "minutes": lambda site, _: site.passes(150.0),
    "an hour": lambda site, _: site.passes(3600.0),
    "from home": lambda site, _: setattr(site, "client", CLIENTS[0]),
    "from a neighbour": lambda site, _: setattr(site, "client", CLIENTS[1]),
    "from elsewhere": lambda site, _: setattr(site, "client", CLIENTS[2]),
    "from an unknown address": lambda site, _: setattr(site, "client", None),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 2)), max_size=25))
def test_a_repeated_header_gets_what_a_new_one_gets(steps: list[tuple[str, int]]) -> None:
    """Whatever happens in whatever order, and from wherever the client calls."""
    site = Site()
    for step, one in [("a moment", 0), *steps]:
        STEPS[step](site, one)
        for _ in range(3):
            assert site.recalled() == site.fresh()


BREAKS = sorted(STEPS.keys() - {"revived", "prolonged", "storage up", "back", "robots back", "a reload", "a moment"})


@pytest.mark.parametrize("step", BREAKS)
def test_what_changes_is_seen_at_the_next_use(step: str) -> None:
    """Each change of the test above, with all keys recalled before it; an owner is looked up after a second."""
    site = Site()
    for _ in range(3):
        site.recalled()
    assert len(site.uses) == 4
    for one in range(3):
        STEPS[step](site, one)
    if step in {"disabled", "locked", "gone", "another password", "another group", "directory down"}:
        site.passes(RECENT_SECONDS)
    found = site.recalled()
    assert found == site.fresh()
    if step == "moved":
        site.client = CLIENTS[2]
        assert site.recalled()[:3] == [UnusableAccessKey] * 3


def test_keys_are_recalled_without_their_text() -> None:
    """Nothing reads, parses or hashes a key that is recalled; each use is recorded, and each new network reported."""
    site = Site()
    for _ in range(3):
        site.recalled()
    site.storage.touched.clear()
    for authenticator, key in site.ways():
        assert authenticator is not None
        use = site.uses.get(tag_of(f"{key.name}:{key.text.reveal()}"))
        assert use is not None
        assert use.again(HOME, site.now) is not None
    assert [identifier for identifier, *_ in site.storage.touched] == [key.id for key in site.keys]
    site.client = CLIENTS[2]
    site.recalled()
    assert site.reported == ["2001:db8::/48"] * 3


def test_a_key_that_is_used_once_is_not_kept() -> None:
    """A stored one comes into the cache at its second use."""
    site = Site()
    site.recalled()
    assert len(site.uses) == 1  # the declared one: there are few, and none is used once
    site.recalled()
    assert len(site.uses) == 4


class Sent:
    """A key or password as a header or form brings it again: `text` can be read only while `is_readable`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.is_readable = True

    def read(self) -> str:
        """The text."""
        assert self.is_readable
        return self.text

    def secret(self, header: str) -> Secret:
        """As a parser returns it."""
        return UnreadSecret(self.read, tag_of(f"{header}:{self.text}"))


def chain_of(site: Site) -> Chain:
    """The chain of the present snapshot."""
    return Chain((), anonymous=False, decoy=None, robots=site.declared, stored=site.stored, now=lambda: site.now)


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_the_chain_recalls_verified_keys(number: int) -> None:
    """Without reading the text; and no other secret is taken for it, nor the same one in another header."""
    site = Site()
    key = [*site.keys, DECLARED][number]
    chain, sent = chain_of(site), Sent(key.text.reveal())
    name = "" if number < 3 else "ci"
    wrap: Any = RefreshToken if key.form is REFRESH else lambda secret: Password(name, secret)
    first = [chain.authenticate(wrap(sent.secret("one")), HOME) for _ in range(3)]
    sent.is_readable = False
    assert [chain.authenticate(wrap(sent.secret("one")), HOME)] * 3 == first
    for text in ("password", other_secret(key)):
        with pytest.raises(InvalidCredentials):
            chain.authenticate(wrap(Sent(text).secret("two")), HOME)
    with pytest.raises(AssertionError):
        chain.authenticate(wrap(sent.secret("three")), HOME)


def test_another_snapshot_knows_no_uses() -> None:
    """A robot that policies do not declare any more is refused at its next use (docs/design/threats.md#threat-262)."""
    site = Site()
    sent = Sent(DECLARED.text.reveal())
    chain = chain_of(site)
    for _ in range(3):
        chain.authenticate(Password("ci", sent.secret("one")), HOME)
    site.reload([])
    with pytest.raises(InvalidCredentials, match="wrong user name or password"):
        chain_of(site).authenticate(Password("ci", sent.secret("one")), HOME)


def other_secret(key: AccessKey) -> str:
    """A well-formed key of the same form, with an id that nobody has."""
    return compose_key(key.form, bytes([77]) * RANDOM_BYTES).text.reveal()
