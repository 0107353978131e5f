"""Terms of the index: what of an event it is found by, and what a question looks up. Pure.

A term is text that begins with the kind of fact. A question is answered by unions of terms, all of which an event must
be in, and the answer is exact but for the request id: events that `AuditQuestion.is_met_by` accepts, and no others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from tokenserver.audit.events import text, texts
from tokenserver.audit.question import (
    DENIED,
    GRANTED,
    PEOPLE,
    AuditQuestion,
    covers,
    credentials_of,
    rules_of,
    scope_of,
)
from tokenserver.patterns import Pattern
from tokenserver.policy.machines.robots import robot_of
from tokenserver.scopes import REPOSITORY_ACTIONS, Scope

_ANY = AuditQuestion()
_EVERY_ACTION = (*REPOSITORY_ACTIONS, "*")

_ABOVE = "\U0010ffff"
"""Sorts behind every character of a name."""


POLICY_TERMS = (b"p:", b"p;")
"""The digests of policies: the terms between these two."""


@dataclass(frozen=True, slots=True)
class TermRange:
    """The terms from `first` to `last`; with a pattern, those whose repository it covers."""

    first: str
    last: str
    pattern: Pattern | None = None

    def includes(self, term: str) -> bool:
        """Whether a term in the range counts."""
        return self.pattern is None or _is_covered(self.pattern, term.partition(":")[2])


def terms_of(event: dict[str, Any]) -> set[str]:
    """All terms of an event."""
    found = {f"e:{text(event, 'event')}", f"o:{text(event, 'outcome')}", f"r:{text(event, 'registry')}"}
    found.update(f"u:{name}" for member in PEOPLE if (name := text(event, member)))
    found.update(f"b:{robot}" for robot in _robots(event))
    found.update(f"w:{name}" for name in texts(event, "workloads"))
    found.update(f"g:{name}" for name in texts(event, "groups"))
    found.update(f"l:{rule}" for one in rules_of(event) if isinstance(rule := one.get("rule"), str))
    found.update(f"k:{name}" for name in credentials_of(event))
    found.update(_network_terms(text(event, "client")))
    if text(event, "policy"):
        found.add(f"p:{text(event, 'policy')}")
    if "asked_as" in event:
        found.add(f"r:{text(event, 'asked_as')}")
    granted, denied = _ANY.accesses(event)
    for sign, scopes in (("+", granted), ("-", denied)):
        for scope in scopes:
            found.update(_access_terms(sign, scope))
    return found


def asked_terms(question: AuditQuestion) -> list[list[TermRange]]:
    """For each condition of a question, except those of time and request id, the terms of which one must be there."""
    named = (
        ("e", question.event),
        ("u", question.user),
        ("b", question.robot),
        ("w", question.workload),
        ("g", question.group),
        ("r", question.registry),
        ("l", question.rule),
        ("k", question.credential),
    )
    found = [[_exactly(f"{kind}:{name}")] for kind, name in named if name]
    network = question.network
    if network is not None:
        first, last = network.network_address, network.broadcast_address
        found.append([TermRange(_address_term(network.version, int(first)), _address_term(network.version, int(last)))])
    said = question.outcome
    is_about_access = question.repository is not None or bool(question.action)
    if is_about_access:
        signs = {GRANTED: "+", DENIED: "-"}.get(said, "+-")
        found.append([one for sign in signs for one in _asked_accesses(sign, question)])
    if said and not (is_about_access and said in (GRANTED, DENIED)):
        outcomes = (GRANTED, "partial") if said == GRANTED else (said,)
        found.append([_exactly(f"o:{one}") for one in outcomes])
    return found


def _robots(event: dict[str, Any]) -> Iterator[str]:
    for name in (text(event, "subject"), text(event, "owner")):
        robot = robot_of(name)
        if robot is not None:
            yield robot
    if text(event, "robot"):
        yield text(event, "robot")


@lru_cache(maxsize=65_536)
def _network_terms(client: str) -> tuple[str, ...]:
    try:
        address = ip_address(client)
    except ValueError:
        return ()
    return (_address_term(address.version, int(address)),)


def _address_term(version: int, number: int) -> str:
    """A term that sorts as the addresses do, so that a network is a range."""
    return f"c:{version}:{number:032x}"


@lru_cache(maxsize=65_536)
def _access_terms(sign: str, scope: Scope) -> tuple[str, ...]:
    """Each action with the resource, and without; on a repository, `*` without a resource is a term of its own."""
    resource = str(scope.resource)
    star = "**" if scope.resource.type == "repository" else "*"
    alone = (f"a{sign}{star if action == '*' else action}" for action in scope.actions)
    return (*(f"a{sign}{action}:{resource}" for action in scope.actions), *alone)


def _asked_accesses(sign: str, question: AuditQuestion) -> Iterator[TermRange]:
    pattern, action = question.repository, question.action
    if pattern is None:
        yield _exactly(f"a{sign}{action}")
        if sign == "-" or action == "*":
            yield _exactly(f"a{sign}**")
        return
    # `*` that was asked on a repository and lost is every action that was lost.
    actions = _EVERY_ACTION if not action else (action,) if sign == "+" or action == "*" else (action, "*")
    for one in actions:
        start = f"a{sign}{one}:repository:{pattern.prefix}"
        yield TermRange(start, start + _ABOVE, pattern)


def _exactly(term: str) -> TermRange:
    return TermRange(term, term)


@lru_cache(maxsize=65_536)
def _is_covered(pattern: Pattern, resource: str) -> bool:
    scope = scope_of(f"{resource}:pull")
    return scope is not None and covers(pattern, scope)
