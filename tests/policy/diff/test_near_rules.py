"""Near rules: which rules decide on a name, which names are distinguished, and where no rival may be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tokenserver.patterns import Capture, parse_pattern
from tokenserver.policy.analysis.containment import covered_name
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.diff import near_rules
from tokenserver.policy.diff.claims import Claim, changed_claims, meant_by
from tokenserver.policy.diff.near_rules import MAX_PARTS, Cause, NearRules, captured
from tokenserver.policy.diff.tree import Tree
from tokenserver.policy.index import build_index
from tokenserver.policy.model import Effect, Group, Groups, PolicySet, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.terms import parse_principal

TEAM = (Capture("r-", "-w"), Capture("", "-admin"))


def rule(text: str, to: str, patterns: str, *, without: str = "") -> Rule:
    """`allow ID` or `deny ID` of pull; `to` is `{t}` for a rule with captures."""
    effect, name = text.split()
    captures = TEAM if to == "{t}" else ()
    found = Rule.of(
        name,
        Effect(effect),
        principals_of([parse_principal("authenticated" if captures else to)]),
        [parse_pattern(one, "t" if captures else "", captures) for one in patterns.split()],
        ["pull"],
        without=map(parse_pattern, without.split()),
        capturing=tuple(f"group:{before}{{t}}{after}" for before, after in captures),
    )
    return replace(found, file="a.yaml", line=1)


def tree(*rules: Rule, groups: tuple[Group, ...] = ()) -> Tree:
    return Tree(PolicySet("", ("a.yaml",), rules, Groups.of_all(groups), build_index(rules)))


def near(before: Tree, after: Tree, place: int = 0) -> NearRules:
    """The rules near one of the claims that only `after` makes."""
    claim = changed_claims(before.policies, after.policies)[1][place]
    return NearRules(before, after, Cause(claim, None, (claim.pattern,)), None)


def decided(found: NearRules, name: str) -> tuple[list[str], list[str]] | None:
    """The ids of the causing rules and of the rivals on a name."""
    rules = found.on_name(covered_name(name, found.patterns, 1))
    return None if rules is None else tuple([one.rule.id for one in side] for side in (rules.causing, rules.rivals))  # type: ignore[return-value]


ADDED = rule("allow a", "user:ann", "web/**", without="web/prod/**")
BEFORE = tree(rule("allow old", "everyone", "web/** **", without="*/x"), rule("deny gone", "everyone", "**"))
AFTER = tree(ADDED, rule("deny d", "everyone", "**", without="**/free"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("web/a", (["a"], ["old", "d"]), id="all-of-them"),
        pytest.param("web/x", (["a"], ["d"]), id="taken-from-the-old-allow"),
        pytest.param("web/free", (["a"], ["old"]), id="taken-from-the-deny"),
        pytest.param("web/prod/a", None, id="taken-from-the-cause"),
        pytest.param("other/a", None, id="not-covered-by-the-cause"),
    ],
)
def test_rules_on_a_name(name: str, expected: tuple[list[str], list[str]] | None) -> None:
    """A rule does not cover what its `not` has; a deny of the tree before is no rival."""
    assert decided(near(BEFORE, AFTER), name) == expected


def test_a_pattern_that_a_rule_names_twice_counts_once() -> None:
    """Both rules of a cause must cover the name, not one of them by two equal patterns."""
    allow, deny = rule("allow a", "everyone", "a/a", without="**"), rule("deny d", "everyone", "a/** a/**")
    claims = [Claim(one, one.patterns[0], "pull", frozenset(), one.patterns[0]) for one in (allow, deny)]
    cause = Cause(claims[0], claims[1], (allow.patterns[0],))
    assert decided(NearRules(tree(deny), tree(allow), cause, None), "a/a") is None


def test_a_claim_with_one_capture_covers_names_for_its_groups_only() -> None:
    """The rule's other captures are other claims."""
    found = [near(tree(), tree(rule("allow a", "{t}", "${t}/**")), place) for place in (0, 1)]
    rules = [one.on_name(covered_name("web/x", one.patterns, 1)) for one in found]
    assert [one and one.causing[0].bindings for one in rules] == [[("", "r-web-w")], [("", "web-admin")]]


