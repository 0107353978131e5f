"""Real deeds: what registries report was pushed, pulled, mounted or deleted, and the token that allowed each. Pure.

A report names the subject of its token, but not the token. It is joined with the exchanges that granted this subject
the access shortly before: of several, the last one, and one of the same client address rather than another. A report
that names no subject is not joined with any; but whether anybody had a token that allowed it is known.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tokenserver.audit.deeds import MAX_DEEDS, DeedSeen, keep, rules_of
from tokenserver.audit.events import REPORT, text, texts
from tokenserver.audit.granted_accesses import SKEW, AccessKey, GrantedAccess, GrantedAccesses
from tokenserver.audit.question import AuditQuestion, moment_of
from tokenserver.scopes import MAX_LIFETIME

ALLOWED, UNALLOWED, UNKNOWN = OUTCOMES = ("allowed", "no token", "unknown")
"""A token was found; no token of this server allowed it; the events that would tell were not kept."""

MAX_WAITING = 20_000
"""Reports without a token so far, whose exchange may come later in the log."""

MAX_IDS = 200_000
"""Reports that are remembered, so that one that was sent twice counts once."""


class ReportQuestion(AuditQuestion):
    """The question by which events are read: reports, and the exchanges that may have allowed them."""

    __slots__ = ()

    def is_met_by(self, event: dict[str, Any]) -> bool:
        """Whether it is an exchange that granted what is in question, or a report of its use."""
        return text(event, "event") in ("exchange", REPORT) and super().is_met_by(event)


def reading(question: AuditQuestion) -> ReportQuestion:
    """What to read for a question about real deeds: the exchanges before its time too, and reports that came late."""
    since = question.since
    if since is not None:
        since -= min(timedelta(seconds=MAX_LIFETIME + 2 * SKEW), since - datetime.min.replace(tzinfo=since.tzinfo))
    return ReportQuestion(
        since=since,
        user=question.user,
        repository=question.repository,
        action=question.action,
        outcome=question.outcome,
        registry=question.registry,
    )


class RealDeed(NamedTuple):
    """What somebody did. `who` is None where the registry does not say, and empty for anonymous clients."""

    who: str | None
    action: str
    repository: str
    from_repository: str
    tag: str
    digest: str
    registry: str
    outcome: str


@dataclass(slots=True)
class RealDeedSeen(DeedSeen):
    """As `DeedSeen`, with the tokens (`jti`) that allowed it."""

    tokens: dict[str, None] = field(default_factory=dict)


class _Report(NamedTuple):
    """One report, by one of the accesses that it used."""

    key: AccessKey
    moments: tuple[float, ...]
    spelled: str
    client: str
    deed: RealDeed


@dataclass(slots=True)
class RealDeeds:
    """The real deeds of a question. `not_kept` counts reports of deeds beyond `MAX_DEEDS`, `repeated` those that came
    again.

    A question about the group, workload, robot, credential, rule or address of a client is one about the token.
    """

    question: AuditQuestion
    seen: dict[RealDeed, RealDeedSeen] = field(default_factory=dict)
    not_kept: int = 0
    repeated: int = 0
    _grants: GrantedAccesses = field(default_factory=GrantedAccesses)
    _waiting: deque[_Report] = field(default_factory=deque)
    _ids: OrderedDict[tuple[str, str], None] = field(default_factory=OrderedDict)

    def add_all(self, events: Iterable[dict[str, Any]]) -> None:
        """Join the events, which meet `reading(question)`, in the order of their lines."""
        about = reading(self.question)
        always = replace(self.question, since=None, until=None)
        for event in events:
            granted, _ = about.accesses(event)
            is_report = text(event, "event") == REPORT
            if is_report and not self._is_new(event):
                continue
            is_in_question = is_report or not self._is_narrow or always.is_met_by(event)
            for scope in granted:
                for action in sorted(scope.actions):
                    key = (text(event, "registry"), str(scope.resource), action)
                    if is_report:
                        self._report(event, key)
                    else:
                        self._grant(event, key, is_in_question=is_in_question)
        for report in self._waiting:
            self._count(report, self._outcome(report, is_last=True))
        self._waiting.clear()

    def ordered(self) -> list[tuple[RealDeed, RealDeedSeen]]:
        """The deeds, the last ones first."""
        return sorted(self.seen.items(), key=lambda one: (one[1].last, one[0].repository), reverse=True)

    @property
    def without_token(self) -> int:
        """How many reports no token of this server allowed."""
        return sum(seen.count for deed, seen in self.seen.items() if deed.outcome == UNALLOWED)

    def _is_new(self, event: dict[str, Any]) -> bool:
        key = (text(event, "registry"), text(event, "event_id"))
        if not key[1]:
            return True
        if key in self._ids:
            self.repeated += 1
            return False
        self._ids[key] = None
        if len(self._ids) > MAX_IDS:
            self._ids.popitem(last=False)
        return True

    def _grant(self, event: dict[str, Any], key: AccessKey, *, is_in_question: bool) -> None:
        moment = moment_of(event)
        if moment is None:
            return
        grant = GrantedAccess(
            moment.timestamp(),
            self._grants.count,
            text(event, "client"),
            text(event, "jti"),
            text(event, "credential"),
            tuple(rules_of(event, key[1], (key[2],), "allow")),
            tuple(texts(event, "workloads")),
            is_in_question,
        )
        self._grants.add(text(event, "subject"), key, grant)

    def _report(self, event: dict[str, Any], key: AccessKey) -> None:
        received, said = moment_of(event), moment_of({"time": text(event, "at")})
        moments = [one for one in (said, received) if one is not None]
        question = self.question
        if not moments or (question.since is not None and moments[0] < question.since):
            return
        if question.until is not None and moments[0] >= question.until:
            return
        subject = event.get("subject")
        deed = RealDeed(
            subject if isinstance(subject, str) else None,
            text(event, "action"),
            text(event, "repository"),
            text(event, "from_repository"),
            text(event, "tag"),
            text(event, "digest"),
            text(event, "registry"),
            UNKNOWN,
        )
        spelled = text(event, "time" if said is None else "at")
        report = _Report(key, tuple(one.timestamp() for one in moments), spelled, text(event, "client"), deed)
        outcome = self._outcome(report, is_last=False)
        if outcome != UNKNOWN:
            self._count(report, outcome)
            return
        self._waiting.append(report)
        if len(self._waiting) > MAX_WAITING:
            self._count(self._waiting.popleft(), UNKNOWN)

    def _outcome(self, report: _Report, *, is_last: bool) -> GrantedAccess | str:
        """The grant that allowed it, or the outcome. Before the last event, an exchange may still come."""
        for moment in report.moments:  # the clock of a registry may be wrong
            if report.deed.who is None:
                if self._grants.has_any(report.key, moment):
                    return ALLOWED
            elif grant := self._grants.allowing(report.deed.who, report.key, moment, report.client):
                return grant
        return UNALLOWED if is_last and min(report.moments) > self._grants.forgotten else UNKNOWN

    def _count(self, report: _Report, outcome: GrantedAccess | str) -> None:
        grant = None if isinstance(outcome, str) else outcome
        if self._is_narrow if grant is None else not grant.is_in_question:
            return
        deed = report.deed._replace(outcome=outcome if isinstance(outcome, str) else ALLOWED)
        seen = self.seen.get(deed)
        if seen is None:
            if len(self.seen) >= MAX_DEEDS:
                self.not_kept += 1
                return
            seen = self.seen[deed] = RealDeedSeen()
        seen.count += 1
        seen.first = min(seen.first or report.spelled, report.spelled)
        seen.last = max(seen.last, report.spelled)
        keep(seen.clients, [report.client])
        if grant is not None:
            keep(seen.credentials, [grant.credential])
            keep(seen.workloads, grant.workloads)
            keep(seen.rules, grant.rules)
            keep(seen.tokens, [grant.jti])

    @property
    def _is_narrow(self) -> bool:
        """Whether the question is about something that only the exchange tells."""
        asked = self.question
        named = (asked.group, asked.workload, asked.robot, asked.credential, asked.rule)
        return any(named) or asked.network is not None
