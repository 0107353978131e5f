"""Verification of JWTs: one thing wrong at a time, from a JWT that is accepted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workload_jwts import AUDIENCE, CLAIMS, ISSUER, NOW, jwk, jwt, key_set, private_key, without

from tokenserver.authn.workload.algorithms import ALGORITHMS
from tokenserver.authn.workload.jwt_reader import RefusedJwt, read_jwt
from tokenserver.authn.workload.key_sets import IssuerKey, IssuerKeySet, read_key_set
from tokenserver.authn.workload.presets import PRESETS
from tokenserver.authn.workload.trusted_issuer import TrustedIssuer
from tokenserver.authn.workload.verifier import VerifiedWorkload, verify
from tokenserver.errors import BackendUnavailable
from tokenserver.identity import Kind


class Fixed:
    """Keys that never change."""

    def __init__(self, keys: IssuerKeySet) -> None:
        self._keys = keys

    def key(self, key_id: str | None, algorithm: str) -> IssuerKey:
        """The key, or that it is unknown."""
        found = self._keys.find(key_id, algorithm)
        if found is None:
            raise RefusedJwt("has an unknown kid")
        return found


KEYS = Fixed(
    read_key_set(
        key_set(
            jwk(private_key("ES256"), "k"),
            jwk(private_key("RS256"), "k"),
            jwk(private_key("ES384"), "k"),
            jwk(private_key("ES512"), "k"),
            jwk(private_key("EdDSA"), "k"),
        )
    )
)


def trusted(**changes: Any) -> TrustedIssuer:
    """The issuer as configured."""
    settings: dict[str, Any] = {
        "name": "ci",
        "issuer": ISSUER,
        "audiences": frozenset({AUDIENCE}),
        "preset": PRESETS["none"],
        "algorithms": frozenset(ALGORITHMS),
    }
    return TrustedIssuer(**{**settings, **changes})


def verified(text: str, *, now: float = NOW, **changes: Any) -> VerifiedWorkload:
    """What comes out."""
    return verify(read_jwt(text), trusted(**changes), KEYS, now=now)


def reason(claims: Any, *, now: float = NOW, **changes: Any) -> str:
    """Why a JWT with these claims is refused; empty if it is not."""
    try:
        verified(jwt(claims), now=now, **changes)
    except RefusedJwt as error:
        return error.reason.removeprefix("the JWT ")
    return ""


def test_an_accepted_jwt() -> None:
    """Subject, claims, and the moment from which the same JWT is refused."""
    found = verified(jwt(), leeway=20)
    assert (found.source, found.subject, found.end) == ("ci", CLAIMS["sub"], CLAIMS["exp"] + 20)
    assert found.claims == {
        "iss": (ISSUER,),
        "aud": (AUDIENCE,),
        "sub": (CLAIMS["sub"],),
        "repository_id": ("74",),
        "ref_protected": ("true",),
    }
    assert "74" not in repr(found)


def test_the_identity() -> None:
    """A workload of its source with each value of its claims, for as long as the JWT is accepted."""
    found = verified(jwt({**CLAIMS, "groups": ["a", "b"]})).identity(NOW + 5)
    assert (found.subject, found.kind, found.source) == (f"workload:ci:{CLAIMS['sub']}", Kind.WORKLOAD, "ci")
    assert found.valid_for == 290 + 30 - 5
    assert {("groups", "a"), ("groups", "b"), ("repository_id", "74"), ("ref_protected", "true")} <= found.claims


def test_a_long_subject_is_cut() -> None:
    """In tokens and audit events, while policies compare all of it."""
    subject = "x" * 255
    found = verified(jwt({**CLAIMS, "sub": subject})).identity(NOW)
    assert found.subject == f"workload:ci:{'x' * 180}"
    assert ("sub", subject) in found.claims


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name[:2] != "RS" or name == "RS256"])
def test_every_algorithm(algorithm: str) -> None:
    """Of those that the source accepts, and no other."""
    text = jwt(algorithm=algorithm)
    assert verified(text, algorithms=frozenset({algorithm})).subject == CLAIMS["sub"]
    with pytest.raises(RefusedJwt) as caught:
        verified(text, algorithms=frozenset(ALGORITHMS) - {algorithm})
    assert caught.value.reason == "the JWT has an alg that is not accepted from its issuer"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(jwt(key=private_key("ES256", 1)), "has a wrong signature", id="by another key"),
        pytest.param(jwt(key_id="z"), "has an unknown kid", id="unknown kid"),
        pytest.param(jwt()[:-4] + "AAAA", "has a wrong signature", id="changed signature"),
        pytest.param(jwt().rpartition(".")[0] + ".", "has a wrong signature", id="no signature"),
        pytest.param(
            jwt({**CLAIMS, "sub": "other"}).rpartition(".")[0] + "." + jwt().rpartition(".")[2],
            "has a wrong signature",
            id="changed claims",
        ),
        pytest.param(
            jwt(header={"jwk": jwk(private_key("ES256", 1), "k")}, key=private_key("ES256", 1)),
            "has a wrong signature",
            id="a key in its header",
        ),
        pytest.param(jwt(header={"alg": "ES384"}), "has a wrong signature", id="another alg"),
    ],
)
def test_signatures(text: str, problem: str) -> None:
    """Only that of the issuer's key counts, over exactly this header and these claims."""
    with pytest.raises(RefusedJwt) as caught:
        verified(text)
    assert caught.value.reason == f"the JWT {problem}"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"exp": NOW - 29, "iat": NOW - 60}, "", id="expired within the leeway"),
        pytest.param({"exp": NOW - 30, "iat": NOW - 60}, "has expired", id="expired"),
        pytest.param({"exp": NOW - 10**6, "iat": NOW - 10**6 - 1}, "has expired", id="expired long ago"),
        pytest.param({"exp": None}, "has no exp that is an integer", id="exp null"),
        pytest.param({"exp": str(NOW + 9)}, "has no exp that is an integer", id="exp a text"),
        pytest.param({"exp": NOW + 9.5}, "has no exp that is an integer", id="exp a float"),
        pytest.param({"exp": True}, "has no exp that is an integer", id="exp a boolean"),
        pytest.param({"iat": [NOW]}, "has no iat that is an integer", id="iat a list"),
        pytest.param({"iat": NOW + 30, "nbf": NOW}, "", id="made within the leeway"),
        pytest.param({"iat": NOW + 31}, "has an iat in the future", id="made in the future"),
        pytest.param({"nbf": NOW + 30}, "", id="valid within the leeway"),
        pytest.param({"nbf": NOW + 31}, "is not valid yet: its nbf is in the future", id="not yet valid"),
        pytest.param({"nbf": None}, "has no nbf that is an integer", id="nbf null"),
        pytest.param({"nbf": "0"}, "has no nbf that is an integer", id="nbf a text"),
        pytest.param({"nbf": -5}, "", id="nbf long ago"),
        pytest.param({"exp": NOW - 10 + 86400}, "", id="a day"),
        pytest.param({"exp": NOW - 9 + 86400}, "has not 1 to 86400 s from iat to exp (max_age)", id="more than a day"),
        pytest.param({"exp": 10**400}, "has not 1 to 86400 s from iat to exp (max_age)", id="for ever"),
        pytest.param({"iat": NOW, "exp": NOW + 1}, "", id="a second"),
        pytest.param({"iat": NOW, "exp": NOW}, "has not 1 to 86400 s from iat to exp (max_age)", id="no time at all"),
        pytest.param({"iat": -(10**400)}, "has not 1 to 86400 s from iat to exp (max_age)", id="made long ago"),
        pytest.param({"aud": [AUDIENCE]}, "", id="audience in a list"),
        pytest.param({"aud": [AUDIENCE, AUDIENCE]}, "", id="audience twice"),
        pytest.param({"aud": "https://other.example.com"}, "is for another audience", id="another audience"),
        pytest.param({"aud": f"{AUDIENCE}/"}, "is for another audience", id="audience with a slash"),
        pytest.param({"aud": f"x {AUDIENCE}"}, "is for another audience", id="audience within a text"),
        pytest.param({"aud": [AUDIENCE, "x"]}, "is for other audiences as well", id="another audience, too"),
        pytest.param({"aud": []}, "has no aud", id="no audience"),
        pytest.param({"aud": None}, "has no aud", id="audience null"),
        pytest.param({"aud": {AUDIENCE: 1}}, "has no aud", id="audience an object"),
        pytest.param({"aud": [AUDIENCE, 1]}, "has no aud", id="audience with a number"),
        pytest.param({"aud": ""}, "is for another audience", id="audience empty"),
        pytest.param({"sub": ""}, "has no sub of 1 to 255 printable characters", id="subject empty"),
        pytest.param({"sub": "x"}, "", id="subject short"),
        pytest.param({"sub": "x" * 255}, "", id="subject long"),
        pytest.param({"sub": "x" * 256}, "has no sub of 1 to 255 printable characters", id="subject too long"),
        pytest.param({"sub": "a\nb"}, "has no sub of 1 to 255 printable characters", id="subject of two lines"),
        pytest.param({"sub": "a\u202eb"}, "has no sub of 1 to 255 printable characters", id="subject turned round"),
        pytest.param({"sub": 7}, "has no sub of 1 to 255 printable characters", id="subject a number"),
        pytest.param({"groups": ["x"] * 257}, "has a claim with more than 256 values", id="a long claim"),
    ],
)
def test_claims(changes: dict[str, Any], problem: str) -> None:
    """Each claim has to be right."""
    assert reason({**CLAIMS, **changes}) == problem


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        pytest.param("exp", "has no exp that is an integer", id="exp"),
        pytest.param("iat", "has no iat that is an integer", id="iat"),
        pytest.param("nbf", "", id="nbf"),
        pytest.param("aud", "has no aud", id="aud"),
        pytest.param("sub", "has no sub of 1 to 255 printable characters", id="sub"),
        pytest.param("repository_id", "", id="one of the issuer's own"),
    ],
)
def test_claims_that_are_missing(name: str, problem: str) -> None:
    """All but `nbf` have to be there."""
    assert reason(without(name)) == problem


