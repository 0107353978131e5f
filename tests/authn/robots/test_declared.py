"""Declared robots: who a key vouches for, and what its holder learns when it may not be used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

import pytest
from held_credentials import used
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.access_keys import RANDOM_BYTES, AccessKey, DeclaredSecret, compose_key, digest_of
from tokenserver.authn.authenticator import KeyUse
from tokenserver.authn.robots.declared import DeclaredRobots
from tokenserver.credentials import AccessKeyForm, Key, Secret
from tokenserver.errors import InvalidCredentials
from tokenserver.identity import Identity, Kind, Sort
from tokenserver.runtime.bounded_cache import BoundedCache

END = datetime(2027, 3, 1, tzinfo=UTC)
NOW = END.timestamp() - 86_400
HOME, AWAY = ip_address("10.1.2.3"), ip_address("192.0.2.1")


def key(number: int, form: AccessKeyForm = AccessKeyForm.ROBOT) -> AccessKey:
    """A key of its own for each number."""
    return compose_key(form, bytes([number]) * RANDOM_BYTES)


def declared(number: int, expires: datetime = END, networks: tuple[IPv4Network, ...] = ()) -> DeclaredSecret:
    """The declaration of that key."""
    return DeclaredSecret(key(number).id, digest_of(key(number).text), expires, networks)


@dataclass(frozen=True)
class Machine:
    """A robot of the policy files."""

    name: str
    secrets: tuple[DeclaredSecret, ...] = ()


ROBOTS = DeclaredRobots(
    [
        Machine("ci-web", (declared(1), declared(2, networks=(IPv4Network("10.0.0.0/8"),)))),
        Machine("token", (declared(3),)),
        Machine("idle"),
    ]
)


def typed(number: int, name: str = "", text: str | None = None) -> Key:
    """The key with the user name as typed; with another text, the right id alone."""
    one = key(number)
    return Key(one.form, one.id, one.text if text is None else Secret(text), name)


def outcome(
    credentials: Key,
    client: IPv4Address | IPv6Address | None = HOME,
    *,
    now: float = NOW,
    robots: DeclaredRobots = ROBOTS,
) -> str:
    """The subject and credential, or the error's class and reason."""
    try:
        identity = used(robots, credentials, client, now, BoundedCache(9))
    except InvalidCredentials as error:
        return f"{type(error).__name__}: {error.reason}"
    return f"{identity.subject} by {identity.credential}"


def test_the_identity_of_a_robot() -> None:
    """Its subject is never that of a user, and it knows which secret vouched."""
    assert used(ROBOTS, typed(1), None, NOW, BoundedCache(9)) == Identity(
        "robot:ci-web", Kind.ROBOT, "robots", credential=key(1).id
    )
    assert used(ROBOTS, typed(1), None, NOW, BoundedCache(9)).sort is Sort.ROBOT
    assert len(ROBOTS) == 3


@pytest.mark.parametrize(
    ("name", "is_right"),
    [
        pytest.param("", True, id="empty"),
        pytest.param("<token>", True, id="marker"),
        pytest.param("token", True, id="token"),
        pytest.param("ci-web", True, id="name"),
        pytest.param("CI-Web", True, id="name-folded"),
        pytest.param(" ci-web", True, id="name-with-blank"),
        pytest.param("robot/ci-web", True, id="with-sort"),
        pytest.param("robot:ci-web", False, id="subject"),
        pytest.param("ci-web2", False, id="longer"),
        pytest.param("idle", False, id="another-robot"),
        pytest.param("robot/idle", False, id="another-robot-with-sort"),
        pytest.param("ann", False, id="user"),
        pytest.param("robot/", False, id="no-name"),
    ],
)
def test_typed_names(name: str, *, is_right: bool) -> None:
    """The name has to fit, and never chooses who it is."""
    by = f"robot:ci-web by {key(1).id}"
    refused = f"UnusableAccessKey: account differs from robot:ci-web of access key {key(1).id}"
    assert outcome(typed(1, name)) == (by if is_right else refused)


