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
    HangUp,
    Rogue,
    answering,
    entry,
    message,
    numbered,
    result,
    rogue,
    source,
    tagged,
    text,
)

from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.authn.ldap.deadline import MAX_BYTES
from tokenserver.authn.ldap.diagnose import diagnose
from tokenserver.authn.ldap.directory import GroupsBy, GroupSettings, Primary
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, Incomplete, InvalidCredentials
from tokenserver.identity import Identity

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
        assert "than a login may cost" in found.reason or "an entry contains more than" in found.reason
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
        assert found.reason == "ambiguous: several entries match the user name"


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
            assert found.reason.startswith("the request cannot be encoded: LDAPInvalidFilterError; correct user_filter")
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
