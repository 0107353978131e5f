"""What a token says, and the independent judgement of it."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from built_claims import build_claims
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.scopes import ACTIONS, Access, Resource, in_order
from tokenserver.tokens.claims import Compat, Grant, Registry, difference, encoded_claims, granted_access

NOW = 1_801_396_800  # 2027-01-31 12:00 UTC
ANN = Identity("ann", Kind.PASSWORD, "htpasswd")
REGISTRY = Registry("registry.example.com", "auth.example.com", Compat.UNIVERSAL, 900)


def access(name: str, *actions: str, kind: str = "repository") -> Access:
    return Access(Resource(kind, name), frozenset(actions))


def entry(name: str, *actions: str, kind: str = "repository") -> dict[str, Any]:
    return {"type": kind, "name": name, "actions": list(actions)}


@pytest.fixture(params=["UTC", "Asia/Tokyo", "America/New_York"])
def timezone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The process runs in another time zone."""
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    if before is None:
        monkeypatch.delenv("TZ")
    else:
        monkeypatch.setenv("TZ", before)
    time.tzset()


@pytest.mark.usefixtures("timezone")
def test_exact_claims() -> None:
    """With a frozen clock every claim is known, in every time zone."""
    claims = build_claims(ANN, REGISTRY, [access("web/site", "push", "pull")], now=NOW, jti="id-1")
    assert claims == {
        "iss": "auth.example.com",
        "sub": "ann",
        "aud": "registry.example.com",
        "exp": NOW + 900,
        "nbf": NOW - 10,
        "iat": NOW - 10,
        "jti": "id-1",
        "access": [{"type": "repository", "name": "web/site", "actions": ["pull", "push"]}],
    }


def test_times_are_integers_in_json() -> None:
    """Distribution 2 refuses 1801396800.0."""
    text = encoded_claims(ANN, REGISTRY, [], now=NOW, jti="id-1")
    read = json.loads(text)
    assert "." not in re.sub(r'"[^"]*"', "", text)
    assert {name: type(read[name]) for name in ("exp", "nbf", "iat")} == {"exp": int, "nbf": int, "iat": int}


def test_anonymous_has_an_empty_subject() -> None:
    """Nobody is an empty text, not null and not a name."""
    assert build_claims(ANONYMOUS, REGISTRY, [], now=NOW, jti="id-1")["sub"] == ""


@pytest.mark.parametrize(
    ("granted", "expected"),
    [
        pytest.param([], [], id="nothing: an empty list, never null"),
        pytest.param([access("a")], [], id="a resource with nothing granted is left out"),
        pytest.param([access("a", "pull"), access("b")], [entry("a", "pull")], id="next to one with something"),
        pytest.param(
            [access("a", "delete", "push", "pull")], [entry("a", "pull", "push", "delete")], id="actions in order"
        ),
        pytest.param(
            [access("b", "pull"), access("a", "pull")], [entry("b", "pull"), entry("a", "pull")], id="order of asking"
        ),
        pytest.param(
            [access("a", "pull"), access("b", "pull"), access("a", "push")],
            [entry("a", "pull", "push"), entry("b", "pull")],
            id="one entry per resource",
        ),
        pytest.param(
            [access("catalog", "*", kind="registry")], [entry("catalog", "*", kind="registry")], id="the catalog"
        ),
        pytest.param(
            [access("catalog", "*", kind="registry"), access("catalog", "pull")],
            [entry("catalog", "*", kind="registry"), entry("catalog", "pull")],
            id="one name, two types",
        ),
    ],
)
def test_access_claim(granted: list[Access], expected: list[dict[str, Any]]) -> None:
    """The access claim has the shape that every registry reads."""
    assert build_claims(ANN, REGISTRY, granted, now=NOW, jti="id-1")["access"] == expected


@pytest.mark.parametrize("lifetime", [-1, 0, 59, 3601])
def test_lifetimes_that_are_refused(lifetime: int) -> None:
    """A token lives from one minute to one hour."""
    with pytest.raises(ValueError, match="from 60 to 3600 seconds"):
        Registry("r", "i", Compat.UNIVERSAL, lifetime)


