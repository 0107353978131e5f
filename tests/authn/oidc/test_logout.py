"""Back-channel logout: what a logout token ends, and which tokens are none."""

from __future__ import annotations

from typing import Any

import pytest
from openid_world import OpenIdWorld
from stored_credentials import NOW
from workload_jwts import jwt, private_key

from tokenserver.authn.oidc.logout import BackChannelLogout
from tokenserver.authn.oidc.logout_token import EVENT, MAX_AGE
from tokenserver.credentials import Secret
from tokenserver.errors import BackendUnavailable, InvalidCredentials


class Ends:
    """What was ended, and which tokens were seen."""

    def __init__(self, world: OpenIdWorld) -> None:
        self.world = world
        self.ended: list[tuple[Any, ...]] = []
        self.seen: set[tuple[str, str]] = set()
        self.is_down = False
        self.logout = BackChannelLogout(seen=self, end_session=self._session, end_logins=self._logins, now=world.clock)

    def token(self, *, header: dict[str, Any] | None = None, **claims: Any) -> Secret:
        """A logout token with these claims more (None: left out)."""
        usual = {"iss": self.world.fake.url, "aud": "tokenserver", "iat": NOW, "jti": "j", "events": {EVENT: {}}}
        found = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return Secret(jwt(found, key=private_key("ES256"), key_id="k", header=header or {"typ": "logout+jwt"}))

    def end(self, token: Secret) -> None:
        """What the endpoint does."""
        self.logout.end(self.world.source, self.logout.read(self.world.source, token))

    def is_known(self, issuer: str, jti: str, /) -> bool:
        """See `SeenTokens`."""
        return (issuer, jti) in self.seen

    def is_new(self, issuer: str, jti: str, ends: int, /) -> bool:
        """See `SeenTokens`."""
        assert ends > NOW
        is_new = (issuer, jti) not in self.seen
        self.seen.add((issuer, jti))
        return is_new

    def _session(self, source: str, sid: str, /) -> None:
        self.ended.append((source, sid))

    def _logins(self, source: str, subject: str, _reason: str, /, *, sessions: bool = True) -> None:
        if self.is_down:
            raise BackendUnavailable("storage", "down")
        self.ended.append((source, subject, sessions))


@pytest.fixture
def ends(world: OpenIdWorld) -> Ends:
    """ann has logged in."""
    world.log_in()
    return Ends(world)


def test_the_session_of_a_person(ends: Ends) -> None:
    """Its browser sessions and the person's refresh tokens; without `sid`, all browser sessions of the person."""
    ends.end(ends.token(sub="1-ann", sid="s1"))
    assert ends.ended == [("sso", "s1"), ("sso", "ann", False)]
    ends.ended.clear()
    ends.end(ends.token(sub="1-ann", jti="k"))
    assert ends.ended == [("sso", "ann", True)]
    ends.ended.clear()
    ends.end(ends.token(sid="s1", jti="l", header={"typ": "JWT"}))
    assert ends.ended == [("sso", "s1")]
    ends.ended.clear()
    ends.end(ends.token(sub="2-bob", jti="m"))
    assert ends.ended == []


def test_a_token_is_accepted_once(ends: Ends) -> None:
    """A second one with the same `jti` is a replay."""
    ends.end(ends.token(sub="1-ann"))
    with pytest.raises(InvalidCredentials) as caught:
        ends.end(ends.token(sub="1-ann", sid="s1"))
    assert caught.value.reason == "the logout token was used before"


def test_a_logout_that_failed_can_be_repeated(ends: Ends) -> None:
    """The provider sends the same token again after a 503; a refusal would leave the person logged in."""
    ends.is_down = True
    with pytest.raises(BackendUnavailable):
        ends.end(ends.token(sub="1-ann"))
    ends.is_down = False
    ends.end(ends.token(sub="1-ann"))
    assert ends.ended == [("sso", "ann", True)]
    with pytest.raises(InvalidCredentials):
        ends.end(ends.token(sub="1-ann"))


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://evil.example.com"}, "another issuer"),
        ({"aud": "other"}, "not for client_id alone"),
        ({"events": None}, "no event of back-channel logout"),
        ({"events": {"other": {}}}, "no event of back-channel logout"),
        ({"events": {EVENT: True}}, "no event of back-channel logout"),
        ({"nonce": "n"}, "has a nonce"),
        ({"iat": None}, "no iat"),
        ({"iat": NOW - MAX_AGE - 31}, "not of now"),
        ({"iat": NOW + 31}, "not of now"),
        ({"exp": NOW - 30}, "has expired"),
        ({"jti": None}, "no jti"),
        ({"jti": "a\nb"}, "no jti"),
        ({"sub": None}, "neither sub nor sid"),
        ({"sub": 1}, "no sub"),
    ],
)
def test_no_logout_token(ends: Ends, claims: dict[str, Any], reason: str) -> None:
    """Nothing is ended by it."""
    with pytest.raises(InvalidCredentials) as caught:
        ends.end(ends.token(**{"sub": "1-ann", **claims}))
    assert reason in caught.value.reason
    assert ends.ended == []


def test_other_kinds_of_tokens(ends: Ends) -> None:
    """An ID token and an access token log nobody out; a logout token logs nobody in."""
    for text in (ends.world.fake.id_token(), ends.token(sub="1-ann", header={"typ": "at+jwt"}).reveal()):
        with pytest.raises(InvalidCredentials):
            ends.end(Secret(text))
    with pytest.raises(InvalidCredentials):
        ends.world.source.verified(ends.token(sub="1-ann"), nonce=None)
