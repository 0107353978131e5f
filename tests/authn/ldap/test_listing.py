"""The list of all users of a directory, page by page."""

from __future__ import annotations

import itertools

import pytest
from directory_entries import BASE, directory, entry
from scripted_connection import ScriptedConnection, answer, scripted

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.connection import Found
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline
from tokenserver.authn.ldap.listing import MAX_PAGES, all_subjects, checked

ANN, BOB = entry(uid="Ann"), entry(f"uid=bob,{BASE}", uid="bob")
NAMELESS = SearchEntry(f"cn=x,{BASE}", {})
TWO_NAMES = entry(uid=["x", "y"])


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param([answer()], (set(), True), id="nobody"),
        pytest.param([answer(ANN, BOB)], ({"ann", "bob"}, True), id="one page"),
        pytest.param([answer(ANN, cookie=b"1"), answer(BOB)], ({"ann", "bob"}, True), id="two pages"),
        pytest.param([answer(ANN, NAMELESS, TWO_NAMES)], ({"ann"}, True), id="entries without one subject"),
        pytest.param([answer(ANN, cookie=b"1"), answer(BOB, code=4)], ({"ann", "bob"}, False), id="size limit"),
        pytest.param([answer(ANN, code=3)], ({"ann"}, False), id="time limit"),
        pytest.param([answer(code=11)], (set(), False), id="administrative limit"),
    ],
)
def test_all_subjects(answers: list[Found], expected: tuple[set[str], bool]) -> None:
    """Subjects as in policies; the list is complete unless the directory cut it off at one of its limits."""
    connection, script = scripted(*answers)
    of = directory(user_filter="(&(objectClass=person)(uid={user}))")
    found, is_complete = all_subjects(of, connection, Deadline(5))
    assert (set(found), is_complete) == expected
    assert set(script.filters) == {"(&(objectClass=person)(uid=*))"}
    assert [asked[3] for asked in script.asked] == [b"", *(one.cookie for one in answers[:-1])]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param([answer(ANN), answer(BOB)], ({"ann", "bob"}, True), id="both complete"),
        pytest.param([answer(ANN, code=4), answer(BOB)], ({"ann", "bob"}, False), id="the first is cut off"),
        pytest.param([answer(ANN), answer(BOB, code=4)], ({"ann", "bob"}, False), id="the second is cut off"),
    ],
)
def test_the_subjects_below_several_bases(answers: list[Found], expected: tuple[set[str], bool]) -> None:
    """All of them, and complete if each list is."""
    connection, script = scripted(*answers)
    found, is_complete = all_subjects(directory(bases=("ou=a", "ou=b")), connection, Deadline(5))
    assert (set(found), is_complete) == expected
    assert [asked[0] for asked in script.asked] == ["ou=a", "ou=b"]


def test_a_directory_that_never_ends() -> None:
    """After a number of pages the list is what was found, and incomplete."""
    made = ScriptedConnection(itertools.repeat(answer(ANN, cookie=b"more")))
    found, is_complete = all_subjects(directory(), made, Deadline(5))  # type: ignore[arg-type]  # a fake
    assert (set(found), is_complete) == ({"ann"}, False)
    assert len(made.asked) == MAX_PAGES


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        pytest.param(1, "operations error (a bind is required before a search?)", id="not bound"),
        pytest.param(32, "the base does not exist, or the account may not see it", id="no base"),
        pytest.param(51, "the directory is busy", id="busy"),
        pytest.param(99, "the directory reports an error: result 99", id="unknown"),
    ],
)
def test_a_failed_search(code: int, reason: str) -> None:
    """Any other result than success or a size limit is a failure of the directory, with its meaning."""
    connection, _ = scripted(answer(ANN, code=code))
    with pytest.raises(ConnectionFailed) as caught:
        all_subjects(directory(), connection, Deadline(5))
    assert caught.value.reason == reason


@pytest.mark.parametrize("code", [0, 4])
def test_checked(code: int) -> None:
    """A complete answer, and one that is cut off at the requested size, pass unchanged."""
    found = answer(ANN, code=code)
    assert checked(found) is found
