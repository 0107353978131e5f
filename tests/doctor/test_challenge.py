"""What people paste: challenges and tokens, as clients print them and as shells mangle them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.doctor.challenge import MAX_PASTED, PastedError, parse_challenge, read_unverified
from tokenserver.scopes import Resource, Scope

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
    """Whatever form it comes in, it says the same."""
    found = parse_challenge(text)
    assert (found.realm, found.service, [str(scope) for scope in found.scopes.scopes]) == (REALM, service, scopes)


def test_challenge_error_and_rejected_scope() -> None:
    """What the registry said against the token, and what no name is."""
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
        pytest.param("Bearer realm=" + "x" * MAX_PASTED, id="too-long"),
    ],
)
def test_no_challenge(text: str) -> None:
    """It is refused, and not repeated."""
    with pytest.raises(PastedError) as caught:
        parse_challenge(text)
    assert len(str(caught.value)) < 100


@given(st.text())
def test_any_text_is_a_challenge_or_refused(text: str) -> None:
    """Nothing else happens."""
    for whole in (text, f"Bearer {text}"):
        try:
            assert parse_challenge(whole).realm is not None
        except PastedError:
            continue


def jwt(claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{body}.c2ln"


CLAIMS: dict[str, Any] = {
    "sub": "ann",
    "aud": "r",
    "exp": 1800000000,
    "access": [
        {"type": "repository", "name": "a", "actions": ["pull", 1]},
        {"type": "repository", "name": "a", "actions": ["push"]},
        {"type": "repository", "name": 1, "actions": ["push"]},
    ],
}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(jwt(CLAIMS), id="plain"),
        pytest.param(f"Bearer {jwt(CLAIMS)}\n", id="bearer"),
        pytest.param(f'"{jwt(CLAIMS)}"', id="quoted"),
        pytest.param(json.dumps({"token": jwt(CLAIMS)}), id="answer"),
        pytest.param(json.dumps({"access_token": jwt(CLAIMS)}), id="oauth-answer"),
        pytest.param(jwt({**CLAIMS, "aud": ["r"]}), id="audience-in-a-list"),
    ],
)
def test_token(text: str) -> None:
    """Who, for whom, until when, and what a registry would read of its access."""
    found = read_unverified(text)
    assert (found.subject, found.service, found.expires) == ("ann", "r", datetime(2027, 1, 15, 8, tzinfo=UTC))
    assert found.access == {Resource("repository", "a"): {"pull", "push"}}
    assert found.lacks(Scope(Resource("repository", "a"), frozenset({"pull", "delete"}))) == {"delete"}
    assert found.lacks(Scope(Resource("repository", "b"), frozenset({"pull"}))) == {"pull"}


@pytest.mark.parametrize("expires", [None, "soon", True, 1e300, float("nan")])
def test_token_without_a_usable_end(expires: object) -> None:
    """It says nothing about it then."""
    found = read_unverified(jwt({"exp": expires, "access": None}))
    assert (found.expires, found.access, found.subject) == (None, {}, "")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("secret.part", id="two-parts"),
        pytest.param("a.!secret.c", id="no-base64"),
        pytest.param("a._w.c", id="no-utf-8"),
        pytest.param(jwt(["secret"]), id="no-object"),
        pytest.param(jwt({"sub": 1}), id="subject"),
        pytest.param(jwt({"aud": ["secret", "b"]}), id="two-audiences"),
        pytest.param("{secret", id="no-json"),
        pytest.param("a." + base64.urlsafe_b64encode(b"[" * 9000).decode() + ".c", id="deep"),
        pytest.param("secret" * MAX_PASTED, id="too-long"),
    ],
)
def test_no_token(text: str) -> None:
    """It is refused, and none of it is repeated."""
    with pytest.raises(PastedError) as caught:
        read_unverified(text)
    assert "secret" not in str(caught.value)


@given(
    st.text()
    | st.text().map(lambda text: f"a.{text}.c")
    | st.binary().map(lambda raw: f"a.{base64.urlsafe_b64encode(raw).decode()}.c")
)
def test_any_text_is_a_token_or_refused(text: str) -> None:
    """Nothing else happens."""
    try:
        assert read_unverified(text).access is not None
    except PastedError:
        return
