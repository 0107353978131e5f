"""The expiry of service-account tokens; `test_image_credentials.py` has the table of malformed ones."""

from __future__ import annotations

import pytest
from credential_requests import token_of, token_until
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.kubernetes.token_expiry import token_expiry


@pytest.mark.parametrize(
    ("payload", "moment"),
    [
        pytest.param(b'{"exp":1800003600}', 1_800_003_600, id="there"),
        pytest.param(b'{"exp":-5}', -5, id="negative"),
        pytest.param(b'{"iat":1800003600}', None, id="missing"),
        pytest.param(b'{"exp":true}', None, id="truth"),
        pytest.param(b'{"exp":"1800003600"}', None, id="text"),
        pytest.param(b'{"exp":1,"exp":2}', None, id="twice"),
        pytest.param(b"[]", None, id="no-object"),
    ],
)
def test_expiry(payload: bytes, moment: int | None) -> None:
    """An integer that is there once."""
    assert token_expiry(token_of(payload)) == moment


@given(st.integers(0, 10**12))
def test_every_moment(moment: int) -> None:
    """Whatever it is, in a token as clusters issue it."""
    assert token_expiry(token_until(moment)) == moment


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126))
    | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*", fullmatch=True)
)
def test_any_text(text: str) -> None:
    """No text of a token raises an error."""
    moment = token_expiry("".join(one for one in text if one.isascii()))
    assert moment is None or isinstance(moment, int)