def test_several_audiences() -> None:
    """Each of those that are configured, and together."""
    both = frozenset({AUDIENCE, "x"})
    assert reason({**CLAIMS, "aud": ["x", AUDIENCE]}, audiences=both) == ""
    assert reason({**CLAIMS, "aud": "x"}, audiences=both) == ""
    assert reason({**CLAIMS, "aud": ["x", "y"]}, audiences=both) == "is for other audiences as well"


def test_leeway_and_age_are_settings() -> None:
    """None and an hour, for example."""
    assert reason({**CLAIMS, "exp": NOW}, leeway=0) == "has expired"
    assert reason({**CLAIMS, "exp": NOW + 1}, leeway=0) == ""
    assert reason({**CLAIMS, "exp": NOW + 3591}, max_age=3600) == "has not 1 to 3600 s from iat to exp (max_age)"


@pytest.mark.parametrize(
    ("subject", "problem"),
    [
        pytest.param("spiffe://example.org/ns/web", "", id="of the trust domain"),
        pytest.param("spiffe://other.example/ns/web", "has a sub that is no SPIFFE ID of the trust domain", id="other"),
        pytest.param("web", "has a sub that is no SPIFFE ID of the trust domain", id="no SPIFFE ID"),
    ],
)
def test_spiffe(subject: str, problem: str) -> None:
    """A trust domain speaks for its own workloads alone."""
    assert reason({**CLAIMS, "sub": subject}, preset=PRESETS["spiffe"], trust_domain="example.org") == problem


