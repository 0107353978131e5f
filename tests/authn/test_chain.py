"""The chain: who is asked, in which order, and what never reaches a backend."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.authenticator import Authenticator
from tokenserver.authn.chain import Chain
from tokenserver.credentials import Credentials, MalformedCredentials, NoCredentials, Password, RefreshToken, Secret
from tokenserver.errors import (
    AuthenticationRequired,
    BackendUnavailable,
    InvalidCredentials,
    TokenserverError,
    UnknownRefreshToken,
)
from tokenserver.identity import ANONYMOUS, Identity, Kind

ANN = Identity("ann", Kind.PASSWORD, "first")


@dataclass
class Backend:
    """A user source that gives everyone the same answer, and records its callers."""

    name: str = "first"
    answer: Any = None
    asked: list[str] = field(default_factory=list)

    def authenticate(self, credentials: Password) -> Identity | None:
        """The answer, raised where it is an error."""
        self.asked.append(credentials.username)
        if isinstance(self.answer, Exception):
            raise self.answer
        identity: Identity | None = self.answer
        return identity


@dataclass
class Work:
    """A decoy that records the users it was called for."""

    names: list[str] = field(default_factory=list)

    def __call__(self, credentials: Password) -> None:
        """Remember the name."""
        self.names.append(credentials.username)


def password(username: str = "ann", text: str = "secret") -> Password:
    """Credentials that every guard lets through."""
    return Password(username, Secret(text))


def outcome(chain: Chain, credentials: Credentials) -> Identity | str:
    """The identity, or the error's class and its reason for the audit."""
    try:
        return chain.authenticate(credentials)
    except InvalidCredentials as error:
        return f"InvalidCredentials: {error.reason}"
    except TokenserverError as error:
        return f"{type(error).__name__}: {error}"


def test_nothing_is_anonymous() -> None:
    """A client without credentials is anonymous if that is enabled, and no backend is asked."""
    backend, work = Backend(answer=ANN), Work()
    assert Chain([backend], anonymous=True, decoy=work).authenticate(NoCredentials()) == ANONYMOUS
    assert (backend.asked, work.names) == ([], [])


def test_nothing_without_anonymous() -> None:
    """A client without credentials has to log in if anonymous access is off."""
    with pytest.raises(AuthenticationRequired):
        Chain([Backend(answer=ANN)], anonymous=False, decoy=None).authenticate(NoCredentials())


@pytest.mark.parametrize("anonymous", [True, False])
def test_unusable_is_never_anonymous(anonymous: bool) -> None:
    """What cannot be used is wrong, also with anonymous access."""
    chain = Chain([Backend(answer=ANN)], anonymous=anonymous, decoy=None)
    assert outcome(chain, MalformedCredentials("no colon")) == "InvalidCredentials: no colon"


@pytest.mark.parametrize(
    ("first", "second", "expected", "asked", "decoys"),
    [
        pytest.param(ANN, None, ANN, ([1], [0]), 0, id="the first knows"),
        pytest.param(None, ANN, ANN, ([1], [1]), 0, id="the second knows"),
        pytest.param(
            InvalidCredentials("wrong password"),
            ANN,
            "InvalidCredentials: wrong password",
            ([1], [0]),
            0,
            id="wrong stops",
        ),
        pytest.param(
            BackendUnavailable("first", "is down"),
            ANN,
            "BackendUnavailable: first: is down",
            ([1], [0]),
            0,
            id="down stops",
        ),
        pytest.param(
            None,
            BackendUnavailable("second", "is down"),
            "BackendUnavailable: second: is down",
            ([1], [1]),
            0,
            id="later down",
        ),
        pytest.param(None, None, "InvalidCredentials: unknown user", ([1], [1]), 1, id="nobody knows"),
    ],
)
def test_order(first: Any, second: Any, expected: Any, asked: tuple[list[int], list[int]], decoys: int) -> None:
    """Only "not mine" goes on to the next source; the decoy works once, and for unknown users alone."""
    one, two, work = Backend("first", first), Backend("second", second), Work()
    chain = Chain([one, two], anonymous=True, decoy=work)
    assert outcome(chain, password()) == expected
    assert ([len(one.asked)], [len(two.asked)], len(work.names)) == (*asked, decoys)


