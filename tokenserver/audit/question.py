"""Questions about the audit trail: conditions that an event meets, all of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from tokenserver.audit.candidates import needle_of
from tokenserver.audit.events import member_of_granted, text, texts
from tokenserver.patterns import Pattern, SegmentKind, matches
from tokenserver.policy.machines.robots import subject_of
from tokenserver.policy.terms import TermError, parse_moment
from tokenserver.scopes import Scope, ScopeSyntaxError, parse_scope

PEOPLE = ("subject", "actor", "owner", "user", "username")
"""The members that name a client, an administrator, the owner of a credential, and the name of a failed login."""

_CREDENTIALS = ("credential", "issued", "actor_credential", "replaces")
_LISTED_CREDENTIALS = ("credentials", "displaced")

GRANTED, DENIED = "granted", "denied"


@dataclass(frozen=True, slots=True)
class AuditQuestion:
    """Conditions of an event; those that are not set hold for every event.

    `repository` has no variables. With `repository` or `action`, `outcome` is that of the access in question
    (`granted`, `denied`); otherwise the outcome of the event, of which `granted` includes `partial`. An access that a
    report says was used counts as granted.
    """

    since: datetime | None = None
    until: datetime | None = None
    event: str = ""
    user: str = ""
    robot: str = ""
    workload: str = ""
    group: str = ""
    repository: Pattern | None = None
    action: str = ""
    outcome: str = ""
    registry: str = ""
    network: IPv4Network | IPv6Network | None = None
    rule: str = ""
    credential: str = ""
    request_id: str = ""

    def needles(self) -> list[bytes]:
        """Texts that every line with an answer contains."""
        named = (self.event, self.user, self.robot, self.workload, self.group, self.registry, self.rule)
        pattern = self.repository
        literals = () if pattern is None else _literals(pattern)
        # What is asked may be `*`; only what was granted names each action.
        action = self.action if self.outcome == GRANTED else ""
        said = self.outcome if pattern is None and not self.action and self.outcome != GRANTED else ""
        address = "" if self.network is None else _common_text(self.network)
        found = [*named, address, self.credential, self.request_id, action, said, *literals]
        return [needle for one in found if (needle := needle_of(one))]

    def time_bounds(self) -> tuple[bytes, bytes]:
        """The first and the last millisecond in question, as events have them."""
        first = b"" if self.since is None else spell_moment(self.since).encode("ascii")
        return first, b"\xff" if self.until is None else spell_moment(self.until).encode("ascii")

    def is_met_by(self, event: dict[str, Any]) -> bool:
        """Whether the event meets all conditions. One without a readable time meets none about time."""
        return (
            self._is_in_time(event)
            and self.event in ("", text(event, "event"))
            and self._is_about_client(event)
            and self.registry in ("", text(event, "registry"), text(event, "asked_as"))
            and self.request_id in ("", text(event, "request_id"))
            and (not self.rule or any(rule.get("rule") == self.rule for rule in rules_of(event)))
            and (not self.credential or self.credential in credentials_of(event))
            and (self.network is None or _is_from(event, self.network))
            and self._has_outcome(event)
        )

    def accesses(self, event: dict[str, Any]) -> tuple[tuple[Scope, ...], tuple[Scope, ...]]:
        """What was granted, or used by a report, and what was denied of what this question is about."""
        given = member_of_granted(event)
        held = {scope.resource: scope.actions for written in texts(event, given) if (scope := scope_of(written))}
        denied = []
        for scope in self._scopes(event, "asked"):
            granted = held.get(scope.resource, frozenset())
            # `*` asked on a repository means whatever the client may do, so any grant is all of it.
            lost = scope.actions - (granted | {"*"} if granted else granted)
            if lost:
                denied.append(Scope(scope.resource, lost))
        return tuple(self._scopes(event, given)), tuple(denied)

    def _is_in_time(self, event: dict[str, Any]) -> bool:
        if self.since is None and self.until is None:
            return True
        moment = moment_of(event)
        if moment is None:
            return False
        return (self.since is None or self.since <= moment) and (self.until is None or moment < self.until)

    def _is_about_client(self, event: dict[str, Any]) -> bool:
        if self.user and not any(text(event, name) == self.user for name in PEOPLE):
            return False
        if self.robot:
            subject = subject_of(self.robot)
            if subject not in (text(event, "subject"), text(event, "owner")) and text(event, "robot") != self.robot:
                return False
        if self.workload and self.workload not in texts(event, "workloads"):
            return False
        return not self.group or self.group in texts(event, "groups")

    def _has_outcome(self, event: dict[str, Any]) -> bool:
        said = text(event, "outcome")
        if self.repository is None and not self.action:
            return self.outcome in ("", said) or (self.outcome == GRANTED and said == "partial")
        granted, denied = self.accesses(event)
        if self.outcome == GRANTED:
            return bool(granted)
        if self.outcome == DENIED:
            return bool(denied)
        return bool(granted or denied) and self.outcome in ("", said)

    def _scopes(self, event: dict[str, Any], name: str) -> Iterator[Scope]:
        """The scopes of a list of the event that this question is about, with the actions that it is about."""
        for written in texts(event, name):
            scope = scope_of(written)
            if scope is None or (self.repository is not None and not covers(self.repository, scope)):
                continue
            actions = scope.actions & self._actions(scope, name) if self.action else scope.actions
            if actions:
                yield Scope(scope.resource, actions)

    def _actions(self, scope: Scope, name: str) -> set[str]:
        """The action in question; also `*` asked on a repository, which means whatever the client may do."""
        is_any = name == "asked" and scope.resource.type == "repository"
        return {self.action, "*"} if is_any else {self.action}


def spell_moment(moment: datetime) -> str:
    """A moment as events have it, in milliseconds."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def moment_of(event: dict[str, Any]) -> datetime | None:
    """The time of an event; None if it has none that can be read."""
    try:
        return parse_moment(text(event, "time"))
    except TermError:
        return None


