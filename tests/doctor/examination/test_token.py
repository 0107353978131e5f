"""The examination of a token: what each registry makes of it, and what would help."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from doctor_worlds import ISSUER, NOW, SERVICE, ours_of, ring_of, setup_of

from tokenserver.doctor.examination.our_side import Side, Sides
from tokenserver.doctor.examination.registry_files import RegistryFiles
from tokenserver.doctor.examination.token import Baseline, examine_token
from tokenserver.doctor.facts import RegistryKind
from tokenserver.doctor.registry.verifiers import Trusted, expected_trust
from tokenserver.doctor.token import UnverifiedToken, open_unverified
from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.keys.ring import Algorithm, KeyRing
from tokenserver.scopes import Access, Resource, Scope
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import TokenIssuer

WEB = Resource("repository", "web/x")
ANN = Identity("ann", Kind.PASSWORD)


def token(
    *, ring: KeyRing | None = None, service: str = SERVICE, issuer: str = ISSUER, identity: Identity = ANN
) -> UnverifiedToken:
    """A token that may pull web/x, issued now."""
    made = TokenIssuer(ring or ring_of(), now=NOW.timestamp, new_id=lambda: "id")
    access = [Access(WEB, frozenset({"pull"}))]
    return open_unverified(made.issue(identity, Registry(service, issuer, Compat.UNIVERSAL, 900), access).text.reveal())


def baseline(files: RegistryFiles | None = None, **changes: Any) -> Baseline:
    """Our side with one registry, which the token is for."""
    side = Side(ours_of(), ring_of())
    found = Baseline(Sides(side, {SERVICE: side}), side.ours.registries[0], files, None, NOW)
    return replace(found, **changes)


def files(trusted: Trusted | None = None, **setup: Any) -> RegistryFiles:
    """The files of a registry that trusts our keys."""
    trust = expected_trust(ring_of(), "universal") if trusted is None else trusted
    return RegistryFiles(setup_of(**setup), None, None, trust)


def wrong(found: UnverifiedToken, compared: Baseline, *wanted: Scope, **more: Any) -> dict[str, bool | None]:
    """The checks that ask for something to be done."""
    return {one.check: one.ok for one in examine_token(found, compared, wanted, **more) if one.fix is not None}


@pytest.mark.parametrize("compared", [baseline(), baseline(files())], ids=["our side", "the registry's files"])
def test_a_good_token(compared: Baseline) -> None:
    """Nothing is to be done, and the first line says what it is."""
    wanted = Scope(WEB, frozenset({"pull"}))
    found = examine_token(token(), compared, [wanted])
    assert [one.check for one in found if one.fix is not None] == []
    assert found[0].check == "token"
    assert "for ann, signed by ES256, its key named by x5c" in found[0].message


@pytest.mark.parametrize(
    ("found", "compared", "check"),
    [
        pytest.param(token(issuer="evil"), baseline(), "issuer", id="another issuer"),
        pytest.param(token(service="other"), baseline(), "audience", id="another audience"),
        pytest.param(token(), baseline(at=NOW + timedelta(hours=2)), "time", id="expired"),
        pytest.param(token(ring=ring_of(number=5)), baseline(), "key", id="somebody else's key"),
        pytest.param(token(), baseline(files(issuer="else")), "issuer", id="as the registry's file says"),
        pytest.param(token(), baseline(files(service="else")), "audience", id="the registry's own service"),
        pytest.param(token(), baseline(files(Trusted())), "key", id="a registry that trusts nobody"),
    ],
)
def test_a_token_that_is_rejected(found: UnverifiedToken, compared: Baseline, check: str) -> None:
    """The check that fails, with its fix."""
    failures = wrong(found, compared)
    assert [one for one in failures if one.startswith(check)] != [], failures
    assert False in failures.values()


def test_access_that_is_missing() -> None:
    """Compared with what is wanted, and with the command that explains it for this user."""
    found = examine_token(token(), baseline(), [Scope(WEB, frozenset({"push"}))])
    (access,) = [one for one in found if one.fix is not None]
    assert "--user ann" in str(access.fix)
    anonymous = examine_token(token(identity=ANONYMOUS), baseline(), [Scope(WEB, frozenset({"push"}))])
    assert "for nobody (anonymous)" in anonymous[0].message
    assert any("--anonymous" in one.fix for one in anonymous if one.fix is not None)


def test_a_registry_that_may_be_any_of_ours() -> None:
    """Without a registry, every issuer and service of ours is right, and no other."""
    anywhere = baseline(registry=None)
    assert wrong(token(), anywhere) == {}
    assert [one for one in wrong(token(service="other"), anywhere) if one.startswith("audience")] != []


def test_the_service_of_the_challenge_counts() -> None:
    """A registry that is called otherwise accepts what it calls itself."""
    assert wrong(token(service="alias"), baseline(), service="alias") == {}


def test_a_zot_looks_at_neither_issuer_nor_audience() -> None:
    """It only verifies the signature and the times."""
    zot = baseline(kind=RegistryKind.ZOT)
    failures = wrong(token(issuer="else", service="else"), zot)
    assert [one for one in failures if one.startswith(("issuer", "audience"))] == []


def test_sides() -> None:
    """A registry with keys of its own is compared with those."""
    general, own = Side(ours_of(), ring_of()), Side(ours_of(ring_of(number=3)), ring_of(number=3))
    found = baseline(sides=Sides(general, {SERVICE: own}))
    assert (found.ours, found.ring) == (own.ours, own.ring)
    without = replace(found, registry=None)
    assert (without.ours, without.ring) == (general.ours, general.ring)


def test_another_issuer_is_the_servers_where_the_registry_expects_ours() -> None:
    """A running server with another configuration than this one; if its files say otherwise, the registry's."""
    (found,) = [one for one in examine_token(token(issuer="else"), baseline()) if one.check == "issuer"]
    assert str(found.fix).startswith("restart the token server, so that it signs as ")


def test_an_algorithm_that_the_registry_cannot_verify() -> None:
    """Another key would not help: the fix is another algorithm."""
    ring = ring_of(algorithm=Algorithm.EdDSA)
    side = Side(ours_of(), ring)
    compared = baseline(sides=Sides(side, {SERVICE: side}), kind=RegistryKind.DISTRIBUTION2)
    found = [one for one in examine_token(token(ring=ring), compared) if one.ok is False]
    assert [one.check for one in found] == ["key"]
    assert "tokenserver keys rotate --algorithm ES256" in str(found[0].fix)


def test_a_token_that_was_cut() -> None:
    """It is copied again; comparing keys would not help."""
    whole = token()
    found = [
        one for one in examine_token(replace(whole, signature=whole.signature[:-3]), baseline()) if one.ok is False
    ]
    assert [(one.check, str(one.fix).startswith("copy the whole token again")) for one in found] == [("key", True)]
