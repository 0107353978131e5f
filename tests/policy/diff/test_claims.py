"""Claims: the smallest statements of rules, and those that only one of two trees makes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest

from tokenserver.patterns import Capture, parse_name, parse_pattern
from tokenserver.policy.diff.claims import Claim, changed_claims, listed
from tokenserver.policy.index import build_index
from tokenserver.policy.model import Condition, Effect, Group, Groups, PolicySet, Principal, Principals, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.terms import parse_principal

WEB = Group("web", frozenset({"ann", "bob"}), frozenset({"web-devs", "a-team"}))
GROUPS = Groups.of_all([WEB, Group("ops", frozenset({"olga"}))])
JUNE = datetime(2026, 6, 1, tzinfo=UTC)


def people(text: str) -> Principals:
    return principals_of(map(parse_principal, text.split()))


def rule(
    text: str,
    *,
    but: str = "",
    condition: Condition | None = None,
    services: Iterable[str] = (),
    kind: str = "repository",
) -> Rule:
    """`allow|deny TO PATTERNS ACTIONS`, each of them with commas between."""
    effect, to, patterns, actions = text.split()
    parse = parse_pattern if kind == "repository" else parse_name
    return Rule.of(
        "r",
        Effect(effect),
        people(to.replace(",", " ")),
        [parse(one) for one in patterns.split(",")],
        actions.split(","),
        resource_type=kind,
        excluded=people(but) if but else None,
        condition=condition,
        services=frozenset(services) or None,
    )


def tree(*rules: Rule, groups: Groups = GROUPS) -> PolicySet:
    named = tuple(replace(one, id=f"r{number}") for number, one in enumerate(rules))
    return PolicySet("", (), named, groups, build_index(named))


def spelled(claims: Iterable[Claim]) -> list[str]:
    return sorted(
        f"{claim.rule.effect} {'&'.join(sorted(map(_spelled, claim.who)))} {claim.pattern.text} {claim.action}"
        + (f" as {claim.written.text}" if claim.written != claim.pattern else "")
        for claim in claims
    )


def _spelled(one: Principal) -> str:
    return f"{one.sort}:{one.name}" if one.name else one.sort


PUBLIC = rule("allow everyone web/** pull")


@pytest.mark.parametrize(
    ("old", "new", "lost", "gained"),
    [
        pytest.param([PUBLIC], [PUBLIC], [], [], id="the-same"),
        pytest.param([PUBLIC], [PUBLIC, PUBLIC], [], [], id="said-twice"),
        pytest.param(
            [],
            [PUBLIC],
            [],
            ["allow anonymous web/** pull", "allow authenticated web/** pull"],
            id="everyone-in-two-halves",
        ),
        pytest.param(
            [rule("allow user:ann a,b pull")], [rule("allow user:ann b,a pull")], [], [], id="the-order-of-patterns"
        ),
        pytest.param(
            [rule("allow user:ann a,b pull,push")],
            [rule("allow user:ann a pull"), rule("allow user:ann b pull,push")],
            ["allow user:ann a push"],
            [],
            id="one-action-less",
        ),
        pytest.param(
            [rule("allow user:ann,user:bob a pull")],
            [rule("allow user:bob,group:ops a pull")],
            ["allow user:ann a pull"],
            ["allow group:ops a pull"],
            id="other-people",
        ),
        pytest.param(
            [rule("allow user:ann a pull")],
            [rule("deny user:ann a pull")],
            ["allow user:ann a pull"],
            ["deny user:ann a *", "deny user:ann a pull"],
            id="a-deny-forbids-the-star-as-well",
        ),
        pytest.param(
            [rule("allow user:ann a pull")],
            [rule("allow user:ann a pull", but="user:ann")],
            ["allow user:ann a pull"],
            ["allow user:ann a pull"],
            id="an-exception",
        ),
        pytest.param(
            [rule("allow user:ann a pull", services=["one"])],
            [rule("allow user:ann a pull", services=["two"])],
            ["allow user:ann a pull"],
            ["allow user:ann a pull"],
            id="another-registry",
        ),
        pytest.param(
            [rule("allow user:ann catalog pull")],
            [rule("allow user:ann catalog pull", kind="registry")],
            ["allow user:ann catalog pull"],
            ["allow user:ann catalog pull"],
            id="another-type",
        ),
        *(
            pytest.param(
                [rule("allow user:ann a pull")],
                [rule("allow user:ann a pull", condition=condition)],
                ["allow user:ann a pull"],
                ["allow user:ann a pull"],
                id=name,
            )
            for name, condition in (
                ("since", Condition(since=JUNE)),
                ("until", Condition(until=JUNE)),
                ("networks", Condition((ip_network("10.0.0.0/8"),))),
                ("outside", Condition(outside=(ip_network("10.0.0.0/8"),))),
            )
        ),
        *(
            pytest.param(
                [rule("allow user:ann a pull", condition=one)],
                [rule("allow user:ann a pull", condition=other)],
                ["allow user:ann a pull"],
                ["allow user:ann a pull"],
                id=name,
            )
            for name, one, other in (
                (
                    "from-or-not-from",
                    Condition((ip_network("10.0.0.0/8"),)),
                    Condition(outside=(ip_network("10.0.0.0/8"),)),
                ),
                ("since-or-until", Condition(since=JUNE), Condition(until=JUNE)),
                ("another-network", Condition((ip_network("10.0.0.0/8"),)), Condition((ip_network("11.0.0.0/8"),))),
                ("another-moment", Condition(until=JUNE), Condition(until=JUNE.replace(month=7))),
            )
        ),
        pytest.param(
            [rule("allow user:ann a pull", condition=Condition((ip_network("10.0.0.0/8"), ip_network("11.0.0.0/8"))))],
            [rule("allow user:ann a pull", condition=Condition((ip_network("11.0.0.0/8"), ip_network("10.0.0.0/8"))))],
            [],
            [],
            id="the-order-of-networks",
        ),
    ],
)
def test_claims_that_one_tree_alone_makes(
    old: Sequence[Rule], new: Sequence[Rule], lost: list[str], gained: list[str]
) -> None:
    """By what they say, and not by which rule says it."""
    found = changed_claims(tree(*old), tree(*new))
    assert [spelled(found[0]), spelled(found[1])] == [lost, gained]
    back = changed_claims(tree(*new), tree(*old))
    assert [spelled(back[0]), spelled(back[1])] == [gained, lost]


def test_a_group_that_changes_is_the_ways_into_it() -> None:
    """So that only the way that comes or goes is a difference, also in exceptions and for `${group}`."""
    after = Groups.of_all([replace(WEB, users=frozenset({"ann", "zoe"})), Group("ops", frozenset({"olga"}))])
    rules = [
        rule("allow group:web a pull"),
        rule("allow group:ops a pull"),
        rule("allow authenticated,anonymous t/${group}/** pull"),
        rule("deny authenticated b push", but="group:web"),
    ]
    lost, gained = changed_claims(tree(*rules), tree(*rules, groups=after))
    deny = ["deny authenticated b *", "deny authenticated b push"]
    assert spelled(lost) == [
        "allow authenticated&user:bob t/web/** pull as t/${group}/**",
        "allow user:bob a pull",
        *deny,
    ]
    assert spelled(gained) == [
        "allow authenticated&user:zoe t/web/** pull as t/${group}/**",
        "allow user:zoe a pull",
        *deny,
    ]


def test_a_group_that_only_one_tree_defines_is_the_directorys_in_the_other() -> None:
    """Which is told apart from a group of the tree of that name."""
    rules = [rule("allow group:web a pull")]
    lost, gained = changed_claims(tree(*rules, groups=Groups.of_all([])), tree(*rules))
    assert spelled(lost) == ["allow directory:web a pull"]
    assert spelled(gained) == [
        f"allow {one} a pull" for one in ("directory:a-team", "directory:web-devs", "user:ann", "user:bob")
    ]


def test_a_group_whose_name_is_no_segment_is_nobodys_namespace() -> None:
    """No name of a repository has it."""
    rules = [rule("allow authenticated t/${group}/** pull")]
    groups = Groups.of_all([Group("Web Devs", frozenset({"ann"}))])
    assert changed_claims(tree(*rules, groups=Groups.of_all([])), tree(*rules, groups=groups)) == ([], [])


def capturing(*captures: str, without: str = "") -> Rule:
    """An allow to groups such as `r-{t}-w` of pull in `${t}/**`."""
    found = tuple(Capture(*one.split("{t}")) for one in captures)
    return replace(
        rule("allow authenticated x pull"),
        patterns=(parse_pattern("${t}/**", "t", found),),
        capturing=tuple(f"group:{one}" for one in captures),
        without=tuple(map(parse_pattern, without.split())),
    )


def test_a_capture_is_a_claim_of_its_own() -> None:
    """One more capture is a claim more, and the others stay."""
    lost, gained = changed_claims(tree(capturing("r-{t}-w")), tree(capturing("{t}-admin", "r-{t}-w")))
    assert (spelled(lost), spelled(gained)) == ([], ["allow capture:{t}-admin ${t}/** pull as ${t}/**"])


def test_a_captured_group_that_changes_is_the_ways_into_it() -> None:
    """The part of its name is filled in, for the members that come or go."""
    one, other = (Groups.of_all([Group("r-web-w", frozenset({name}))]) for name in ("ann", "bob"))
    lost, gained = changed_claims(tree(capturing("r-{t}-w"), groups=one), tree(capturing("r-{t}-w"), groups=other))
    assert spelled(lost) == ["allow authenticated&user:ann web/** pull as ${t}/**"]
    assert spelled(gained) == ["allow authenticated&user:bob web/** pull as ${t}/**"]
    assert [claim.group for claim in (*lost, *gained)] == ["r-web-w", "r-web-w"]
    back = (tree(capturing("s-{t}"), groups=groups) for groups in (one, other))
    assert changed_claims(*back) == ([], [])


def test_a_claim_with_another_not_is_about_the_difference() -> None:
    """What `not` takes away elsewhere does not count."""
    old, new = (capturing("r-{t}-w", without=parts) for parts in ("*/a */b", "*/b */c */d"))
    (lost,), (gained,) = changed_claims(tree(old), tree(new))
    assert [[one.text for one in claim.within] for claim in (lost, gained)] == [["*/c", "*/d"], ["*/a"]]
    web = rule("allow everyone web/** pull")
    less = replace(web, without=(parse_pattern("data/**"),))
    assert changed_claims(tree(web), tree(less)) == ([], [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("everyone", ["authenticated", "anonymous", "robots", "workloads"], id="everyone"),
        pytest.param(
            "everyone user:ann robot:ci workload:web group:web",
            ["authenticated", "anonymous", "robots", "workloads"],
            id="everyone-and-more",
        ),
        pytest.param("authenticated user:ann", ["authenticated"], id="authenticated-and-more"),
        pytest.param(
            "authenticated robot:ci workload:w group:web",
            ["authenticated", "robot:ci", "workload:w", "group:web"],
            id="machines-do-not-count-as-people",
        ),
        pytest.param("robots user:ann robot:ci workload:w", ["robots", "user:ann", "workload:w"], id="robots-and-more"),
        pytest.param("workloads robot:ci workload:w", ["workloads", "robot:ci"], id="workloads-and-more"),
        pytest.param("anonymous user:b user:a group:z", ["anonymous", "user:a", "user:b", "group:z"], id="anonymous"),
        pytest.param("group:b group:a", ["group:a", "group:b"], id="groups"),
    ],
)
def test_people_one_by_one(text: str, expected: list[str]) -> None:
    """Whoever is in them anyway is left out."""
    assert [_spelled(one) for one in listed(people(text))] == expected
