"""Logins at a hostile directory: whatever it answers, the outcome is one of the documented ones."""

from __future__ import annotations

import contextlib
import itertools
import resource
from collections.abc import Iterator

import pytest
from directory_entries import BASE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rogue_directory import (
    NUMBER,
    Answers,
    HangUp,
    Rogue,
    answering,
    entry,
    message,
    numbered,
    policy_control,
    result,
    rogue,
    source,
    tagged,
    text,
)

from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.authn.ldap.deadline import MAX_BYTES
from tokenserver.authn.ldap.diagnosis.diagnose import diagnose
from tokenserver.authn.ldap.directory import GroupsBy, GroupSettings, Primary
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, Incomplete, InvalidCredentials
from tokenserver.identity import Identity

Answer = tuple[bytes, dict[bytes, list[bytes]]]
ANN: Answer = (f"uid=ann,{BASE}".encode(), {b"uid": [b"ann"]})
LOGIN = Password("ann", Secret("secret"))


def outcome(asked: LdapDirectory) -> Identity | Exception | None:
    """The outcome of a login; any other exception is a bug."""
    try:
        return asked.authenticate(LOGIN)
    except (InvalidCredentials, BackendUnavailable) as error:
        return error


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(message(NUMBER, entry(b"uid=ann," + BASE.encode(), {b"uid": [b"x" * 60_000]})), id="entries"),
        pytest.param(message(NUMBER, entry(b"uid=a", {b"uid": [b"x" * 5_000_000]})), id="large entries"),
        pytest.param(message(NUMBER, tagged(0x73, text(b"ldap://x"))) * 2000, id="references"),
        pytest.param(message(NUMBER, entry(b"uid=a", {b"uid": [b""] * 150_000})), id="values"),
    ],
)
def test_an_endless_answer_before_the_password_is_checked(piece: bytes) -> None:
    """However large it is, no more is read than the limit of a login, and no password is tried. The directory does
    answer, so it is not marked as down for other logins.
    """
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with rogue(answering(itertools.repeat(piece))) as server:
        found = outcome(source(server, deadline=10.0))
        assert isinstance(found, Incomplete), found
        assert "than a login may cost" in found.reason or "an entry contains too many values" in found.reason
        assert server.binds == 1  # the service account's
    # What was read, what the two sockets hold, and the piece that was on its way.
    assert server.sent <= MAX_BYTES + 16 * 1024 * 1024 + len(piece)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # in KiB


def test_entries_that_were_not_asked_for_are_not_kept() -> None:
    """A directory that ignores the size limit: the name is ambiguous, as with two entries."""
    one = message(NUMBER, entry(b"uid=ann," + BASE.encode(), {b"uid": [b"ann"]}))
    with rogue(answering([one * 5000, message(NUMBER, result(0x65))])) as server:
        found = outcome(source(server))
        assert isinstance(found, InvalidCredentials)
        assert found.reason == f"ambiguous: several entries match the user name: uid=ann,{BASE} and uid=ann,{BASE}"


@pytest.mark.parametrize("code", [4, 11])
def test_groups_that_are_cut_off(code: int) -> None:
    """The directory's own limit is reported as such: 503, and not as a user in too many groups."""
    found = message(NUMBER, entry(b"uid=ann," + BASE.encode(), {b"uid": [b"ann"]}))
    searches = 0

    def answers(number: int, tag: int) -> Iterator[bytes]:
        nonlocal searches
        if tag == 0x60:
            yield message(number, result(0x61))
            return
        searches += 1
        ends = (found, message(NUMBER, result(0x65))) if searches == 1 else (message(NUMBER, result(0x65, code)),)
        yield from numbered(ends, number)

    with rogue(answers) as server:
        cut_off = outcome(source(server))
        assert isinstance(cut_off, Incomplete)
        assert cut_off.reason.startswith("the directory returns no more than 0 groups of the user (the directory's ")
        assert "raise the limit" in cut_off.reason


