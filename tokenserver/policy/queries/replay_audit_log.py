"""Replay of an audit log: the past decisions that a policy set would make differently.

Events are processed one at a time and only differences are kept, equal ones once, so a log of any length can be
replayed. What narrowed a stored credential is in its events. A machine that the policies do not declare could not log
in, and so loses everything.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from tokenserver.ceilings import Ceiling
from tokenserver.identity import ANONYMOUS, MACHINES, Claims, Identity, Kind
from tokenserver.policy.decide import decide, decide_held
from tokenserver.policy.decision import Decision
from tokenserver.policy.machines.claim_names import names_with_aliases, with_aliases
from tokenserver.policy.machines.near_misses import declared_among, mismatches
from tokenserver.policy.model import Context, PolicySet
from tokenserver.policy.queries.audit_log_parts import EventParts, UnreadablePart
from tokenserver.policy.terms import TermError, parse_moment
from tokenserver.scopes import Resource, Scope, ScopeSyntaxError, in_order, parse_scope
from tokenserver.storage.ceiling_text import UnreadableCeiling, parse_ceiling

MAX_CHANGES = 10_000
"""How many different changes are kept; further ones are only counted."""

DECIDED = frozenset({"granted", "partial", "denied", "login"})


@dataclass(frozen=True, slots=True)
class RulingChange:
    """One decision that would change: the client, the registry and the resource. `subject` is empty for anonymous.

    `machine` is a robot, or a workload with the claims that the event has; None for people.
    """

    subject: str
    groups: frozenset[str]
    registry: str
    resource: Resource
    gained: frozenset[str]
    lost: frozenset[str]
    machine: Identity | None = None


@dataclass(slots=True)
class SeenCases:
    """How often a change occurred, the first and last time, and the rules of the candidate that decide about it."""

    first: datetime
    last: datetime
    rules: tuple[str, ...]
    count: int = 0


@dataclass(slots=True)
class Report:
    """The result of a replay. `skipped` counts the lines without a decision, by reason."""

    exchanges: int = 0
    decisions: int = 0
    changed: int = 0
    changes: dict[RulingChange, SeenCases] = field(default_factory=dict)
    not_kept: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


class _Skipped(Exception):
    """A line that is not replayed; the text is the reason."""


def replay(
    policies: PolicySet,
    lines: Iterable[bytes],
    *,
    now: datetime | None = None,
    unwrapped: Callable[[bytes], object] = json.loads,
) -> Report:
    """Decide every exchange in `lines` again by `policies`, at the time it happened (with `now`: at that time).

    `unwrapped` gives the event of a line, or something that is none; `ValueError`: not even JSON. Unreadable lines are
    counted and skipped; none raises. An exchange written in parts is decided at its last part.
    """
    report = Report()
    parts = EventParts()
    admission = _Admission(policies)
    for line in lines:
        if not line.strip():
            continue
        try:
            event = _whole(_event(line, unwrapped), parts)
            if event is not None:
                _replay_event(policies, admission, event, now, report)
        except _Skipped as reason:
            report.skipped[str(reason)] += 1
    if parts.lost:
        report.skipped["a part of an event whose other parts are missing"] += parts.lost
    return report


class _Admission:
    """Which machines could log in at all, with these policies."""

    def __init__(self, policies: PolicySet) -> None:
        self._policies = policies
        self._robots = frozenset(robot.subject for robot in policies.robots.values())
        self._undecided: dict[Hashable, bool] = {}

    def admits(self, identity: Identity, claims: frozenset[str]) -> bool:
        """Whether the client is no machine, or one that the policies declare. `claims` are the names that are known.

        Raises:
            _Skipped: which workloads it is depends on claims that the event does not have.
        """
        if identity.kind is Kind.ROBOT:
            return identity.subject in self._robots
        if identity.kind is not Kind.WORKLOAD:
            return True
        if not self._policies.groups.workloads.deciding(identity.source) <= claims:
            question = identity.source, identity.claims, claims
            if question not in self._undecided:
                if len(self._undecided) >= MAX_CHANGES:
                    self._undecided.clear()
                self._undecided[question] = self._is_undecided(identity, claims)
            if self._undecided[question]:
                raise _Skipped("a workload without a claim that these policies ask for")
        return declared_among(self._policies.groups.holding(identity)) != ()

    def _is_undecided(self, identity: Identity, claims: frozenset[str]) -> bool:
        """Whether some workload has all claims that are known, and others."""
        for one in self._policies.groups.workloads.by_name.values():
            known = tuple(claim for claim in one.claims if claim[0] in claims)
            is_open = one.source in ("", identity.source) and len(known) < len(one.claims)
            if is_open and not any(mismatches(replace(one, claims=known), identity.claims)):
                return True
        return False


def _replay_event(
    policies: PolicySet, admission: _Admission, event: dict[str, Any], now: datetime | None, report: Report
) -> None:
    identity = _identity(event)
    claims = event["claims"] if identity.kind is Kind.WORKLOAD else ()
    # A server whose policies spelled a claim otherwise has written that name.
    aliases = policies.groups.workloads.aliases_of(identity.source)
    identity = replace(identity, claims=with_aliases(identity.claims, aliases)) if aliases else identity
    is_admitted = admission.admits(identity, names_with_aliases(claims, aliases))
    moment = _moment(event)
    context = Context(_text(event, "registry"), _client(event), now or moment)
    granted = _scopes(event, "granted")
    asked = _scopes(event, "asked")
    ruled = decide_held if event.get("grant") == "held" else decide
    report.exchanges += 1
    for resource, actions in asked.items():
        scope = Scope(resource, actions)
        decision = ruled(policies, identity, scope, context) if is_admitted else Decision(scope, frozenset())
        before = granted.get(resource, frozenset())
        report.decisions += 1
        if decision.granted != before:
            change = RulingChange(
                identity.subject,
                identity.groups,
                context.service,
                resource,
                decision.granted - before,
                before - decision.granted,
                identity if identity.kind in MACHINES else None,
            )
            _note(report, change, decision, moment)


def _note(report: Report, change: RulingChange, decision: Decision, moment: datetime) -> None:
    report.changed += 1
    seen = report.changes.get(change)
    if seen is None:
        if len(report.changes) >= MAX_CHANGES:
            report.not_kept += 1
            return
        differing = change.gained | change.lost
        rules = {reason.rule: None for reason in decision.reasons if reason.action in differing}
        seen = report.changes[change] = SeenCases(moment, moment, tuple(rules))
    seen.count += 1
    seen.first, seen.last = min(seen.first, moment), max(seen.last, moment)


# --- reading an event ------------------------------------------------------------------------------------------------


def _event(line: bytes, unwrapped: Callable[[bytes], object]) -> dict[str, Any]:
    try:
        event = unwrapped(line)
    except (ValueError, RecursionError):
        raise _Skipped("no JSON") from None
    if not isinstance(event, dict):
        raise _Skipped("no event")
    if event.get("event") != "exchange":
        raise _Skipped("another event")
    if _text(event, "outcome") not in DECIDED:
        raise _Skipped("an exchange that ended without a decision")
    return event


def _whole(event: dict[str, Any], parts: EventParts) -> dict[str, Any] | None:
    try:
        return parts.whole(event)
    except UnreadablePart as field:
        raise _Skipped(f"an event with a field that cannot be read: {field}") from None


def _identity(event: dict[str, Any]) -> Identity:
    try:
        kind = Kind(_text(event, "kind"))
    except ValueError:
        raise _Skipped("an unknown kind of credential") from None
    if kind is Kind.ANONYMOUS:
        return ANONYMOUS
    if kind in MACHINES:
        claims = _claims(event) if kind is Kind.WORKLOAD else frozenset()
        return Identity(_text(event, "subject"), kind, _text(event, "source"), claims=claims, ceiling=_ceiling(event))
    groups = frozenset(_texts(event, "groups"))
    namespace = _text(event, "namespace") if "namespace" in event else None
    return Identity(
        _text(event, "subject"), kind, _text(event, "source"), groups, namespace=namespace, ceiling=_ceiling(event)
    )


def _ceiling(event: dict[str, Any]) -> Ceiling | None:
    try:
        return parse_ceiling(_text(event, "ceiling")) if "ceiling" in event else None
    except UnreadableCeiling:
        raise _Skipped("an event with a field that cannot be read: ceiling") from None


def _claims(event: dict[str, Any]) -> Claims:
    claims = event.get("claims")
    if claims is None:
        raise _Skipped("a workload without its claims")
    if not isinstance(claims, dict):
        raise _Skipped("an event with a field that cannot be read: claims")
    return frozenset((name, value) for name in claims for value in _texts(claims, name, "claims"))


def _moment(event: dict[str, Any]) -> datetime:
    try:
        return parse_moment(_text(event, "time"))
    except TermError:
        raise _Skipped("an event with a field that cannot be read: time") from None


def _client(event: dict[str, Any]) -> Any:
    if event.get("client") is None:
        return None
    try:
        return ip_address(_text(event, "client"))
    except ValueError:
        raise _Skipped("an event with a field that cannot be read: client") from None


def _scopes(event: dict[str, Any], key: str) -> dict[Resource, frozenset[str]]:
    try:
        scopes = [parse_scope(text) for text in _texts(event, key)]
    except ScopeSyntaxError:
        raise _Skipped(f"an event with a field that cannot be read: {key}") from None
    return {scope.resource: scope.actions for scope in scopes}


def _text(event: dict[str, Any], key: str) -> str:
    value = event.get(key)
    if not isinstance(value, str):
        raise _Skipped(f"an event with a field that cannot be read: {key}")
    return value


def _texts(event: dict[str, Any], key: str, field: str = "") -> list[str]:
    value = event.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _Skipped(f"an event with a field that cannot be read: {field or key}")
    return value


def spell_actions(actions: frozenset[str]) -> str:
    """Actions in their fixed order, separated by commas."""
    return ",".join(in_order(actions))