@pytest.mark.parametrize("lifetime", [60, 3600])
def test_lifetime_bounds(lifetime: int) -> None:
    """Both bounds are allowed, and the lifetime counts from the true time, not from the one set back."""
    claims = build_claims(ANN, Registry("r", "i", Compat.UNIVERSAL, lifetime), [], now=NOW, jti="id-1")
    assert claims["exp"] - NOW == lifetime


@pytest.mark.parametrize(
    ("lifetime", "expected"),
    [
        pytest.param(None, 900, id="as-the-registry-says"),
        pytest.param(600, 600, id="shorter"),
        pytest.param(3600, 900, id="never-longer"),
        pytest.param(59, 60, id="never-below-what-clients-tolerate"),
        pytest.param(0, 60, id="nothing"),
    ],
)
def test_lifetime_of_a_grant(lifetime: int | None, expected: int) -> None:
    """A grant can shorten the registry's lifetime, and the judgement knows it."""
    grant = Grant(ANN, REGISTRY, (), NOW, "id-1", lifetime)
    claims = build_claims(ANN, REGISTRY, [], now=NOW, jti="id-1", lifetime=expected)
    assert claims["exp"] - NOW == grant.expires_in == expected
    assert difference(claims, grant) is None
    assert difference({**claims, "exp": NOW + 901}, grant) == "exp"


# --- the judgement --------------------------------------------------------------------------------------------

GRANT = Grant(ANN, REGISTRY, (access("web/site", "pull", "push"), access("b", "pull"), access("c")), NOW, "id-1")


def claims_of(grant: Grant) -> dict[str, Any]:
    return build_claims(grant.identity, grant.registry, grant.access, now=grant.now, jti=grant.jti)


def with_access(*entries: Any) -> dict[str, Any]:
    return {"access": list(entries)}


SITE, B = entry("web/site", "pull", "push"), entry("b", "pull")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({}, None, id="as decided"),
        pytest.param(with_access(B, SITE), None, id="entries in another order"),
        pytest.param(with_access(entry("web/site", "push", "pull"), B), None, id="actions in another order"),
        pytest.param({"iss": "auth.example.org"}, "iss", id="other issuer"),
        pytest.param({"sub": "bob"}, "sub", id="other subject"),
        pytest.param({"sub": ""}, "sub", id="no subject"),
        pytest.param({"sub": None}, "sub", id="null subject"),
        pytest.param({"aud": "other.example.com"}, "aud", id="other audience"),
        pytest.param({"aud": ["registry.example.com"]}, "aud", id="audience as a list"),
        pytest.param({"jti": "id-2"}, "jti", id="other id"),
        pytest.param({"exp": NOW + 901}, "exp", id="a second longer"),
        pytest.param({"exp": float(NOW + 900)}, "exp", id="float exp"),
        pytest.param({"exp": str(NOW + 900)}, "exp", id="exp as text"),
        pytest.param({"nbf": NOW}, "nbf", id="nbf not set back"),
        pytest.param({"iat": NOW - 11}, "iat", id="iat set back too far"),
        pytest.param({"iat": float(NOW - 10)}, "iat", id="float iat"),
        pytest.param(with_access(SITE), "access", id="a resource less"),
        pytest.param(with_access(SITE, B, entry("c", "pull")), "access", id="a resource more"),
        pytest.param(with_access(entry("web/site", "pull", "push", "delete"), B), "access", id="an action more"),
        pytest.param(with_access(entry("web/site", "pull"), B), "access", id="an action less"),
        pytest.param(with_access(entry("web/site", "pull", "*"), B), "access", id="another action"),
        pytest.param(with_access(entry("web/site2", "pull", "push"), B), "access", id="another name"),
        pytest.param(with_access(entry("web/site", "pull", "push", kind="registry"), B), "access", id="another type"),
        pytest.param(with_access(SITE, B, B), "access", id="an entry twice"),
        pytest.param(with_access(entry("web/site", "pull", "push", "push"), B), "access", id="an action twice"),
        pytest.param(with_access(SITE, B, entry("c")), "access", id="an entry without actions"),
        pytest.param(with_access(SITE, B, None), "access", id="null entry: Distribution 2 dies of it"),
        pytest.param(with_access(SITE, {**B, "class": "plugin"}), "access", id="a member more"),
        pytest.param(with_access(SITE, {"type": "repository", "name": "b"}), "access", id="no actions member"),
        pytest.param(with_access(SITE, {**B, "actions": None}), "access", id="null actions"),
        pytest.param(with_access(SITE, {**B, "actions": "pull"}), "access", id="actions as text"),
        pytest.param(with_access(SITE, {**B, "actions": ["pull", 1]}), "access", id="an action that is no text"),
        pytest.param(with_access(SITE, {**B, "name": 1}), "access", id="a name that is no text"),
        pytest.param({"access": None}, "access", id="null access"),
        pytest.param({"access": {}}, "access", id="access as a mapping"),
        pytest.param({"admin": True}, "admin", id="a claim more"),
    ],
)
def test_difference(change: dict[str, Any], expected: str | None) -> None:
    """Whatever a claim says other than decided is named; order says nothing."""
    assert difference({**claims_of(GRANT), **change}, GRANT) == expected


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "access"])
def test_a_missing_claim_is_a_difference(name: str) -> None:
    """Every claim is needed."""
    claims = claims_of(GRANT)
    del claims[name]
    assert difference(claims, GRANT) == name


