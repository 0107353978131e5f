"""The answer to "why?": the decision about one action, every rule considered, and the rules closest to granting it.

The verdict is that of `decide`, and whether a rule applies is determined by the same index and `objection`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from enum import StrEnum

from tokenserver.identity import MACHINES, WORKLOAD_PREFIX, Identity, Kind, Sort
from tokenserver.patterns import Pattern, SegmentKind, matches
from tokenserver.policy.analysis.conditions import spell_condition, spell_moment
from tokenserver.policy.decide import Objection, decide, objection
from tokenserver.policy.decision import Decision
from tokenserver.policy.group_names import shown_name
from tokenserver.policy.index import matching_rules
from tokenserver.policy.machines.near_misses import declared_among
from tokenserver.policy.machines.workloads import shown_workload, workload_of
from tokenserver.policy.model import Condition, Context, Effect, PolicySet, Principals, Rule
from tokenserver.policy.principals import client_principal, is_unnamed, listed, principals_of
from tokenserver.policy.queries.denial import PEOPLE_ONLY, contacts_for, near_workload, needed_groups, spell_groups
from tokenserver.policy.queries.witnesses import entries_about
from tokenserver.policy.variables.readings import matches_somebody
from tokenserver.scopes import Resource, Scope

MAX_NEAREST = 5

_ALIKE = 0.75
"""How similar the prefixes of a pattern and the requested name must be to take one for a misspelling of the other."""


class AccessVerdict(StrEnum):
    """The three answers."""

    ALLOWED = "allowed"
    DENIED = "denied"
    NOT_GRANTED = "not_granted"


@dataclass(frozen=True, slots=True)
class Considered:
    """One rule, whether it applies to the request, and because of what."""

    rule: Rule
    applies: bool
    because: str


@dataclass(frozen=True, slots=True)
class Near:
    """An allow rule that would grant the request, but for what is `missing`."""

    rule: Rule
    missing: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The rule, its principals and what is missing, in one sentence."""
        return f"`{self.rule.id}` would grant it to {spell_recipients(self.rule)}; {'; '.join(self.missing)}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to one question. `nearest` is empty if a rule grants the action.

    `contacts` are those of the namespace's owners; empty if the action is allowed. `workloads` are the declared ones
    that the client is.
    """

    action: str
    resource: Resource
    identity: Identity
    verdict: AccessVerdict
    decision: Decision
    rules: tuple[Considered, ...]
    nearest: tuple[Near, ...]
    contacts: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ()

    @property
    def is_bounded(self) -> bool:
        """Whether rules grant the action and none forbids it, but the credential has a lower ceiling."""
        return self.verdict is AccessVerdict.NOT_GRANTED and any(one.applies for one in self.rules)


def why(
    policies: PolicySet,
    identity: Identity,
    action: str,
    resource: Resource,
    context: Context,
    *,
    every_rule: bool = False,
) -> Explanation:
    """Explain what `decide` says about one action.

    The rules considered are those that a decision reads: their patterns share a literal prefix with the name. With
    `every_rule`, all rules are.
    """
    decision = decide(policies, identity, Scope(resource, frozenset({action})), context)
    forbidden = any(reason.action == action and reason.effect is Effect.DENY for reason in decision.reasons)
    verdict = (
        AccessVerdict.ALLOWED
        if action in decision.granted
        else AccessVerdict.DENIED
        if forbidden
        else AccessVerdict.NOT_GRANTED
    )
    question = _Question(policies, identity, action, resource, context)
    found = policies.rules if every_rule else (rule for rule, _ in entries_about(policies, resource))
    rules = {rule.id: question.consider(rule) for rule in found}
    grants = any(one.applies and one.rule.effect is Effect.ALLOW for one in rules.values())
    nearest = () if grants else tuple(question.nearest())
    ordered = sorted(rules.values(), key=lambda one: (not one.applies, one.rule.effect, one.rule.file, one.rule.line))
    contacts = () if verdict is AccessVerdict.ALLOWED else contacts_for(policies, resource, context.service)
    workloads = declared_among(policies.groups.holding(identity))
    return Explanation(action, resource, identity, verdict, decision, tuple(ordered), nearest, contacts, workloads)


def spell_who(identity: Identity) -> str:
    """An identity as used in a sentence."""
    if identity.is_anonymous:
        return "an anonymous client"
    if identity.subject == f"{WORKLOAD_PREFIX}{identity.source}:":
        return f"a workload from {identity.source}"
    return "an unnamed user" if is_unnamed(identity) else identity.subject


def spell_workloads(names: Iterable[str]) -> str:
    """The declared workloads that a client is, as used in a sentence."""
    return ", ".join(f"workload:{shown_workload(name)}" for name in names) or "no declared workload"


def spell_principals(principals: Principals) -> str:
    """The principals of a rule as used in a sentence."""
    return ", ".join(str(one).replace(":", " ", 1) if one.name else str(one) for one in listed(principals))


def spell_recipients(rule: Rule) -> str:
    """The principals of a rule's `to`, with its captures, as used in a sentence."""
    captured = (one.replace(":", " ", 1) for one in rule.capturing)
    return ", ".join(captured) if rule.capturing else spell_principals(rule.to)


