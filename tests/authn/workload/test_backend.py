"""Sources of workloads: which one verifies a JWT."""

from __future__ import annotations

from typing import Any

import pytest
from workload_jwts import AUDIENCE, CLAIMS, ISSUER, NOW, jwk, jwt, key_set, private_key

from tokenserver.authn.workload.algorithms import ALGORITHMS
from tokenserver.authn.workload.backend import WorkloadSource, WorkloadSources
from tokenserver.authn.workload.jwt_reader import RefusedJwt
from tokenserver.authn.workload.key_sets import IssuerKey, read_key_set
from tokenserver.authn.workload.presets import PRESETS
from tokenserver.authn.workload.trusted_issuer import TrustedIssuer
from tokenserver.credentials import Secret
from tokenserver.errors import InvalidCredentials
from tokenserver.identity import Sort

OTHER = "https://other.example.com"


class Keys:
    """The key of one issuer; `asked` counts."""

    def __init__(self, number: int = 0) -> None:
        self._keys = read_key_set(key_set(jwk(private_key("ES256", number), "k")))
        self.asked = 0

    def key(self, key_id: str | None, algorithm: str) -> IssuerKey:
        """It; no other one is asked for."""
        self.asked += 1
        found = self._keys.find(key_id, algorithm)
        assert found is not None
        return found


def source(name: str, keys: Keys, issuer: str = ISSUER, *audiences: str) -> WorkloadSource:
    """A source of this issuer for these audiences."""
    trusted = TrustedIssuer(
        name, issuer, frozenset(audiences or [AUDIENCE]), PRESETS["none"], frozenset(ALGORITHMS), max_age=3600
    )
    return WorkloadSource(trusted, keys, now=lambda: NOW)


def outcome(sources: WorkloadSources | WorkloadSource, text: str) -> str:
    """The source that vouches for it, or why it is refused."""
    try:
        return sources.authenticate(Secret(text)).source
    except RefusedJwt as error:
        return error.reason


def test_one_source() -> None:
    """It knows its own issuer alone, and looks at no key for another."""
    keys = Keys()
    one = source("ci", keys)
    assert (one.name, outcome(one, jwt())) == ("ci", "ci")
    asked = keys.asked
    for issuer in (OTHER, f"{ISSUER}/", ISSUER.upper(), 7, None):
        assert outcome(one, jwt({**CLAIMS, "iss": issuer})) == (
            "the JWT has an iss that is no issuer of any workload source"
        )
    assert outcome(one, "x.y") == "the JWT has not three parts"
    assert keys.asked == asked


def test_issuers_are_not_mixed_up() -> None:
    """A JWT is verified by the keys of the issuer that it names, and by no others."""
    mine, theirs = Keys(0), Keys(1)
    sources = WorkloadSources([source("a", mine), source("b", theirs, OTHER)])
    assert sources.issuers == {ISSUER, OTHER}
    assert outcome(sources, jwt()) == "a"
    assert outcome(sources, jwt({**CLAIMS, "iss": OTHER}, key=private_key("ES256", 1))) == "b"
    forged = jwt({**CLAIMS, "iss": OTHER}), jwt(key=private_key("ES256", 1))
    assert [outcome(sources, text) for text in forged] == ["the JWT has a wrong signature"] * 2
    before = mine.asked, theirs.asked
    unknown = jwt({**CLAIMS, "iss": "https://third.example.com"})
    assert outcome(sources, unknown) == "the JWT has an iss that is no issuer of any workload source"
    assert outcome(sources, "a.b") == "the JWT has not three parts"
    assert (mine.asked, theirs.asked) == before


@pytest.mark.parametrize(
    ("audience", "answer"),
    [
        pytest.param("a1", "a", id="of the first"),
        pytest.param(["a1", "a2"], "a", id="two of the first"),
        pytest.param("b1", "b", id="of the second"),
        pytest.param(["b1"], "b", id="of the second, in a list"),
        pytest.param(["a1", "b1"], "the JWT is for other audiences as well", id="of both"),
        pytest.param(["b1", "c"], "the JWT is for other audiences as well", id="another, too"),
        pytest.param("c", "the JWT is for another audience", id="another"),
        pytest.param([["a1"]], "the JWT has no aud", id="a list in a list"),
        pytest.param({}, "the JWT has no aud", id="an object"),
        pytest.param(None, "the JWT has no aud", id="null"),
    ],
)
def test_one_issuer_for_two_sources(audience: Any, answer: str) -> None:
    """The audience says which of them it is for."""
    sources = WorkloadSources([source("a", Keys(), ISSUER, "a1", "a2"), source("b", Keys(), ISSUER, "b1")])
    assert outcome(sources, jwt({**CLAIMS, "aud": audience})) == answer


def test_sources_that_cannot_be_told_apart() -> None:
    """The same issuer and audience in two sources is a fault of the configuration."""
    one, other = source("a", Keys(), ISSUER, "x", "y"), source("b", Keys(), ISSUER, "y", "z")
    with pytest.raises(ValueError, match="a and b have the same issuer and audience"):
        WorkloadSources([one, other])
    assert WorkloadSources([one, source("b", Keys(), OTHER, "y")]).issuers == {ISSUER, OTHER}


def test_the_identity_is_of_now() -> None:
    """For as long as the JWT is accepted from now on."""
    found = source("ci", Keys()).authenticate(Secret(jwt()))
    assert (found.sort, found.valid_for) == (Sort.WORKLOAD, 290 + 30)


def test_a_refused_jwt_is_a_wrong_credential() -> None:
    """For clients it is no different from a wrong password."""
    with pytest.raises(InvalidCredentials, match="wrong user name or password"):
        source("ci", Keys()).authenticate(Secret(jwt({**CLAIMS, "exp": 1})))
