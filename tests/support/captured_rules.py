"""Random rules with captures, with variables inside segments and with `not`, and everything they can be asked about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

from hypothesis import strategies as st

from tokenserver.identity import Identity, Kind
from tokenserver.patterns import Capture, Pattern, matches, parse_pattern
from tokenserver.policy.index import build_index, is_taken_away
from tokenserver.policy.model import Effect, Group, Groups, PolicySet, Principals, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.terms import parse_principal

PARTS = ("a", "x")
WORDS = ["-".join(parts) for count in (1, 2, 3) for parts in product(PARTS, repeat=count)]
FEW = ["a", "x", "a-x", "x-a"]
NAMES = [(one,) for one in WORDS] + [*product(WORDS, repeat=2)] + [*product(FEW, repeat=3)]
"""Names that tell apart what the patterns below cover: each of their segments has one `*` or one value at most."""
SOME_NAMES = [(one,) for one in WORDS] + [*product(FEW, repeat=2)] + [*product(PARTS, repeat=3)]

CAPTURES = [
    (Capture("r-", ""),),
    (Capture("r-", "-w"),),
    (Capture("", "-w"),),
    (Capture("r-", ""), Capture("", "-w")),
    (Capture("x", ""),),
]
AROUND = [("", ""), ("r-", ""), ("", "-w"), ("r-", "-w"), ("x", "")]
WRITTEN = {one: f"group:{one.before}{{t}}{one.after}" for some in CAPTURES for one in some}
PLAIN = ["a", "x", "a-x", "*", "a-*", "*-x", "**"]
OF_USER = ["${user}", "a-${user}", "${user}-*", "*-${user}", "${user}-x"]
OF_GROUP = [text.replace("user", "group") for text in OF_USER]
OF_CAPTURE = [text.replace("user", "t") for text in OF_USER]
AUTHENTICATED = Principals(authenticated=True)


def _lists(segments: Sequence[str], wanted: Sequence[str] = ()) -> st.SearchStrategy[list[str]]:
    """The texts of a rule's patterns, each with one of the `wanted` segments."""
    parts = st.lists(st.sampled_from(segments), min_size=1, max_size=2)
    if wanted:
        parts = st.tuples(parts, st.sampled_from(wanted), st.booleans()).map(
            lambda made: [made[1], *made[0][:1]] if made[2] else [*made[0][:1], made[1]]
        ) | st.sampled_from(wanted).map(lambda one: [one])
    return st.lists(parts.map("/".join), min_size=1, max_size=2)


def rule(
    to: Principals, patterns: list[str], without: list[str], captures: tuple[Capture, ...] = (), name: str = ""
) -> Rule:
    """An allow rule for pulls."""
    made = [parse_pattern(text, "t" if captures else "", captures) for text in patterns]
    written = tuple(WRITTEN[one] for one in captures)
    parts = map(parse_pattern, without)
    return Rule.of(name, Effect.ALLOW, to, made, ["pull"], without=parts, capturing=written)


parts: st.SearchStrategy[list[str]] = st.just([]) | _lists(PLAIN)
of_users = st.builds(rule, st.just(AUTHENTICATED), _lists([*PLAIN, *OF_USER]), parts)
of_groups = st.builds(rule, st.just(AUTHENTICATED), _lists([*PLAIN, *OF_GROUP]), parts)
capturing = st.builds(rule, st.just(AUTHENTICATED), _lists(PLAIN, OF_CAPTURE), parts, st.sampled_from(CAPTURES))
_named = st.lists(
    st.sampled_from(["group:a", "group:r-a", "group:a-x-w", "user:ann", "user:a"]), min_size=1, max_size=2, unique=True
).map(lambda found: principals_of(map(parse_principal, found)))
named = st.builds(rule, _named, _lists([*PLAIN, *OF_USER]), parts)
rules = of_users | of_groups | capturing | named
TREE = [Group("a", frozenset({"ann"})), Group("r-x", frozenset({"a", "ann"})), Group("r-a", groups=frozenset({"a-w"}))]


def policy_set(found: Sequence[Rule], tree: Sequence[Group]) -> PolicySet:
    """The rules, each with an id of its own."""
    made = [
        Rule.of(
            f"rule-{number}", one.effect, one.to, one.patterns, one.actions,
            without=one.without, capturing=one.capturing, file="a.yaml", line=number + 1,
        )
        for number, one in enumerate(found)
    ]  # fmt: skip
    return PolicySet("", ("a.yaml",), tuple(made), Groups.of_all(tree), build_index(made))


worlds = st.builds(
    policy_set,
    st.lists(rules, max_size=6),
    st.sampled_from([[], TREE]),
)


denies = rules.map(lambda one: replace(one, effect=Effect.DENY))
mixed_worlds = st.builds(
    policy_set,
    st.tuples(st.lists(rules, min_size=1, max_size=3), st.lists(denies, max_size=2)).map(
        lambda made: [*made[0], *made[1]]
    ),
    st.sampled_from([[], TREE]),
)


def clients(groups: Groups) -> Iterator[tuple[Identity, frozenset[str]]]:
    """Users with each of the words as name, and users with one group of each kind, with all groups that they are in."""
    brought = ["a", "a-w", *(f"{before}{one}{after}" for before, after in AROUND for one in WORDS)]
    identities = [Identity(user, Kind.PASSWORD) for user in [*WORDS, "ann"]]
    identities += [Identity("nn", Kind.PASSWORD, groups=frozenset({one})) for one in dict.fromkeys(brought)]
    identities += [Identity("a", Kind.PASSWORD, groups=frozenset({one})) for one in ("a", "r-a", "a-x-w")]
    return ((one, groups.holding(one)) for one in identities)


def has(one: Rule, identity: Identity, groups: frozenset[str], name: Sequence[str]) -> bool:
    """Whether the rule applies to this client and name."""
    return (
        one.to.include(identity, groups)
        and any(matches(pattern, name, identity.subject, groups) for pattern in one.patterns)
        and not is_taken_away(one, name)
    )


def covered(patterns: Sequence[Pattern], identity: Identity, groups: frozenset[str], name: Sequence[str]) -> bool:
    """Whether one of the patterns covers the name for this client."""
    return any(matches(pattern, name, identity.subject, groups) for pattern in patterns)