@pytest.mark.parametrize("decoy", [None, Work()])
def test_no_source(decoy: Work | None) -> None:
    """With no source at all, everybody is unknown; a password is never taken for nothing."""
    chain = Chain([], anonymous=True, decoy=decoy)
    assert outcome(chain, password()) == "InvalidCredentials: unknown user"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        pytest.param(True, "returned something other than an identity", id="True"),
        pytest.param("ann", "returned something other than an identity", id="a name"),
        pytest.param((ANN, BackendUnavailable("x", "y")), "returned something other than an identity", id="both"),
        pytest.param(False, "returned something other than an identity", id="False"),
        pytest.param(ANONYMOUS, "returned an identity without a subject", id="anonymous"),
        pytest.param(
            Identity("ann", Kind.ANONYMOUS), "returned an identity without a subject", id="anonymous with a name"
        ),
        pytest.param(Identity("", Kind.PASSWORD, "first"), "returned an identity without a subject", id="no subject"),
        pytest.param(
            Identity("\u3000", Kind.PASSWORD, "first"), "returned an identity without a subject", id="a blank subject"
        ),
    ],
)
def test_answers_outside_the_contract(answer: Any, problem: str) -> None:
    """A backend whose answer violates its contract neither admits a user nor passes on to the next."""
    second = Backend("second", ANN)
    chain = Chain([Backend("first", answer), second], anonymous=True, decoy=None)
    assert outcome(chain, password()) == f"BackendUnavailable: first: {problem}"
    assert second.asked == []


@pytest.mark.parametrize(
    ("username", "text", "reason"),
    [
        pytest.param("", "secret", "the user name is empty", id="empty user"),
        pytest.param(" ", "secret", "the user name is empty", id="a blank"),
        pytest.param("\u3000", "secret", "the user name is empty", id="an ideographic blank"),
        pytest.param("\u00a0\t", "secret", "the user name is empty", id="other blanks"),
        pytest.param("a" * 256, "secret", "the user name is longer than 255 characters", id="256 characters"),
        pytest.param("a\0", "secret", "the user name contains non-printable characters", id="NUL in the user"),
        pytest.param("a\nb", "secret", "the user name contains non-printable characters", id="newline"),
        pytest.param("a\x1b[1m", "secret", "the user name contains non-printable characters", id="escape"),
        pytest.param("a\x7f", "secret", "the user name contains non-printable characters", id="DEL"),
        pytest.param("a\x9b", "secret", "the user name contains non-printable characters", id="a C1 control"),
        pytest.param("a\u2028", "secret", "the user name contains non-printable characters", id="U+2028"),
        pytest.param("a\u202e", "secret", "the user name contains non-printable characters", id="bidi override"),
        pytest.param("\ufeffann", "secret", "the user name contains non-printable characters", id="BOM"),
        pytest.param("a\udc80", "secret", "the user name contains non-printable characters", id="a surrogate"),
        pytest.param("a\u3000b", "secret", "the user name contains non-printable characters", id="wide blank inside"),
        pytest.param("ann", "", "the password is empty", id="empty password"),
        pytest.param("ann", "\0", "the password contains a NUL character", id="NUL alone"),
        pytest.param("ann", "pass\0word", "the password contains a NUL character", id="NUL"),
        pytest.param("ann", "a" * 1025, "the password is longer than 1024 bytes", id="1,025 bytes"),
        pytest.param("ann", "é" * 513, "the password is longer than 1024 bytes", id="1,026 bytes in 513 characters"),
        pytest.param("ann", "a" * 1_000_000, "the password is longer than 1024 bytes", id="1 MB"),
    ],
)
def test_guards(username: str, text: str, reason: str) -> None:
    """Credentials that no user can have are rejected before any backend, and before any hashing."""
    backend, work = Backend(answer=ANN), Work()
    chain = Chain([backend], anonymous=True, decoy=work)
    assert outcome(chain, password(username, text)) == f"InvalidCredentials: {reason}"
    assert (backend.asked, work.names) == ([], [])


