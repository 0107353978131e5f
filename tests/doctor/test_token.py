"""Tokens are taken apart without being believed, and their text is in no error."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.doctor.token import MAX_TOKEN, UnreadableToken, open_unverified, token_text


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
def test_what_people_paste(text: str) -> None:
    """The token in it."""
    assert token_text(text) == TOKEN


def test_the_parts() -> None:
    """Header, claims, signature, and what it is over."""
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
    """One that is there and cannot be read is not the same as none."""
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
def test_what_is_no_token(text: str, problem: str) -> None:
    """The error says what is missing, and repeats nothing."""
    with pytest.raises(UnreadableToken) as refused:
        open_unverified(text)
    assert str(refused.value).startswith(problem)


def refusal_of(text: str) -> str | None:
    try:
        open_unverified(text)
    except UnreadableToken as error:
        return str(error)
    return None


@given(st.text(max_size=60), st.lists(st.binary(max_size=20), min_size=3, max_size=3))
def test_any_text_is_opened_or_refused(text: str, parts: list[bytes]) -> None:
    """Nothing but its own error ever leaves."""
    encoded = ".".join(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in parts)
    for candidate in (text, encoded):
        said = refusal_of(candidate)
        assert said is None or len(candidate) < 8 or candidate not in said
