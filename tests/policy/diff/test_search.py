"""The search behind a diff: its cost in steps where conditions distinguish many circumstances, and whom it lists."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

from tokenserver.identity import Kind, NamespaceRule, Namespaces
from tokenserver.patterns import parse_pattern
from tokenserver.policy.budget import command_budget
from tokenserver.policy.diff.claim_values import ClaimValues
from tokenserver.policy.diff.claims import changed_claims
from tokenserver.policy.diff.diff import diff
from tokenserver.policy.diff.machines import TreeMachines
from tokenserver.policy.diff.persons import Person
from tokenserver.policy.diff.search import Search
from tokenserver.policy.diff.tree import Tree
from tokenserver.policy.index import build_index
from tokenserver.policy.model import Condition, Effect, Groups, PolicySet, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.terms import parse_principal

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def rule(number: int, to: str, pattern: str, *, but: str = "", condition: Condition | None = None) -> Rule:
    excluded = principals_of([parse_principal(but)]) if but else None
    principals = principals_of([parse_principal(to)])
    effect = Effect.DENY if but else Effect.ALLOW
    return Rule.of(
        f"r{number}", effect, principals, [parse_pattern(pattern)], ["push"], excluded=excluded, condition=condition
    )


def tree(*rules: Rule) -> PolicySet:
    return PolicySet("", (), rules, Groups.of_all([]), build_index(rules))


def test_circumstances_that_no_rule_on_a_name_distinguishes_are_searched_once() -> None:
    """Thirty rules with a network and an end of their own make 1,000 circumstances, of which few matter on any name.

    Steps are the same on every machine. A search for each circumstance of each name takes 86,000 steps for each kind of
    credential that people have, which no rule tells apart.
    """
    others = [
        rule(
            number,
            f"user:u{number}",
            f"**/app{number}",
            condition=Condition((ip_network(f"10.{number}.0.0/16"),), until=NOW + timedelta(days=1 + number)),
        )
        for number in range(30)
    ]
    others += [rule(50 + number, "user:bot", f"**/*{letter}*") for number, letter in enumerate("xyz")]
    frozen = rule(100, "everyone", "**", but="group:release")
    added = rule(101, "user:ann", "web/**")
    budget = command_budget()
    whole = budget.left
    found = diff(tree(*others, frozen), tree(*others, frozen, added), NOW, budget)
    assert [sorted(map(str, row.who)) for row in found.gains] == [["group:release", "user:ann"]]
    assert found.losses == ()
    assert whole - budget.left < 20_000


def test_a_client_with_more_groups_than_another_is_not_listed_although_its_name_is_found_first() -> None:
    """On web/a, of two parts, both denies apply and both groups are needed; on longer names, one is enough."""
    denies = rule(100, "everyone", "**", but="group:release"), rule(102, "everyone", "web/*", but="group:shop")
    old, new = tree(*denies), tree(*denies, rule(101, "authenticated", "web/**"))
    values = ClaimValues(old.groups.workloads, new.groups.workloads)
    before, after = (Tree(one, TreeMachines.of(one, values, frozenset())) for one in (old, new))
    search = Search(before, after, "somebody", frozenset(), NOW, command_budget())
    (cause,) = search.causes(*changed_claims(old, new))
    _, by_people = search.differences(cause)
    assert [sorted(map(str, who)) for who in by_people] == [["authenticated", "group:release"]]


def test_identities_where_sources_map_names() -> None:
    """The only name of a namespace is filled in; a name that cannot have the namespace makes no client."""
    policies = replace(tree(), namespaces=Namespaces(frozenset({NamespaceRule.LOWER, None})))
    values = ClaimValues(policies.groups.workloads, policies.groups.workloads)
    one = Tree(policies, TreeMachines.of(policies, values, frozenset()))
    search = Search(one, one, "somebody", frozenset(), NOW, command_budget())

    def client(user: str, namespace: str) -> tuple[str, str] | None:
        found = search.identity(Person(user, namespace=namespace), Kind.PASSWORD)
        return None if found is None else (found.subject, found.user_value)

    assert client("", "1") == ("1", "1")
    assert client("", "ann") == ("somebody", "ann")
    assert client("Ann", "ann") == ("Ann", "ann")
    assert client("bob", "ann") is None