@pytest.mark.parametrize(
    ("username", "text"),
    [
        pytest.param("a" * 255, "a" * 1024, id="the longest"),
        pytest.param("é" * 255, "é" * 512, id="the longest, not ASCII"),
        pytest.param("ann smith", " ", id="blanks inside"),
        pytest.param("ann", "\ud800", id="a password that is not UTF-8"),
        pytest.param("ann", "\t\n", id="control characters in the password"),
    ],
)
def test_what_the_guards_let_through(username: str, text: str) -> None:
    """Whatever could be a user and a password reaches the backend."""
    backend = Backend(answer=ANN)
    assert outcome(Chain([backend], anonymous=False, decoy=None), password(username, text)) == ANN
    assert backend.asked == [username]


@given(st.text(st.characters(exclude_categories=())))
def test_the_empty_password_is_always_denied(username: str) -> None:
    """For all users, whatever the backend would say."""
    chain = Chain([Backend(answer=ANN)], anonymous=True, decoy=None)
    with pytest.raises(InvalidCredentials):
        chain.authenticate(password(username, ""))


@pytest.mark.parametrize("credentials", [None, "ann:secret", ("ann", "secret")])
def test_what_is_no_credentials(credentials: Any) -> None:
    """A value of an unknown kind is a bug and is rejected, even with anonymous access."""
    with pytest.raises(AssertionError):
        Chain([Backend(answer=ANN)], anonymous=True, decoy=None).authenticate(credentials)


def test_one_method() -> None:
    """The protocol stays small: a name and one method."""
    assert sorted(name for name in vars(Authenticator) if not name.startswith("_")) == ["authenticate", "name"]


@pytest.mark.parametrize("anonymous", [True, False])
def test_every_refresh_token_is_unknown(anonymous: bool) -> None:
    """No source is asked, and the client is not anonymous."""
    source = Backend(answer=ANN)
    chain = Chain([source], anonymous=anonymous, decoy=None)
    with pytest.raises(UnknownRefreshToken) as caught:
        chain.authenticate(RefreshToken(Secret("of-old")))
    assert caught.value.reason == "unknown refresh token"
    assert "docker logout HOST" in str(caught.value)
    assert source.asked == []


@dataclass
class Owner:
    """A source that has the namespaces of these users, or cannot tell."""

    name: str
    answer: dict[str, str] | BackendUnavailable
    asked: list[str] = field(default_factory=list)

    def owner_of(self, namespace: str) -> str | None:
        """The user, or the error."""
        self.asked.append(namespace)
        if isinstance(self.answer, BackendUnavailable):
            raise self.answer
        return self.answer.get(namespace)


JOHN = Identity("JohnDoe", Kind.PASSWORD, "second", namespace="johndoe")


@pytest.mark.parametrize(
    ("identity", "first", "expected", "asked"),
    [
        pytest.param(JOHN, {}, JOHN, ["johndoe"], id="nobody else has it"),
        pytest.param(
            JOHN,
            {"johndoe": "john"},
            "InvalidCredentials: the namespace 'johndoe' is that of 'john' in first",
            ["johndoe"],
            id="a user of an earlier source has it",
        ),
        pytest.param(
            JOHN,
            BackendUnavailable("first", "down"),
            "BackendUnavailable: first: down",
            ["johndoe"],
            id="an earlier source cannot tell",
        ),
        pytest.param(
            ANN,
            {"ann": "Ann"},
            "InvalidCredentials: the namespace 'ann' is that of 'Ann' in first",
            ["ann"],
            id="the name of a user without mapping",
        ),
        pytest.param(Identity("x_", Kind.PASSWORD, "second", namespace=""), {"": "y"}, None, [], id="no namespace"),
    ],
)
def test_a_namespace_belongs_to_the_earlier_source(
    identity: Identity, first: dict[str, str] | BackendUnavailable, expected: Identity | str | None, asked: list[str]
) -> None:
    """The user of a later source is rejected; later sources are not asked, so that they may be down."""
    owner, own, last = Owner("first", first), Owner("second", {}), Owner("third", BackendUnavailable("third", "down"))
    sources = [Backend("first", None), Backend("second", identity), Backend("third", None)]
    chain = Chain(sources, anonymous=False, decoy=None, owners=[owner, own, last])
    assert outcome(chain, password()) == (expected or identity)
    assert (owner.asked, own.asked, last.asked) == (asked, [], [])