def test_a_robot_may_be_called_token() -> None:
    """The name `token` fits every key, and still means the key's robot."""
    assert outcome(typed(1, "token")) == f"robot:ci-web by {key(1).id}"
    assert outcome(typed(3, "token")) == f"robot:token by {key(3).id}"


@pytest.mark.parametrize(
    ("credentials", "client", "now", "expected"),
    [
        pytest.param(typed(9), HOME, NOW, f"InvalidCredentials: unknown access key {key(9).id}", id="unknown"),
        pytest.param(
            typed(1, text=key(9).text.reveal()),
            HOME,
            NOW,
            f"InvalidCredentials: wrong secret of access key {key(1).id}",
            id="wrong",
        ),
        pytest.param(typed(2), HOME, NOW, f"robot:ci-web by {key(2).id}", id="network"),
        pytest.param(
            typed(2),
            AWAY,
            NOW,
            f"UnusableAccessKey: access key {key(2).id} of robot:ci-web is not valid from 192.0.2.1",
            id="elsewhere",
        ),
        pytest.param(
            typed(2),
            None,
            NOW,
            f"UnusableAccessKey: access key {key(2).id} of robot:ci-web is not valid from an unknown address",
            id="unknown-address",
        ),
        pytest.param(typed(1), None, NOW, f"robot:ci-web by {key(1).id}", id="unknown-address-without-networks"),
        pytest.param(typed(1), HOME, END.timestamp() - 0.001, f"robot:ci-web by {key(1).id}", id="last-moment"),
        pytest.param(
            typed(1),
            HOME,
            END.timestamp(),
            f"UnusableAccessKey: access key {key(1).id} of robot:ci-web expired on 2027-03-01 00:00 UTC",
            id="expired",
        ),
        pytest.param(
            typed(1, text=key(9).text.reveal()),
            HOME,
            END.timestamp(),
            f"InvalidCredentials: wrong secret of access key {key(1).id}",
            id="wrong-and-expired",
        ),
    ],
)
def test_answers(credentials: Key, client: IPv4Address | None, now: float, expected: str) -> None:
    """Possession first; what is wrong with a right key comes afterwards."""
    assert outcome(credentials, client, now=now) == expected


@pytest.mark.parametrize(
    ("credentials", "client", "now", "text"),
    [
        pytest.param(typed(9), HOME, NOW, "wrong user name or password", id="unknown"),
        pytest.param(typed(1, text=key(9).text.reveal()), HOME, NOW, "wrong user name or password", id="wrong"),
        pytest.param(
            typed(1, "ann"),
            HOME,
            NOW,
            "the access key has another user name; fix: use token as the user name",
            id="account",
        ),
        pytest.param(
            typed(1),
            HOME,
            END.timestamp() + 1,
            "the access key expired on 2027-03-01 00:00 UTC; fix: use a newer one",
            id="expired",
        ),
        pytest.param(
            typed(2),
            AWAY,
            NOW,
            "the access key is not valid from 192.0.2.1; fix: use it in its networks",
            id="elsewhere",
        ),
    ],
)
def test_what_the_client_learns(credentials: Key, client: IPv4Address | None, now: float, text: str) -> None:
    """The same text for unknown and wrong; nobody but the holder of the key learns anything about it or its robot."""
    with pytest.raises(InvalidCredentials) as caught:
        used(ROBOTS, credentials, client, now, BoundedCache(9))
    assert str(caught.value) == text
    assert "ci-web" not in str(caught.value)


def test_unknown_and_wrong_cost_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """One comparison with a digest each, so that the response time does not reveal which ids exist."""
    compared: list[int] = []
    matches = DeclaredSecret.matches

    def counted(self: DeclaredSecret, text: Secret) -> bool:
        compared.append(len(self.digest))
        return matches(self, text)

    monkeypatch.setattr(DeclaredSecret, "matches", counted)
    for credentials in (typed(9), typed(1, text="x"), typed(1)):
        compared.clear()
        outcome(credentials)
        assert compared == [32]


