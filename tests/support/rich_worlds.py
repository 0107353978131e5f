"""Random small worlds like those of `policy_worlds`, with `not`, captures, and variables inside segments."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import policy_worlds as world
from hypothesis import strategies as st

from tokenserver.identity import ANONYMOUS, Identity, Kind, Namespaces
from tokenserver.patterns import Capture, parse_pattern
from tokenserver.policy.index import FEW, build_index
from tokenserver.policy.model import Effect, Group, Groups, PolicySet, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.terms import parse_principal

USERS = ["ann", "a", "eve"]
GROUPS = ["a", "b", "g-a", "g-ann", "a-w", "g-a-w"]
WORDS = ["a", "b", "ann", "x-a", "a-b", "x-ann"]
NAMES = ["/".join(words) for count in (1, 2) for words in product(WORDS, repeat=count)]
NAMES += ["/".join(words) for words in product(["a", "b", "x-a"], repeat=3)]

CAPTURES = {
    "group:g-{t}": Capture("g-", ""),
    "group:{t}-w": Capture("", "-w"),
    "group:g-{t}-w": Capture("g-", "-w"),
}

_PLAIN = ["a", "b", "x-a", "*", "a*", "*b", "**"]
_VARIABLES = ["${user}", "x-${user}", "${user}-*", "${group}", "x-${group}", "*-${group}"]
_CAPTURED = ["${t}", "${t}", "x-${t}", "*-${t}", "${t}*"]
_PRINCIPALS = ["everyone", "authenticated", "anonymous", "user:ann", "user:a", "group:a", "group:g-a", "group:g-a-w"]


def _spelled(*parts: list[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from([one for some in parts for one in some]), min_size=1, max_size=3).map("/".join)


plain_patterns = _spelled(_PLAIN).map(parse_pattern)
patterns = _spelled(_PLAIN, _VARIABLES).map(parse_pattern)
principals = st.lists(st.sampled_from(_PRINCIPALS), min_size=1, max_size=2, unique=True).map(
    lambda found: principals_of(map(parse_principal, found))
)
_withouts = st.lists(plain_patterns, max_size=2).map(tuple)


@st.composite
def _captured(draw: st.DrawFn) -> Rule:
    """A rule to groups of which it captures a part."""
    written = draw(st.lists(st.sampled_from(list(CAPTURES)), min_size=1, max_size=2, unique=True))
    captures = tuple(CAPTURES[one] for one in written)
    texts = draw(
        st.lists(
            _spelled(_PLAIN, _CAPTURED, ["${user}", "x-${user}"]).filter(lambda text: "${t}" in text),
            min_size=1,
            max_size=2,
        )
    )
    made = [parse_pattern(text, "t", captures) for text in texts]
    rule = draw(_effects_and_more)
    return replace(
        rule,
        to=principals_of([parse_principal("authenticated")]),
        patterns=tuple(made),
        capturing=tuple(written),
    )


_effects_and_more = st.builds(
    lambda effect, to, found, actions, but, when, without: Rule.of(
        "", effect, to, found, actions, excluded=but, condition=when, without=without
    ),
    st.sampled_from([Effect.ALLOW, Effect.ALLOW, Effect.DENY]),
    principals,
    st.lists(patterns, min_size=1, max_size=2),
    st.sets(st.sampled_from(["pull", "push", "*"]), min_size=1),
    st.none() | principals,
    st.none() | st.none() | world.conditions,
    _withouts,
)
rules = st.one_of(_effects_and_more, _captured())
groups = st.builds(
    Group,
    st.sampled_from(["a", "g-a", "g-a-w"]),
    st.frozensets(st.sampled_from(USERS), max_size=2),
    st.frozensets(st.sampled_from(GROUPS), max_size=2),
)


def policy_set(found: list[Rule], tree: list[Group], few: int = 0) -> PolicySet:
    """The rules, each with an id and a line of its own; `few` is for the index."""
    numbered = [replace(one, id=f"rule-{number}", file="a.yaml", line=number + 1) for number, one in enumerate(found)]
    return PolicySet("", ("a.yaml",), tuple(numbered), Groups.of_all(tree), build_index(numbered, few=few))


_trees = st.lists(groups, max_size=2, unique_by=lambda one: one.name)
worlds = st.builds(policy_set, st.lists(rules, max_size=4), _trees, st.sampled_from([0, FEW]))
unconditional_worlds = st.builds(
    lambda found, tree: policy_set([replace(one, condition=None) for one in found], tree),
    st.lists(rules, max_size=4),
    _trees,
)
asked_patterns = st.one_of(
    st.just(parse_pattern("**")), _spelled(["a", "b", "ann", "x-a", "x-ann", "*", "a*", "x-*", "**"]).map(parse_pattern)
)
identities = st.one_of(
    st.just(ANONYMOUS),
    st.builds(
        lambda user, brought: Identity(user, Kind.PASSWORD, groups=brought),
        st.sampled_from(USERS),
        st.frozensets(st.sampled_from(GROUPS)),
    ),
)
EVERYBODY = [
    ANONYMOUS,
    *(
        Identity(user, Kind.PASSWORD, groups=frozenset(brought))
        for user in USERS
        for bits in product([False, True], repeat=len(GROUPS))
        for brought in [[group for group, has in zip(GROUPS, bits, strict=True) if has]]
    ),
]


names = st.sampled_from(NAMES)
POSSIBLE = {*(f"user:{user}" for user in USERS), *(f"group:{group}" for group in GROUPS)}
"""The users and groups of `EVERYBODY`; a capture can ask for others."""

mapped_worlds = st.builds(
    lambda policies, namespaces: replace(policies, namespaces=namespaces), worlds, st.sampled_from(world.MAPPINGS)
)
"""Worlds with sources that map names."""


def everybody_mapped(namespaces: Namespaces) -> list[Identity]:
    """An anonymous client, and some users with every possible namespace, in some sets of groups."""
    return [ANONYMOUS] + [
        Identity(user, Kind.PASSWORD, groups=frozenset(brought), namespace=namespace)
        for user in ("ann", "Ann", "a", "X A", "b", "?")
        for namespace in ("ann", "a", "b", "x-a", "")
        if namespaces.is_possible(user, namespace)
        for brought in ([], ["a"], ["g-a", "b"], ["g-a-w", "a-w"])
    ]
