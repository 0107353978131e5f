"""Questions: which exchanges are repeated at the peer, what is sent there, and what never is."""

from __future__ import annotations

import base64
from dataclasses import replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from canaries import know
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.access_keys import compose_key
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
    AccountEnded,
    AuthenticationRequired,
    BackendUnavailable,
    InvalidCredentials,
    Throttled,
    UnknownRefreshToken,
    UnusableAccessKey,
)
from tokenserver.exchange.peer.question import (
    MAX_SCOPES,
    PeerQuestion,
    is_plain_password,
    question_key,
    question_of,
    question_of_failure,
)
from tokenserver.exchange.rulings import Ruling
from tokenserver.exchange.service import TokenRequest, TokenResult
from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.policy.decision import Decision
from tokenserver.scopes import parse_scopes
from tokenserver.tokens.claims import Compat, Registry

PASSWORD = "corréct horse:battery"
know(PASSWORD, user="ann")
ANN = Password("ann", Secret(PASSWORD))
PERSON = Identity("Ann", Kind.PASSWORD, "htpasswd")
KEYS = {form: compose_key(form, bytes(range(48))).text.reveal() for form in AccessKeyForm}
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2NpIn0.c2ln"


def request(credentials: Credentials = ANN, *scopes: str, service: str | None = "reg", **more: Any) -> TokenRequest:
    """A request for these scopes."""
    return TokenRequest(
        "id-1", "GET", service, parse_scopes(scopes), credentials, None, ip_address("192.0.2.1"), **more
    )


def result(asked: TokenRequest, granted: dict[str, str], identity: Identity = PERSON, **registry: Any) -> TokenResult:
    """What was granted by resource; the token itself is not looked at."""
    found = {name: frozenset(actions.split(",")) for name, actions in granted.items()}
    decisions = tuple(Decision(one, found.get(str(one.resource), frozenset())) for one in asked.scopes.scopes)
    of = Registry("reg", "auth.example.com", Compat.UNIVERSAL, 900, **registry)
    return TokenResult(None, Ruling(of, identity, decisions, (), policy="0", access=(), lifetime=None))


def question(
    asked: TokenRequest, granted: dict[str, str], identity: Identity = PERSON, **registry: Any
) -> PeerQuestion:
    """The question for this exchange."""
    found = question_of(asked, result(asked, granted, identity, **registry))
    assert found is not None
    return found


def here(found: PeerQuestion) -> dict[str, set[str]] | None:
    """What is granted here, as texts."""
    return None if found.here is None else {str(one): set(actions) for one, actions in found.here.items()}


def test_what_is_sent() -> None:
    """As docker asks: name, service and each scope in the query, the password in the header alone."""
    asked = request(ANN, "repository:a/b:pull,push", "registry:catalog:*")
    found = question(asked, {"repository:a/b": "pull"})
    url = found.target("https://old/auth")
    assert url is not None
    assert parse_qsl(urlsplit(url).query) == [
        ("account", "ann"),
        ("service", "reg"),
        ("scope", "repository:a/b:pull,push"),
        ("scope", "registry:catalog:*"),
    ]
    assert found.authorization is not None
    kind, _, text = found.authorization.reveal().partition(" ")
    assert (kind, base64.b64decode(text).decode()) == ("Basic", f"ann:{PASSWORD}")
    assert (found.subject, here(found)) == ("Ann", {"repository:a/b": {"pull"}})
    assert PASSWORD not in repr(found)


def test_an_anonymous_client() -> None:
    """Without a header and without an account."""
    found = question(request(NoCredentials(), "repository:a:pull"), {"repository:a": "pull"}, ANONYMOUS)
    assert (found.authorization, found.subject) == (None, "")
    assert found.target("https://old/auth") == "https://old/auth?service=reg&scope=repository%3Aa%3Apull"


def test_a_missing_service() -> None:
    """It is that of the only registry."""
    assert question(request(service=None), {}).service == "reg"


def test_held_access_is_compared_as_far_as_it_was_asked_for() -> None:
    """The token of such a registry has more, of which the peer knows nothing; `*` asks for all of it."""
    granted = {"repository:a": "pull,push", "repository:b": "pull,push"}
    asked = request(ANN, "repository:a:pull", "repository:b:*")
    wanted = {"repository:a": {"pull"}, "repository:b": {"pull", "push"}}
    assert here(question(asked, granted, holds=True)) == wanted
    assert here(question(asked, granted)) == {"repository:a": {"pull", "push"}, "repository:b": {"pull", "push"}}