def test_a_missing_access_claim_differs_from_nothing_granted() -> None:
    """Nothing granted is an empty list; no list is a mistake."""
    grant = Grant(ANN, REGISTRY, (), NOW, "id-1")
    claims = claims_of(grant)
    assert difference(claims, grant) is None
    del claims["access"]
    assert difference(claims, grant) == "access"


def test_an_action_that_no_registry_knows_is_a_difference() -> None:
    """A decision that cannot be said in a token makes no token, instead of one that says less."""
    grant = Grant(ANN, REGISTRY, (access("a", "pull", "admin"),), NOW, "id-1")
    assert difference(claims_of(grant), grant) == "access"


RESOURCES = st.builds(Resource, st.sampled_from(["repository", "registry"]), st.sampled_from(["a", "b", "web/site"]))
ACCESSES = st.lists(st.builds(Access, RESOURCES, st.frozensets(st.sampled_from(ACTIONS))), max_size=6)


@given(granted=ACCESSES, subject=st.text(max_size=20))
def test_built_claims_say_what_was_decided(granted: list[Access], subject: str) -> None:
    """Both ways, written apart, agree about every grant."""
    grant = Grant(Identity(subject, Kind.PASSWORD), REGISTRY, tuple(granted), NOW, "id-1")
    assert difference(claims_of(grant), grant) is None


@given(granted=ACCESSES, texts=st.tuples(*[st.text(st.characters(), max_size=20)] * 4))
def test_claims_are_encoded_as_by_the_library(granted: list[Access], texts: tuple[str, str, str, str]) -> None:
    """Whatever the texts hold, the JSON is to the letter what the general encoder writes."""
    subject, issuer, service, jti = texts
    registry = Registry(service, issuer, Compat.UNIVERSAL, 900)
    expected = {
        "iss": issuer,
        "sub": subject,
        "aud": service,
        "exp": NOW + 900,
        "nbf": NOW - 10,
        "iat": NOW - 10,
        "jti": jti,
        "access": [
            {"type": one.resource.type, "name": one.resource.name, "actions": in_order(one.actions)}
            for one in granted_access(granted)
        ],
    }
    text = encoded_claims(Identity(subject, Kind.PASSWORD), registry, granted, now=NOW, jti=jti)
    assert text == json.dumps(expected, separators=(",", ":"))


