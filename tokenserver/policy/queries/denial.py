"""Denials: for an action that no rule grants, the rules that come nearest and the owners of the namespace.

The answer is for the client itself, so it has less than `why` tells operators. It never names another user, a file, an
address, another registry, or a rule that is only for users by name. It names groups, since being in one of them is what
the client lacks; and of a rule that is not for the client, nothing else. Machines learn of workloads likewise, and that
a rule is for people or for other machines; a workload also learns which of its own claims differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tokenserver.identity import MACHINES, Identity, Sort, spell_group
from tokenserver.patterns import Pattern, matches
from tokenserver.policy.analysis.conditions import spell_moment
from tokenserver.policy.decide import Objection, objection
from tokenserver.policy.decision import Decision
from tokenserver.policy.group_names import plain_name
from tokenserver.policy.index import is_taken_away
from tokenserver.policy.machines.near_misses import NearMiss, nearest
from tokenserver.policy.machines.workloads import workload_of
from tokenserver.policy.model import Condition, Context, Effect, PolicySet, Rule
from tokenserver.policy.principals import client_principal, group_principal
from tokenserver.policy.queries.witnesses import entries_about
from tokenserver.policy.terms import actions_of
from tokenserver.policy.variables.readings import matches_somebody, readings
from tokenserver.scopes import Resource

MAX_NEAREST = 5
"""Rules for each action."""

MAX_ACTIONS = 32
"""Actions of one request that are explained; a push of an image has two."""

MAX_RULES = 2000
"""Rules that one request compares, each under one pattern, for all of its actions together."""


NOT_A_MEMBER = "you are in none of these groups"
PEOPLE_ONLY = "authenticated means people"


@dataclass(frozen=True, slots=True)
class Nearest:
    """An allow rule that grants the action on this name to others, and what the client lacks (`missing`).

    `to` has the groups that the rule is for, for a workload also workloads of its source, else `authenticated` or
    another set, as policies write them. Of a rule that captures a part of a group's name, it has the groups for this
    name.
    """

    action: str
    rule: str
    to: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Denial:
    """What is known about the actions of one scope that were not granted.

    `nearest` is None where the request was too large to look for them. `contacts` are those of the namespace's owners;
    none where the request was too large.
    """

    nearest: tuple[Nearest, ...] | None
    contacts: tuple[str, ...]


NOTHING_DENIED = Denial((), ())


def denials(
    policies: PolicySet, identity: Identity, decisions: Sequence[Decision], context: Context
) -> tuple[Denial, ...]:
    """A denial for each decision, in the same order; `NOTHING_DENIED` for one that grants all.

    Actions that a deny rule forbids have no nearest rules: the decision names that rule.
    """
    search = _Search(policies, identity, context)
    return tuple(search.denial(decision) for decision in decisions)


def contacts_for(policies: PolicySet, resource: Resource, service: str) -> tuple[str, ...]:
    """How to reach the owners of a namespace at this registry, each once; only repositories are delegated."""
    segments = resource.name.split("/")
    found = (
        owner.contact
        for owner in (policies.owners if resource.type == "repository" else ())
        if owner.contact is not None
        and (not owner.registries or service in owner.registries)
        and any(matches_somebody(pattern, segments) for pattern in owner.patterns)
    )
    return tuple(dict.fromkeys(found))


def needed_groups(patterns: Iterable[Pattern], segments: Sequence[str], user: str | None) -> frozenset[str]:
    """The groups of which one is needed for a name, by patterns with captures, for this user (None: any user)."""
    found = (reading for pattern in patterns for reading in readings(pattern, segments))
    return frozenset(group for name, group in found if user is None or name in ("", user))


def near_workload(policies: PolicySet, identity: Identity, groups: Iterable[str]) -> NearMiss | None:
    """Of the workloads among these groups of a rule, and in them, the one that a workload comes closest to.

    None if none is of its source, and for other clients.
    """
    if identity.sort is not Sort.WORKLOAD:
        return None
    tree, known = policies.groups.by_name, policies.groups.workloads.by_name
    members = (name for group in groups for name in (tree[group].groups if group in tree else (group,)))
    names = (name for name in map(workload_of, members) if name is not None)
    found = nearest((known[name] for name in names if name in known), identity.source, identity.claims, most=1)
    return found[0] if found else None


def spell_groups(names: Iterable[str]) -> tuple[str, ...]:
    """The groups as principals, a file's own by their plain names."""
    return tuple(f"group:{spell_group(name)}" for name in sorted(set(map(plain_name, names))))


