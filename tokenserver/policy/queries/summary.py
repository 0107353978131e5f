"""The short answer to "who can?": principals in a canonical form, derived from the full answer of `holders`.

Principals covered by a broader one are omitted, and so are exceptions and conditions; `equivalence` compares those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from tokenserver.identity import Kind
from tokenserver.policy.analysis.conditions import Given
from tokenserver.policy.budget import Budget, command_budget
from tokenserver.policy.decide import decide
from tokenserver.policy.decision import Decision
from tokenserver.policy.model import Context, PolicySet, Principal
from tokenserver.policy.principals import ANONYMOUS, AUTHENTICATED, EVERYONE, AllOf, is_unnamed
from tokenserver.policy.queries.who_can import People, holders
from tokenserver.policy.queries.witnesses import bound, cost
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

    A user is listed unless a broader answer covers the user, even if access depends on membership in a directory
    group. Clients that a broader answer covers but a deny rule or `except` excludes are not listed separately.

    Raises:
        TooManyCombinations: the rules combine in too many ways, or more than `MAX_WITNESSES` would have to be tried.
        TooComplex: that takes more than the budget (None: that of one command).
    """
    budget = budget or command_budget(policies.rule_count)
    scope = Scope(resource, frozenset({action}))
    given = Given(context.service, context.client, context.now, is_closed=True)
    people = People(policies, budget)
    found: dict[AllOf, Decision] = {}
    tried = 0
    for line in holders(policies, action, resource, given, budget):
        for who, identity in people.able(line):
            tried += 1
            bound(tried)
            client = identity if identity.is_anonymous else replace(identity, kind=kind)
            budget.spend(cost(policies, resource, client))
            decision = decide(policies, client, scope, context)
            if decision.granted:
                is_kept = client.is_anonymous or is_unnamed(client) or any(one.sort == "namespace" for one in who)
                found.setdefault(who if is_kept else frozenset({Principal("user", client.subject)}), decision)
    kept = canonical(policies, found)
    return {answer: decision for answer, decision in found.items() if answer in kept}


def canonical(policies: PolicySet, answers: Iterable[AllOf]) -> frozenset[AllOf]:
    """The same answers in a form that can be compared.

    `everyone` is split into its halves; a group with only users is replaced by them; answers covered by another one
    are removed.
    """
    groups = policies.groups.by_name
    found: set[AllOf] = set()
    for answer in _without_namespaces(answers) if policies.namespaces is None else answers:
        (only,) = answer if len(answer) == 1 else (None,)
        if only == EVERYONE:
            found |= {frozenset({AUTHENTICATED}), frozenset({ANONYMOUS})}
        elif only is not None and only.sort == "group" and only.name in groups and not groups[only.name].groups:
            found |= {frozenset({Principal("user", user)}) for user in groups[only.name].users}
        else:
            found.add(answer)
    if frozenset({AUTHENTICATED}) in found:
        return frozenset(found & {frozenset({AUTHENTICATED}), frozenset({ANONYMOUS})})
    members = {
        frozenset({Principal("user", user)})
        for name, group in groups.items()
        if frozenset({Principal("group", name)}) in found
        for user in group.users
    }
    return frozenset(answer for answer in found - members if not any(other < answer for other in found))


def _without_namespaces(answers: Iterable[AllOf]) -> Iterator[AllOf]:
    """The answers where every user's namespace is the user's name."""
    for answer in answers:
        yield frozenset(replace(one, sort="user") if one.sort == "namespace" else one for one in answer)


def spell_answers(answers: Iterable[AllOf]) -> str:
    """Answers as a policy file writes them, in a fixed order."""
    found = set(answers)
    if {frozenset({AUTHENTICATED}), frozenset({ANONYMOUS})} <= found:
        found -= {frozenset({AUTHENTICATED}), frozenset({ANONYMOUS})}
        found.add(frozenset({EVERYONE}))
    return ", ".join(sorted(" & ".join(map(str, sorted(answer))) for answer in found)) or "nobody"