def _common_text(network: IPv4Network | IPv6Network) -> str:
    """What the text of each address of the network begins with; empty for IPv6, where one address has many."""
    if isinstance(network, IPv6Network):
        return ""
    whole = network.prefixlen // 8
    parts = str(network.network_address).split(".")[:whole]
    return ".".join(parts) + ("." if 0 < whole < 4 else "")


def _literals(pattern: Pattern) -> Iterator[str]:
    yield f"{pattern.prefix}/" if pattern.prefix and pattern.rest else pattern.prefix
    for segment in pattern.rest:
        if segment.kind in (SegmentKind.LITERAL, SegmentKind.GLOB):
            yield from segment.pieces or (segment.text.replace("*", " "),)


@lru_cache(maxsize=65_536)
def scope_of(written: str) -> Scope | None:
    """A scope as events have it; None if it is none."""
    try:
        return parse_scope(written)
    except ScopeSyntaxError:
        return None


def covers(pattern: Pattern, scope: Scope) -> bool:
    """Whether the scope is about a repository of the pattern."""
    return scope.resource.type == "repository" and matches(pattern, scope.resource.name.split("/"), None, ())


def rules_of(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The decisions that the event cites, each with its rule."""
    rules = event.get("rules")
    return (rule for rule in rules if isinstance(rule, dict)) if isinstance(rules, list) else iter(())


def credentials_of(event: dict[str, Any]) -> set[str]:
    """The ids of credentials that the event names; one may be empty."""
    named = {text(event, name) for name in _CREDENTIALS}
    return named.union(*(texts(event, name) for name in _LISTED_CREDENTIALS))


def _is_from(event: dict[str, Any], network: IPv4Network | IPv6Network) -> bool:
    try:
        return ip_address(text(event, "client")) in network
    except ValueError:
        return False