def test_one_text_with_other_captures_is_another_pattern() -> None:
    """`${t}/**` can be about the members of different groups in two trees."""
    old = rule("allow a", "{t}", "${t}/**")
    only = replace(old.patterns[0], captures=TEAM[:1])
    new = replace(old, patterns=(only,), capturing=old.capturing[:1])
    allow = Claim(old, old.patterns[0], "pull", frozenset(), old.patterns[0])
    found = NearRules(tree(new), tree(old), Cause(allow, None, (old.patterns[0],)), None)
    assert [pattern.captures for pattern in found.patterns] == [TEAM[:1], TEAM]


@pytest.mark.parametrize(
    ("patterns", "to", "groups", "expected"),
    [
        pytest.param("a/b", "everyone", [], None, id="no-variable"),
        pytest.param("a/${user}", "user:bob", [], {"${user}", "a", "bob"}, id="whole-segments-with-all-texts"),
        pytest.param("x-${user} x-ann", "user:bob", [], {"bob"}, id="a-part-of-a-segment"),
        pytest.param(
            "x-${group} x-web", "user:bob", [Group("web", frozenset({"eve"}))], {"bob", "web", "eve"}, id="a-group"
        ),
        pytest.param(
            "${t}/** ${t}/web/**",
            "{t}",
            [Group("r-web-w", frozenset({"eve"}), frozenset({"d"})), Group("web", frozenset({"ann"}))],
            {"web", "ann", "r-web-w", "eve", "d"},
            id="a-group-with-a-captured-part",
        ),
        pytest.param("${t}/x", "{t}", [Group("r-web-w", frozenset({"eve"}))], set(), id="a-group-that-nothing-names"),
    ],
)
def test_names_that_are_distinguished(patterns: str, to: str, groups: list[Group], expected: set[str] | None) -> None:
    """Those in rules, and the members of groups of the tree that a literal text can stand for."""
    found = near(tree(groups=tuple(groups)), tree(rule("allow a", to, patterns), groups=tuple(groups))).names()
    assert (None if found is None else set(found)) == expected


def test_openings() -> None:
    """Outside of all rivals, and then within each part that is taken from one; not those that do not count."""
    found = near(BEFORE, AFTER)
    openings = found.openings(lambda _, one: one.id != "gone", Budget())
    assert [tuple(" ".join(one.text for one in side) for side in sides) for sides in openings] == [
        ("** web/** ** web/prod/**", "web/**"),
        ("** web/prod/**", "web/** */x"),
        ("** web/** web/prod/**", "web/** **/free"),
    ]


def test_a_rival_without_all_of_the_names_is_none() -> None:
    """Its `not` has them all, so it need not be avoided."""
    before = tree(rule("allow old", "everyone", "**", without="web/**"))
    assert [*near(before, tree(ADDED)).openings(lambda *_: True, Budget())] == [
        ([parse_pattern("web/prod/**")], (parse_pattern("web/**"),))
    ]


def test_few_of_many_parts_are_tried() -> None:
    """One question for each would take longer than the search."""
    parts = " ".join(f"web/p{number}/**" for number in range(2 * MAX_PARTS))
    before = tree(rule("allow old", "everyone", "**", without=parts))
    assert len([*near(before, tree(ADDED)).openings(lambda *_: True, Budget())]) == 1 + MAX_PARTS


@pytest.mark.parametrize("is_whole", [False, True])
def test_openings_are_bounded(monkeypatch: pytest.MonkeyPatch, is_whole: bool) -> None:
    """A part that is too complex is not known to have all of the names; the whole budget ends everything."""
    budget = Budget(10)

    def too_complex(*_: object) -> bool:
        if is_whole:
            budget.spend(11)
        raise TooComplex("not decided")

    monkeypatch.setattr(near_rules, "contains", too_complex)
    openings = near(BEFORE, AFTER).openings(lambda *_: True, budget)
    if is_whole:
        with pytest.raises(TooComplex):
            next(openings)
    else:
        assert len(next(openings)[0]) == 4


def test_captured_names() -> None:
    """The legal values, of each capture."""
    (pattern,) = rule("allow a", "{t}", "${t}/**").patterns
    assert captured(["r-web-w", "r--w", "x-admin", "ann"], [pattern, parse_pattern("a/${user}")]) == {"web", "x"}


def test_a_capture_is_a_principal_like_the_others() -> None:
    """Each with the patterns for its groups."""
    team = rule("allow a", "{t}", "${t}/**")
    assert [(pattern.captures, str(one)) for pattern, one in meant_by(team, team.patterns[0])] == [
        (TEAM[:1], "capture:r-{t}-w"),
        (TEAM[1:], "capture:{t}-admin"),
    ]