def test_a_request_that_cannot_be_written() -> None:
    """Any error of the library about a filter that was not checked: 503, and no server is marked as down."""
    with rogue(answering([message(NUMBER, result(0x65))])) as server:
        asked = source(server, user_filter="(&(uid={user})(memberOf))")
        for _ in range(4):
            found = outcome(asked)
            assert isinstance(found, Incomplete)
            assert found.reason.startswith(
                "the request cannot be encoded: LDAPInvalidFilterError; fix: correct user_filter"
            )
        assert asked.servers._servers[0].down_until == 0


BYTES = st.binary(max_size=12) | st.sampled_from(
    [
        b"ann",
        b"\xff",
        b"",
        b"a\0b",
        b"512",
        b"514",
        b"cn=web," + BASE.encode(),
        b"cn=#04",
        b"x" * 300,
        b"133000000000000000",
    ]
)


NAMES = st.sampled_from(
    [
        *(b"uid", b"cn", b"mail", b"memberOf", b"memberOf;range=0-1", b"gidNumber", b"objectSid", b"primaryGroupID"),
        *(b"objectClass", b"userAccountControl", b"accountExpires", b"pwdAccountLockedTime", b"shadowExpire"),
        *(b"cn;lang-de", b"x"),
    ]
)


ENTRIES = st.builds(
    entry,
    st.sampled_from([b"uid=ann," + BASE.encode(), b"cn=web," + BASE.encode(), b"", b"nonsense", b"cn=a\\"]) | BYTES,
    st.dictionaries(NAMES, st.lists(BYTES, max_size=3), max_size=6),
)


ENDS = st.builds(result, st.just(0x65), st.sampled_from([0, 0, 0, 3, 4, 10, 11, 32, 50, 51, 99]))


COOKIES = st.sampled_from(
    [b"", tagged(0xA0, tagged(0x30, text(b"1.2.840.113556.1.4.319") + text(b"\x30\x06\x02\x01\x00\x04\x01x")))]
)


MESSAGES = st.builds(lambda operation, controls: message(NUMBER, operation, controls), ENTRIES | ENDS, COOKIES)