@given(granted=ACCESSES)
def test_granted_access_neither_adds_nor_loses(granted: list[Access]) -> None:
    """Merging keeps every pair of resource and action and makes none; one entry per resource, none empty."""
    merged = granted_access(granted)
    pairs = {(one.resource, action) for one in granted for action in one.actions}
    assert {(one.resource, action) for one in merged for action in one.actions} == pairs
    assert len({one.resource for one in merged}) == len(merged)
    assert all(one.actions for one in merged)


@given(granted=ACCESSES, other=ACCESSES)
def test_claims_of_one_grant_never_pass_for_another(granted: list[Access], other: list[Access]) -> None:
    """The judgement tells any two grants apart that do not grant the same."""
    one, two = (Grant(ANN, REGISTRY, tuple(accesses), NOW, "id-1") for accesses in (granted, other))
    same = set(granted_access(granted)) == set(granted_access(other))
    assert difference(claims_of(one), two) == (None if same else "access")


LIFETIMES = (("pull", 300), ("push", 3600), ("delete", 60))


@pytest.mark.parametrize(
    ("lifetimes", "granted", "expected"),
    [
        pytest.param((), [access("a", "push", "pull")], 900, id="none of its own"),
        pytest.param(LIFETIMES, [], 900, id="nothing granted"),
        pytest.param(LIFETIMES, [access("a", "pull")], 300, id="pull"),
        pytest.param(LIFETIMES, [access("a", "pull", "push")], 3600, id="push, which comes with pull"),
        pytest.param(LIFETIMES, [access("a", "pull", "push", "delete")], 60, id="delete"),
        pytest.param(LIFETIMES, [access("a", "pull"), access("b", "push")], 3600, id="push on another one"),
        pytest.param(LIFETIMES, [access("a", "*")], 60, id="a star may delete"),
        pytest.param(LIFETIMES, [access("catalog", "*", kind="registry")], 900, id="the catalog deletes nothing"),
        pytest.param(LIFETIMES, [access("catalog", "pull", kind="registry")], 900, id="no repository"),
        pytest.param((("push", 3600),), [access("a", "pull")], 900, id="pull, not named"),
        pytest.param((("push", 3600),), [access("a", "push", "delete")], 3600, id="delete, not named, with push"),
        pytest.param((("delete", 60),), [access("a", "push", "pull")], 900, id="no delete"),
    ],
)
def test_lifetimes_of_actions(lifetimes: tuple[tuple[str, int], ...], granted: list[Access], expected: int) -> None:
    """The strongest granted action with a lifetime of its own decides; everything that tells the time agrees."""
    registry = Registry("registry.example.com", "auth.example.com", Compat.UNIVERSAL, 900, lifetimes)
    grant = Grant(ANN, registry, tuple(granted), NOW, "id-1")
    claims = build_claims(ANN, registry, granted, now=NOW, jti="id-1")
    assert (grant.expires_in, claims["exp"]) == (expected, NOW + expected)
    assert difference(claims, grant) is None


@pytest.mark.parametrize("seconds", [59, 3601])
def test_lifetimes_of_actions_are_bounded(seconds: int) -> None:
    """As the one for all of them."""
    with pytest.raises(ValueError, match="60 to 3600"):
        Registry("a", "b", Compat.UNIVERSAL, 900, (("push", seconds),))


def test_the_audience_is_the_name_that_was_asked() -> None:
    """A registry that is set up under another of its names takes no other audience."""
    bridged = Registry("new.example.com", "auth.example.com", Compat.UNIVERSAL, 900, asked_as="old.example.com")
    claims = build_claims(ANN, bridged, [], now=NOW, jti="id-1")
    assert claims["aud"] == "old.example.com"
    assert difference(claims, Grant(ANN, bridged, (), NOW, "id-1")) is None
    assert difference({**claims, "aud": "new.example.com"}, Grant(ANN, bridged, (), NOW, "id-1")) == "aud"
