"""Probe tokens: for one registry, for a minute, and with no more access than the user has."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from doctor_worlds import SERVICE, ours_of, ring_of
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.credentials import Secret
from tokenserver.doctor.examination.visiting.probe import Probes, is_meant_for
from tokenserver.doctor.examination.visiting.requests import GivenToken
from tokenserver.doctor.token import open_unverified
from tokenserver.documents.base64url import encode_base64url
from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.scopes import MIN_LIFETIME, Access, Resource, Scope
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import TokenIssuer

OURS = ours_of()
REGISTRY = OURS.registries[0]
ANN = Identity("ann", Kind.PASSWORD)
WEB, DATA, CATALOG = Resource("repository", "web/x"), Resource("repository", "data"), Resource("registry", "catalog")


def given_token(*access: Access, identity: Identity = ANN, service: str = SERVICE) -> GivenToken:
    """A token of our server."""
    issuer = TokenIssuer(ring_of(), now=time.time, new_id=lambda: "the id in the audit log")
    return GivenToken.of(
        issuer.issue(identity, Registry(service, REGISTRY.issuer, Compat.UNIVERSAL, 900), access).text.reveal()
    )


def unsigned(brought: dict[str, object]) -> GivenToken:
    """A token with these claims that nobody signed."""
    parts = (encode_base64url(json.dumps(one).encode()) for one in ({"alg": "ES256"}, brought))
    return GivenToken.of(f"{'.'.join(parts)}.AAAA")


def pull(*resources: Resource) -> tuple[Access, ...]:
    """Access to pull and push."""
    return tuple(Access(one, frozenset({"pull", "push"})) for one in resources)


def wanted(*resources: Resource) -> tuple[Scope, ...]:
    """Scopes of `--scope`."""
    return tuple(Scope(one, frozenset({"pull", "push"})) for one in resources)


def claims(token: Secret) -> dict[str, Any]:
    """The claims of a token."""
    return dict(open_unverified(token.reveal()).claims)


@pytest.mark.parametrize(
    ("granted", "asked", "expected"),
    [
        pytest.param(pull(WEB, DATA), wanted(WEB), [("web/x", ["pull"])], id="what is wanted, to read"),
        pytest.param(pull(DATA), wanted(WEB), [], id="what was not granted"),
        pytest.param(pull(WEB), (), [], id="nothing is wanted"),
        pytest.param((), wanted(WEB), [], id="nothing was granted"),
    ],
)
def test_a_probe_has_the_least_access(
    granted: tuple[Access, ...], asked: tuple[Scope, ...], expected: list[tuple[str, list[str]]]
) -> None:
    """The registry may be hostile: what it gets can only read what the operator asked about."""
    found = claims(Probes(ring_of(), REGISTRY, 0.0, given_token(*granted), asked).least())
    assert [(one["name"], one["actions"]) for one in found["access"]] == expected


def test_a_probe_is_for_one_registry_and_a_minute() -> None:
    """Nobody else takes it, and it has the user and the id of the token that it is derived from."""
    found = claims(Probes(ring_of(), REGISTRY, 0.0, given_token(*pull(WEB)), ()).least())
    assert (found["aud"], found["iss"], found["sub"]) == (SERVICE, REGISTRY.issuer, "ann")
    assert 0 < found["exp"] - time.time() <= MIN_LIFETIME
    assert found["jti"] == "the id in the audit log"


def test_a_probe_is_valid_by_the_registry_s_clock() -> None:
    """Otherwise a clock that is wrong would look like a key that is unknown."""
    for skew in (0.0, 7200.0, -7200.0):
        found = claims(Probes(ring_of(), REGISTRY, skew, None, ()).least())
        assert found["nbf"] <= time.time() + skew < found["exp"]


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(None, id="none"),
        pytest.param(given_token(identity=ANONYMOUS), id="an anonymous one"),
    ],
)
def test_a_probe_without_a_login(token: GivenToken | None) -> None:
    """It is anonymous and allows nothing, whatever is wanted."""
    found = claims(Probes(ring_of(), REGISTRY, 0.0, token, wanted(WEB)).least(with_catalog=True))
    assert (found["access"], found.get("sub", "")) == ([], "")
    assert found["jti"]


@pytest.mark.parametrize(("with_catalog", "count"), [(False, 0), (True, 1)])
def test_the_catalog_is_only_for_a_zot(with_catalog: bool, count: int) -> None:
    """zot up to 2.1.2 wants access to it even for a login, and only what was granted is passed on."""
    granted = given_token(Access(CATALOG, frozenset({"*"})))
    found = claims(Probes(ring_of(), REGISTRY, 0.0, granted, ()).least(with_catalog=with_catalog))
    assert [one["name"] for one in found["access"]] == ["catalog"] * count


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        pytest.param(given_token(), True, id="for this registry"),
        pytest.param(given_token(service="other.example.com"), False, id="for another"),
        pytest.param(unsigned({}), False, id="for nobody"),
        pytest.param(unsigned({"aud": [SERVICE]}), False, id="for a list of registries"),
    ],
)
def test_is_meant_for(token: GivenToken, expected: bool) -> None:
    """Only a token that works nowhere else may be shown to the registry."""
    assert is_meant_for(token, REGISTRY) is expected


@given(
    st.dictionaries(st.sampled_from(["aud", "sub", "access", "jti"]), st.one_of(st.none(), st.text(), st.integers()))
)
def test_any_claims_make_a_probe(brought: dict[str, object]) -> None:
    """A token that is not trusted grants nothing by claims of other types, and is for nobody without our service."""
    token = unsigned(brought)
    assert is_meant_for(token, REGISTRY) == (brought.get("aud") in REGISTRY.names)
    assert claims(Probes(ring_of(), REGISTRY, 0.0, token, wanted(WEB)).least())["access"] == []