def _listed(principals: Principals) -> str:
    return ", ".join(map(str, listed(principals)))


class _Question:
    """One question, compared with one rule after the other."""

    def __init__(
        self, policies: PolicySet, identity: Identity, action: str, resource: Resource, context: Context
    ) -> None:
        self._policies = policies
        self._identity = identity
        self._action = action
        self._resource = resource
        self._context = context
        self._groups = policies.groups.holding(identity)
        self._segments = resource.name.split("/")
        found = matching_rules(policies.index, resource, identity, self._groups)
        self._matching = {rule.id for rule in found}

    def consider(self, rule: Rule) -> Considered:
        """Whether the rule applies, and if not, the first reason."""
        if rule.resource_type != self._resource.type:
            return Considered(rule, False, f"is about a {rule.resource_type}, not a {self._resource.type}")
        met = objection(rule, self._identity, self._groups, self._context)
        applies = rule.id in self._matching and met is None and rule.decides(self._action)
        return Considered(rule, applies, "applies" if applies else next(self._obstacles(rule, is_near=False)))

    def nearest(self) -> Iterator[Near]:
        """The allow rules with the fewest obstacles, nearest first."""
        found: list[tuple[int, str, Near]] = []
        for rule in self._policies.rules:
            if rule.effect is Effect.DENY or rule.resource_type != self._resource.type:
                continue
            covers = any(matches_somebody(pattern, self._segments) for pattern in rule.patterns)
            meant = objection(rule, self._identity, self._groups, self._context) is None
            if covers or (meant and self._is_slip(rule)):
                missing = tuple(self._obstacles(rule, is_near=True))
                found.append((len(missing) + (0 if covers else 2), rule.id, Near(rule, missing)))
        least = min((count for count, _, _ in found), default=0)
        close = sorted((one for one in found if one[0] <= least + 1), key=lambda one: one[:2])
        for _, _, near in close[:MAX_NEAREST]:
            yield near

    def _is_slip(self, rule: Rule) -> bool:
        """Whether the prefix of one of the rule's patterns looks like a misspelling of the name's."""
        return any(
            pattern.depth > 0
            and SequenceMatcher(None, pattern.prefix, "/".join(self._segments[: pattern.depth])).ratio() >= _ALIKE
            for pattern in rule.patterns
        )

    def _obstacles(self, rule: Rule, *, is_near: bool) -> Iterator[str]:
        """Everything that keeps the rule from applying; with `is_near` for a sentence that names its principals."""
        groups, user = self._groups, None if self._identity.is_anonymous else self._identity.user_value
        if not any(matches(pattern, self._segments, user, groups) for pattern in rule.patterns):
            needed = spell_groups(needed_groups(rule.patterns, self._segments, user) if rule.capturing else ())
            if not needed:
                patterns = " and ".join(pattern.text for pattern in rule.patterns)
                yield f"{patterns} does not match {self._resource.name}{self._of_people(rule.patterns)}"
            elif is_near:
                known = "" if self._identity.is_anonymous else f"; {self._memberships()}"
                yield f"{self._resource.name} is for {' or '.join(needed)}{known}"
            else:
                who = spell_who(self._identity)
                yield f"not for {who}: it is to {', '.join(rule.capturing)}, here {' or '.join(needed)}"
        taking = [pattern.text for pattern in rule.without if matches(pattern, self._segments, None, ())]
        if taking:
            yield f"its not has {' and '.join(taking)}"
        if not rule.decides(self._action):
            yield f"does not name {self._action}"
        # Each part is checked on its own, with the other parts removed from the rule.
        if self._meets(Objection.SERVICE, replace(rule, excluded=None, condition=None)):
            yield f"service differs: it is for {' and '.join(sorted(rule.services or ()))}"
        if self._meets(Objection.NOT_MEANT, replace(rule, services=None, excluded=None, condition=None)):
            yield self._not_meant(rule) if is_near else self._to_others(rule)
        everyone = Principals(everyone=True)
        if self._meets(Objection.EXCEPTED, replace(rule, services=None, to=everyone, condition=None)):
            yield f"excepted: {self._excepted(rule.excluded or Principals())}"
        open_rule = replace(rule, services=None, to=everyone, excluded=None)
        if self._meets(Objection.CONDITION, open_rule):
            yield from self._broken(open_rule)

    def _meets(self, what: Objection, rule: Rule) -> bool:
        return objection(rule, self._identity, self._groups, self._context) is what

    def _broken(self, rule: Rule) -> Iterator[str]:
        """The parts of the condition that do not hold."""
        condition = rule.condition or Condition()
        address = self._context.client
        where = "the client's address is not known" if address is None else f"the client is at {address}"
        start, end = condition.since, condition.until
        parts = [
            (Condition(since=start), f"not in effect before {spell_moment(start)}" if start else ""),
            (Condition(until=end), f"no longer in effect since {spell_moment(end)}" if end else ""),
            (Condition(kinds=condition.kinds), f"the kind of credential is {self._identity.kind}"),
            (condition.of_address, f"{spell_condition(condition.of_address)}, but {where}"),
        ]
        for part, message in parts:
            if self._meets(Objection.CONDITION, replace(rule, condition=part)):
                yield message

    def _of_people(self, patterns: tuple[Pattern, ...]) -> str:
        """That `${user}` keeps a machine from matching, if it does."""
        if self._identity.kind not in MACHINES or not any(pattern.uses(SegmentKind.USER) for pattern in patterns):
            return ""
        return "; ${user} is for people, machines have none"

    def _to_others(self, rule: Rule) -> str:
        """The recipients of a rule that is not for the client."""
        people = f", and {PEOPLE_ONLY}" if self._identity.kind in MACHINES and rule.to.authenticated else ""
        return f"not for {spell_who(self._identity)}: it is to {_listed(rule.to)}{people}"

    def _not_meant(self, rule: Rule) -> str:
        """What the client is instead of a recipient of the rule."""
        sort = self._identity.sort
        if sort is not Sort.USER and rule.to.authenticated:
            names = declared_among(self._groups) or ("NAME",)
            own = f"workload:{names[0]}" if sort is Sort.WORKLOAD else client_principal(self._identity.subject)
            return f"{PEOPLE_ONLY}; fix: add {sort}s or {own} to the rule's to"
        near = near_workload(self._policies, self._identity, rule.to.groups)
        return self._memberships() if near is None else f"needs {near}"

    def _memberships(self) -> str:
        """The groups of the client, in words; of a workload also what it is."""
        if self._identity.kind is Kind.ANONYMOUS:
            return "the client is anonymous"
        hidden = self._identity.groups - self._groups
        groups = [
            *sorted(shown_name(name) for name in self._groups if workload_of(name) is None),
            *(f"the directory's {name}, which a group of this tree hides" for name in sorted(hidden)),
        ]
        who, listed_groups = spell_who(self._identity), f"in {', '.join(groups) or 'no group'}"
        if self._identity.sort is not Sort.WORKLOAD:
            return f"{who} is {listed_groups}"
        return f"{who} is {spell_workloads(declared_among(self._groups))}, {listed_groups}"

    def _excepted(self, excluded: Principals) -> str:
        """The principals of `except` that the client is."""
        met = (one for one in listed(excluded) if principals_of([one]).include(self._identity, self._groups))
        return ", ".join(map(str, met))
