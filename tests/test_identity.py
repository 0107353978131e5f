"""Identity: frozen, hashable, and anonymous only where nobody vouched."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from some_ceilings import ceiling

from tokenserver.identity import (
    ANONYMOUS,
    Identity,
    Kind,
    NamespaceRule,
    Namespaces,
    lower_namespace,
    slug_namespace,
    spell_group,
)
from tokenserver.scopes import is_path_component

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
    bounded = dataclasses.replace(ANN, ceiling=ceiling())
    assert bounded != ANN
    limited = dataclasses.replace(ANN, ceiling=ceiling(("a", "pull")))
    assert limited == dataclasses.replace(ANN, ceiling=ceiling(("a", "pull")))
    assert len({bounded, limited, dataclasses.replace(ANN, ceiling=ceiling(("b", "pull")))}) == 3


def test_kinds_spell_as_policies_spell_them() -> None:
    """`when: {kind: password}` names these values."""
    assert [str(kind) for kind in Kind] == ["anonymous", "password", "oidc", "key", "robot", "workload"]


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


LIKELY = st.text(st.sampled_from("aBc1.-_@+ é\u212a")) | st.text()


@given(LIKELY)
def test_a_namespace_is_a_segment_or_nothing(name: str) -> None:
    """Whatever a name is, what is made of it can stand in a repository name, or is empty."""
    for namespace in (lower_namespace(name), slug_namespace(name)):
        assert namespace == "" or is_path_component(namespace)


@given(st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)*", fullmatch=True))
def test_a_name_that_is_a_segment_stays_one(name: str) -> None:
    """Mapping changes nothing for a user who has a namespace without it."""
    assert lower_namespace(name) == slug_namespace(name) == name


@given(LIKELY)
def test_names_that_differ_in_case_share_a_namespace(name: str) -> None:
    """Each spelling of an ASCII name, so that a directory that ignores case finds everybody who shares it."""
    if name.isascii():
        assert {lower_namespace(one) for one in (name, name.upper(), name.swapcase())} == {lower_namespace(name)}
        assert {slug_namespace(one) for one in (name, name.upper(), name.swapcase())} == {slug_namespace(name)}


@pytest.mark.parametrize(
    ("name", "lower", "slug"),
    [
        ("JohnDoe", "johndoe", "johndoe"),
        ("ann@example.com", "", "ann-example-com"),
        ("Ann.Smith", "ann.smith", "ann.smith"),
        ("ann.smith@example.com", "", "ann-smith-example-com"),
        ("web+ci", "", "web-ci"),
        ("john doe", "", "john-doe"),
        ("x_", "", "x"),
        ("\u212aim", "", "im"),
        ("René", "", "ren"),
        ("@", "", ""),
        ("", "", ""),
    ],
)
def test_namespaces(name: str, lower: str, slug: str) -> None:
    """Names that companies have."""
    assert (lower_namespace(name), slug_namespace(name)) == (lower, slug)


def test_the_value_of_user() -> None:
    """The namespace, also an empty one, or the name where the source maps none; two namespaces are two identities."""
    mapped, none = (Identity("JohnDoe", Kind.PASSWORD, namespace=one) for one in ("johndoe", ""))
    assert (ANN.user_value, mapped.user_value, none.user_value) == ("ann", "johndoe", "")
    assert len({mapped, none, Identity("JohnDoe", Kind.PASSWORD)}) == 3


LOWER, SLUG, ATTRIBUTE = NamespaceRule.LOWER, NamespaceRule.SLUG, NamespaceRule.ATTRIBUTE


@pytest.mark.parametrize(
    ("rules", "name", "namespace"),
    [
        pytest.param([LOWER], "Ann", "ann", id="one rule"),
        pytest.param([LOWER], "a@b", "", id="no namespace"),
        pytest.param([LOWER, None], "ann", "ann", id="the same by both"),
        pytest.param([LOWER, None], "Ann", None, id="it depends on the source"),
        pytest.param([LOWER, SLUG], "a@b", None, id="two rules differ"),
        pytest.param([ATTRIBUTE], "ann", None, id="it depends on the directory"),
    ],
)
def test_the_namespace_of_a_name(rules: list[NamespaceRule | None], name: str, namespace: str | None) -> None:
    """What is known of a user who is not there."""
    assert Namespaces(frozenset(rules)).of(name) == namespace


@given(st.frozensets(st.sampled_from([None, *NamespaceRule]), min_size=1), LIKELY)
def test_a_known_namespace_is_the_only_possible_one(rules: frozenset[NamespaceRule | None], name: str) -> None:
    """And the only name of a namespace is one whose namespace it is."""
    namespaces = Namespaces(rules)
    known = namespaces.of(name)
    if known is not None:
        assert namespaces.is_possible(name, known)
        assert not namespaces.is_possible(name, f"{known}x")
    if is_path_component(name) and namespaces.only_name(name) is not None:
        assert namespaces.only_name(name) == name
        assert not any(namespaces.is_possible(other, name) for other in (name.upper() + "A", f"{name}@"))


def test_possible_namespaces() -> None:
    """One for each rule; a rule that makes none of the name adds nothing."""
    assert Namespaces(frozenset({LOWER, SLUG})).possible("a@b") == {"a-b"}
    assert Namespaces(frozenset({LOWER, SLUG})).possible("Ann") == {"ann"}


def test_the_only_name_of_a_namespace() -> None:
    """Digits have no case; letters may be spelled otherwise, and a slug or an attribute may come of anything."""
    assert Namespaces(frozenset({LOWER, None})).only_name("123") == "123"
    assert Namespaces(frozenset({LOWER})).only_name("a1") is None
    assert Namespaces(frozenset({SLUG})).only_name("123") is None


def test_an_identity_equals_nothing_else() -> None:
    """Not even what compares as its subject would."""
    assert ANN.__eq__("ann") is NotImplemented
    assert ANN != "ann"


def test_a_question_with_other_claims() -> None:
    """It stands for the machine with these claims, and for none that differs in anything else."""
    job, next_job, other = (
        Identity(subject, Kind.WORKLOAD, source="github", claims=frozenset({("env", "prod"), ("run", run)}))
        for subject, run in (("app", "1"), ("app", "2"), ("lib", "1"))
    )
    claims = frozenset({("env", "prod")})
    assert job.question_with(claims) == next_job.question_with(claims)
    assert job.question_with(claims) != job.question_with(frozenset())
    assert job.question_with(claims) != other.question_with(claims)
