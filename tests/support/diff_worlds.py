"""Random pairs of small policy trees that use every word of the language, and all that can be asked about them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from itertools import product

from hypothesis import strategies as st

from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.policy.index import build_index
from tokenserver.policy.model import Condition, Context, Effect, Group, Groups, PolicySet, Rule
from tokenserver.policy.patterns import Capture, Pattern, parse_pattern
from tokenserver.policy.principals import AUTHENTICATED, principals_of
from tokenserver.policy.terms import parse_principal

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2030, 1, 1, tzinfo=UTC)
CONTEXTS = [Context("registry", client, now) for client, now in product([None, ip_address("10.0.0.1")], [NOW, LATER])]
CONTEXTS.append(replace(CONTEXTS[0], service="other"))

USERS = ["ann", "a"]
GROUPS = ["a", "r-a-w", "a-x", "s-b"]
"""Groups of the directory, and of the tree; what `r-{t}-w` and the like capture of them are words of names."""
WORDS = ["a", "b", "ann", "x-a", "a-x", "ann-x"]
SHORT = [*WORDS, *("/".join(words) for words in product(WORDS, repeat=2))]
LONG = ["/".join(words) for words in product(["a", "b", "x-a", "ann-x"], repeat=3)]
EVERYBODY = [ANONYMOUS] + [
    Identity(user, Kind.PASSWORD, groups=frozenset(group for place, group in enumerate(GROUPS) if bits >> place & 1))
    for user in (*USERS, "eve")
    for bits in range(2 ** len(GROUPS))
]

_PRINCIPALS = ["everyone", "authenticated", "anonymous", "user:ann", "user:a", "group:a", "group:r-a-w", "group:a-x"]
_principals = st.lists(st.sampled_from(_PRINCIPALS), min_size=1, max_size=2, unique=True).map(
    lambda found: principals_of(map(parse_principal, found))
)
_PLAIN = ["a", "b", "x-a", "a-x", "*", "**", "a*", "*a", "x-*", "*-x"]
_WITH_VARIABLES = ["${user}", "${group}", "${user}-x", "x-${user}", "x-${group}", "${group}-x", "${group}*", "*${user}"]
_OF_CAPTURES = ["${t}", "${t}", "x-${t}", "${t}-x", "${t}-*", "*${t}"]


def _texts(words: list[str], longest: int = 3) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(words), min_size=1, max_size=longest).map("/".join)


_without = st.lists(_texts(_PLAIN).map(parse_pattern), min_size=1, max_size=2)
_conditions = st.builds(
    Condition,
    st.sampled_from([(), (ip_network("10.0.0.0/8"),)]),
    st.just(None),
    st.sampled_from([None, datetime(2028, 1, 1, tzinfo=UTC)]),
    st.sampled_from([frozenset[Kind](), frozenset({Kind.PASSWORD})]),
)
_captures = st.lists(
    st.sampled_from([Capture("r-", "-w"), Capture("s-", ""), Capture("", "-x")]), min_size=1, max_size=2, unique=True
)


@st.composite
def _capturing_pattern(draw: st.DrawFn, captures: tuple[Capture, ...]) -> Pattern:
    parts = draw(st.lists(st.sampled_from([*_PLAIN, "${user}", "${user}-x"]), max_size=2))
    parts.insert(draw(st.integers(0, len(parts))), draw(st.sampled_from(_OF_CAPTURES)))
    if draw(st.booleans()):
        parts[-1:] = [draw(st.sampled_from(_OF_CAPTURES))]
    if not any("${t}" in part for part in parts):
        parts[0] = "${t}"
    return parse_pattern("/".join(parts), "t", captures)


@st.composite
def rules(draw: st.DrawFn, *, variables: bool = True) -> Rule:
    """A rule with any of the words; without `variables`, none has a variable inside a segment or a capture."""
    to = draw(_principals)
    capturing: tuple[str, ...] = ()
    words = [*_PLAIN, *_WITH_VARIABLES] if variables else [*_PLAIN, "${user}", "${group}"]
    patterns = _texts(words).map(parse_pattern)
    if variables and draw(st.integers(0, 2)) == 0:
        captures = tuple(draw(_captures))
        to, capturing = principals_of([AUTHENTICATED]), tuple(f"group:{one.before}{{t}}{one.after}" for one in captures)
        patterns = _capturing_pattern(captures)
    return Rule.of(
        "",
        draw(st.sampled_from([Effect.ALLOW, Effect.ALLOW, Effect.DENY])),
        to,
        draw(st.lists(patterns, min_size=1, max_size=2)),
        draw(st.sampled_from([["pull"], ["push"], ["pull", "push"], ["*"]])),
        excluded=draw(st.none() | _principals),
        condition=draw(st.none() | st.none() | _conditions),
        services=draw(st.sampled_from([None, None, None, frozenset({"registry"})])),
        without=draw(st.just([]) | _without),
        capturing=capturing,
    )


_groups = st.lists(
    st.builds(
        Group,
        st.sampled_from(GROUPS),
        st.frozensets(st.sampled_from(USERS), max_size=2),
        st.frozensets(st.sampled_from(GROUPS), max_size=2),
        st.sampled_from([frozenset[str](), frozenset[str](), frozenset({"a"}), frozenset({"r-a-w"})]),
    ),
    max_size=2,
    unique_by=lambda one: one.name,
)


@st.composite
def _variant(draw: st.DrawFn, rule: Rule, *, variables: bool) -> Rule:
    """The rule as it may be in the other tree: often with another `not`, now and then with other principals."""
    change = draw(st.sampled_from(["same", "not", "not", "to"]))
    if change == "not":
        return replace(rule, without=tuple(draw(st.just([]) | _without)))
    if change == "to":
        other = draw(rules(variables=variables))
        if other.capturing == rule.capturing:
            return replace(rule, to=other.to, excluded=other.excluded)
    return rule


def tree(found: list[Rule], groups: list[Group]) -> PolicySet:
    """The rules, each with an id and a line of its own."""
    numbered = tuple(replace(one, id=f"r{number}", file="a.yaml", line=number) for number, one in enumerate(found, 1))
    return PolicySet("", ("a.yaml",), numbered, Groups.of_all(groups), build_index(numbered))


@st.composite
def pairs(draw: st.DrawFn, *, variables: bool = True) -> tuple[PolicySet, PolicySet]:
    """Two trees whose rules are the same, or variants of each other, or have nothing in common."""
    every = rules(variables=variables)
    shared = draw(st.lists(every, max_size=2))
    groups = draw(_groups)
    others = groups if draw(st.booleans()) else draw(_groups)
    old = [*shared, *draw(st.lists(every, max_size=1))]
    new = [*(draw(_variant(one, variables=variables)) for one in shared), *draw(st.lists(every, max_size=1))]
    return tree(old, groups), tree(new, others)
