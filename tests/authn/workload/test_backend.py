"""Sources of workloads: which one verifies a JWT."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workload_jwts import AUDIENCE, CLAIMS, ISSUER, NOW, jwk, jwt, key_set, private_key

from tokenserver.authn.workload.algorithms import ALGORITHMS
from tokenserver.authn.workload.backend import WorkloadSource, WorkloadSources
from tokenserver.authn.workload.jwt_reader import RefusedJwt
from tokenserver.authn.workload.key_sets import IssuerKey, read_key_set
from tokenserver.authn.workload.presets import PRESETS, issuer_of_trust_domain
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
    for issuer in (OTHER, f"{ISSUER}/", ISSUER.upper(), "", 7, None):
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


def trust_domain(name: str, keys: Keys, domain: str, issuer: str = "", *audiences: str) -> WorkloadSource:
    """The source of a trust domain, by default without an issuer."""
    preset = PRESETS["spiffe"]
    trusted = TrustedIssuer(
        name,
        issuer or issuer_of_trust_domain(domain),
        frozenset(audiences or [AUDIENCE]),
        preset,
        frozenset(preset.algorithms),
        domain,
        max_age=3600,
    )
    return WorkloadSource(trusted, keys, now=lambda: NOW)


UNKNOWN = "the JWT has an iss that is no issuer of any workload source"
NO_DOMAIN = "the JWT has no iss, and a sub in a trust domain that no workload source without issuer has"


@pytest.mark.parametrize(
    ("claims", "number", "answer"),
    [
        pytest.param({"sub": "spiffe://example.org/web"}, 0, "a", id="the first domain"),
        pytest.param({"sub": "spiffe://other.example/web"}, 1, "b", id="the second domain"),
        pytest.param({"sub": "spiffe://other.example/web"}, 0, "the JWT has a wrong signature", id="by the first"),
        pytest.param({"sub": "spiffe://third.example/web"}, 0, NO_DOMAIN, id="a domain that only has an issuer"),
        pytest.param({"sub": "spiffe://fourth.example/web"}, 0, NO_DOMAIN, id="an unknown domain"),
        pytest.param({"sub": "repo:o/web"}, 0, "the JWT has no iss, and no sub in a trust domain", id="no SPIFFE ID"),
        pytest.param(
            {"sub": "spiffe://example.org"},
            0,
            "the JWT has a sub that is no SPIFFE ID of the trust domain",
            id="the domain itself",
        ),
        pytest.param({"sub": "spiffe://third.example/web", "iss": OTHER}, 2, "c", id="with an issuer"),
        pytest.param({"sub": "spiffe://example.org/web", "iss": ISSUER}, 0, UNKNOWN, id="an issuer where none is"),
        pytest.param({"sub": "spiffe://example.org/web", "iss": None}, 0, UNKNOWN, id="null is an issuer"),
        pytest.param(
            {"sub": "spiffe://example.org/web", "iss": OTHER},
            2,
            "the JWT has a sub that is no SPIFFE ID of the trust domain",
            id="another's issuer",
        ),
        pytest.param(
            {"sub": "spiffe://other.example/web", "iss": "spiffe://example.org"},
            0,
            "the JWT has a sub that is no SPIFFE ID of the trust domain",
            id="a trust domain as issuer",
        ),
    ],
)
def test_trust_domains_without_an_issuer(claims: dict[str, Any], number: int, answer: str) -> None:
    """The subject leads to one source, whose keys and trust domain have to be right.

    A source with an issuer is not reached by a subject, nor one without by an `iss`: docs/design/threats.md#threat-227
    """
    sources = WorkloadSources(
        [
            trust_domain("a", Keys(0), "example.org"),
            trust_domain("b", Keys(1), "other.example"),
            trust_domain("c", Keys(2), "third.example", OTHER),
        ]
    )
    said = {name: value for name, value in CLAIMS.items() if name != "iss"} | claims
    assert outcome(sources, jwt(said, key=private_key("ES256", number))) == answer


def test_one_trust_domain_for_two_sources() -> None:
    """They need different audiences, as two sources of one issuer do."""
    keys = Keys()
    one = trust_domain("a", keys, "example.org", "", "x")
    assert WorkloadSources([one, trust_domain("b", keys, "example.org", "", "y")]).issuers == {"spiffe://example.org"}
    with pytest.raises(ValueError, match="a and b have the same issuer and audience"):
        WorkloadSources([one, trust_domain("b", keys, "example.org", "", "x", "y")])


@given(
    st.sampled_from([None, ISSUER, OTHER, "spiffe://example.org", ""]),
    st.sampled_from(["spiffe://example.org/web", "spiffe://other.example/web", "spiffe://example.org", "repo:o/web"]),
    st.integers(0, 3),
)
def test_a_source_vouches_for_its_own(issuer: str | None, subject: str, number: int) -> None:
    """Whatever a JWT says: the source that vouches for it has its key, and its issuer or its trust domain."""
    sources = WorkloadSources(
        [
            trust_domain("a", Keys(0), "example.org"),
            trust_domain("b", Keys(1), "other.example"),
            source("c", Keys(2), ISSUER),
            source("d", Keys(3), OTHER),
        ]
    )
    said = {name: value for name, value in CLAIMS.items() if name != "iss"} | {"sub": subject}
    said |= {} if issuer is None else {"iss": issuer}
    found = outcome(sources, jwt(said, key=private_key("ES256", number)))
    own = {"a": ("spiffe://example.org/", None, 0), "b": ("spiffe://other.example/", None, 1)}
    if found in own:
        beginning, _, key = own[found]
        assert (subject.startswith(beginning), number) == (True, key)
        assert issuer in (None, beginning.rstrip("/"))
    elif found in ("c", "d"):
        assert (issuer, number) == ((ISSUER, 2) if found == "c" else (OTHER, 3))
    else:
        assert found.startswith("the JWT has ")


def test_the_identity_is_of_now() -> None:
    """For as long as the JWT is accepted from now on."""
    found = source("ci", Keys()).authenticate(Secret(jwt()))
    assert (found.sort, found.valid_for) == (Sort.WORKLOAD, 290 + 30)


def test_a_refused_jwt_is_a_wrong_credential() -> None:
    """For clients it is no different from a wrong password."""
    with pytest.raises(InvalidCredentials, match="wrong user name or password"):
        source("ci", Keys()).authenticate(Secret(jwt({**CLAIMS, "exp": 1})))