def test_only_a_trust_domain_needs_no_issuer() -> None:
    """JWT-SVID, section 3: `iss` may be missing. Everywhere else it may not, whatever the subject looks like.

    docs/design/threats.md#threat-227
    """
    claims = {**without("iss"), "sub": "spiffe://example.org/ns/web"}
    assert reason(claims, preset=PRESETS["spiffe"], trust_domain="example.org") == ""
    for preset in PRESETS.values():
        assert reason(claims, preset=preset) == "has no iss"


def test_no_keys_is_no_answer() -> None:
    """Where nobody can tell, nothing is said about the JWT."""

    class Gone:
        def key(self, key_id: str | None, algorithm: str) -> IssuerKey:
            raise BackendUnavailable("ci", f"{key_id} for {algorithm} is not known")

    with pytest.raises(BackendUnavailable, match="k for ES256 is not known"):
        verify(read_jwt(jwt()), trusted(), Gone(), now=NOW)


def test_an_issuer_cannot_be_used_without_its_signature() -> None:
    """The order: nothing but the signature is looked at while it is wrong."""
    wrong = jwt({**CLAIMS, "exp": 0, "aud": "x", "sub": ""}, key=private_key("ES256", 1))
    with pytest.raises(RefusedJwt) as caught:
        verified(wrong)
    assert caught.value.reason == "the JWT has a wrong signature"


MOMENTS = st.integers(NOW - 100, NOW + 100)


@given(MOMENTS, MOMENTS, st.none() | MOMENTS, st.integers(0, 60), st.integers(1, 200))
def test_times(iat: int, exp: int, nbf: int | None, leeway: int, max_age: int) -> None:
    """Accepted is what is made, valid and not expired, each with the leeway, and not for too long."""
    claims = {**without("nbf"), "iat": iat, "exp": exp, **({} if nbf is None else {"nbf": nbf})}
    right = [exp + leeway > NOW, iat <= NOW + leeway, (nbf or 0) <= NOW + leeway, iat < exp, exp - iat <= max_age]
    assert (reason(claims, leeway=leeway, max_age=max_age) == "") is all(right)
