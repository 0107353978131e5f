"""Logins at a provider, from the button to the person: what is accepted, and everything hostile that is not."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest
from openid_world import REDIRECT, OpenIdWorld
from stored_credentials import NOW

from tokenserver.authn.oidc.authorization import ATTEMPT_SECONDS
from tokenserver.authn.oidc.refusals import NotOurLogin, RefusedByProvider, RefusedLogin
from tokenserver.credentials import Secret
from tokenserver.documents.base64url import encode_base64url
from tokenserver.errors import BackendUnavailable, InvalidCredentials
from tokenserver.identity import Kind


def test_a_login(world: OpenIdWorld) -> None:
    """The name in lower case, the groups without the slash of Keycloak, and what the provider calls both sessions."""
    found = world.log_in()
    identity = found.identity
    assert (identity.subject, identity.source, identity.kind) == ("ann", "sso", Kind.OIDC)
    assert identity.groups == {"devs", "web"}
    assert (found.person.sub, found.person.sid, found.next) == ("1-ann", "s1", "/account")
    assert world.source.find("ann") == identity


def test_what_the_provider_is_asked(world: OpenIdWorld) -> None:
    """The code flow with PKCE by S256, state and nonce; then the code with the verifier, and the client's secret."""
    begun = world.logins.begin(world.source, "/account")
    asked = parse_qs(urlsplit(begun.url).query)
    assert asked.keys() == {
        *("response_type", "client_id", "redirect_uri", "scope", "state", "nonce"),
        *("code_challenge", "code_challenge_method"),
    }
    assert (asked["response_type"], asked["code_challenge_method"]) == (["code"], ["S256"])
    assert (asked["redirect_uri"], asked["scope"]) == ([REDIRECT], ["openid profile email"])
    world.logins.finish(world.source, begun.cookie, world.fake.authorize(begun.url))
    ((form, authorization),) = world.fake.forms
    assert form.keys() == {"grant_type", "code", "redirect_uri", "code_verifier"}
    basic = base64.b64encode(f"tokenserver:{quote_plus('s3 cret')}".encode()).decode()
    assert authorization == f"Basic {basic}"
    assert begun.cookie.reveal() not in repr(begun)


def test_a_public_client(world: OpenIdWorld) -> None:
    """Says who it is in the form."""
    world.log_in(world.make(is_public=True))
    ((form, authorization),) = world.fake.forms
    assert (form["client_id"], authorization) == ("tokenserver", None)


def test_each_login_has_numbers_of_its_own(world: OpenIdWorld) -> None:
    """Nobody can guess them from another one."""
    urls = [parse_qs(urlsplit(world.logins.begin(world.source, "/account").url).query) for _ in range(2)]
    for name in ("state", "nonce", "code_challenge"):
        assert urls[0][name] != urls[1][name]
        assert len(urls[0][name][0]) == 43


def test_forged_and_replayed_answers(world: OpenIdWorld) -> None:
    """Only the browser that began a login ends it, once, at this provider, within ten minutes."""
    other = world.make(name="other")
    begun = world.logins.begin(world.source, "/account")
    answer = world.fake.authorize(begun.url)
    elsewhere = world.logins.begin(other, "/account")
    box = encode_base64url(b"\0\0\0\1" + bytes(60))
    for cookie, sent in [
        (None, answer),
        (Secret("x y"), answer),
        (Secret(box), answer),
        (elsewhere.cookie, answer),
        (world.logins.begin(world.source, "/account").cookie, answer),
        (begun.cookie, {**answer, "state": "forged"}),
        (begun.cookie, {**answer, "state": "\udcff"}),
        (begun.cookie, {"code": answer["code"]}),
        (begun.cookie, {**answer, "code": "code-9"}),
    ]:
        with pytest.raises(NotOurLogin):
            world.logins.finish(world.source, cookie, sent)
    world.logins.finish(world.source, begun.cookie, answer)
    with pytest.raises(NotOurLogin, match="not begun in this browser"):
        world.logins.finish(world.source, begun.cookie, answer)
    late = world.logins.begin(world.source, "/account")
    world.clock.now += ATTEMPT_SECONDS
    with pytest.raises(NotOurLogin):
        world.logins.finish(world.source, late.cookie, world.fake.authorize(late.url))


def test_mixed_up_issuers(world: OpenIdWorld) -> None:
    """An answer of another provider is none of ours; one that says so must say it always (RFC 9207)."""
    world.log_in(iss=world.fake.url)
    before = len(world.fake.forms)
    with pytest.raises(RefusedLogin) as caught:
        world.log_in(iss="https://evil.example.com")
    assert caught.value.reason == "the answer is that of another issuer"
    world.fake.document = {"authorization_response_iss_parameter_supported": True}
    source = world.make()
    world.log_in(source, iss=world.fake.url)
    with pytest.raises(RefusedLogin):
        world.log_in(source)
    assert len(world.fake.forms) == before + 1


