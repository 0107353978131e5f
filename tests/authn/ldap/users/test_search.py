"""The search for a user below all bases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from directory_entries import BASE, directory, entry
from scripted_connection import answer, scripted

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.connection import Found
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline
from tokenserver.authn.ldap.users.search import find_user, look_at_base, spell_bases, subject_filter, user_filter
from tokenserver.credentials import Secret

PEOPLE, EXTERNAL = f"ou=people,{BASE}", f"ou=ext,{BASE}"
ANN, OTHER_ANN = entry(f"cn=ann,{PEOPLE}"), entry(f"cn=ann,{EXTERNAL}")
SAME_ANN = entry(f"CN=Ann, OU=People,{BASE.upper()}")


@pytest.mark.parametrize(
    ("answers", "expected", "code"),
    [
        pytest.param([answer(), answer()], [], 0, id="nobody"),
        pytest.param([answer(ANN), answer()], [ANN], 0, id="below the first"),
        pytest.param([answer(), answer(OTHER_ANN)], [OTHER_ANN], 0, id="below the second"),
        pytest.param([answer(ANN), answer(OTHER_ANN)], [ANN, OTHER_ANN], 0, id="two people"),
        pytest.param([answer(ANN), answer(SAME_ANN)], [ANN], 0, id="one entry twice"),
        pytest.param([answer(ANN, ANN), answer()], [ANN, ANN], 0, id="a server that repeats entries is not trusted"),
        pytest.param([answer(ANN, code=4), answer()], [ANN], 4, id="more below the first"),
        pytest.param([answer(), answer(ANN, code=4)], [ANN], 4, id="more below the second"),
    ],
)
def test_find_user(answers: list[Found], expected: Sequence[SearchEntry], code: int) -> None:
    """Every base is searched, so that a name below two of them is ambiguous."""
    connection, script = scripted(*answers)
    found = find_user(connection, directory(bases=(PEOPLE, EXTERNAL)), "(uid=ann)", Deadline(5))
    assert (list(found.entries), found.result.code) == ([*expected], code)
    assert [asked[:2] for asked in script.asked] == [(PEOPLE, "(uid=ann)"), (EXTERNAL, "(uid=ann)")]


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        pytest.param([answer(ANN), answer(code=32)], f"may not see it: {EXTERNAL}", id="the second does not exist"),
        pytest.param([answer(code=51)], "the directory is busy", id="the first fails"),
    ],
)
def test_a_base_that_cannot_be_searched(answers: list[Found], reason: str) -> None:
    """The user may be below it, or another one of the same name, so nobody is found."""
    connection, _ = scripted(*answers)
    with pytest.raises(ConnectionFailed, match=reason):
        find_user(connection, directory(bases=(PEOPLE, EXTERNAL)), "(uid=ann)", Deadline(5))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        pytest.param("CORP\\ann", "(uid=ann)", id="a domain"),
        pytest.param("OTHER\\ann", "(uid=OTHER\\5cann)", id="another domain, escaped"),
        pytest.param("CORP\\*)(uid=*", "(uid=\\2a\\29\\28uid\\3d\\2a)", id="what is left is escaped"),
    ],
)
def test_the_filter(typed: str, expected: str) -> None:
    """The name without its domain, as a value and nothing else."""
    assert user_filter(directory(user_filter="(uid={user})", domains=("CORP",)), typed) == expected


def test_a_base_is_read() -> None:
    """Its own entry says whether it exists."""
    connection, script = scripted(answer(entry(BASE)))
    look_at_base(connection, directory(), BASE, Deadline(5))
    assert script.asked == [(BASE, "(objectClass=*)", ("1.1",), b"")]


def test_the_empty_base_is_searched() -> None:
    """It has no entry, and most servers answer a search below it with an error: nobody's name is looked for."""
    connection, script = scripted(answer(), answer())
    for _ in range(2):
        look_at_base(connection, directory(user_filter="(uid={user})"), "", Deadline(5))
    (first, second) = script.asked
    assert (first[0], first[1] != second[1], first[1].startswith("(uid=")) == ("", True, True)


def test_a_server_that_knows_no_empty_base() -> None:
    """The fix is the port of a global catalog, or a DN in the key that has the empty one."""
    connection, _ = scripted(answer(code=32))
    with pytest.raises(ConnectionFailed) as caught:
        look_at_base(connection, directory(user_filter="(uid={user})"), "", Deadline(5), key="groups.base")
    assert "3269" in caught.value.failure.fix
    assert "groups.base" in caught.value.failure.fix


@pytest.mark.parametrize(
    ("more", "searcher"),
    [
        pytest.param({"bind": ("cn=reader", Secret("x"))}, "bind_dn", id="a service account"),
        pytest.param({"anonymous_search": True}, "anonymous clients", id="nobody"),
    ],
)
def test_a_base_that_may_not_be_read(more: dict[str, Any], searcher: str) -> None:
    """The fix names whoever searches."""
    connection, _ = scripted(answer(code=32))
    with pytest.raises(ConnectionFailed) as caught:
        look_at_base(connection, directory(**more), BASE, Deadline(5))
    assert caught.value.failure.fix == f"correct base, or grant {searcher} read access to it"


def test_bases_in_messages() -> None:
    """The empty one has words."""
    assert spell_bases([PEOPLE, ""]) == f"{PEOPLE} and below the whole directory (empty base)"


@pytest.mark.parametrize(
    ("user_filter", "expected"),
    [
        ("(uid={user})", r"(&(uid=a\2ab)(uid=*))"),
        ("(&(objectClass=person)(mail=*{user}*))", r"(&(uid=a\2ab)(&(objectClass=person)(mail=*)))"),
        ("(mail={user}@example.com)", r"(&(uid=a\2ab)(mail=*@example.com))"),
    ],
)
def test_subject_filter(user_filter: str, expected: str) -> None:
    """The subject, literally, of an entry that the filter finds by any name (docs/design/threats.md#threat-5)."""
    assert subject_filter(directory(subject="uid", user_filter=user_filter), "a*b") == expected
