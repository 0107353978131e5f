"""Challenges of registries, read strictly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.credential_helper.token_server.challenge import MAX_CHALLENGE, BearerChallenge, bearer_challenge

OURS = BearerChallenge("https://auth.example.com/token", "registry.example.com")
HEADER = 'Bearer realm="https://auth.example.com/token",service="registry.example.com"'


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([HEADER], id="usual"),
        pytest.param([f'{HEADER},scope="repository:a:pull,push",error="invalid_token"'], id="more parameters"),
        pytest.param([HEADER.replace("Bearer", "bEARER").replace("realm", "REALM")], id="case"),
        pytest.param([HEADER.replace(",", " , ").replace("=", " = ", 1)], id="blanks"),
        pytest.param([f", {HEADER},"], id="empty elements"),
        pytest.param(['Basic realm="x"', HEADER], id="two headers"),
        pytest.param([f'Basic realm="x", {HEADER}'], id="two in one header"),
        pytest.param([f"{HEADER}, Negotiate"], id="a scheme alone"),
        pytest.param([f"Negotiate YWJj==, {HEADER}"], id="token68"),
        pytest.param([HEADER.replace('"registry.example.com"', "registry.example.com")], id="unquoted"),
        pytest.param([HEADER.replace("https:", "https\\:")], id="escaped"),
    ],
)
def test_challenges(headers: list[str]) -> None:
    """In all the forms that RFC 9110 allows."""
    assert bearer_challenge(headers) == OURS


def test_no_service() -> None:
    """It is empty."""
    assert bearer_challenge(['Bearer realm="https://auth.example.com/token"']) == BearerChallenge(OURS.realm, "")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="no header"),
        pytest.param([""], id="empty"),
        pytest.param(['Basic realm="x"'], id="another scheme"),
        pytest.param(["Bearer"], id="no realm"),
        pytest.param(['Bearer realm=""'], id="empty realm"),
        pytest.param(['Bearer service="x"'], id="service alone"),
        pytest.param([HEADER, HEADER], id="two challenges"),
        pytest.param([f'{HEADER},realm="https://evil.example.com/token"'], id="realm twice"),
        pytest.param([f'Bearer realm="https://evil.example.com/token", {HEADER}'], id="two in one header"),
        pytest.param([f"{HEADER}x"], id="rubbish after the quotes"),
        pytest.param([HEADER[:-1]], id="no end"),
        pytest.param([HEADER.replace("/token", "/to\x00ken")], id="NUL"),
        pytest.param([HEADER.replace("/token", "/to\nken")], id="line feed"),
        pytest.param([f"{HEADER}, =x"], id="no name"),
        pytest.param([HEADER + " " * MAX_CHALLENGE], id="long"),
        pytest.param([HEADER, '"'], id="a broken one beside it"),
    ],
)
def test_no_challenge(headers: list[str]) -> None:
    """What is ambiguous or malformed names nobody."""
    assert bearer_challenge(headers) is None


@given(st.lists(st.text(max_size=60) | st.text('Bearer realm="x",=\\', max_size=60), max_size=3))
def test_any_header(headers: list[str]) -> None:
    """Any text is read or not."""
    found = bearer_challenge(headers)
    assert found is None or found.realm


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1), st.text("a-z.", max_size=9))
def test_what_is_quoted_is_read(realm: str, service: str) -> None:
    """All of it."""
    quoted = realm.replace("\\", "\\\\").replace('"', '\\"')
    assert bearer_challenge([f'Bearer realm="{quoted}",service="{service}"']) == BearerChallenge(realm, service)