@pytest.mark.parametrize(
    ("error", "shown"), [("access_denied", "access_denied"), ("<script>", "unknown"), ("x" * 65, "unknown")]
)
def test_an_error_of_the_provider(world: OpenIdWorld, error: str, shown: str) -> None:
    """Is shown if it is a code; nothing else of what was sent is."""
    with pytest.raises(RefusedByProvider) as caught:
        world.log_in(error=error, error_description="<b>")
    assert caught.value.values == {"error": shown}


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "another issuer": ({"iss": "https://evil.example.com"}, "that of another issuer"),
    "another audience": ({"aud": "account"}, "not for client_id alone"),
    "more audiences": ({"aud": ["tokenserver", "other"]}, "not for client_id alone"),
    "no audience": ({"aud": None}, "not for client_id alone"),
    "another client": ({"azp": "other"}, "its azp is not client_id"),
    "another nonce": ({"nonce": "other"}, "its nonce is another one"),
    "no nonce": ({"nonce": None}, "its nonce is another one"),
    "an access token": ({"typ": "Bearer"}, "its claim typ is not ID"),
    "a logout token": ({"events": {}}, "a logout token"),
    "expired": ({"exp": NOW - 31}, "has expired"),
    "of the future": ({"iat": NOW + 31}, "iat in the future"),
    "no sub": ({"sub": None}, "no sub"),
    "a long sub": ({"sub": "x" * 256}, "no sub"),
    "no name": ({"preferred_username": None}, "the name is empty"),
    "the name of a robot": ({"preferred_username": "robot:ci"}, "must not hold ':'"),
    "a wildcard": ({"preferred_username": "*"}, "a wildcard"),
    "a reserved name": ({"preferred_username": "Anonymous"}, "reserved"),
    "overage": ({"_claim_names": {"groups": "src1"}}, "in too many groups for a token"),
    "overage, in short": ({"hasgroups": True}, "in too many groups for a token"),
    "one group as text": ({"groups": "devs"}, "no list"),
    "numbers as groups": ({"groups": [1]}, "no list"),
    "very many groups": ({"groups": [str(number) for number in range(1001)]}, "no list"),
    "a group without a name": ({"groups": ["/"]}, "a group has a name that is empty"),
    "a group with a NUL": ({"groups": ["a\0b"]}, "holds a control character"),
    "an unverified address": ({"email_verified": "true"}, "not verified"),
    "another domain": ({"hd": "evil.example"}, "in another domain"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_id_tokens(world: OpenIdWorld, case: str) -> None:
    """Each is refused, and nobody is pinned by it."""
    changes: dict[str, Any] = {}
    if case == "an unverified address":
        changes = {"subject": "email"}
    elif case == "another domain":
        changes = {"hosted_domain": "example.com"}
    source = world.make(**changes)
    world.fake.claims, reason = HOSTILE[case]
    with pytest.raises(InvalidCredentials) as caught:
        world.log_in(source)
    assert reason in caught.value.reason
    assert world.people.listed() == []


def test_no_groups_at_all(world: OpenIdWorld) -> None:
    """Providers leave the claim out for a person in no group; a wildcard says which ones count."""
    world.fake.claims = {"groups": None}
    assert world.log_in().identity.groups == frozenset()
    world.fake.claims = {"groups": ["reg-a", "other", "REG-b"]}
    source = world.make(groups=type(world.source.provider.groups)("groups", ("reg-*",)))  # type: ignore[misc]  # not None
    assert world.log_in(source).identity.groups == {"reg-a", "REG-b"}
    assert world.log_in(world.make(groups=None)).identity.groups == frozenset()


def test_a_verified_address_and_the_right_domain(world: OpenIdWorld) -> None:
    """As at Google."""
    world.fake.claims = {"hd": "example.com"}
    source = world.make(subject="email", hosted_domain="example.com", groups=None)
    assert "hd=example.com" in world.logins.begin(source, "/account").url
    assert world.log_in(source).identity.subject == "ann@example.com"


def _no_token(world: OpenIdWorld) -> None:
    world.fake.answer = {"id_token": None}


def _huge(world: OpenIdWorld) -> None:
    world.fake.body = b" " * (1024 * 1024)


def _no_json(world: OpenIdWorld) -> None:
    world.fake.body = b"<html>"


def _failing(world: OpenIdWorld) -> None:
    world.fake.status, world.fake.body = 502, b"{}"


def _wrong_secret(world: OpenIdWorld) -> None:
    world.fake.status, world.fake.body = 401, b'{"error": "invalid_client"}'


@pytest.mark.parametrize(
    ("spoil", "error", "reason"),
    [
        (_no_token, RefusedLogin, "has no ID token"),
        (_huge, BackendUnavailable, "answers with too much"),
        (_no_json, BackendUnavailable, "a body that is not"),
        (_failing, BackendUnavailable, "status 502 and the error unknown"),
        (_wrong_secret, BackendUnavailable, "invalid_client; fix: compare client_id and client_secret_file"),
    ],
)
def test_a_provider_that_does_not_work(
    world: OpenIdWorld, spoil: Callable[[OpenIdWorld], None], error: type[Exception], reason: str
) -> None:
    """Nobody is let in, and the log says what is wrong."""
    spoil(world)
    with pytest.raises(error) as caught:
        world.log_in()
    assert reason in getattr(caught.value, "reason", "")


def test_a_provider_that_is_slow(world: OpenIdWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The login ends when the deadline does."""
    monkeypatch.setattr("tokenserver.authn.oidc.client.DEADLINE", 0.2)
    world.fake.seconds = 1.0
    with pytest.raises(BackendUnavailable, match="token endpoint: timeout"):
        world.log_in()


def test_a_provider_that_was_down_since_the_start(world: OpenIdWorld) -> None:
    """No login begins."""
    source = world.make(issuer="http://localhost:9")
    with pytest.raises(BackendUnavailable, match="could not be fetched yet"):
        world.logins.begin(source, "/account")
    world.fake.document = {"code_challenge_methods_supported": ["plain"]}
    with pytest.raises(BackendUnavailable, match="could not be fetched yet"):
        world.logins.begin(world.make(), "/account")


def test_a_signature_of_somebody_else(world: OpenIdWorld) -> None:
    """Is refused, as a JWT without one is."""
    for text in ("eyJhbGciOiJub25lIn0.e30.", world.fake.id_token()[:-4] + "AAAA"):
        with pytest.raises(InvalidCredentials):
            world.source.verified(Secret(text), nonce=None)
