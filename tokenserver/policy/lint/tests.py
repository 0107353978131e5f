"""Lint rules for tests in policy files: repetitions, hidden groups, hosts in names, refusals without an address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tokenserver.documents.document import Document
from tokenserver.documents.document import Path as Place
from tokenserver.identity import Kind
from tokenserver.policy.analysis.circumstances import Circumstances
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.group_names import is_root, shown_name
from tokenserver.policy.lint.unknown_names import LocatedFinding
from tokenserver.policy.model import PolicySet
from tokenserver.policy.syntax.hosts import host_remarks, tested_names
from tokenserver.policy.terms import spell_request
from tokenserver.policy.testing.assertions import run_test
from tokenserver.policy.testing.expectations import AsTest, Test, WhatTest, WhoTest
from tokenserver.scopes import in_order


@dataclass(frozen=True, slots=True)
class LintedFile:
    """One policy file: its name in the folder, its text, and its content. `service` is the default of its tests."""

    name: str
    text: str
    document: Document
    tests: tuple[Test, ...] = ()
    service: str = ""


def test_findings(
    policies: PolicySet, files: Sequence[LintedFile], now: datetime, budget: Budget
) -> Iterator[LocatedFinding]:
    """Findings about the tests of these files. A failing test of a root file is not reported: it rejects the load."""
    first: dict[object, str] = {}
    for file in files:
        for test in file.tests:
            if isinstance(test, AsTest):
                yield from _hidden(policies, file, test)
            for place, name in tested_names(test):
                for text in host_remarks([name]):
                    yield (file.name, file.document.line(place), "TS114", text)
            if test.setting.client is None:
                yield from (
                    (file.name, file.document.line(place), "TS122", text)
                    for place, text in _only_without_address(policies, file, test, now, budget)
                )
            for failure in () if is_root(file.name) else run_test(policies, test, file.service, now, budget):
                yield (file.name, file.document.line(failure.place), "TS115", f"test failed: {failure.message}")
            for line, key, text in _expected(file, test):
                at = f"{file.name}:{line}"
                if first.setdefault(key, at) != at:
                    yield (file.name, line, "TS110", f"duplicate test: {first[key]} expects {text} too; fix: remove it")


def _only_without_address(
    policies: PolicySet, file: LintedFile, test: Test, now: datetime, budget: Budget
) -> Iterator[tuple[Place, str]]:
    """Refusals that a test expects without `from:` and that do not hold at some address, with such an address."""
    refusals = _refusals(test)
    if not refusals:
        return
    context = test.setting.context(file.service, now)
    rules = (rule for rule in policies.rules if rule.condition is not None and rule.condition.needs_address)
    try:
        clients = Circumstances.of(rules, (Kind.PASSWORD,), context.now, budget.question()).clients.values()
    except TooComplex:
        return
    for place, one in refusals:
        addresses = (client for client in clients if client is not None)
        settings = ((client, replace(test.setting, at=context.now, client=client)) for client in addresses)
        for client, setting in settings:
            if any(run_test(policies, replace(one, setting=setting), file.service, now, budget)):
                text = f"this holds only because the test names no address: it does not from {client}"
                yield place, f"{text}; fix: add from:"
                break


def _refusals(test: Test) -> list[tuple[Place, Test]]:
    """What a test expects to be refused, each as a test of its own."""
    match test:
        case AsTest():
            return [(one.place, replace(test, expectations=(one,))) for one in test.expectations if not one.granted]
        case WhoTest():
            return [(test.place, test)] if test.relation == "excludes" else []
        case WhatTest():  # pragma: no branch - the type checker proves that none is left
            return [] if test.spans else [(test.place, test)]


def _hidden(policies: PolicySet, file: LintedFile, test: AsTest) -> Iterator[LocatedFinding]:
    """A test whose identity has a directory group that a group of the tree hides."""
    for name in sorted(test.identity.groups & policies.groups.by_name.keys()):
        if name not in policies.groups.by_directory_group:
            line = file.document.line(test.expectations[0].place)
            text = f"the group {shown_name(name)} of the tree hides the directory group of that name"
            yield (file.name, line, "TS107", f"{text}; fix: rename the group of the tree, or change the test")


def _expected(file: LintedFile, test: Test) -> Iterator[tuple[int, object, str]]:
    """Each expectation of a test with its line and a key that is equal for repetitions."""
    setting = replace(test.setting, service=test.setting.service or file.service)
    if isinstance(test, AsTest):
        for expectation in test.expectations:
            asked = spell_request(",".join(in_order(expectation.scope.actions)), expectation.scope)
            key = (test.identity, setting, expectation.scope, expectation.granted)
            yield file.document.line(expectation.place), key, f"{asked!r}"
        return
    yield file.document.line(test.place), replace(test, place=(), setting=setting), "the same answer"
