"""The error tree: families, faults in order, and texts that hold nothing they must not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from tokenserver import errors
from tokenserver.errors import (
    AuthenticationRequired,
    BackendUnavailable,
    Fault,
    InvalidCredentials,
    InvalidRequest,
    LinkedText,
    LoadError,
    LoginTooOld,
    OutdatedLogin,
    PlainHttp,
    RequestError,
    ServiceError,
    SigningFailed,
    Throttled,
    TokenMismatch,
    TokenserverError,
    TooManyScopes,
    UnknownRefreshToken,
    UnsupportedGrantType,
    UnusableAccessKey,
    is_full,
    more_faults,
    note,
    redacted,
    reported_faults,
)
from tokenserver.exchange.outcomes import OUTCOMES


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(Fault("a.yaml", 3, "x[0].y", "is wrong"), "a.yaml:3: x[0].y: is wrong", id="all"),
        pytest.param(Fault("a.yaml", 3, "", "is wrong"), "a.yaml:3: is wrong", id="no-path"),
        pytest.param(Fault("a.yaml", 0, "x", "is wrong"), "a.yaml: x: is wrong", id="no-line"),
        pytest.param(Fault("a.yaml", 0, "", "is wrong"), "a.yaml: is wrong", id="file-only"),
    ],
)
def test_a_fault_tells_its_place(fault: Fault, expected: str) -> None:
    """file:line: path: what is wrong; what is not known is left out."""
    assert str(fault) == expected


def test_a_load_error_holds_every_fault_once_and_in_order() -> None:
    """By file, then by line as a number; one that was found twice stands once."""
    late, early, other = Fault("a", 10, "", "x"), Fault("a", 9, "", "x"), Fault("b", 1, "", "x")
    error = LoadError(iter([other, late, early, late]))
    assert error.faults == (early, late, other)
    assert str(error) == "a:9: x\na:10: x\nb:1: x"


def test_a_fault_is_frozen() -> None:
    """A fault does not change after it was found."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Fault("a", 1, "", "x").line = 2  # type: ignore[misc]  # that is the test


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        pytest.param(LoadError, TokenserverError, id="load"),
        pytest.param(InvalidRequest, RequestError, id="invalid-request"),
        pytest.param(TooManyScopes, InvalidRequest, id="too-many-scopes"),
        pytest.param(UnsupportedGrantType, RequestError, id="grant-type"),
        pytest.param(InvalidCredentials, RequestError, id="credentials"),
        pytest.param(UnusableAccessKey, InvalidCredentials, id="access-key"),
        pytest.param(AuthenticationRequired, RequestError, id="authentication-required"),
        pytest.param(Throttled, RequestError, id="throttled"),
        pytest.param(BackendUnavailable, ServiceError, id="backend"),
        pytest.param(SigningFailed, ServiceError, id="signing"),
        pytest.param(TokenMismatch, ServiceError, id="mismatch"),
    ],
)
def test_families(kind: type[Exception], family: type[Exception]) -> None:
    """The family says who can mend it: the operator, the client, or nobody now."""
    assert issubclass(kind, family)
    families = (LoadError, RequestError, ServiceError)
    assert sum(issubclass(kind, one) for one in families) == 1


def test_every_error_is_in_the_tree() -> None:
    """Nothing here stands beside the root."""
    kinds = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, BaseException)]
    assert [kind for kind in kinds if not issubclass(kind, TokenserverError)] == []


def test_wrong_credentials_have_one_text() -> None:
    """Unknown, wrong and disabled read the same; the reason is for the audit event alone."""
    unknown, wrong = InvalidCredentials("unknown user"), InvalidCredentials("wrong password")
    assert str(unknown) == str(wrong) == "wrong user name or password"
    assert (unknown.reason, wrong.reason) == ("unknown user", "wrong password")


def test_authentication_required_names_nothing() -> None:
    """Its text is fixed."""
    assert str(AuthenticationRequired()) == "authentication required"


def test_an_outdated_login_says_after_which_revision() -> None:
    """For a verification that begins later; the person is told what to do."""
    error = OutdatedLogin(7)
    assert (error.revision, error.reason) == (7, "the logins of the user were ended after this one was verified")
    assert str(error) == "all logins of this account were ended a moment ago; fix: log in again"


def test_a_login_that_is_too_old_says_where_to_log_in() -> None:
    """The reason is for the audit event alone."""
    error = LoginTooOld("last login 40 days ago", "https://auth.example.com/login")
    assert (error.reason, error.login_page) == ("last login 40 days ago", "https://auth.example.com/login")
    assert str(error) == "the last login is too long ago; fix: log in again: https://auth.example.com/login"


def test_an_unknown_refresh_token_says_how_to_get_another() -> None:
    """For clients that keep one from an earlier token server."""
    error = UnknownRefreshToken()
    assert (error.reason, str(error)) == (
        "unknown refresh token",
        f"this server does not know the stored identity token; fix: {error.fix}",
    )


