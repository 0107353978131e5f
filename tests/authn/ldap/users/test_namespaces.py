"""The namespaces of directory users, and the search for others who have the same one."""

from __future__ import annotations

import pytest
from directory_entries import BASE, directory, entry
from scripted_connection import answer, scripted

from tokenserver.authn.ldap.connection import Found
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline, Unanswerable
from tokenserver.authn.ldap.directory import Directory
from tokenserver.authn.ldap.entry import Refused, identity_of, wanted_attributes
from tokenserver.authn.ldap.users.namespaces import owner_of, require_sole_owner
from tokenserver.identity import NamespaceRule

LOWER = directory(namespace_rule=NamespaceRule.LOWER, lowercase=False)
ATTRIBUTE = directory(namespace_rule=NamespaceRule.ATTRIBUTE, namespace_attribute="employeeNumber")
PLAIN = directory(lowercase=False)
JOHN = entry(f"cn=1,{BASE}", uid="JohnDoe", employeeNumber="jd")
OTHER = entry(f"cn=2,{BASE}", uid="johndoe", employeeNumber="jd")
ELSE = entry(f"cn=3,{BASE}", uid="john", employeeNumber="JD")


@pytest.mark.parametrize(
    ("of", "found", "namespace"),
    [
        pytest.param(PLAIN, JOHN, None, id="not mapped"),
        pytest.param(LOWER, JOHN, "johndoe", id="lower"),
        pytest.param(LOWER, entry(uid="ann@example.com"), "", id="no segment in lower case either"),
        pytest.param(LOWER, entry(uid="\u212aim"), "", id="a letter that only normal forms turn into k"),
        pytest.param(ATTRIBUTE, JOHN, "jd", id="attribute"),
        pytest.param(ATTRIBUTE, ELSE, "", id="a value that is no segment"),
        pytest.param(ATTRIBUTE, entry(), "", id="no value"),
    ],
)
def test_the_namespace(of: Directory, found: object, namespace: str | None) -> None:
    """What the identity says."""
    assert identity_of(found, of, ()).namespace == namespace  # type: ignore[arg-type]


def test_several_values() -> None:
    """It cannot be told which is the namespace."""
    with pytest.raises(Refused, match="the attribute of the namespace has 2 values"):
        identity_of(entry(employeeNumber=["a", "b"]), ATTRIBUTE, ())


def test_the_attribute_is_requested() -> None:
    """Together with everything else."""
    assert "employeeNumber" in wanted_attributes(ATTRIBUTE)


@pytest.mark.parametrize(
    ("of", "found", "asked", "problem"),
    [
        pytest.param(LOWER, [JOHN], "(uid=jOHNdOE)", None, id="alone"),
        pytest.param(LOWER, [JOHN, OTHER], "(uid=jOHNdOE)", "the same namespace: johndoe, cn=2", id="two by case"),
        pytest.param(LOWER, [OTHER], "(uid=jOHNdOE)", "the same namespace: johndoe, cn=2", id="only another"),
        pytest.param(LOWER, [], "(uid=jOHNdOE)", "does not find the user, so", id="the directory minds case"),
        pytest.param(LOWER, [JOHN, ELSE], "(uid=jOHNdOE)", None, id="one who was found by mistake"),
        pytest.param(ATTRIBUTE, [JOHN], "(employeeNumber=jd)", None, id="alone by attribute"),
        pytest.param(ATTRIBUTE, [JOHN, OTHER], "(employeeNumber=jd)", "namespace: jd, cn=2", id="two by attribute"),
        pytest.param(
            ATTRIBUTE, [JOHN, ELSE], "(employeeNumber=jd)", None, id="a value in another case is no namespace"
        ),
        pytest.param(ATTRIBUTE, [], "(employeeNumber=jd)", "does not find the user, so", id="not searchable"),
    ],
)
def test_sole_owner(of: Directory, found: list[object], asked: str, problem: str | None) -> None:
    """Another entry with the namespace rejects the user, and so does a search that would not find one."""
    connection, script = scripted(answer(*found))  # type: ignore[arg-type]
    identity = identity_of(JOHN, of, ())
    if problem is None:
        require_sole_owner(of, JOHN, identity, connection, Deadline(5))
    else:
        with pytest.raises(Refused, match=problem):
            require_sole_owner(of, JOHN, identity, connection, Deadline(5))
    assert [one[:2] for one in script.asked] == [(BASE, asked)]


@pytest.mark.parametrize("of", [PLAIN, ATTRIBUTE])
def test_nothing_is_asked(of: Directory) -> None:
    """Without a rule, or a namespace."""
    connection, script = scripted()
    require_sole_owner(of, ELSE, identity_of(ELSE, of, ()), connection, Deadline(5))
    assert script.asked == []


@pytest.mark.parametrize(
    ("told", "error"),
    [
        pytest.param(answer(JOHN, code=4), Unanswerable, id="more than it shows"),
        pytest.param(answer(code=51), ConnectionFailed, id="busy"),
    ],
)
def test_a_directory_that_cannot_tell(told: Found, error: type[Exception]) -> None:
    """The login fails, rather than to let in two with one namespace."""
    connection, _ = scripted(told)
    with pytest.raises(error):
        require_sole_owner(LOWER, JOHN, identity_of(JOHN, LOWER, ()), connection, Deadline(5))


@pytest.mark.parametrize(
    ("of", "namespace", "asked", "owner"),
    [
        pytest.param(PLAIN, "johndoe", "(uid=johndoe)", OTHER.dn, id="by name"),
        pytest.param(directory(), "johndoe", "(uid=johndoe)", JOHN.dn, id="by a name that is folded"),
        pytest.param(LOWER, "johndoe", "(uid=johndoe)", JOHN.dn, id="by lower case"),
        pytest.param(ATTRIBUTE, "jd", "(employeeNumber=jd)", JOHN.dn, id="by attribute"),
        pytest.param(ATTRIBUTE, "other", "(employeeNumber=other)", None, id="nobody"),
    ],
)
def test_owner(of: Directory, namespace: str, asked: str, owner: str | None) -> None:
    """For a user of a later source: whether anybody has the namespace here."""
    connection, script = scripted(answer(JOHN, OTHER))
    assert owner_of(of, namespace, connection, Deadline(5)) == owner
    assert script.asked[0][1] == asked