OURS = [
    pytest.param(Password("ann", Secret(KEYS[AccessKeyForm.PERSONAL])), Kind.KEY, "k1", id="an access key"),
    pytest.param(Password("ci", Secret(KEYS[AccessKeyForm.ROBOT])), Kind.ROBOT, "r1", id="a robot"),
    pytest.param(Password("ann", Secret(KEYS[AccessKeyForm.SESSION])), Kind.WORKLOAD, "s1", id="a session"),
    pytest.param(RefreshToken(Secret(KEYS[AccessKeyForm.REFRESH])), Kind.PASSWORD, "f1", id="a refresh token"),
    pytest.param(Password("<token>", Secret(KEYS[AccessKeyForm.REFRESH])), Kind.PASSWORD, "f1", id="as a password"),
    pytest.param(Password("ci", Secret(JWT)), Kind.WORKLOAD, "", id="the JWT of a workload"),
    pytest.param(ANN, Kind.OIDC, "", id="a person of a provider"),
    pytest.param(ANN, Kind.PASSWORD, "c1", id="any stored credential"),
    pytest.param(Key(AccessKeyForm.PERSONAL, "i", Secret("x"), "ann"), Kind.KEY, "k", id="a key"),
    pytest.param(Jwt(Secret(JWT), "https://ci", "ci"), Kind.WORKLOAD, "", id="a JWT"),
]


@pytest.mark.parametrize(("credentials", "kind", "credential"), OURS)
def test_our_own_secrets_stay_here(credentials: Credentials, kind: Kind, credential: str) -> None:
    """By what vouched for the client, docs/design/threats.md#threat-212."""
    asked = request(credentials)
    assert question_of(asked, result(asked, {}, Identity("x", kind, "s", credential=credential))) is None


SECRETS = [
    *(pytest.param("ann", text, id=f"a key of the form {form}") for form, text in KEYS.items()),
    pytest.param("ann", KEYS[AccessKeyForm.PERSONAL][:-1], id="a mistyped key"),
    pytest.param("ann", f" {KEYS[AccessKeyForm.PERSONAL]}", id="a key after a blank"),
    pytest.param("ann", f"ci:{KEYS[AccessKeyForm.ROBOT]}", id="a key after a name"),
    pytest.param("ann", f"x{KEYS[AccessKeyForm.ROBOT]}", id="a key after a letter"),
    pytest.param(KEYS[AccessKeyForm.PERSONAL], "x", id="a key as the name"),
    pytest.param("ann", JWT, id="a JWT"),
    pytest.param("ann", f"Bearer {JWT}", id="a JWT after a word"),
    pytest.param("ann", "eyJ" + "a" * 900 + ".e30.", id="a JWT without a signature"),
    pytest.param(JWT, "x", id="a JWT as the name"),
    pytest.param("ann:x", "y", id="a name with a colon"),
    pytest.param("robot:ci", "y", id="the name of a robot"),
    pytest.param("", "y", id="no name"),
    pytest.param("ann", "", id="no password"),
    pytest.param("ann", "a\0b", id="NUL"),
    pytest.param("ann", "\ud800", id="half a surrogate pair"),
    pytest.param("ann", "a" * 1025, id="a long password"),
]


@pytest.mark.parametrize(("name", "text"), SECRETS)
@pytest.mark.parametrize("is_accepted", [True, False], ids=["accepted", "refused"])
def test_what_looks_like_one_of_our_secrets_stays_here(name: str, text: str, *, is_accepted: bool) -> None:
    """By its text, even if a user source vouched for it, docs/design/threats.md#threat-212."""
    asked = request(Password(name, Secret(text)))
    assert not is_plain_password(asked.credentials)
    if is_accepted:
        assert question_of(asked, result(asked, {})) is None
    else:
        assert question_of_failure(asked, InvalidCredentials("wrong"), failed_logins=True) is None


@pytest.mark.parametrize("text", ["x", "pass.word.three", "eyJ", "eyJabc", "tkn", "ü" * 10, "a b:c"])
def test_passwords(text: str) -> None:
    """Whatever else a user may have."""
    assert is_plain_password(Password("ann", Secret(text)))


