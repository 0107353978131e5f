"""Parsing pasted challenges, as clients print them and as shells mangle them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.doctor.challenge import MAX_CHALLENGE, UnreadableChallenge, parse_challenge

REALM = "https://auth/token"


@pytest.mark.parametrize(
    ("text", "service", "scopes"),
    [
        pytest.param(
            f'Bearer realm="{REALM}",service="r",scope="repository:a/b:pull,push"',
            "r",
            ["repository:a/b:pull,push"],
            id="plain",
        ),
        pytest.param(f'Www-Authenticate: Bearer realm="{REALM}", service="r"\r\n', "r", [], id="header-name"),
        pytest.param(f'< www-authenticate: bearer realm="{REALM}"', "", [], id="curl"),
        pytest.param(f'\'Bearer realm="{REALM}",service="r"\'', "r", [], id="quoted-whole"),
        pytest.param(f"Bearer realm=“{REALM}”,service=“r”", "r", [], id="typographic-quotes"),
        pytest.param(
            f"Bearer realm={REALM},service=r,scope=repository:a:pull,push,error=insufficient_scope",
            "r",
            ["repository:a:pull,push"],
            id="quotes-lost",
        ),
        pytest.param(
            f'Bearer realm="{REALM}",scope="repository:a:pull repository:b:pull"',
            "",
            ["repository:a:pull", "repository:b:pull"],
            id="two-scopes",
        ),
        pytest.param(
            f'Bearer realm="{REALM}",scope="repository:a:pull",scope="repository:b:pull"',
            "",
            ["repository:a:pull", "repository:b:pull"],
            id="scope-twice",
        ),
        pytest.param(f'Bearer realm="{REALM}",service="a\\"b"', 'a"b', [], id="escaped-quote"),
        pytest.param(f'Bearer realm="{REALM}",service="",scope=""', "", [], id="empty-values"),
    ],
)
def test_challenge(text: str, service: str, scopes: list[str]) -> None:
    """Every form is parsed to the same challenge."""
    found = parse_challenge(text)
    assert (found.realm, found.service, [str(scope) for scope in found.scopes.scopes]) == (REALM, service, scopes)


def test_challenge_error_and_rejected_scope() -> None:
    """The registry's `error`, and scopes that are not valid names."""
    found = parse_challenge('Bearer realm="r",scope="repository:A:pull",error="insufficient_scope"')
    assert (found.error, [one.text for one in found.scopes.rejected]) == ("insufficient_scope", ["repository:A:pull"])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param('Basic realm="x"', id="basic"),
        pytest.param("Bearer", id="bare"),
        pytest.param('Bearer service="r"', id="no-realm"),
        pytest.param('Bearer realm="r" nonsense', id="rest"),
        pytest.param('Bearer realm="r', id="open-quote"),
        pytest.param("Bearer realm=" + "x" * MAX_CHALLENGE, id="too-long"),
    ],
)
def test_not_a_challenge(text: str) -> None:
    """It is rejected with a short message that does not repeat it."""
    with pytest.raises(UnreadableChallenge) as caught:
        parse_challenge(text)
    assert len(str(caught.value)) < 100


@given(st.text())
def test_any_text_is_a_challenge_or_rejected(text: str) -> None:
    """No other exception escapes."""
    for whole in (text, f"Bearer {text}"):
        try:
            assert parse_challenge(whole).realm is not None
        except UnreadableChallenge:
            continue
