"""Workloads: which of them a client is by its claims, and which imply others."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.identity import Claims
from tokenserver.policy.machines import workloads as module
from tokenserver.policy.machines.claim_globs import accepts, parse_claim_glob
from tokenserver.policy.machines.workloads import (
    NO_WORKLOADS,
    Required,
    Workload,
    Workloads,
    base_of,
    is_declared,
    membership,
    requires,
    shown_workload,
    spell_claims,
    where_claims,
    workload_of,
)


def claims(**values: str) -> Required:
    """Required claims; values are globs, separated by `|`."""
    return tuple((name, tuple(map(parse_claim_glob, text.split("|")))) for name, text in sorted(values.items()))


def held(table: Workloads, source: str, *found: tuple[str, str]) -> set[str]:
    """The names of the workloads that a client is."""
    return {workload_of(one) or "" for one in table.memberships(source, frozenset(found))}


MAIN = Workload("main", "github", claims(repository="octo/web", ref="refs/heads/main"))
TABLE = Workloads.of_all(
    [
        MAIN,
        Workload("web", "github", claims(repository="octo/web|octo/site")),
        Workload("any", "github", claims(repository="octo/*")),
        Workload("lab", "gitlab", claims(repository="octo/web")),
        where_claims(MAIN, claims(environment="production")),
        where_claims(None, claims(environment="production")),
    ]
)
WEB = ("repository", "octo/web")
PROD = ("environment", "production")


@pytest.mark.parametrize(
    ("source", "found", "expected"),
    [
        pytest.param("github", [WEB], {"web", "any"}, id="several"),
        pytest.param("github", [WEB, ("ref", "refs/heads/main")], {"web", "any", "main"}, id="all claims"),
        pytest.param("github", [WEB, ("ref", "refs/heads/x")], {"web", "any"}, id="one claim differs"),
        pytest.param("gitlab", [WEB], {"lab"}, id="another source"),
        pytest.param("github", [("repository", "octo/site")], {"web", "any"}, id="one of a list"),
        pytest.param("github", [("repository", "x/y"), WEB], {"web", "any"}, id="one of several values"),
        pytest.param("github", [("repository", "x/y")], set(), id="none"),
        pytest.param("github", [], set(), id="no claims"),
        pytest.param("none", [WEB], set(), id="unknown source"),
        pytest.param(
            "github", [WEB, PROD], {"web", "any", "\nenvironment is production"}, id="more claims of any workload"
        ),
        pytest.param("github", [PROD], set(), id="more claims make nobody a client"),
        pytest.param("gitlab", [WEB, PROD], {"lab", "\nenvironment is production"}, id="of any source"),
    ],
)
def test_memberships(source: str, found: list[tuple[str, str]], expected: set[str]) -> None:
    """A client is each workload of its source whose claims it has, and nothing without a declared one."""
    assert held(TABLE, source, *found) == expected


def test_memberships_of_clients_in_turn() -> None:
    """The last answer is kept for the same client alone: not for another source or other claims."""
    table = Workloads.of_all([Workload("web", "ci", claims(ref="main")), Workload("any", "", claims(ref="main"))])
    main: Claims = frozenset([("ref", "main")])
    other: Claims = frozenset([("ref", "next")])
    asked = [("ci", main), ("cd", main), ("ci", other), ("ci", main), ("ci", frozenset([*main])), ("cd", other)]
    found = [{workload_of(one) for one in table.memberships(source, given)} for source, given in asked]
    assert found == [{"web", "any"}, {"any"}, set(), {"web", "any"}, {"web", "any"}, set()]


def test_jobs_share_their_memberships(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that differ in other claims are the same workloads; of those that are kept, there are not too many."""
    table = Workloads.of_all([MAIN])
    main = [WEB, ("ref", "refs/heads/main")]
    assert [table.decisive("github", frozenset([*main, ("run", one)])) for one in "12"] == [frozenset(main)] * 2
    first, second = (table.memberships("github", frozenset([*main, ("run", one)])) for one in "12")
    assert first == {membership("main")}
    assert second is first
    claims = frozenset(main)
    assert [table.decisive("gitlab", claims), table.decisive("github", claims)] == [frozenset(), claims]
    assert table.decisive("github", claims) is table.decisive("github", claims)
    monkeypatch.setattr(module, "MAX_KNOWN", 4)
    for number in range(9):
        held = table.memberships("github", frozenset([WEB, ("ref", f"refs/heads/{number}")]))
        assert held == frozenset()
        assert len(table.known) <= 4
    assert table.memberships("github", frozenset(main)) == first


def test_no_workloads() -> None:
    """A tree without any has nobody in them."""
    assert NO_WORKLOADS.memberships("github", frozenset({WEB})) == frozenset()
    assert NO_WORKLOADS.implied("gone") == {membership("gone")}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("main", {"main", "web", "any"}, id="by literals and globs"),
        pytest.param("web", {"web", "any"}, id="by every value of a list"),
        pytest.param("any", {"any"}, id="the widest"),
        pytest.param("lab", {"lab"}, id="another source"),
        pytest.param(
            "main\nenvironment is production",
            {"main\nenvironment is production", "\nenvironment is production", "main", "web", "any"},
            id="with more claims",
        ),
    ],
)
def test_implied(name: str, expected: set[str]) -> None:
    """Every client that is one of them is the others as well."""
    assert {workload_of(one) for one in TABLE.implied(name)} == expected


