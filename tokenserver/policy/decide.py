"""Policy decision: which actions of a scope an identity is granted, and by which rules."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto

from tokenserver.identity import Identity
from tokenserver.policy.decision import Decision, Reason
from tokenserver.policy.index import matching_rules
from tokenserver.policy.model import Context, Effect, PolicySet, Rule
from tokenserver.scopes import ACTIONS, REPOSITORY_ACTIONS, Scope, is_repository_name

_NOTHING: frozenset[str] = frozenset()


class Objection(Enum):
    """Why a rule whose pattern covers the resource does not apply."""

    SERVICE = auto()
    NOT_MEANT = auto()
    EXCEPTED = auto()
    CONDITION = auto()


def decide(policies: PolicySet, identity: Identity, scope: Scope, context: Context) -> Decision:
    """The actions of `scope` that an allow rule grants, no deny rule forbids, and the ceiling includes.

    A request of `*` on a repository asks for pull, push and delete, each decided on its own. The literal `*` is granted
    only where an allow rule literally says it and no deny rule at all applies to the identity on that resource,
    since a registry may read it as everything.
    """
    resource = scope.resource
    if not is_repository_name(resource.name):
        return Decision(scope, _NOTHING)  # the parser lets none through; a grant is not the place to trust that
    allows: list[Rule] = []
    denies: list[Rule] = []
    is_lasting = True
    groups = policies.groups.holding(identity)
    for rule in matching_rules(policies.index, resource, identity, groups):
        if rule.condition is not None:
            is_lasting = False
        if objection(rule, identity, groups, context) is None:
            (denies if rule.effect is Effect.DENY else allows).append(rule)
    if not allows and not denies:
        return Decision(scope, _NOTHING, is_lasting=is_lasting)

    asked = scope.actions
    if resource.type == "repository" and "*" in asked:
        asked = asked.union(REPOSITORY_ACTIONS)
    within = asked if identity.ceiling is None else identity.ceiling.actions(resource, context.service)
    granted, reasons = _combined(allows, denies, asked, within, is_repository=resource.type == "repository")
    return Decision(scope, frozenset(granted), tuple(reasons), is_lasting)


def decide_held(policies: PolicySet, identity: Identity, scope: Scope, context: Context) -> Decision:
    """As `decide`, but a repository that is asked for is granted with every action that the policies allow on it.

    For clients that keep the first token of a repository for all they do there. Nothing is added to a scope without a
    known action, nor to a resource of another type; and `*` is granted only if it was asked. Deny rules about actions
    that were not asked are no reasons, since nothing was refused.
    """
    if scope.resource.type != "repository" or not scope.actions or "*" in scope.actions:
        return decide(policies, identity, scope, context)
    held = decide(policies, identity, Scope(scope.resource, scope.actions.union(REPOSITORY_ACTIONS)), context)
    known = scope.actions | held.granted
    reasons = tuple([reason for reason in held.reasons if reason.action in known])
    return replace(held, scope=scope, reasons=reasons)


def _combined(
    allows: list[Rule], denies: list[Rule], asked: frozenset[str], within: frozenset[str], *, is_repository: bool
) -> tuple[list[str], list[Reason]]:
    """The `asked` actions that applicable rules grant `within` the ceiling, and the reasons: a deny always wins."""
    granted: list[str] = []
    reasons: list[Reason] = []
    for action in ACTIONS:
        if action not in asked:
            continue
        granting: list[Rule] = []
        for rule in allows:  # a loop, since comprehensions are functions of their own before Python 3.12
            if action in rule.actions:
                granting.append(rule)
        forbidding = [rule for rule in denies if rule.decides(action)] if denies else denies
        if not forbidding and granting and action in within:
            granted.append(action)
            reasons += _cited(granting, action)
        elif forbidding and (granting or action != "*" or not is_repository):
            # A repository's `*` that no rule grants is not a refusal: the actions it implies have their own reasons.
            reasons += _cited(forbidding, action)
    return granted, reasons


def objection(rule: Rule, identity: Identity, groups: frozenset[str], context: Context) -> Objection | None:
    """The reason why `rule` does not apply to the identity in `groups`; None if it applies.

    The index has already matched the patterns. Explanations call this function too, so that they never disagree with a
    decision.
    """
    if rule.services is not None and context.service not in rule.services:
        return Objection.SERVICE
    if not rule.to.include(identity, groups):
        return Objection.NOT_MEANT
    if rule.excluded is not None and rule.excluded.include(identity, groups):
        return Objection.EXCEPTED
    if rule.condition is None:
        return None
    holds = rule.condition.holds(identity.kind, context)
    # What cannot be decided fails closed: an allow does not apply, a deny does.
    return None if holds or (holds is None and rule.effect is Effect.DENY) else Objection.CONDITION


def _cited(rules: list[Rule], action: str) -> list[Reason]:
    if len(rules) == 1:
        return [Reason(action, rules[0])]
    reasons = [Reason(action, rule) for rule in rules]
    reasons.sort(key=lambda reason: reason.rule)  # independent of the order of files
    return reasons
