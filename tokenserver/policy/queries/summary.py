"""The short answer to "who can?": principals in a canonical form, derived from the full answer of `holders`.

Principals covered by a broader one are omitted, and so are exceptions and conditions; `equivalence` compares those.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from tokenserver.identity import Identity, Kind, Sort
from tokenserver.policy.analysis.conditions import Given
from tokenserver.policy.budget import Budget, command_budget
from tokenserver.policy.decide import decide
from tokenserver.policy.decision import Decision
from tokenserver.policy.model import Context, Group, PolicySet, Principal
from tokenserver.policy.principals import (
    EVERYONE,
    PARTS,
    ROBOTS,
    AllOf,
    client_principal,
    group_principal,
    is_unnamed,
    kinds_of,
    parts_of_everyone,
)
from tokenserver.policy.queries.who_can import People, holders
from tokenserver.policy.queries.witnesses import asked, bound, cost, machines_for
from tokenserver.scopes import Resource, Scope


def short_answer(  # noqa: PLR0917 - a question in full
    policies: PolicySet,
    action: str,
    resource: Resource,
    context: Context,
    kind: Kind = Kind.PASSWORD,
    budget: Budget | None = None,
) -> Mapping[AllOf, Decision]:
    """The principals that can do `action` on `resource`, in `canonical` form, each with the decision that grants it.

    A user or robot is listed unless a broader answer covers it, even if access depends on membership in a directory
    group. Clients that a broader answer covers but a deny rule or `except` excludes are not listed separately. `kind`
    is that of people, as `asked` has it.

    Raises:
        TooManyCombinations: the rules combine in too many ways, or more than `MAX_WITNESSES` would have to be tried.
        TooComplex: that takes more than the budget (None: that of one command).
    """
    budget = budget or command_budget(policies.rule_count)
    scope = Scope(resource, frozenset({action}))
    given = Given(context.service, context.client, context.now, is_closed=True)
    lines = holders(policies, action, resource, given, budget)
    machines = machines_for(policies, {one for line in lines for one in line.named})
    people = People(policies, budget, replace(machines, groups=frozenset()))  # each member of a group is listed
    found: dict[AllOf, Decision] = {}
    tried = 0
    for line in lines:
        for who, identity in people.able(line):
            client = asked(identity, kind)
            if client is None:
                continue
            tried += 1
            bound(tried)
            budget.spend(cost(policies, resource, client))
            decision = decide(policies, client, scope, context)
            if decision.granted:
                found.setdefault(_listed_as(client, who), decision)
    kept = canonical(policies, found)
    return {answer: decision for answer, decision in found.items() if answer in kept}


def _listed_as(client: Identity, who: AllOf) -> AllOf:
    """The answer that shows access of the client, which is all of `who`."""
    if client.is_anonymous or is_unnamed(client) or any(one.sort == "namespace" for one in who):
        return who
    if client.sort is Sort.WORKLOAD or ROBOTS in who:
        return who
    return frozenset({client_principal(client.subject)})


def canonical(policies: PolicySet, answers: Iterable[AllOf]) -> frozenset[AllOf]:
    """The same answers in a form that can be compared.

    `everyone` is split into its parts that have clients; a group with only users and machines is replaced by them;
    answers covered by another one are removed.
    """
    groups = policies.groups.by_name
    found: set[AllOf] = set()
    for answer in _without_namespaces(answers) if policies.namespaces is None else answers:
        (only,) = answer if len(answer) == 1 else (None,)
        if only == EVERYONE:
            found |= {frozenset({part}) for part in parts_of_everyone(policies)}
        elif only is not None and only.sort == "group" and only.name in groups and _has_only_names(groups[only.name]):
            found |= {frozenset({one}) for one in _members(groups[only.name])}
        else:
            found.add(answer)
    broad = {part for part in PARTS if frozenset({part}) in found}
    members = {
        frozenset({one})
        for name, group in groups.items()
        if frozenset({Principal("group", name)}) in found
        for one in _members(group)
        if one.sort != "group"
    }
    kept = {one for one in found - members if one <= broad or not _are_in(policies, one, broad)}
    return frozenset(answer for answer in kept if not any(other < answer for other in kept))


def _has_only_names(group: Group) -> bool:
    return not any(one.sort == "group" for one in _members(group))


def _members(group: Group) -> list[Principal]:
    return [*map(client_principal, group.users), *map(group_principal, group.groups)]


def _are_in(policies: PolicySet, answer: AllOf, broad: Collection[Principal]) -> bool:
    """Whether every client that is all of the answer is in one of these parts of everyone, by its kind."""
    kinds = frozenset[Kind].intersection(*(kinds_of(policies, one) for one in answer))
    return kinds <= {kind for part in broad for kind in PARTS[part]}


def _without_namespaces(answers: Iterable[AllOf]) -> Iterator[AllOf]:
    """The answers where every user's namespace is the user's name."""
    for answer in answers:
        yield frozenset(replace(one, sort="user") if one.sort == "namespace" else one for one in answer)


def spell_answers(policies: PolicySet, answers: Iterable[AllOf]) -> str:
    """Answers as a policy file writes them, in a fixed order."""
    found = set(answers)
    if found.issuperset(frozenset({part}) for part in parts_of_everyone(policies)):
        found -= {frozenset({part}) for part in PARTS}
        found.add(frozenset({EVERYONE}))
    return ", ".join(sorted(spell_answer(answer) for answer in found)) or "nobody"


def spell_answer(answer: AllOf) -> str:
    """One answer; in this order it is read again, whatever groups are called."""
    return " & ".join(str(one) for one in sorted(answer, key=lambda one: (bool(one.name), one)))