class _Search:
    """The denials of one request, with the work that is left for them."""

    def __init__(self, policies: PolicySet, identity: Identity, context: Context) -> None:
        self._policies = policies
        self._identity = identity
        self._groups = policies.groups.holding(identity)
        self._context = context
        self._actions = MAX_ACTIONS
        self._rules = MAX_RULES
        self._namespaces = MAX_ACTIONS

    def denial(self, decision: Decision) -> Denial:
        resource = decision.scope.resource
        denied = [action for action in actions_of(decision.scope) if action not in decision.granted]
        if not denied:
            return NOTHING_DENIED
        forbidden = {reason.action for reason in decision.reasons if reason.effect is Effect.DENY}
        ungranted = [action for action in denied if action not in forbidden]
        nearest: list[Nearest] | None = []
        for action in ungranted:
            found = self._nearest(action, resource)
            nearest = None if found is None or nearest is None else nearest + found
        self._namespaces -= 1
        owned = self._namespaces >= 0
        contacts = contacts_for(self._policies, resource, self._context.service) if owned else ()
        return Denial(None if nearest is None else tuple(nearest), contacts)

    def _nearest(self, action: str, resource: Resource) -> list[Nearest] | None:
        """The rules with the least missing, first; None once the request has had its share."""
        self._actions -= 1
        segments = resource.name.split("/")
        about: dict[str, tuple[Rule, list[Pattern]]] = {}
        for rule, pattern in entries_about(self._policies, resource):
            self._rules -= 1
            if self._actions < 0 or self._rules < 0:
                return None
            if rule.effect is Effect.DENY or not rule.decides(action) or is_taken_away(rule, segments):
                continue
            if matches_somebody(pattern, segments):
                about.setdefault(rule.id, (rule, []))[1].append(pattern)
        found = [self._compared(action, rule, patterns, segments) for rule, patterns in about.values()]
        near = [one for one in found if one is not None]
        return sorted(near, key=lambda one: (len(one.missing), one.rule))[:MAX_NEAREST]

    def _compared(
        self, action: str, rule: Rule, patterns: Sequence[Pattern], segments: Sequence[str]
    ) -> Nearest | None:
        """What the client lacks; None for a rule that is none of its business, or that would not help."""
        if rule.services is not None and self._context.service not in rule.services:
            return None
        needed = rule.to.groups
        is_meant = rule.to.include(self._identity, self._groups)
        if rule.capturing:
            user = self._identity.user_value
            needed = needed_groups(patterns, segments, None if self._identity.is_anonymous else user)
            is_meant = not needed.isdisjoint(self._groups)
            needed = needed & self._groups or needed
        groups = self._reachable(needed)
        is_of_people = not rule.capturing and rule.to.authenticated and self._identity.kind in MACHINES
        if not is_meant:
            # A condition that does not hold is not mentioned, and the group alone would not help.
            member = replace(rule, to=replace(rule.to, everyone=True))
            to = ("authenticated",) if is_of_people else groups
            if not to or objection(member, self._identity, self._groups, self._context) is not None:
                return None
            return Nearest(action, rule.id, to, (self._lacking(needed, is_of_people=is_of_people),))
        sorts = () if rule.capturing else ("everyone", "authenticated", "robots", "workloads")
        broad = tuple(sort for sort in sorts if getattr(rule.to, sort))
        to = broad or groups or (str(client_principal(self._identity.subject)),)
        return Nearest(action, rule.id, to, tuple(self._missing(rule, patterns, segments)))

    def _reachable(self, needed: Iterable[str]) -> tuple[str, ...]:
        """The groups that such a client can be in, and the workloads that it can be, as principals."""
        sort, known = self._identity.sort, self._policies.groups.workloads.by_name
        groups, workloads = [], []
        for group in sorted(needed):
            name = workload_of(group)
            if name is None:
                if sort is Sort.USER or group in self._policies.groups.by_name:
                    groups.append(group)
            elif sort is Sort.WORKLOAD and name in known and known[name].source in ("", self._identity.source):
                workloads.append(str(group_principal(group)))
        return (*spell_groups(groups), *workloads)

    def _lacking(self, needed: Iterable[str], *, is_of_people: bool) -> str:
        """Why a rule is not for the client."""
        if is_of_people:
            return f"{PEOPLE_ONLY}, and you are a {self._identity.sort}"
        near = near_workload(self._policies, self._identity, needed)
        return NOT_A_MEMBER if near is None else f"needs {near}"

    def _missing(self, rule: Rule, patterns: Sequence[Pattern], segments: Sequence[str]) -> Iterator[str]:
        """What keeps a rule that is for the client from granting. At least one thing does, or the rule would grant."""
        user = self._identity.user_value
        matching = any(matches(pattern, segments, user, self._groups) for pattern in patterns)
        if not matching:
            yield f"{' and '.join(sorted({one.text for one in patterns}))} does not match {'/'.join(segments)} for you"
        met = objection(rule, self._identity, self._groups, self._context)
        if met is Objection.EXCEPTED:
            yield "you are excepted from it"
        elif met is Objection.CONDITION:
            yield from self._broken(rule.condition or Condition())
        elif matching:
            yield f"your key is narrowed to {self._identity.ceiling}"

    def _broken(self, condition: Condition) -> Iterator[str]:
        """The parts of the condition that do not hold, without the networks that it names."""
        kind, context = self._identity.kind, self._context
        if condition.since is not None and context.now < condition.since:
            yield f"it is not in effect before {spell_moment(condition.since)}"
        if condition.until is not None and context.now >= condition.until:
            yield f"it has not been in effect since {spell_moment(condition.until)}"
        if condition.kinds and kind not in condition.kinds:
            yield f"it does not apply to credentials of the kind {kind}"
        if not condition.of_address.holds(kind, context):
            yield "it does not apply to the address that you come from"
