"""Evaluation of the tests in policy files against their policy set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial

from tokenserver.documents.document import Path
from tokenserver.identity import Identity, Sort
from tokenserver.policy.analysis.conditions import Given
from tokenserver.policy.analysis.containment import overlaps
from tokenserver.policy.analysis.moments import example, moments_of, spell_times, timed, turning
from tokenserver.policy.budget import Budget, TooComplex, file_budget
from tokenserver.policy.decide import decide, objection
from tokenserver.policy.decision import Decision, Reason, spell_reasons
from tokenserver.policy.index import matching_rules
from tokenserver.policy.machines.near_misses import declared_among, nearest
from tokenserver.policy.machines.workloads import is_declared
from tokenserver.policy.model import Context, PolicySet, Rule
from tokenserver.policy.principals import HypotheticalClient, client_for
from tokenserver.policy.queries.what_can import what_can
from tokenserver.policy.queries.witnesses import cost, entries_about
from tokenserver.policy.terms import actions_of, spell_request
from tokenserver.policy.testing.expectations import (
    AsTest,
    Expectation,
    FailedExpectation,
    Test,
    WhatTest,
    WhoTest,
    Within,
    spell_identity,
    spell_subject,
    spell_test,
)
from tokenserver.policy.testing.spans import Span, as_written, span_of
from tokenserver.policy.testing.spans import difference as differing_name
from tokenserver.policy.testing.who_can import run_exactly, run_some
from tokenserver.scopes import ACTIONS, REPOSITORY_ACTIONS, TYPES, Resource, Scope

COMPARED_WORKLOADS = 100
"""Declared workloads that a failed test compares its own with. A file may have thousands of both."""


def run_test(
    policies: PolicySet, test: Test, service: str, now: datetime, budget: Budget | None = None
) -> Iterator[FailedExpectation]:
    """Run one test and report every failed expectation.

    Without `at:`, a test must hold at any moment, not only `now`. A test that is not decided within the budget (None:
    a budget for this test) fails.
    """
    context = test.setting.context(service, now)
    try:
        yield from _run(policies, test, context, budget or file_budget())
    except TooComplex as error:
        place = test.expectations[0].place if isinstance(test, AsTest) else test.place
        yield FailedExpectation(place, spell_test(test), str(error), f"{spell_test(test)}: {error}")


def _run(policies: PolicySet, test: Test, context: Context, budget: Budget) -> Iterator[FailedExpectation]:
    match test:
        case AsTest():
            groups = policies.groups.holding(test.identity)
            for expectation in test.expectations:
                run_one = partial(_run_as, policies, test, expectation, budget)
                resource = expectation.scope.resource
                rules = matching_rules(policies.index, resource, test.identity, groups)
                yield from _at_any_time(test, expectation.place, run_one, context, rules)
        case WhoTest(relation="exactly"):
            yield from run_exactly(policies, test, context, budget)
        case WhoTest():
            about = entries_about(policies, test.scope.resource)
            run_one = partial(run_some, policies, test, budget)
            yield from _at_any_time(test, test.place, run_one, context, (rule for rule, _ in about))
        case WhatTest():  # pragma: no branch - the type checker proves that none is left
            # What a test says does not depend on the user sources: without a namespace, it is the name.
            namespace = test.namespace or (test.who.name if test.who.sort == "user" else None)
            who = client_for(policies, test.who, test.groups, namespace)
            if test.identity is not None:
                who = HypotheticalClient(test.identity, policies.groups.holding(test.identity))
            about_one = (rule for rule in policies.rules if rule.condition is not None and _means(rule, who, context))
            run_one = partial(_run_what, policies, test, who, budget)
            yield from _at_any_time(test, test.place, run_one, context, about_one)


def _at_any_time(
    test: Test,
    place: Path,
    run: Callable[[Context], Iterator[FailedExpectation]],
    context: Context,
    rules: Iterable[Rule],
) -> Iterator[FailedExpectation]:
    """The failures of `run`; if they depend on the moment and the test has no `at:`, a failure that says so.

    `rules` are those that may decide.
    """
    failures = list(run(context))
    deciding = timed(rules, context.service) if test.setting.at is None else []
    if not deciding:
        yield from failures
        return
    moments = moments_of(deciding)
    expected = [{one.expected: one for one in run(replace(context, now=moment))} for moment in moments]
    for subject in dict.fromkeys(one for found in expected for one in found):
        holds = [subject not in found for found in expected]
        if not any(holds):
            yield from (one for one in failures if one.expected == subject)
            continue
        by_rules = ", ".join(f"{rule.id} ({rule.file}:{rule.line})" for rule in turning(deciding, moments, holds))
        times = f"{spell_times(moments, holds)}, by {by_rules}"
        message = (
            f"expected that {subject}, which depends on the moment ({times}); "
            f"fix: add at:, for example at: {example(moments, holds)}"
        )
        reasons = next(found[subject].rules for found in expected if subject in found)
        yield FailedExpectation(place, subject, f"it depends on the moment: {times}", message, reasons)


def _means(rule: Rule, who: HypotheticalClient, context: Context) -> bool:
    """Whether the rule applies to this client, at some time and from some address."""
    return objection(replace(rule, condition=None), who.identity, who.groups, context) is None


def _run_as(
    policies: PolicySet, test: AsTest, expectation: Expectation, budget: Budget, context: Context
) -> Iterator[FailedExpectation]:
    budget.spend(cost(policies, expectation.scope.resource, test.identity))
    decision = decide(policies, test.identity, expectation.scope, context)
    is_refused = _is_refused(policies, test.identity)
    if is_refused:
        decision = Decision(expectation.scope, frozenset())
    for action in actions_of(expectation.scope):
        if (action in decision.granted) is not expectation.granted:
            expected = "can" if expectation.granted else "cannot"
            request = spell_request(action, expectation.scope)
            expected = f"{spell_identity(test.identity)} {expected} {request}"
            actual = spell_reasons(decision, action) + _hidden_groups(policies, test.identity)
            if is_refused:
                actual = _refusal(policies, test.identity)
            rules = tuple(reason for reason in decision.reasons if reason.action == action)
            message = f"expected that {expected}, but {actual}"
            yield FailedExpectation(expectation.place, expected, actual, message, rules)


def _run_what(
    policies: PolicySet, test: WhatTest, who: HypotheticalClient, budget: Budget, context: Context
) -> Iterator[FailedExpectation]:
    given = Given(context.service, context.client, context.now, is_closed=True)
    is_refused = test.identity is not None and _is_refused(policies, test.identity)
    reaches = () if is_refused else what_can(policies, who, given, budget)
    found = [_plain(span_of(reach)) for reach in reaches]
    limits = None
    if test.within is not None:
        found, limits = [*_limited(found, test.within, budget)], test.within.patterns
    differences: list[str] = []
    rules: dict[Reason, None] = {}
    for type_ in TYPES:
        # A test need not mention the literal `*` of a repository: only clients that request it by this name get it.
        for action in REPOSITORY_ACTIONS if type_ == "repository" else ACTIONS:
            difference = differing_name(found, test.spans, action, type_, limits, budget)
            if difference is None:
                continue
            name, can = difference
            scope = Scope(Resource(type_, name), frozenset({action}))
            # The decision for an unnamed client may lack the rules whose variables only a named one can fill.
            reasons = () if is_refused else decide(policies, who.identity, scope, context).reasons
            rules.update(dict.fromkeys(reasons))
            cited = f" ({', '.join(reason.rule for reason in reasons)})" if reasons else ""
            what = "can" if can else "cannot"
            differences.append(f"{spell_subject(test)} {what} {spell_request(action, scope)}{cited}")
    if differences:
        subject = spell_test(test)
        expected = f"exactly {_spell_spans(test.spans)}"
        written = (one for span in found for one in as_written(span, budget))
        refused = [_refusal(policies, who.identity)] if is_refused else []
        actual = "; ".join([_spell_spans(written), *refused, *differences])
        message = f"{subject}: expected {expected}, but it is {actual}"
        yield FailedExpectation(test.place, f"{subject}: {expected}", actual, message, tuple(rules))


def _limited(found: Iterable[Span], within: Within, budget: Budget) -> Iterator[Span]:
    """The part of the spans that is within the scope of a delegated file."""
    for span in found:
        actions = span.actions & within.actions
        is_near = span.type == "repository" and any(
            overlaps(one, span.pattern, budget.question()) for one in within.patterns
        )
        if actions and is_near:
            yield replace(span, actions=actions)


def _plain(span: Span) -> Span:
    return replace(span, actions=span.actions - {"*"}) if span.type == "repository" else span


def _spell_spans(spans: Iterable[Span]) -> str:
    return ", ".join(sorted(set(map(str, spans)))) or "nothing"


def _is_refused(policies: PolicySet, identity: Identity) -> bool:
    """Whether the server refuses the client, since it is no workload that a file declares."""
    return identity.sort is Sort.WORKLOAD and not declared_among(policies.groups.holding(identity))


def _refusal(policies: PolicySet, identity: Identity) -> str:
    declared = (one for one in policies.groups.workloads.by_name.values() if is_declared(one.name))
    near = nearest(declared, identity.source, identity.claims, most=1, among=COMPARED_WORKLOADS)
    return "; ".join(["no declared workload matches, so such a client is refused", *map(str, near)])


def _hidden_groups(policies: PolicySet, identity: Identity) -> str:
    hidden = sorted(identity.groups & policies.groups.by_name.keys())
    if not hidden:
        return ""
    return f" ({', '.join(hidden)}: a group of this tree, which hides the directory group of that name)"
