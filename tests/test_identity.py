"""Identity: frozen, hashable, and anonymous only where nobody vouched."""

from __future__ import annotations

import dataclasses

import pytest

from tokenserver.identity import ANONYMOUS, Identity, Kind, spell_group
from tokenserver.scopes import Access, Resource

ANN = Identity("ann", Kind.PASSWORD, "htpasswd", frozenset({"web"}))


def test_anonymous_has_no_name() -> None:
    """Its subject is empty, nobody vouched, it is in no group, and nothing bounds it but policy."""
    assert Identity(subject="", kind=Kind.ANONYMOUS) == ANONYMOUS
    assert (ANONYMOUS.subject, ANONYMOUS.source, ANONYMOUS.groups, ANONYMOUS.ceiling) == ("", "", frozenset(), None)
    assert dict(ANONYMOUS.attributes) == {}


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        pytest.param(ANONYMOUS, True, id="anonymous"),
        pytest.param(ANN, False, id="user"),
        pytest.param(Identity("", Kind.PASSWORD), False, id="empty-subject"),
        pytest.param(Identity("anonymous", Kind.PASSWORD), False, id="user-called-anonymous"),
    ],
)
def test_only_the_kind_makes_anonymous(identity: Identity, expected: bool) -> None:
    """Neither the subject nor its absence says who is anonymous: the kind does."""
    assert identity.is_anonymous is expected


def test_an_identity_that_lost_groups_is_another() -> None:
    """What was decided for the one is not remembered for the other."""
    other = dataclasses.replace(ANN, lost=("cn=a",))
    assert (other == ANN, hash(other) == hash(ANN)) == (False, False)


def test_an_identity_is_frozen() -> None:
    """Nothing on the path can lift a ceiling, add a group or change an attribute."""
    for field in ("subject", "kind", "source", "groups", "attributes", "ceiling"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(ANN, field, None)
    with pytest.raises(TypeError):
        ANN.attributes["admin"] = "yes"  # type: ignore[index]  # that is the test


def test_default_attributes_are_not_shared_state() -> None:
    """Two identities without attributes have equal ones, and neither can be written."""
    assert Identity("a", Kind.PASSWORD).attributes == Identity("b", Kind.PASSWORD).attributes


def test_an_identity_is_a_key() -> None:
    """Equal identities have one hash, also with attributes, which are no part of it."""
    one = Identity("ann", Kind.PASSWORD, attributes={"mail": "a@example.com"})
    other = Identity("ann", Kind.PASSWORD, attributes={"mail": "a@example.com"})
    assert (one == other, hash(one) == hash(other)) == (True, True)


def test_a_source_tells_namesakes_apart() -> None:
    """The same subject of another source, or of another kind, is another identity."""
    assert Identity("ann", Kind.PASSWORD, "htpasswd") != Identity("ann", Kind.PASSWORD, "corp")


def test_no_ceiling_is_not_an_empty_one() -> None:
    """None bounds nothing; an empty ceiling bounds everything away."""
    bounded = dataclasses.replace(ANN, ceiling=())
    assert bounded != ANN
    access = Access(Resource("repository", "a"), frozenset({"pull"}))
    assert dataclasses.replace(ANN, ceiling=(access,)).ceiling == (access,)


def test_kinds_spell_as_policies_spell_them() -> None:
    """`when: {kind: password}` names these values."""
    assert [str(kind) for kind in Kind] == ["anonymous", "password"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("Apps: Prod $5 #x", "Apps: Prod $5 #x", id="harmless"),
        pytest.param("all*stars", '"all*stars"', id="a star"),
        pytest.param(" a", '" a"', id="a blank that is easily lost"),
        pytest.param("a\u00a0\u00e4", '"a\\u00a0\u00e4"', id="what cannot be seen"),
        pytest.param('"a"', '"\\"a\\""', id="quotes"),
        pytest.param("\x1b[2J\n", '"\\u001b[2J\\n"', id="control characters"),
        pytest.param("group:a", '"group:a"', id="like a principal"),
        pytest.param("", '""', id="nothing"),
    ],
)
def test_how_a_group_is_spelled(name: str, expected: str) -> None:
    """As policies write it; what is printed moves no cursor."""
    assert spell_group(name) == expected
