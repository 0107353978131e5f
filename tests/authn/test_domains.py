r"""Domains in login names: `CORP\ann` and `ann@corp.example.com` are ann, and another domain's user is nobody."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokenserver.authn.domains import TypedDomain, counted_name, plausible_domain, typed_domains, without_domains
from tokenserver.authn.ldap.dn import escape_filter
from tokenserver.authn.usernames import canonical

DOMAINS = ("CORP", "corp.example.com")

NAMES = st.lists(
    st.sampled_from(
        [
            *"\\@ Aaß\u0130\u0345\u0301\uff3c\uff20",
            "ann",
            "CORP",
            "corp",
            "Corp.Example.COM",
            "OTHER",
            "\uff23\uff2f\uff32\uff30",
        ]
    )
    | st.text(max_size=2),
    max_size=7,
).map("".join)
"""Names with many separators, domains and characters that change when they are folded."""


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        pytest.param("ann", "ann", id="no domain"),
        pytest.param("CORP\\ann", "ann", id="before"),
        pytest.param("corp\\Ann", "Ann", id="in another case; the name keeps its own"),
        pytest.param("corp.example.com\\ann", "ann", id="DNS name before"),
        pytest.param("ann@CORP", "ann", id="after"),
        pytest.param("ann@Corp.Example.com", "ann", id="DNS name after"),
        pytest.param("\uff23\uff2f\uff32\uff30\\ann", "ann", id="full width, which directories fold"),
        pytest.param(" CORP \\ ann ", "ann", id="blanks, which directories ignore"),
        pytest.param("OTHER\\ann", "OTHER\\ann", id="another domain before"),
        pytest.param("ann@other.example.com", "ann@other.example.com", id="another domain after"),
        pytest.param("ann@sub.corp.example.com", "ann@sub.corp.example.com", id="a domain below"),
        pytest.param("CORPX\\ann", "CORPX\\ann", id="a longer domain"),
        pytest.param("CORP/ann", "CORP/ann", id="a slash separates nothing"),
        pytest.param("CORP", "CORP", id="just a name, like a domain"),
        pytest.param("CORP\\", "CORP\\", id="just a domain before"),
        pytest.param("@CORP", "@CORP", id="just a domain after"),
        pytest.param("CORP\\ ", "CORP\\ ", id="a domain before a blank"),
        pytest.param("\\ann", "\\ann", id="an empty domain"),
        pytest.param("CORP\\CORP", "CORP", id="a user named like the domain"),
        pytest.param("CORP\\ann@corp.example.com", "ann", id="both"),
        pytest.param("CORP\\CORP\\ann", "ann", id="twice"),
        pytest.param("CORP\\ann@example.net", "ann@example.net", id="before an address"),
        pytest.param("CORP\\OTHER\\ann", "OTHER\\ann", id="before another one"),
        pytest.param("OTHER\\ann@CORP", "OTHER\\ann", id="after another one"),
        pytest.param("a@b@CORP", "a@b", id="the last @"),
    ],
)
def test_without_domains(typed: str, expected: str) -> None:
    """Only these domains are removed, wherever people write them."""
    assert without_domains(typed, DOMAINS) == expected


@given(NAMES)
def test_removing_is_idempotent(name: str) -> None:
    """What is left has none of the domains, is never empty, and is a part of the name, so escaping covers it."""
    left = without_domains(name, DOMAINS)
    assert without_domains(left, DOMAINS) == left
    assert left in name
    assert bool(left.strip()) == bool(name.strip())
    assert not any(canonical(typed.domain) in map(canonical, DOMAINS) for typed in typed_domains(left))
    try:
        escaped = escape_filter(name)
    except ValueError:
        return
    assert escape_filter(left) in escaped


@given(NAMES)
def test_nothing_is_removed_without_domains(name: str) -> None:
    """Where none is configured, names are what was typed, and counted as before."""
    assert without_domains(name, ()) == name
    assert counted_name(name, ()) == canonical(name)


@given(NAMES, st.sampled_from([("CORP",), ("OTHER", "b"), (), ("corp.example.com",)]))
@example("CORP\\OTHER\\ann", ("OTHER",))
def test_one_count_for_all_spellings(name: str, others: tuple[str, ...]) -> None:
    """Names that one source takes for the same user are counted as one, whatever else other sources remove."""
    everything = (*DOMAINS, *others)
    for domains in (DOMAINS, others):
        searched = without_domains(name, domains)
        assert counted_name(searched, everything) == counted_name(name, everything)


@pytest.mark.parametrize(
    "spelling",
    [
        *("ann", "ANN", "CORP\\ann", "corp\\ANN", "ann@CORP", "ann@corp.example.com", "corp.example.com\\ann"),
        *(
            " CORP\\ann",
            "CORP\\ ann",
            "\uff41\uff4e\uff4e@CORP",
            "\uff23\uff2f\uff32\uff30\\ann",
            "CORP\uff3cann",
            "ann\uff20corp.example.com",
        ),
    ],
)
def test_spellings_of_one_user(spelling: str) -> None:
    """Also where a directory would fold the separator itself."""
    assert counted_name(spelling, DOMAINS) == "ann"


def test_other_people_are_counted_by_themselves() -> None:
    """Another domain's user has a count of their own."""
    assert counted_name("OTHER\\ann", DOMAINS) == "other\\ann"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("CORP\\jdoe", TypedDomain("CORP", "jdoe", is_before=True), id="before"),
        pytest.param("jdoe@corp.example.com", TypedDomain("corp.example.com", "jdoe", is_before=False), id="after"),
        pytest.param("jdoe", None, id="none"),
        pytest.param("a b\\jdoe", None, id="no domain has a blank"),
        pytest.param(")(uid=*\\jdoe", None, id="nor what filters are made of"),
        pytest.param("x" * 65 + "\\jdoe", None, id="nor so many characters"),
    ],
)
def test_a_plausible_domain(name: str, expected: TypedDomain | None) -> None:
    """Only what looks like one is repeated in advice."""
    assert plausible_domain(name) == expected
