"""Usage: which rules, and which parts of them, the exchanges of a log made use of. Pure.

A rule that nobody used can go; one that was used in part can be smaller. What was granted counts as used, by every rule
that the event cites for it, whether or not another rule granted it as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tokenserver.audit.events import text, texts
from tokenserver.audit.question import scope_of
from tokenserver.identity import ANONYMOUS, MACHINES, Identity, Kind
from tokenserver.patterns import Pattern, SegmentKind, matches
from tokenserver.policy.machines.robots import robot_of
from tokenserver.policy.model import Effect, PolicySet, Principal, Rule
from tokenserver.policy.principals import listed, subject_of
from tokenserver.scopes import in_order

MAX_NAMES = 1000
"""Repositories of a pattern that are kept; beyond, only what they have in common."""


@dataclass(slots=True)
class PatternUse:
    """The repositories that were used by a pattern, and the leading segments that all of them have in common."""

    common: tuple[str, ...]
    names: set[str] = field(default_factory=set)


@dataclass(slots=True)
class RuleUse:
    """What was used of a rule: how often, the last time, by which of its principals, actions and patterns."""

    count: int = 0
    last: str = ""
    actions: set[str] = field(default_factory=set)
    principals: set[Principal] = field(default_factory=set)
    patterns: dict[str, PatternUse] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SmallerRule:
    """A rule that does more than was used, and what would have sufficed; empty parts need no change.

    `use` is None if nobody used it.
    """

    rule: Rule
    use: RuleUse | None
    actions: tuple[str, ...] = ()
    unused_principals: tuple[str, ...] = ()
    unused_patterns: tuple[str, ...] = ()
    narrower: tuple[tuple[str, str], ...] = ()
    """Patterns, each with one that covers everything that was used of it."""


class Usage:
    """Counts the use of the rules of a policy set."""

    def __init__(self, policies: PolicySet) -> None:
        self._policies = policies
        self._rules = {rule.id: rule for rule in policies.rules}
        self.uses: dict[str, RuleUse] = {}
        self.seen_robots: set[str] = set()
        self.seen_workloads: set[str] = set()
        self.seen_credentials: set[str] = set()
        self.first = self.last = ""
        self.exchanges = 0

    def add(self, event: dict[str, Any]) -> None:
        """Count an exchange; other events, and what is no rule of these policies, are left out."""
        moment = text(event, "time")
        if text(event, "event") != "exchange" or not moment:
            return
        self.exchanges += 1
        self.first, self.last = min(self.first or moment, moment), max(self.last, moment)
        self.seen_credentials.add(text(event, "credential"))
        self.seen_workloads.update(texts(event, "workloads"))
        robot = robot_of(text(event, "subject"))
        if robot is not None:
            self.seen_robots.add(robot)
        cited = event.get("rules")
        for reason in cited if isinstance(cited, list) else ():
            if isinstance(reason, dict):
                self._add_reason(event, reason, moment)

    def smaller_rules(self) -> list[SmallerRule]:
        """The allow rules of which a part, or everything, was not used, in the order of the files."""
        found = (self._smaller(rule) for rule in self._policies.rules if rule.effect is Effect.ALLOW)
        return sorted((one for one in found if one is not None), key=lambda one: (one.rule.file, one.rule.line))

    def idle_denies(self) -> list[Rule]:
        """The deny rules that stopped nobody, in the order of the files."""
        idle = [rule for rule in self._policies.rules if rule.effect is Effect.DENY and rule.id not in self.uses]
        return sorted(idle, key=lambda rule: (rule.file, rule.line))

    def idle_machines(self) -> list[Principal]:
        """Declared robots and workloads that were granted or denied nothing, and did not log in either."""
        robots = sorted(set(self._policies.robots) - self.seen_robots)
        workloads = sorted(set(self._policies.groups.workloads.by_name) - self.seen_workloads)
        return [*(Principal("robot", one) for one in robots), *(Principal("workload", one) for one in workloads)]

    def idle_secrets(self) -> list[tuple[str, str]]:
        """Declared secrets that nobody used, of robots that others used: the robot and the id."""
        return [
            (robot.name, secret.id)
            for robot in self._policies.robots.values()
            if robot.name in self.seen_robots
            for secret in robot.secrets
            if secret.id not in self.seen_credentials
        ]

    def _add_reason(self, event: dict[str, Any], reason: dict[str, Any], moment: str) -> None:
        rule = self._rules.get(text(reason, "rule"))
        action = text(reason, "action")
        kind, _, name = text(reason, "resource").partition(":")
        if rule is None or kind != rule.resource_type or text(reason, "effect") != rule.effect:
            return
        if rule.effect is Effect.ALLOW and not _is_granted(event, text(reason, "resource"), action):
            return  # a deny forbids it
        use = self.uses.setdefault(rule.id, RuleUse())
        use.count += 1
        use.last = max(use.last, moment)
        use.actions.add(action)
        identity = _identity(event)
        groups = self._policies.groups.holding(identity)
        workloads = texts(event, "workloads")
        use.principals.update(one for one in listed(rule.to) if _is_one(one, identity, groups, workloads))
        segments = tuple(name.split("/"))
        namespace = text(event, "namespace") if "namespace" in event else identity.subject
        for pattern in rule.patterns:
            if matches(pattern, segments, namespace or None, groups):
                _add_name(use.patterns, pattern, segments)

    def _smaller(self, rule: Rule) -> SmallerRule | None:
        use = self.uses.get(rule.id)
        if use is None:
            return SmallerRule(rule, None)
        actions = use.actions & rule.actions
        # `*` of the catalog is one action; that a client deletes seldom is no reason to leave the question open.
        fewer = tuple(in_order(actions)) if actions and actions < rule.actions - {"*"} else ()
        unused: tuple[str, ...] = ()
        if not rule.capturing:
            unused = tuple(str(one) for one in listed(rule.to) if one not in use.principals)
        patterns = [pattern for pattern in rule.patterns if pattern.text in use.patterns]
        idle = tuple(pattern.text for pattern in rule.patterns if pattern.text not in use.patterns)
        narrower = tuple((one.text, tight) for one in patterns if (tight := _narrower(one, use.patterns[one.text])))
        if not (fewer or unused or idle or narrower):
            return None
        return SmallerRule(rule, use, fewer, unused, idle if patterns else (), narrower)


def _is_granted(event: dict[str, Any], resource: str, action: str) -> bool:
    granted = map(scope_of, texts(event, "granted"))
    return any(one is not None and str(one.resource) == resource and action in one.actions for one in granted)


def _identity(event: dict[str, Any]) -> Identity:
    try:
        kind = Kind(text(event, "kind"))
    except ValueError:
        return ANONYMOUS
    if kind is Kind.ANONYMOUS:
        return ANONYMOUS
    groups = frozenset() if kind in MACHINES else frozenset(texts(event, "groups"))
    return Identity(text(event, "subject"), kind, text(event, "source"), groups)


def _is_one(principal: Principal, identity: Identity, groups: frozenset[str], workloads: Iterable[str]) -> bool:
    """Whether the client is this principal; what a workload is, the event says."""
    named = subject_of(principal)
    if named is not None:
        return named == identity.subject
    is_anonymous = identity.kind is Kind.ANONYMOUS
    match principal.sort:
        case "everyone":
            return True
        case "anonymous":
            return is_anonymous
        case "authenticated":
            return not is_anonymous and identity.kind not in MACHINES
        case "robots":
            return robot_of(identity.subject) is not None
        case "workloads":
            return identity.kind is Kind.WORKLOAD
        case "workload":
            return principal.name in workloads
    return principal.name in groups


def _add_name(patterns: dict[str, PatternUse], pattern: Pattern, segments: tuple[str, ...]) -> None:
    use = patterns.get(pattern.text)
    if use is None:
        use = patterns[pattern.text] = PatternUse(segments)
    shared = 0
    for ours, theirs in zip(use.common, segments, strict=False):
        if ours != theirs:
            break
        shared += 1
    use.common = use.common[:shared]
    if len(use.names) <= MAX_NAMES:
        use.names.add("/".join(segments))


def _narrower(pattern: Pattern, use: PatternUse) -> str:
    """A smaller pattern for what was used of one that ends with `**`, as far as names have more in common; or empty."""
    if len(pattern.rest) != 1 or pattern.rest[0].kind is not SegmentKind.MANY:
        return ""
    if len(use.names) == 1:
        return "/".join(use.common)
    return f"{'/'.join(use.common)}/**" if len(use.common) > pattern.depth else ""
