"""Names of robots, workloads and workload sources in a policy file, which other files or the configuration declare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokenserver.documents.document import Path
from tokenserver.identity import Sort
from tokenserver.policy.machines.robots import robot_of
from tokenserver.policy.machines.workloads import Workload, base_of, workload_of
from tokenserver.policy.model import Group, Principal, Principals
from tokenserver.policy.principals import client_principal, principals_of
from tokenserver.policy.syntax.delegation import Delegation
from tokenserver.policy.testing.expectations import AsTest, Test, WhatTest, WhoTest

Named = Iterator[tuple[Path, Principal]]
"""Robots and workloads, each with its place."""


def machines_named(
    rules: Iterable[tuple[Path, Principals, Principals | None]],
    groups: Iterable[tuple[Path, Group]],
    delegations: Iterable[Delegation],
    tests: Iterable[Test],
) -> Named:
    """Every robot and workload that a file names; `rules` are their places, their `to` and their `except`."""
    for place, to, excluded in rules:
        yield from _among((*place, "to"), to)
        yield from _among((*place, "except"), excluded or Principals())
    for place, group in groups:
        yield from _among(place, Principals(users=group.users, groups=group.groups))
    for delegation in delegations:
        yield from _among((*delegation.place, "principals"), delegation.principals or Principals())
    for test in tests:
        yield from _in_test(test)


def _among(place: Path, principals: Principals) -> Named:
    for subject in sorted(principals.users):
        if robot_of(subject) is not None:
            yield place, client_principal(subject)
    workloads = {base_of(name) for group in principals.groups if (name := workload_of(group)) is not None}
    yield from ((place, Principal("workload", name)) for name in sorted(workloads) if name)


def _in_test(test: Test) -> Named:
    match test:
        case AsTest():
            if test.identity.sort is Sort.ROBOT:
                yield (*test.place, "as", "robot"), client_principal(test.identity.subject)
        case WhatTest():
            yield from _among((*test.place, "what_can"), principals_of([test.who]))
        case WhoTest():  # pragma: no branch - the type checker proves that none is left
            yield from _among((*test.place, test.relation), principals_of(_answers(test)))


def _answers(test: WhoTest) -> Iterator[Principal]:
    for answer in test.answers:
        yield from answer
    for line in test.lines:
        yield from line.excepted
        for stop in line.unless:
            yield from (*stop.who, *stop.excepted)


def sources_named(
    workloads: Iterable[tuple[Path, Workload]], delegations: Iterable[Delegation], tests: Iterable[Test]
) -> Iterator[tuple[Path, str]]:
    """Every workload source that a file names, with the place."""
    yield from (((*place, "from"), workload.source) for place, workload in workloads)
    for one in delegations:
        if one.workloads is not None:
            yield from (((*one.place, "workloads", "from"), source) for source in sorted(one.workloads.sources or ()))
    for test in tests:
        if isinstance(test, AsTest) and test.identity.sort is Sort.WORKLOAD:
            yield (*test.place, "as", "workload", "from"), test.identity.source
