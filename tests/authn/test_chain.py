"""The chain: who is asked, in which order, and what never reaches a backend."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.access_keys import RANDOM_BYTES, AccessKey, compose_key
from tokenserver.authn.authenticator import Authenticator
from tokenserver.authn.chain import Chain
from tokenserver.credentials import (
    AccessKeyForm,
    Credentials,
    Jwt,
    Key,
    MalformedCredentials,
    NoCredentials,
    Password,
    RefreshToken,
    Secret,
)
from tokenserver.errors import (
    AuthenticationRequired,
    BackendUnavailable,
    InvalidCredentials,
    Throttled,
    TokenserverError,
    UnknownRefreshToken,
    UnusableAccessKey,
)
from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.policy.machines.workloads import membership

ANN = Identity("ann", Kind.PASSWORD, "first")
PERSONAL, ROBOT, REFRESH, SESSION = (compose_key(form, bytes(RANDOM_BYTES)) for form in AccessKeyForm)
KEY = ROBOT.text.reveal()
MACHINE = "the user name begins like that of a machine"
NUL = "returned a group whose name has a NUL character"


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
        pytest.param(
            Identity("robot:ci", Kind.PASSWORD, "first"),
            "returned an identity with the subject of a machine",
            id="a robot",
        ),
        pytest.param(
            Identity("Workload:x:y", Kind.PASSWORD, "first"),
            "returned an identity with the subject of a machine",
            id="a workload",
        ),
        pytest.param(Identity("ann", Kind.ROBOT), "returned the identity of a machine", id="a robot's kind"),
        pytest.param(Identity("ann", Kind.WORKLOAD), "returned the identity of a machine", id="a workload's kind"),
        pytest.param(Identity("ann", Kind.PASSWORD, groups=frozenset({membership("web")})), NUL, id="a membership"),
        pytest.param(Identity("ann", Kind.PASSWORD, groups=frozenset({"ops", "a\0b"})), NUL, id="a NUL inside"),
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
        pytest.param("robot:ci", "secret", MACHINE, id="the subject of a robot"),
        pytest.param("Robot:CI", "secret", MACHINE, id="the subject of a robot in capitals"),
        pytest.param("workload:github:1", "secret", MACHINE, id="the subject of a workload"),
        pytest.param("\uff52obot\uff1aci", "secret", MACHINE, id="the subject of a robot in wide letters"),
        pytest.param(ROBOT.text.reveal(), "secret", "the user name is an access key", id="an access key"),
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
        pytest.param("robot", "a", id="almost a robot"),
        pytest.param("robots:ci", "a", id="another prefix"),
        pytest.param("corp:ann", "a", id="a colon"),
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


CI = Identity("robot:ci", Kind.ROBOT, "robots", credential="x")


@dataclass
class Robots:
    """The keys of robots, with the same answer for each, and a guard that admits `left` failures."""

    answer: Identity | InvalidCredentials = CI
    left: int = 99
    asked: list[tuple[Key, Any, float]] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)

    def authenticate(self, key: Key, client: Any, now: float, _uses: Any, /) -> Identity:
        """The answer, raised where it is an error."""
        self.asked.append((key, client, now))
        if isinstance(self.answer, InvalidCredentials):
            raise self.answer
        return self.answer

    def __contains__(self, identifier: str) -> bool:
        """A policy file declares all keys but those of the form of people."""
        return identifier != PERSONAL.id

    def look_up(self, *_arguments: Any) -> Identity:
        """No owner is looked up here."""
        raise AssertionError

    def login(self, *_arguments: Any) -> Identity:
        """No password is expected here."""
        raise AssertionError

    def forget(self, *_arguments: Any) -> None:
        """No password is expected here."""
        raise AssertionError

    def login_by_token(self, *_arguments: Any) -> Identity:
        """No token of a workload is expected here."""
        raise AssertionError

    def recall_login(self, *_arguments: Any) -> Identity | None:
        """No password is expected here."""
        raise AssertionError

    def recalling(self, _token: Secret) -> Callable[[], Identity | None] | None:
        """No token of a workload is expected here."""
        raise AssertionError

    def forget_token(self, _token: Secret) -> None:
        """No token of a workload is expected here."""
        raise AssertionError

    def count_unknown(self, secret: Secret, _client: Any) -> None:
        """Count it."""
        if len(self.counted) >= self.left:
            raise Throttled(7)
        self.counted.append(secret.reveal())


def chain_with(robots: Robots, *sources: Authenticator) -> Chain:
    """A chain at noon."""
    return Chain(sources, anonymous=True, decoy=None, guard=robots, robots=robots, now=lambda: 12.0)


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param(Password("ci", ROBOT.text), id="password"),
        pytest.param(Password("", ROBOT.text), id="password-without-name"),
        pytest.param(RefreshToken(ROBOT.text), id="refresh-token"),
        pytest.param(Key(ROBOT.form, ROBOT.id, ROBOT.text, "ci"), id="key"),
    ],
)
def test_the_key_of_a_robot(credentials: Credentials) -> None:
    """However it was sent, the robots are asked, and no user source is; success is not counted."""
    robots, source = Robots(), Backend(answer=ANN)
    assert chain_with(robots, source).authenticate(credentials) == CI
    ((key, client, now),) = robots.asked
    assert (key.form, key.id, key.text, client, now) == (ROBOT.form, ROBOT.id, ROBOT.text, None, 12.0)
    assert (source.asked, robots.counted) == ([], [])


@pytest.mark.parametrize(
    ("key", "answer", "expected", "is_counted"),
    [
        pytest.param(
            ROBOT, InvalidCredentials("wrong secret"), "InvalidCredentials: wrong secret", True, id="robot-wrong"
        ),
        pytest.param(
            ROBOT, UnusableAccessKey("expired", "…"), "InvalidCredentials: expired", False, id="robot-unusable"
        ),
        pytest.param(PERSONAL, CI, f"InvalidCredentials: unknown access key {'0' * 12}", True, id="personal"),
        pytest.param(REFRESH, CI, "InvalidCredentials: unknown refresh token", True, id="refresh"),
        pytest.param(SESSION, CI, "InvalidCredentials: unknown refresh token", True, id="session"),
    ],
)
def test_rejected_keys(key: AccessKey, answer: Identity | InvalidCredentials, expected: str, is_counted: bool) -> None:
    """Each failure counts for the client's address, but not the use of a right key, which is no guess."""
    robots, source = Robots(answer), Backend(answer=ANN)
    assert outcome(chain_with(robots, source), Password("ann", key.text)) == expected
    assert robots.counted == ([key.text.reveal()] if is_counted else [])
    assert (source.asked, [one.form for one, _, _ in robots.asked]) == ([], [key.form] if key is ROBOT else [])


