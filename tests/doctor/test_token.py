"""Opening tokens without trusting them; no error repeats their text."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.doctor.token import MAX_TOKEN, UnreadableToken, open_unverified, read_claims, token_text
from tokenserver.scopes import Resource, Scope


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


TOKEN = f"{part({'alg': 'ES256', 'kid': 'k', 'x5c': ['AAE=']})}.{part({'sub': 'ann'})}.c2ln"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TOKEN, id="as it is"),
        pytest.param(f"  '{TOKEN}'\n", id="quoted"),
        pytest.param(f"Bearer {TOKEN}", id="with its scheme"),
        pytest.param(f"Authorization: Bearer {TOKEN}", id="a header"),
        pytest.param(json.dumps({"token": TOKEN}), id="an answer"),
        pytest.param(json.dumps({"token": 1, "access_token": TOKEN}), id="access_token"),
    ],
)
def test_pasted_forms(text: str) -> None:
    """The token is found in each of them."""
    assert token_text(text) == TOKEN


def test_the_parts() -> None:
    """Header, claims, signature and signing input."""
    opened = open_unverified(TOKEN)
    assert (opened.algorithm, opened.kid, opened.x5c) == ("ES256", "k", (b"\x00\x01",))
    assert (opened.claims, opened.signature) == ({"sub": "ann"}, b"sig")
    assert opened.signed.decode() == TOKEN.rpartition(".")[0]
    assert TOKEN.partition(".")[0] not in repr(opened)


@pytest.mark.parametrize(
    ("header", "chain"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"x5c": []}, (), id="empty"),
        pytest.param({"x5c": [1]}, (), id="a number"),
        pytest.param({"x5c": 1}, (), id="no list"),
        pytest.param({"x5c": ["*"]}, (), id="no base64"),
        pytest.param({"x5c": ["ü"]}, (), id="no ASCII"),
    ],
)
def test_chains(header: dict[str, object], chain: tuple[bytes, ...] | None) -> None:
    """An unreadable chain is not the same as no chain."""
    assert open_unverified(f"{part(header)}.{part({})}.").x5c == chain


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "is no token: a token has three parts", id="nothing"),
        pytest.param("a.b", "is no token: a token has three parts", id="two parts"),
        pytest.param("ä.b.c", "is no token: a token has three parts", id="no ASCII"),
        pytest.param("{}", "is no token: a token has three parts", id="an empty answer"),
        pytest.param("{", "is no token: its answer is no JSON", id="a cut answer"),
        pytest.param("*.b.c", "is no token: its header is not base64url", id="no base64"),
        pytest.param(f"{part([])}.b.c", "is no token: its header is no JSON object", id="a list"),
        pytest.param(f"{part({})}.bm8.c", "is no token: its claims is no JSON object", id="no JSON"),
        pytest.param(f"{part({})}.{part({})}.*", "is no token: its signature is not", id="signature"),
        pytest.param("x" * (MAX_TOKEN + 1), "is longer than", id="too long"),
    ],
)
def test_not_a_token(text: str, problem: str) -> None:
    """The error says what is missing."""
    with pytest.raises(UnreadableToken) as caught:
        open_unverified(text)
    assert str(caught.value).startswith(problem)


def error_of(text: str) -> str | None:
    try:
        open_unverified(text)
    except UnreadableToken as error:
        return str(error)
    return None


@given(st.text(max_size=60), st.lists(st.binary(max_size=20), min_size=3, max_size=3))
def test_any_text_is_opened_or_rejected(text: str, parts: list[bytes]) -> None:
    """No other exception escapes, and the error does not repeat the text."""
    encoded = ".".join(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in parts)
    for candidate in (text, encoded):
        said = error_of(candidate)
        assert said is None or len(candidate) < 8 or candidate not in said


def jwt(claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJ9.{body}.c2ln"


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
        pytest.param(jwt(CLAIMS).replace("c2ln", "<redacted>"), id="signature-redacted"),
    ],
)
def test_claims(text: str) -> None:
    """Subject, service, expiry, and the access that a registry would read."""
    found = read_claims(text)
    assert (found.subject, found.service, found.expires) == ("ann", "r", datetime(2027, 1, 15, 8, tzinfo=UTC))
    assert found.access == {Resource("repository", "a"): {"pull", "push"}}
    assert found.lacks(Scope(Resource("repository", "a"), frozenset({"pull", "delete"}))) == {"delete"}
    assert found.lacks(Scope(Resource("repository", "b"), frozenset({"pull"}))) == {"pull"}


@pytest.mark.parametrize("expires", [None, "soon", True, 1e300, float("nan")])
def test_token_without_a_usable_end(expires: object) -> None:
    """`expires` is None."""
    found = read_claims(jwt({"exp": expires, "access": None}))
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
        pytest.param("secret" * MAX_TOKEN, id="too-long"),
    ],
)
def test_not_readable_claims(text: str) -> None:
    """It is rejected, and the error does not repeat it."""
    with pytest.raises(UnreadableToken) as caught:
        read_claims(text)
    assert "secret" not in str(caught.value)


@given(
    st.text()
    | st.text().map(lambda text: f"a.{text}.c")
    | st.binary().map(lambda raw: f"a.{base64.urlsafe_b64encode(raw).decode()}.c")
)
def test_any_text_has_claims_or_is_rejected(text: str) -> None:
    """No other exception escapes."""
    try:
        assert read_claims(text).access is not None
    except UnreadableToken:
        return


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TOKEN[:20] + "\n" + TOKEN[20:], id="broken over lines"),
        pytest.param(TOKEN[:20] + "  " + TOKEN[20:], id="blanks"),
        pytest.param(f"{TOKEN}%", id="the shell's %"),
        pytest.param(f"{TOKEN}…", id="an ellipsis"),
    ],
)
def test_a_token_that_is_not_whole(text: str) -> None:
    """The message tells what happened when it was copied."""
    with pytest.raises(UnreadableToken, match="is not whole"):
        token_text(text)
