"""Filters of the configuration: what passes can be sent, and a fault has its place."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.core.exceptions import LDAPException
from ldap3.operation.search import compile_filter, parse_filter
from ldap3.utils.asn1 import encode

from tokenserver.authn.ldap.dn import fill
from tokenserver.authn.ldap.filters import MAX_DEPTH, NotAFilter, check_filter


@pytest.mark.parametrize(
    "text",
    [
        "(uid={user})",
        "(&(objectClass=person)(|(uid={user})(mail={user})))",
        "( & ( objectClass = person ) (!(nsAccountLock=TRUE)) (uid={user}) )",
        "(mail={user}@example.com)",
        "(cn=*{user}*x)",
        "(uid=*)",
        "(memberOf:1.2.840.113556.1.4.1941:=cn=a,dc=b)",
        "(cn:dn:=x)",
        "(:caseExactMatch:=x)",
        r"(cn=\28x\29)",
        "(cn;lang-de=x)",
        "(1.2.3>=5)",
        "(cn~=)",
    ],
)
def test_a_filter(text: str) -> None:
    """It is accepted, and ldap3 can encode it."""
    check_filter(text)
    assert written(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "(&(uid={user})(memberOf=cn=Web Team (x),ou=groups))",
            "is no filter at character 37, near '(x),ou=groups))': "
            r"a parenthesis inside a value is written \28 and \29",
            id="parenthesis",
        ),
        pytest.param(
            "(&(uid={user})(memberOf))",
            "is no filter at character 16, near 'memberOf))': an attribute and = are missing, such as uid=",
            id="no comparison",
        ),
        pytest.param("(uid={user}", "is no filter at its end, near '(uid={user}': a ) is missing", id="open"),
        pytest.param("uid={user}", "is no filter at character 1, near 'uid={user}': a filter begins with (", id="bare"),
        pytest.param("", "is no filter at its end, near '': a filter begins with (", id="empty"),
        pytest.param(
            "(&)", "is no filter at character 3, near ')': & must be followed by a filter in parentheses", id="&"
        ),
        pytest.param("(!(a=b)(c=d))", "is no filter at character 8, near '(c=d))': a ) is missing", id="two negated"),
        pytest.param(
            r"(cn=\2x)",
            r"is no filter at character 5, near '\\2x)': "
            r"a backslash must be followed by two hexadecimal digits; a literal one is written \5c",
            id="escape",
        ),
        pytest.param("(cn=a**b)", "is no filter at character 6, near '**b)': repeated *; one is enough", id="stars"),
        pytest.param(
            "(cn>=a*)",
            r"is no filter at character 7, near '*)': * is a wildcard only after =; a literal one is written \2a",
            id="star elsewhere",
        ),
        pytest.param(
            "({user}=x)",
            "is no filter at character 2, near '{user}=x)': an attribute and = are missing, such as uid=",
            id="a name for an attribute",
        ),
        pytest.param(
            "(cn=a\nb)",
            r"is no filter at character 6, near '\nb)': a non-printable character is written as its bytes, "
            r"such as \c2\a0",
            id="line break",
        ),
    ],
)
def test_no_filter(text: str, problem: str) -> None:
    """The message says where the fault is, and what would be right."""
    with pytest.raises(NotAFilter) as caught:
        check_filter(text)
    assert str(caught.value) == problem


def test_filters_inside_filters() -> None:
    """Deeper than any filter in practice, but bounded: the library that encodes filters is recursive."""
    check_filter("(!" * (MAX_DEPTH - 1) + "(uid={user})" + ")" * (MAX_DEPTH - 1))
    with pytest.raises(NotAFilter, match="more than 20 deep"):
        check_filter("(&" * 5000 + "(uid={user})" + ")" * 5000)


def written(text: str) -> bytes:
    """A filter as encoded by the library."""
    return bytes(encode(compile_filter(parse_filter(text, None, False, False, None, False).elements[0])))


WORDS = [
    "(",
    ")",
    "&",
    "|",
    "!",
    "=",
    "~=",
    ">=",
    ":=",
    ":dn",
    "*",
    "\\",
    "\\2a",
    "{user}",
    "uid",
    "a b",
    " ",
    "é",
    ";x",
]


@given(st.lists(st.sampled_from(WORDS), max_size=14).map("".join) | st.text(max_size=20))
def test_what_is_let_through_can_be_written(text: str) -> None:
    """Any filter accepted at load can be sent at a login without an error, for every user name."""
    with contextlib.suppress(NotAFilter):
        check_filter(text)
        for user in ("ann", "(x)*\\", "é "):
            assert written(fill(text, user))


FILTERS = st.recursive(
    st.sampled_from(["(uid={user})", "(a=*)", "(a=*b*)", "(a:=b)", "(a<=b)", r"(a=\29)"]),
    lambda inner: (
        st.builds(
            lambda mark, parts: f"({mark}{''.join(parts)})",
            st.sampled_from("&|"),
            st.lists(inner, min_size=1, max_size=3),
        )
        | inner.map(lambda one: f"(!{one})")
    ),
    max_leaves=8,
)


@given(FILTERS, st.integers(0, 200), st.sampled_from(["(", ")", "=", "\\", "*", "&", ""]))
def test_a_filter_with_one_fault(text: str, place: int, instead: str) -> None:
    """A valid filter is accepted; with one character added or removed, it is rejected or can still be encoded."""
    check_filter(text)
    assert written(text)
    place %= len(text)
    for broken in (text[:place] + instead + text[place:], text[:place] + text[place + 1 :]):
        with contextlib.suppress(NotAFilter):
            check_filter(broken)
            assert written(broken)


def test_ldap3_refuses_what_is_no_filter() -> None:
    """The generators reach the interesting cases, so the properties above are not vacuous."""
    with pytest.raises(LDAPException):
        written("(&(uid=x)(memberOf=(x)))")
