"""The signature of requests to hooks, verified as docs/login-hooks.md says."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.hooks.signature import HEADER, signature
from tokenserver.credentials import Secret


def test_a_known_one() -> None:
    """The form is public: other programs verify it."""
    expected = hmac.new(b"secret", b'1700000000.{"version":1}', hashlib.sha256).hexdigest()
    assert signature(Secret("secret"), b'{"version":1}', 1700000000) == f"t=1700000000,v1={expected}"
    assert HEADER == "Tokenserver-Signature"


@given(st.binary(max_size=20), st.integers(0, 2**40), st.binary(max_size=20), st.integers(0, 2**40))
def test_it_covers_the_body_and_the_time(body: bytes, now: int, other_body: bytes, other: int) -> None:
    """Another body or time has another signature, also where the digits of the time could be those of the body."""
    same = signature(Secret("s"), body, now) == signature(Secret("s"), other_body, other)
    assert same == ((body, now) == (other_body, other))
