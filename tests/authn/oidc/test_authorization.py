"""The redirect and the answer: properties over whatever browsers and other programs send."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openid_world import PROVIDER

from tokenserver.authn.oidc.authorization import (
    MAX_CODE,
    Attempt,
    authorization_url,
    code_of_answer,
    logout_url,
    new_attempt,
    read_attempt,
    spelled_error,
)
from tokenserver.authn.oidc.metadata import ProviderMetadata
from tokenserver.authn.oidc.refusals import NotOurLogin, RefusedByProvider, RefusedLogin

METADATA = ProviderMetadata("https://sso.example.com/auth?a=b", "https://sso.example.com/token")
ATTEMPT = Attempt("state", "nonce", "verifier", "/account", 100)
texts = st.text(max_size=20)


@given(st.builds(Attempt, texts, texts, texts, texts, st.integers(0, 2**40)))
def test_an_attempt_is_read_as_it_was_written(attempt: Attempt) -> None:
    """Whatever is in it."""
    assert read_attempt(attempt.as_bytes()) == attempt


@given(st.binary(max_size=50) | st.sampled_from([b"{}", b'{"state":1}', ATTEMPT.as_bytes().replace(b"100", b'"1"')]))
def test_no_attempt(content: bytes) -> None:
    """What another version of the program has sealed is a login that has ended."""
    with pytest.raises(NotOurLogin):
        read_attempt(content)


@given(st.dictionaries(st.sampled_from(["state", "iss", "code", "error", "x"]), texts | st.just("state")))
def test_no_answer_without_the_state(answer: dict[str, str]) -> None:
    """A code is returned only with the right state, the right issuer if there is one, and no error."""
    try:
        code = code_of_answer(answer, ATTEMPT, PROVIDER, METADATA, now=0)
    except RefusedLogin:
        return
    assert answer["state"] == "state"
    assert answer["code"] == code
    assert "error" not in answer
    assert answer.get("iss", PROVIDER.issuer) == PROVIDER.issuer


def test_answers_without_a_code() -> None:
    """Or with one that is too long."""
    for code in ("", "x" * (MAX_CODE + 1)):
        with pytest.raises(RefusedLogin):
            code_of_answer({"state": "state", "code": code}, ATTEMPT, PROVIDER, METADATA, now=0)


@pytest.mark.parametrize(
    ("answer", "now", "kind"),
    [
        pytest.param({"state": "state", "code": "c"}, ATTEMPT.ends, NotOurLogin, id="too late"),
        pytest.param({"state": "other", "code": "c"}, 0, NotOurLogin, id="of another login"),
        pytest.param({"state": "state", "code": "c", "iss": "https://x.example.com"}, 0, RefusedLogin, id="issuer"),
        pytest.param({"state": "state", "error": "access_denied"}, 0, RefusedByProvider, id="an error"),
    ],
)
def test_answers_that_are_rejected(answer: dict[str, str], now: float, kind: type[RefusedLogin]) -> None:
    """Each for its own reason."""
    with pytest.raises(RefusedLogin) as caught:
        code_of_answer(answer, ATTEMPT, PROVIDER, METADATA, now=now)
    assert type(caught.value) is kind


def test_the_code_of_an_answer() -> None:
    """In time, with the right state and the issuer that the provider has."""
    answer = {"state": "state", "code": "c", "iss": PROVIDER.issuer}
    assert code_of_answer(answer, ATTEMPT, PROVIDER, METADATA, now=ATTEMPT.ends - 1) == "c"


def test_the_domain_is_asked_for() -> None:
    """If the settings name one, as for Google."""
    urls = (authorization_url(replace(PROVIDER, hosted_domain=one), METADATA, ATTEMPT) for one in ("example.com", None))
    assert [parse_qs(urlsplit(url).query).get("hd") for url in urls] == [["example.com"], None]


def test_urls_with_parameters_already() -> None:
    """They stay."""
    attempt = new_attempt("/account", now=0, random=bytes)
    for metadata in (METADATA, replace(METADATA, authorization="https://sso.example.com/auth")):
        query = parse_qs(urlsplit(authorization_url(PROVIDER, metadata, attempt)).query)
        assert query["client_id"] == ["tokenserver"]
        assert query.get("a", []) == (["b"] if "?" in metadata.authorization else [])
    assert logout_url(PROVIDER, METADATA, "https://auth.example.com/login") is None
    for end in ("https://sso.example.com/end", "https://sso.example.com/end?a=b"):
        url = logout_url(PROVIDER, replace(METADATA, end_session=end), "https://auth.example.com/login")
        assert url is not None
        assert parse_qs(urlsplit(url).query)["post_logout_redirect_uri"] == ["https://auth.example.com/login"]


@given(st.text() | st.integers() | st.none())
def test_errors_are_spelled_safely(error: object) -> None:
    """Letters, digits and underscores of ASCII, whatever was sent."""
    shown = spelled_error(error)
    assert shown.isascii()
    assert shown.replace("_", "").isalnum()
    assert len(shown) <= 64
