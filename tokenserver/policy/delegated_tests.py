"""Tests of a delegated file: they speak about what was delegated to it, and about nothing else.

Else a team's test could hold up a change that is none of the team's business: a company's deny in another repository,
or what another team gives to its own people.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from tokenserver.documents import Path
from tokenserver.errors import Fault
from tokenserver.policy.delegation import Mandate
from tokenserver.policy.expected import AsTest, Test, WhatTest, Within
from tokenserver.policy.languages import escape
from tokenserver.policy.patterns import Pattern, matches, parse_pattern
from tokenserver.policy.schema import PolicyFile
from tokenserver.policy.terms import actions_of
from tokenserver.scopes import Scope, in_order


def within(mandate: Mandate) -> Within:
    """What a test of the file may be about. A variable of the mandate stands for any name, whoever is asked about."""
    texts = (one.text.replace("${user}", "*").replace("${group}", "*") for one in mandate.delegation.patterns)
    return Within(tuple(map(parse_pattern, texts)), mandate.delegation.actions)


def narrowed(test: Test, mandate: Mandate) -> Test:
    """The test of a delegated file: what somebody can do is asked within the mandate alone."""
    return replace(test, within=within(mandate)) if isinstance(test, WhatTest) else test


def test_faults(mandate: Mandate, file: PolicyFile) -> Iterator[Fault]:
    """Everything in the tests of a delegated file that goes beyond its mandate: registries, names and actions."""
    limits = within(mandate)
    for test in file.tests:
        service = test.setting.service
        if service is not None and mandate.services and service not in mandate.services:
            message = f"asks about the registry {service!r}, but {mandate.at} delegates for {_listed(mandate.services)}"
            yield file.document.fault((*test.place, "service"), message)
        for place, message in _beyond(test, mandate, limits):
            yield file.document.fault(place, message)


def _beyond(test: Test, mandate: Mandate, limits: Within) -> Iterator[tuple[Path, str]]:
    match test:
        case AsTest():
            for one in test.expectations:
                yield from ((one.place, message) for message in _beyond_scope(one.scope, mandate, limits))
        case WhatTest():
            for number, span in enumerate(test.spans):
                place = (*test.place, "exactly", number)
                if span.type != "repository":
                    yield place, _not_delegated(f"'registry:{span.pattern.text}'", mandate)
                    continue
                reached = escape(limits.patterns, span.pattern)
                if reached is not None:
                    yield place, _not_delegated(f"{span.pattern.text!r} reaches {reached}, which", mandate)
                yield from ((place, message) for message in _beyond_actions(span.actions, mandate))
        case _:
            place = (*test.place, "who_can")
            yield from ((place, message) for message in _beyond_scope(test.scope, mandate, limits))


def _beyond_scope(scope: Scope, mandate: Mandate, limits: Within) -> Iterator[str]:
    name = scope.resource.name
    if scope.resource.type != "repository":
        yield _not_delegated(f"'{scope.resource}'", mandate)
        return
    if not any(matches(pattern, name.split("/"), None, ()) for pattern in limits.patterns):
        yield _not_delegated(f"{name!r}", mandate)
    yield from _beyond_actions(actions_of(scope), mandate)


def _beyond_actions(actions: Collection[str], mandate: Mandate) -> Iterator[str]:
    beyond = frozenset(actions) - mandate.delegation.actions
    if beyond:
        delegated = in_order(mandate.delegation.actions)
        yield (
            f"asks about {_listed(in_order(beyond))}, which is not delegated to this file: tests of a delegated file "
            f"speak about what is, and {mandate.at} delegates {_listed(delegated)}"
        )


def _not_delegated(what: str, mandate: Mandate) -> str:
    patterns: Collection[Pattern] = mandate.delegation.patterns
    delegated = _listed([one.text for one in patterns])
    return (
        f"{what} is not delegated to this file: tests of a delegated file speak about what is, "
        f"and {mandate.at} delegates {delegated}"
    )


def _listed(words: Collection[str]) -> str:
    return ", ".join(words)