def test_no_robots() -> None:
    """A chain without robots knows no key, and needs no guard to say so."""
    assert outcome(Chain([Backend(answer=ANN)], anonymous=True, decoy=None), Password("ann", ROBOT.text)) == (
        f"InvalidCredentials: unknown access key {'0' * 12}"
    )


@pytest.mark.parametrize("wrap", [lambda text: Password("ann", Secret(text)), lambda text: RefreshToken(Secret(text))])
def test_a_malformed_key_reaches_nobody(wrap: Any) -> None:
    """It is counted by address, and no source, no robot and no hash sees it; the client learns that it is mistyped."""
    robots, source, work = Robots(), Backend(answer=ANN), Work()
    text = ROBOT.text.reveal()[:-1]
    chain = Chain([source], anonymous=True, decoy=work, guard=robots, robots=robots)
    with pytest.raises(InvalidCredentials, match="incomplete or mistyped; fix: ") as caught:
        chain.authenticate(wrap(text))
    assert caught.value.reason == "malformed access key"
    assert (robots.counted, robots.asked, source.asked, work.names) == ([text], [], [], [])


def test_other_malformed_credentials_are_not_counted() -> None:
    """A header that is no Basic header at all costs nothing, and its client gets the uniform text."""
    robots = Robots()
    with pytest.raises(InvalidCredentials, match="wrong user name or password"):
        chain_with(robots).authenticate(MalformedCredentials("no colon"))
    assert robots.counted == []


@pytest.mark.parametrize(
    ("credentials", "text"),
    [
        pytest.param(Password("ann", ROBOT.text), "too many attempts, try again later", id="robot"),
        pytest.param(Password("ann", Secret("tknr_x")), "too many attempts, try again later", id="malformed"),
        pytest.param(
            Password("ann", REFRESH.text),
            "too many attempts, try again later, or log out of the registry and in again: docker logout HOST, then"
            " docker login HOST",
            id="refresh",
        ),
    ],
)
def test_throttled_keys(credentials: Credentials, text: str) -> None:
    """A client that failed too often is told to wait; a right key of the same client still works."""
    robots = Robots(InvalidCredentials("wrong secret"), left=0)
    with pytest.raises(Throttled) as caught:
        chain_with(robots).authenticate(credentials)
    assert (str(caught.value), caught.value.retry_after) == (text, 7)
    assert chain_with(Robots(CI, left=0)).authenticate(Password("ann", ROBOT.text)) == CI