def test_a_key_of_another_form_is_wrong() -> None:
    """The digest covers the form: the same id and secret as a session is not the robot's key."""
    other = key(1, AccessKeyForm.SESSION)
    assert outcome(Key(AccessKeyForm.ROBOT, other.id, other.text, "")).startswith("InvalidCredentials: wrong secret")


def test_a_reload_replaces_the_whole() -> None:
    """A secret that left the tree is unknown to the next index."""
    after = DeclaredRobots([Machine("ci-web", (declared(2),))])
    assert outcome(typed(1), robots=after) == f"InvalidCredentials: unknown access key {key(1).id}"
    assert outcome(typed(2), robots=after) == f"robot:ci-web by {key(2).id}"
    assert outcome(typed(1), robots=DeclaredRobots([])) == f"InvalidCredentials: unknown access key {key(1).id}"


@given(
    st.sets(st.integers(1, 20)),
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from([HOME, AWAY, None]),
    st.integers(-2, 2),
)
def test_a_key_works_if_and_only_if_it_is_declared_right_and_valid(
    numbers: set[int], sent: int, identified: int, client: IPv4Address | None, days: int
) -> None:
    """Against an independent statement: id and text are those of one declared secret, before its end, from its network.

    Keys with even numbers are valid in 10.0.0.0/8 alone, and end a day later.
    """
    ends = {number: datetime(2027, 3, 1 + (number % 2 == 0), tzinfo=UTC) for number in numbers}
    network = (IPv4Network("10.0.0.0/8"),)
    machines = [
        Machine(f"robot-{number}", (declared(number, ends[number], network if number % 2 == 0 else ()),))
        for number in numbers
    ]
    now = END.timestamp() + days * 86_400
    found = outcome(typed(identified, text=key(sent).text.reveal()), client, now=now, robots=DeclaredRobots(machines))
    is_known = sent == identified and sent in numbers
    is_valid = is_known and now < ends[sent].timestamp() and (sent % 2 == 1 or client == HOME)
    assert (found == f"robot:robot-{sent} by {key(sent).id}") is is_valid
    assert found.startswith("UnusableAccessKey") is (is_known and not is_valid)


def test_a_stored_secret_of_a_declared_robot() -> None:
    """Its robot is always the same object; one that is not declared is rejected."""
    assert ROBOTS.robot("idle") == Identity("robot:idle", Kind.ROBOT, "robots")
    assert ROBOTS.robot("idle") is ROBOTS.robot("idle")
    with pytest.raises(InvalidCredentials) as caught:
        ROBOTS.robot("gone")
    assert caught.value.reason == "robot gone is not declared"


def test_which_ids_are_declared() -> None:
    """Those of every robot, and no other."""
    assert [key(number).id in ROBOTS for number in (1, 2, 3, 9)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("number", "client", "now", "is_valid"),
    [
        pytest.param(1, None, NOW, True, id="from anywhere"),
        pytest.param(1, None, END.timestamp(), False, id="expired"),
        pytest.param(2, HOME, NOW, True, id="in its network"),
        pytest.param(2, AWAY, NOW, False, id="elsewhere"),
    ],
)
def test_a_key_that_is_used_again(number: int, client: IPv4Address | None, now: float, *, is_valid: bool) -> None:
    """What was verified once is offered under the tag of its text; end and network are compared at each use."""
    uses = BoundedCache[bytes, KeyUse](9)
    one = key(number)
    tagged = Key(one.form, one.id, Secret(one.text.reveal(), b"tag"), "")
    identity = ROBOTS.authenticate(tagged, HOME, NOW, uses)
    use = uses.get(b"tag")
    assert use is not None
    assert use.again(client, now) == (identity if is_valid else None)


def test_a_key_without_a_tag_is_not_offered() -> None:
    """Such as one of a source that is asked for the first time."""
    uses = BoundedCache[bytes, KeyUse](9)
    ROBOTS.authenticate(typed(1), HOME, NOW, uses)
    assert len(uses) == 0
