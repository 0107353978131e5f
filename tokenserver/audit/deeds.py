"""Deeds: who was granted an action, or denied it, how often, when, from where, and by which rules. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from tokenserver.audit.events import text, texts
from tokenserver.audit.question import DENIED, GRANTED, AuditQuestion
from tokenserver.scopes import in_order

MAX_DEEDS = 10_000
"""Different deeds that are kept; further ones are only counted."""

MAX_KEPT_OF_DEED = 20
"""Clients, credentials and rules that are kept of a deed."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody was granted, or denied. `who` is empty for anonymous clients; `what` is `push web/site`."""

    who: str
    what: str
    registry: str
    outcome: str


@dataclass(slots=True)
class DeedSeen:
    """How often a deed was seen, its first and last time, and where from, with which credentials and by which rules."""

    count: int = 0
    first: str = ""
    last: str = ""
    clients: dict[str, None] = field(default_factory=dict)
    credentials: dict[str, None] = field(default_factory=dict)
    rules: dict[str, None] = field(default_factory=dict)
    workloads: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Deeds:
    """The deeds of a search. `not_kept` counts accesses of deeds beyond `MAX_DEEDS`."""

    seen: dict[Deed, DeedSeen] = field(default_factory=dict)
    not_kept: int = 0

    def add_all(self, question: AuditQuestion, events: Iterable[dict[str, Any]]) -> None:
        """Count what the events, which meet the question, granted and denied; with an outcome, only that."""
        for event in events:
            granted, denied = question.accesses(event)
            for outcome, scopes in ((GRANTED, granted), (DENIED, denied)):
                if question.outcome in ("", outcome):
                    for scope in scopes:
                        resource = scope.resource
                        name = resource.name if resource.type == "repository" else str(resource)
                        what = f"{','.join(in_order(scope.actions))} {name}"
                        self._add(
                            Deed(text(event, "subject"), what, text(event, "registry"), outcome), event, str(resource)
                        )

    def ordered(self) -> list[tuple[Deed, DeedSeen]]:
        """The deeds, the last ones first."""
        return sorted(self.seen.items(), key=lambda one: (one[1].last, one[0].who, one[0].what), reverse=True)

    def _add(self, deed: Deed, event: dict[str, Any], resource: str) -> None:
        seen = self.seen.get(deed)
        if seen is None:
            if len(self.seen) >= MAX_DEEDS:
                self.not_kept += 1
                return
            seen = self.seen[deed] = DeedSeen()
        moment = text(event, "time")
        seen.count += 1
        seen.first = min(seen.first or moment, moment)
        seen.last = max(seen.last, moment)
        effect = "allow" if deed.outcome == GRANTED else "deny"
        keep(seen.clients, [text(event, "client")])
        keep(seen.credentials, [text(event, "credential")])
        keep(seen.workloads, texts(event, "workloads"))
        keep(seen.rules, rules_of(event, resource, deed.what.partition(" ")[0].split(","), effect))


def keep(kept: dict[str, None], found: Iterable[str]) -> None:
    """Keep what was found, the first few of it; without what is empty."""
    for one in found:
        if one and len(kept) < MAX_KEPT_OF_DEED:
            kept[one] = None


def rules_of(event: dict[str, Any], resource: str, actions: Collection[str], effect: str) -> list[str]:
    """The ids of the rules of this effect that the event cites for these actions on the resource."""
    rules = event.get("rules")
    return [
        str(rule.get("rule", ""))
        for rule in (rules if isinstance(rules, list) else ())
        if isinstance(rule, dict)
        and rule.get("resource") == resource
        and rule.get("effect") == effect
        and (rule.get("action") in actions or "*" in actions)
    ]