@pytest.mark.parametrize(
    ("required", "expected"),
    [
        pytest.param(claims(a="x"), "a is x", id="one"),
        pytest.param(claims(a="x|y*", b="z"), "a is x or y* and b is z", id="several"),
        pytest.param(claims(a="x and b is y"), 'a is "x and b is y"', id="a blank"),
        pytest.param(claims(a='"x'), 'a is "\\"x"', id="a quotation mark"),
    ],
)
def test_claims_in_words(required: Required, expected: str) -> None:
    """In the order of the file; a value cannot look like more than one."""
    assert spell_claims(required) == expected


TEXTS = st.sampled_from(["x", "y", "x or y", "x and b is y", '"x"', 'x" or "y', "b is"])
LISTS = st.lists(TEXTS, min_size=1, max_size=2, unique=True)


@given(
    st.dictionaries(st.sampled_from("ab"), LISTS, min_size=1), st.dictionaries(st.sampled_from("ab"), LISTS, min_size=1)
)
def test_different_claims_have_different_words(one: dict[str, list[str]], other: dict[str, list[str]]) -> None:
    """They are the names of different workloads; otherwise a team's file could replace what a root file demands."""
    spelled = [spell_claims(claims(**{name: "|".join(texts) for name, texts in of.items()})) for of in (one, other)]
    assert (spelled[0] == spelled[1]) is (sorted(one.items()) == sorted(other.items()))


def test_names_of_parts() -> None:
    """A workload with more claims has the name of no declared one, and shows what it is."""
    part, of_any = where_claims(MAIN, claims(a="x")), where_claims(None, claims(a="x"))
    assert [is_declared(one.name) for one in (MAIN, part, of_any)] == [True, False, False]
    assert [base_of(one.name) for one in (MAIN, part, of_any)] == ["main", "main", ""]
    assert [shown_workload(one.name) for one in (MAIN, part, of_any)] == ["main", "main where a is x", " where a is x"]
    assert (part.source, of_any.source) == ("github", "")
    assert workload_of("web") is None


NAMES = ["a", "b"]
VALUES = ["x", "y", "x/y", "xy"]
GLOBS = st.lists(st.sampled_from([*VALUES, "x*", "*", "*y", "x/**"]), min_size=1, max_size=2, unique=True)
REQUIRED = st.lists(st.tuples(st.sampled_from(NAMES), GLOBS), min_size=1, max_size=2, unique_by=lambda one: one[0]).map(
    lambda found: tuple((name, tuple(map(parse_claim_glob, texts))) for name, texts in sorted(found))
)
WORKLOADS = st.lists(st.tuples(st.sampled_from(["s", "t"]), REQUIRED), min_size=1, max_size=5).map(
    lambda found: [Workload(f"w{number}", source, required) for number, (source, required) in enumerate(found)]
)
CLAIMS = st.frozensets(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=4)


def has_all(required: Required, found: Claims) -> bool:
    """Whether a client with these claims has the required ones, checked one by one."""
    return all(any(claim == name and accepts(globs, value) for claim, value in found) for name, globs in required)


@given(WORKLOADS, REQUIRED, st.sampled_from(["s", "t"]), CLAIMS)
def test_memberships_agree_with_one_by_one(
    declared: list[Workload], more: Required, source: str, found: Claims
) -> None:
    """The table finds each workload that the client is, whatever the others are."""
    every = [*declared, where_claims(declared[0], more), where_claims(None, more)]
    expected = {one.name for one in every if one.source in ("", source) and has_all(one.claims, found)}
    is_client = any(map(is_declared, expected))
    assert held(Workloads.of_all(every), source, *found) == (expected if is_client else set())


EVERY_VALUE = [*VALUES, "x/y/y", "z", "z/z", "xz", "zy"]
SINGLE = [frozenset(zip(NAMES, values, strict=True)) for values in product(EVERY_VALUE, repeat=2)]
ONLY = [frozenset({(name, value)}) for name in NAMES for value in EVERY_VALUE]
PAIRS = [frozenset({("a", one), ("a", other), ("b", "x")}) for one, other in combinations(EVERY_VALUE, 2)]
CLIENTS: list[Claims] = [*SINGLE, *ONLY, *PAIRS]


@given(WORKLOADS)
def test_implied_agrees_with_trying_clients(declared: list[Workload]) -> None:
    """One implies another if no client is the one and not the other."""
    table = Workloads.of_all(declared)
    clients = {one.name: {found for found in CLIENTS if has_all(one.claims, found)} for one in declared}
    for one in declared:
        expected = {
            other.name for other in declared if other.source == one.source and clients[one.name] <= clients[other.name]
        }
        assert {workload_of(name) for name in table.implied(one.name)} == expected


@given(REQUIRED, REQUIRED)
def test_requires_agrees_with_trying_clients(one: Required, other: Required) -> None:
    """What delegated workloads must imply."""
    assert requires(one, other) is all(has_all(other, found) for found in CLIENTS if has_all(one, found))


def test_who_is_any_declared_workload() -> None:
    """Claims of rules alone declare nobody."""
    assert TABLE.are_declared("github", frozenset({WEB}))
    assert not TABLE.are_declared("github", frozenset({PROD}))
