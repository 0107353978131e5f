"""How the header names the key, for each kind of registry."""

from __future__ import annotations

import base64
import json

import pytest

from tokenserver.keys.ring import Algorithm, KeyRing
from tokenserver.tokens.claims import Compat
from tokenserver.tokens.jose_header import compat_problem, compat_warning, encoded_header, token_header


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_headers(rings: dict[Algorithm, KeyRing], algorithm: Algorithm) -> None:
    """Each kind of registry gets the only identifier of the key that it understands, and no other."""
    key = rings[algorithm].active
    base = {"typ": "JWT", "alg": algorithm.value}
    assert {compat.value: token_header(key, compat) for compat in Compat} == {
        "universal": {**base, "x5c": list(key.x5c)},
        "distribution2": {**base, "kid": key.libtrust_id},
        "distribution3": {**base, "kid": key.thumbprint},
        "jwks": {**base, "kid": key.thumbprint},
        "zot": {**base, "kid": key.thumbprint},
    }


@pytest.mark.parametrize("compat", list(Compat))
def test_encoded_header(rings: dict[Algorithm, KeyRing], compat: Compat) -> None:
    """The first part of a token is the header in base64url without padding."""
    key = rings[Algorithm.RS256].active
    text = encoded_header(key, compat)
    decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert "=" not in text
    assert json.loads(decoded) == token_header(key, compat)


def test_algorithms_that_a_kind_cannot_use() -> None:
    """Distribution 2 has no EdDSA: alone that is impossible, among both generations it is worth a warning.

    An old zot knows RS256 alone.
    """
    every = [(algorithm, compat) for algorithm in Algorithm for compat in Compat]
    problems = {pair: compat_problem(*pair) for pair in every if compat_problem(*pair) is not None}
    warnings = {pair: compat_warning(*pair) for pair in every if compat_warning(*pair) is not None}
    assert problems == {
        (Algorithm.EdDSA, Compat.DISTRIBUTION2): "Distribution 2 cannot verify EdDSA; sign with ES256 or RS256, or set"
        " compat to what the registry runs"
    }
    assert warnings == {
        (Algorithm.EdDSA, Compat.UNIVERSAL): "with EdDSA keys, compat: universal works with Distribution 3 alone;"
        " Distribution 2 needs ES256 or RS256",
        (Algorithm.ES256, Compat.ZOT): "zot verifies ES256 since 2.1.3; an older one needs RS256",
        (Algorithm.ES384, Compat.ZOT): "zot verifies ES384 since 2.1.3; an older one needs RS256",
        (Algorithm.EdDSA, Compat.ZOT): "zot verifies EdDSA since 2.1.3; an older one needs RS256",
    }