@given(st.sampled_from([*KEYS.values(), JWT]), st.text(max_size=8), st.text(max_size=8))
def test_a_secret_in_any_text(secret: str, before: str, after: str) -> None:
    """Nothing that holds a whole secret of ours is a password."""
    assert not is_plain_password(Password("ann", Secret(f"{before}{secret}{after}")))


@pytest.mark.parametrize("credentials", [RefreshToken(Secret("x")), NoCredentials(), MalformedCredentials("x")])
def test_other_credentials_are_no_password(credentials: Credentials) -> None:
    """Only a name with a password is one."""
    assert not is_plain_password(credentials)


@pytest.mark.parametrize(
    ("credentials", "error", "failed_logins", "is_asked"),
    [
        pytest.param(NoCredentials(), AuthenticationRequired(), False, True, id="no credentials"),
        pytest.param(ANN, InvalidCredentials("wrong password"), True, True, id="a wrong password"),
        pytest.param(ANN, InvalidCredentials("wrong password"), False, False, id="a wrong password, by default"),
        pytest.param(ANN, AccountEnded("disabled"), True, False, id="an account that ended"),
        pytest.param(ANN, UnusableAccessKey("x"), True, False, id="a key"),
        pytest.param(RefreshToken(Secret("x")), UnknownRefreshToken(), True, False, id="a refresh token"),
        pytest.param(ANN, Throttled(5, "x"), True, False, id="throttled"),
        pytest.param(ANN, BackendUnavailable("ldap", "x"), True, False, id="no answer"),
        pytest.param(MalformedCredentials("x"), InvalidCredentials("x"), True, False, id="a broken header"),
        pytest.param(ANN, ValueError(), True, False, id="a bug"),
    ],
)
def test_refused_logins(credentials: Credentials, error: Exception, *, failed_logins: bool, is_asked: bool) -> None:
    """A wrong password is a failed login at the peer as well, so it is sent only if that is configured."""
    asked = request(credentials, "repository:a:pull")
    found = question_of_failure(asked, error, failed_logins=failed_logins)
    assert (found is not None) == is_asked
    if found is not None:
        assert (found.here, len(found.scopes)) == (None, 1)
        assert found.subject == ("ann" if credentials is ANN else "")


def test_requests_that_are_no_exchange() -> None:
    """An explanation, and a request that names no registry."""
    for asked in (request(NoCredentials(), explain=True), request(NoCredentials(), service=None)):
        assert question_of_failure(asked, AuthenticationRequired(), failed_logins=True) is None


def test_large_requests() -> None:
    """More scopes than one question has, and a query that no server would read."""
    scopes = [f"repository:{n}:pull" for n in range(MAX_SCOPES + 1)]
    asked = request(ANN, *scopes)
    assert question_of(asked, result(asked, {})) is None
    assert question(request(ANN, *scopes[1:]), {}).target("https://old/auth") is not None
    long = [f"repository:{'a' * 200}/{n}:pull" for n in range(40)]
    assert question(request(ANN, *long), {}).target("https://old/auth") is None


def test_the_same_question() -> None:
    """Another password makes no other one; the scopes, the service, the name and a refusal do."""
    asked = request(ANN, "repository:a:pull")
    accepted = result(asked, {})
    key = question_key(asked, accepted)
    assert key == question(asked, {}).key
    assert key == question_key(asked._replace(credentials=Password("ann", Secret("other"))), accepted)
    others = [
        question_key(asked._replace(credentials=Password("bob", Secret("other"))), accepted),
        question_key(asked._replace(credentials=NoCredentials()), accepted),
        question_key(asked._replace(service="other"), accepted),
        question_key(request(ANN, "repository:a:push"), accepted),
        question_key(asked, InvalidCredentials("x")),
    ]
    assert len({key, *others}) == 6


def test_spellings_of_a_user() -> None:
    """Directories count failed logins of one account under all of them."""
    names = ["ann", "ANN", "Ann ", "\uff21nn"]
    assert {question(request(Password(name, Secret("x"))), {}).user for name in names} == {"ann"}
    assert question(request(NoCredentials()), {}, ANONYMOUS).user is None


def test_the_subject_is_that_of_the_source() -> None:
    """Not what was typed."""
    assert question(request(), {}, replace(PERSON, subject="ann@corp")).subject == "ann@corp"
