"""Scope of the tests in a delegated file: the repositories, actions and registries delegated to it, nothing else.

Otherwise a team's test could depend on rules that do not concern the team: a company-wide deny in another repository,
or access that another team grants.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace

from tokenserver.documents.document import Path
from tokenserver.errors import Fault
from tokenserver.patterns import matches, parse_pattern
from tokenserver.policy.analysis.containment import escape
from tokenserver.policy.budget import Budget, TooComplex, file_budget
from tokenserver.policy.loading.delegation import Mandate
from tokenserver.policy.syntax.file import PolicyFile
from tokenserver.policy.terms import actions_of
from tokenserver.policy.testing.expectations import AsTest, Test, WhatTest, Within
from tokenserver.scopes import Scope, in_order

_VARIABLE = re.compile(r"\$\{\w+\}", re.ASCII)
_STARS = re.compile(r"\*+")


def within(mandate: Mandate) -> Within:
    """The scope of the file's tests. A variable in the mandate's patterns matches any name, as `*` does."""
    texts = ("/".join(map(_of_anybody, one.text.split("/"))) for one in mandate.delegation.patterns)
    return Within(tuple(map(parse_pattern, texts)), mandate.delegation.actions)


def _of_anybody(segment: str) -> str:
    """A segment of a pattern with `*` in the place of its variable, and one beside it."""
    return _STARS.sub("*", _VARIABLE.sub("*", segment)) if "$" in segment else segment


def narrowed(test: Test, mandate: Mandate) -> Test:
    """The test, with a `what_can` restricted to the mandate."""
    return replace(test, within=within(mandate)) if isinstance(test, WhatTest) else test


def test_faults(mandate: Mandate, file: PolicyFile) -> Iterator[Fault]:
    """Registries, names and actions in the tests of a delegated file that its mandate does not cover."""
    limits = within(mandate)
    budget = file_budget(len(file.tests))
    for test in file.tests:
        service = test.setting.service
        if service is not None and mandate.services and service not in mandate.services:
            message = _beyond_mandate(f"the registry {service!r}", mandate, mandate.services)
            yield file.document.fault((*test.place, "service"), message)
        for place, message in _beyond(test, mandate, limits, budget):
            yield file.document.fault(place, message)


def _beyond(test: Test, mandate: Mandate, limits: Within, budget: Budget) -> Iterator[tuple[Path, str]]:
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
                try:
                    reached = escape(limits.patterns, span.pattern, budget.question())
                except TooComplex as error:
                    yield place, f"{span.pattern.text!r}: whether it lies within the delegation is {error}"
                    continue
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
        yield _beyond_mandate(_listed(in_order(beyond)), mandate, in_order(mandate.delegation.actions))


def _not_delegated(what: str, mandate: Mandate) -> str:
    return _beyond_mandate(what, mandate, [one.text for one in mandate.delegation.patterns])


def _beyond_mandate(what: str, mandate: Mandate, delegated: Collection[str]) -> str:
    return (
        f"{what} is not delegated to this file; its tests may only name what {mandate.at} delegates: "
        f"{_listed(delegated)}"
    )


def _listed(words: Collection[str]) -> str:
    return ", ".join(words)