ANSWERS = st.lists(st.lists(MESSAGES | st.binary(max_size=30), max_size=4), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def talker() -> Iterator[tuple[Rogue, list[list[bytes]]]]:
    """A directory that answers its searches with the items of the list, in order."""
    script: list[list[bytes]] = []

    def answers(number: int, tag: int) -> Iterator[bytes]:
        if tag == 0x60:
            yield message(number, result(0x61))
        elif tag == 0x63:
            pieces = script.pop(0) if script else []
            yield from numbered(pieces, number)
            if any(not piece.startswith(b"\x30\x84") for piece in pieces):
                raise HangUp  # after garbage, which may look like the beginning of much more
            yield message(number, result(0x65))

    with rogue(answers) as server:
        yield server, script


@given(
    ANSWERS,
    st.sampled_from(GroupsBy),
    st.sampled_from([None, *Primary]),
    st.booleans(),
)
@settings(
    max_examples=min(settings().max_examples, 5_000),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_answers(
    talker: tuple[Rogue, list[list[bytes]]],
    script: list[list[bytes]],
    by: GroupsBy,
    kind: Primary | None,
    by_rule: bool,
) -> None:
    """Any answer of a directory results in an identity, in None, or in one of the two documented errors, for logins
    and for the queries of commands. An identity is the user that was asked for.
    """
    server, answers = talker
    asked = source(server, groups=GroupSettings(by, (BASE,), by_rule=by_rule, primary=kind), deadline=1.0)
    answers[:] = list(script)
    found = outcome(asked)
    assert found is None or isinstance(found, (Identity, InvalidCredentials, BackendUnavailable))
    if isinstance(found, Identity):
        assert found.subject
        assert all(0 < len(name) <= 255 and "\0" not in name for name in found.groups)
    for question in (lambda: asked.look_up("ann"), asked.subjects, asked.unnameable_groups, asked.probe):
        answers[:] = list(script)
        with contextlib.suppress(InvalidCredentials, BackendUnavailable):
            question()
    answers[:] = list(script)
    assert all(step.result for step in diagnose(asked, "ann", Secret("secret")))


def with_policy(user: bytes = b"", service: bytes = b"", *, login: int = 0, entry_of: Answer = ANN) -> Answers:
    """A directory with ann and these password policy controls in the answers to the binds; empty: without one."""
    binds = 0

    def answers(number: int, tag: int) -> Iterator[bytes]:
        nonlocal binds
        if tag == 0x60:
            value, code = (service, 0) if binds == 0 else (user, login)
            binds += 1
            yield message(number, result(0x61, code), policy_control(value) if value else b"")
        elif tag == 0x63:
            yield message(number, entry(*entry_of))
            yield message(number, result(0x65))

    return answers


MUST_CHANGE, EXPIRED, LOCKED, ODD = (b"\x30\x03\x81\x01" + bytes([error]) for error in (2, 0, 1, 6))
GRACE, EXPIRES = b"\x30\x05\xa0\x03\x81\x01\x02", b"\x30\x05\xa0\x03\x80\x01\x1e"


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        pytest.param(with_policy(MUST_CHANGE), "the password must be changed first", id="a success that is none"),
        pytest.param(
            with_policy(b"\x30\x03\x81\x01\x06"), "the directory's password policy reports an error: 6", id="odd"
        ),
        pytest.param(with_policy(EXPIRED, login=49), "the password has expired", id="expired"),
        pytest.param(with_policy(LOCKED, login=49), "the account is locked", id="locked"),
        pytest.param(with_policy(login=49), "wrong password", id="wrong"),
    ],
)
def test_what_the_password_policy_rejects(answers: Answers, reason: str) -> None:
    """The reason in the audit event; the client learns nothing of it (web/test_token_endpoint.py)."""
    with rogue(answers) as server:
        found = outcome(source(server, groups=None))
        assert isinstance(found, InvalidCredentials)
        assert found.reason == reason


def test_the_password_policy_without_a_service_account() -> None:
    """The bind is the user's own; nothing is read as a user who must change the password first."""
    with rogue(with_policy(service=MUST_CHANGE)) as server:
        found = outcome(source(server, groups=None, bind=None, user_dn_template=f"uid={{user}},{BASE}"))
        assert isinstance(found, InvalidCredentials)
        assert (found.reason, server.binds) == ("the password must be changed first", 1)


def test_an_account_that_expires() -> None:
    """The login is used no longer than the account is valid, whatever the settings of the cache."""
    with rogue(with_policy(entry_of=(ANN[0], ANN[1] | {b"shadowExpire": [b"99999"]}))) as server:  # in 2243
        found = outcome(source(server, groups=None))
    assert isinstance(found, Identity)
    assert found.valid_for is not None
    assert found.valid_for > 200 * 365 * 86400


@pytest.mark.parametrize(
    ("policy", "seconds", "logged"),
    [
        pytest.param(b"", None, [], id="nothing"),
        pytest.param(
            GRACE, 60.0, [("WARNING", "the password has expired; this was a grace login, 2 left")], id="grace login"
        ),
        pytest.param(EXPIRES, 30.0, [("INFO", "the password expires in 30 seconds")], id="expires"),
    ],
)
def test_a_password_that_still_works(
    policy: bytes, seconds: float | None, logged: list[tuple[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    """A grace login is a login, with a warning; it is used no longer than the directory vouches for it."""
    caplog.set_level("INFO", "tokenserver.ldap")
    with rogue(with_policy(policy)) as server:
        found = outcome(source(server, groups=None))
    assert isinstance(found, Identity)
    assert (found.subject, found.valid_for) == ("ann", seconds)
    assert [(one.levelname, one.message) for one in caplog.records] == [
        (level, f"corp: uid=ann,{BASE}: {text}") for level, text in logged
    ]