@pytest.mark.parametrize(
    ("error", "reason", "public"),
    [
        pytest.param(PlainHttp(), "", "", id="nothing known"),
        pytest.param(PlainHttp("10.0.0.1 says http"), " (10.0.0.1 says http)", "; 10.0.0.1 says http", id="reported"),
        pytest.param(PlainHttp(hint="no proxy"), " (no proxy)", "", id="a hint for the operator"),
    ],
)
def test_plain_http_says_what_to_do(error: PlainHttp, reason: str, public: str) -> None:
    """The client learns which scheme was reported, and the operator how to mend it."""
    fixes = "use TLS, name the proxy in trusted_proxies, or require_https: false"
    assert error.reason == f"plain http from another machine{reason}; {fixes}"
    assert str(error) == f"plain http is refused here, use https{public}"


def test_throttled_says_when() -> None:
    """The seconds stand beside the text, not in it."""
    error = Throttled(30)
    assert (error.retry_after, str(error)) == (30, "too many attempts, try again later")


def test_an_unavailable_backend_says_which_and_when() -> None:
    """Name, reason and seconds; 5 where nothing else is said."""
    error = BackendUnavailable("corp", "timeout")
    assert (error.backend, error.reason, error.retry_after, str(error)) == ("corp", "timeout", 5, "corp: timeout")
    assert BackendUnavailable("corp", "timeout", 60).retry_after == 60


# --- many faults, long ones, and hostile names --------------------------------------------------------------------


def many(count: int, file: str = "a.yaml") -> list[Fault]:
    return [Fault(file, number, "x", "is wrong") for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("count", "lines", "last"),
    [
        pytest.param(1, 1, "a.yaml:1: x: is wrong", id="one"),
        pytest.param(20, 20, "a.yaml:20: x: is wrong", id="as many as are told"),
        pytest.param(21, 21, "and 1 more", id="one more"),
        pytest.param(1254, 21, "and 1,234 more", id="more than are kept"),
    ],
)
def test_at_most_twenty_are_told(count: int, lines: int, last: str) -> None:
    """And of the others the number, whatever is kept of them."""
    error = LoadError(many(count))
    told = str(error).split("\n")
    assert (len(told), told[-1], error.count) == (lines, last, count)


def test_a_load_keeps_a_thousand() -> None:
    """The first ones by file and line; those that stand for many count as many."""
    error = LoadError([*many(3000), more_faults("b.yaml", 500), *many(2000, "c.yaml")])
    assert (len(error.faults), error.count) == (1001, 5500)
    assert error.faults[999] == Fault("a.yaml", 1000, "x", "is wrong")
    assert str(error.faults[1000]) == "all files: has 4,500 more faults"
    assert LoadError(error.faults).count == 5500
    assert reported_faults(error.faults)[1] == 5480


def test_of_one_file_two_hundred_are_spelled() -> None:
    """What follows is counted in one fault, so that neither memory nor time grow with it."""
    found: list[Fault] = []
    for fault in many(5000):
        assert is_full(found) is (fault.line > 201)
        note(found, fault)
    assert (len(found), found[199].line, found[200].count) == (201, 200, 4800)
    assert str(found[200]) == "a.yaml: has 4,800 more faults"
    assert str(more_faults("a", 1)) == "a: has 1 more fault"
    assert LoadError(found).count == 5000


def test_a_fault_is_cut() -> None:
    """A line of a log is not as long as a file."""
    fault = Fault("a.yaml", 1, "p" * 10_000, "m" * 1_000_000)
    assert len(str(fault)) < 1300
    assert str(fault).endswith("m…")
    assert fault.path == "p" * 199 + "…"


@pytest.mark.parametrize("place", ["file", "path", "message"])
def test_a_fault_is_one_line_without_control_characters(place: str) -> None:
    """Whatever file, key or text it is about."""
    hostile = "a\x1b[2Jb\nAll is well.\r\x07\x9b\u202e\u2028\udcff"
    values = {"file": "a.yaml", "path": "x", "message": "is wrong"} | {place: hostile}
    text = str(Fault(values["file"], 1, values["path"], values["message"]))
    assert "a\\x1b[2Jb\\nAll is well.\\r\\x07\\x9b\\u202e\\u2028\\xff" in text
    assert text.isprintable()


def test_a_veiled_fault_says_nothing_of_the_file() -> None:
    """Only where it is, and which file the link leads to."""
    text = LinkedText("root:x:0", "/etc/shadow")
    fault = redacted(Fault("a.yaml", 3, "root", "unknown key 'hunter2'", 7), text.target)
    assert (text, fault.line, fault.path, fault.count) == ("root:x:0", 3, "", 7)
    assert "/etc/shadow" in fault.message
    assert "hunter2" not in str(fault)
    assert "root" not in str(fault)


def _subclasses(kind: type[TokenserverError]) -> Iterator[type[TokenserverError]]:
    yield kind
    for further in kind.__subclasses__():
        yield from _subclasses(further)


def test_every_error_names_a_known_outcome() -> None:
    """Metrics have a row for each outcome, and none for any other word."""
    assert {kind.outcome for kind in _subclasses(TokenserverError)} <= set(OUTCOMES)
