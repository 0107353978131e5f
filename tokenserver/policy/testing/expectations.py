"""The tests of policy files as values: settings, expectations, and the report of a failure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address

from tokenserver.documents.document import Path
from tokenserver.identity import ROBOT_PREFIX, Identity, Kind, Sort, spell_group
from tokenserver.patterns import Pattern
from tokenserver.policy.decision import Reason
from tokenserver.policy.machines.workloads import Required
from tokenserver.policy.model import Context, Principal
from tokenserver.policy.principals import AllOf, is_unnamed
from tokenserver.policy.queries.who_can import Line
from tokenserver.policy.terms import spell_request
from tokenserver.policy.testing.spans import Span
from tokenserver.printable import cut
from tokenserver.scopes import Scope

MAX_CLAIMS = 6
"""Claims of a workload that a message names."""

MAX_CLAIM = 120


@dataclass(frozen=True, slots=True)
class Setting:
    """The time, address and registry of a test; None is filled in when the test runs."""

    service: str | None = None
    at: datetime | None = None
    client: IPv4Address | IPv6Address | None = None

    def context(self, service: str, now: datetime) -> Context:
        """The context of the decision; `service` and `now` are used where the test sets none."""
        return Context(self.service if self.service is not None else service, self.client, self.at or now)


@dataclass(frozen=True, slots=True)
class Expectation:
    """One item of `can` or `cannot`: every action of the scope must be granted, or none of them."""

    place: Path
    scope: Scope
    granted: bool


@dataclass(frozen=True, slots=True)
class AsTest:
    """`as … can … cannot …`: what one identity may do."""

    identity: Identity
    expectations: tuple[Expectation, ...]
    setting: Setting
    place: Path = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class WhoTest:
    """`who_can …`: the principals that may do one action. `relation` is one of `exactly includes excludes`.

    `lines` are the `answers` of `exactly` with their exceptions and conditions.
    """

    place: Path
    scope: Scope
    relation: str
    answers: frozenset[AllOf]
    kind: Kind
    setting: Setting
    lines: tuple[Line, ...] = ()
    where: tuple[tuple[str, Required], ...] = ()
    """The workloads by name (empty: any) that the lines limit by `claims`."""


@dataclass(frozen=True, slots=True)
class Within:
    """The scope of a test: these actions on the repositories covered by one of these patterns without variables."""

    patterns: tuple[Pattern, ...]
    actions: frozenset[str]


@dataclass(frozen=True, slots=True)
class WhatTest:
    """`what_can …`: everything that one client may do. `groups` are its directory groups, `namespace` the value of
    `${user}` (None: the user's name). `identity` is a workload with its claims, and `who` then all workloads.

    Access outside of `within` is ignored; None: all access counts.
    """

    place: Path
    who: Principal
    groups: frozenset[str]
    spans: tuple[Span, ...]
    setting: Setting
    within: Within | None = None
    namespace: str | None = None
    identity: Identity | None = None


Test = AsTest | WhoTest | WhatTest


@dataclass(frozen=True, slots=True)
class FailedExpectation:
    """The expected and the actual result of a test, with the rules that decided; `message` combines them."""

    place: Path
    expected: str
    actual: str
    message: str
    rules: tuple[Reason, ...] = ()


def spell_test(test: Test) -> str:
    """The subject of a test in a few words."""
    match test:
        case AsTest():
            return f"as {spell_identity(test.identity)}"
        case WhoTest():
            return f"who can {spell_asked(test)}"
        case WhatTest():  # pragma: no branch - the type checker proves that none is left
            return f"what can {spell_subject(test)}"


def spell_subject(test: WhatTest) -> str:
    """The client of a `what_can` test."""
    return str(test.who) if test.identity is None else spell_identity(test.identity)


def spell_asked(test: WhoTest) -> str:
    """The request of a `who_can` test, as the file spells it."""
    (action,) = test.scope.actions
    return spell_request(action, test.scope)


def spell_identity(identity: Identity) -> str:
    """The identity of an `as` test in words."""
    if identity.is_anonymous:
        return "an anonymous client"
    if identity.sort is Sort.ROBOT:
        return f"robot {identity.subject.removeprefix(ROBOT_PREFIX)}"
    if identity.sort is Sort.WORKLOAD:
        claims = [cut(f"{name}={value}", MAX_CLAIM) for name, value in sorted(identity.claims)]
        more = [f"{len(claims) - MAX_CLAIMS} more"] if len(claims) > MAX_CLAIMS else []
        return f"a workload from {identity.source} with {', '.join([*claims[:MAX_CLAIMS], *more]) or 'no claims'}"
    name = "an unnamed user" if is_unnamed(identity) else f"user {identity.subject}"
    if identity.namespace is not None:
        name += f" with the namespace {identity.namespace}"
    groups = ", ".join(map(spell_group, sorted(identity.groups)))
    return f"{name} ({groups})" if groups else name