def test_a_jwt_without_issuers() -> None:
    """Where no workload source is configured, no token vouches for anybody, and no password is tried."""
    robots, source = Robots(), Backend(answer=ANN)
    credentials = Jwt(Secret("eyJ.."), "https://example.com", "ann")
    assert outcome(chain_with(robots, source), credentials) == "InvalidCredentials: no issuer of tokens is configured"
    assert (robots.counted, source.asked) == (["eyJ.."], [])


@dataclass
class Issuers:
    """Issuers of tokens that vouch for everybody; policies declare the workload or not."""

    is_declared: bool = True

    def authenticate(self, _text: Secret, _verified: int | None = None) -> Identity:
        """A workload."""
        return Identity("workload:ci:1", Kind.WORKLOAD, "ci")

    def require_declared(self, identity: Identity) -> None:
        """As the policies say."""
        if not self.is_declared:
            raise InvalidCredentials(f"{identity.subject} is no declared workload")


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        pytest.param(Password("ci", Secret("eyJ..")), "workload:ci:1", id="password"),
        pytest.param(RefreshToken(Secret("eyJ..")), "workload:ci:1", id="refresh-token"),
        pytest.param(Password("ann", Secret("secret")), "ann", id="another-password"),
    ],
)
def test_the_token_of_a_workload(credentials: Credentials, expected: str) -> None:
    """It goes to the issuers, and every other password to the user sources; no guard is needed for that."""
    source = Backend(answer=ANN)
    chain = Chain([source], anonymous=False, decoy=None, workloads=Issuers(), issuer_of=lambda _: "https://ci")
    assert chain.authenticate(credentials).subject == expected
    assert len(source.asked) == (expected == "ann")


def test_a_workload_that_is_not_declared_any_more() -> None:
    """It is refused at each use, whenever its token was verified."""
    chain = Chain(
        [], anonymous=False, decoy=None, workloads=Issuers(is_declared=False), issuer_of=lambda _: "https://ci"
    )
    found = outcome(chain, Password("ci", Secret("eyJ..")))
    assert found == "InvalidCredentials: workload:ci:1 is no declared workload"


def test_without_workloads_a_jwt_is_a_password() -> None:
    """A chain that cannot verify tokens recognizes none."""
    source = Backend(answer=ANN)
    chain = Chain([source], anonymous=False, decoy=None, issuer_of=lambda _: "https://ci")
    assert chain.authenticate(Password("ann", Secret("eyJ.."))) == ANN


@dataclass
class Recorded:
    """Issuers of tokens that vouch for nobody, and record what they are asked."""

    asked: list[str] = field(default_factory=list)

    def authenticate(self, text: Secret, _verified: int | None = None) -> Identity:
        """No."""
        self.asked.append(text.reveal())
        raise InvalidCredentials("no")

    def require_declared(self, identity: Identity) -> None:
        """Not reached."""
        raise AssertionError(identity)


beginnings = st.sampled_from(
    ["", "eyJ", "eyJa.b.", " eyJ..", "tknr_", "tkns_", "x:tknr_", " tknx_", KEY, KEY[:40], KEY * 2]
)


@given(st.text(max_size=8), beginnings, st.text() | st.text("0aZ_.", max_size=70), st.booleans())
def test_any_text_reaches_one_kind_of_verification(name: str, beginning: str, rest: str, is_stored: bool) -> None:
    """Whatever is sent as a password or a refresh token; nothing but the chain's own errors is raised.

    Text that begins like a key, or holds one, never reaches a user source (docs/design/threats.md#threat-151).
    """
    text = beginning + rest
    source, issuers, robots = Backend(), Recorded(), Robots(InvalidCredentials("no"))
    chain = Chain(
        [source],
        anonymous=True,
        decoy=None,
        robots=robots,
        workloads=issuers,
        issuer_of=lambda token: "https://ci" if token.count(".") == 2 else None,
    )
    with pytest.raises(InvalidCredentials):
        chain.authenticate(RefreshToken(Secret(text)) if is_stored else Password(name, Secret(text)))
    kinds = [bool(source.asked), bool(issuers.asked), bool(robots.asked)]
    assert sum(kinds) <= 1
    if re.match(r"tkn[a-z]_", text) or KEY[:40] in text:
        assert kinds[:2] == [False, False]
