"""The tests that stand in policy files: what they are, and running them against the policy set they came with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address

from tokenserver.documents import Document, Path
from tokenserver.errors import Fault
from tokenserver.identity import Identity, Kind, spell_group
from tokenserver.policy.budget import Budget, TooComplex, file_budget
from tokenserver.policy.conditions import Given
from tokenserver.policy.decide import decide
from tokenserver.policy.decision import Decision, Reason
from tokenserver.policy.explain import (
    SOMEBODY,
    Answer,
    TooManyCombinations,
    canonical,
    cost,
    examples,
    spell_answers,
    who_can,
)
from tokenserver.policy.model import Context, PolicySet, Principal
from tokenserver.policy.reach import Span, somebody, what_can
from tokenserver.policy.reach import difference as differing_name
from tokenserver.policy.terms import actions_of, spell_request
from tokenserver.scopes import ACTIONS, REPOSITORY_ACTIONS, TYPES, Resource, Scope


@dataclass(frozen=True, slots=True)
class Setting:
    """When, from where and for which registry a test asks; what is None is filled in when it runs."""

    service: str | None = None
    at: datetime | None = None
    client: IPv4Address | IPv6Address | None = None

    def context(self, service: str, now: datetime) -> Context:
        """The context to decide in, with what the test leaves open."""
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
    """`who_can …`: who may do one action. `relation` is one of `exactly includes excludes`."""

    place: Path
    scope: Scope
    relation: str
    answers: frozenset[Answer]
    kind: Kind
    setting: Setting


@dataclass(frozen=True, slots=True)
class WhatTest:
    """`what_can …`: everything that somebody may do. `brought` are the groups from a directory."""

    place: Path
    who: Principal
    brought: frozenset[str]
    spans: tuple[Span, ...]
    setting: Setting


Test = AsTest | WhoTest | WhatTest


@dataclass(frozen=True, slots=True)
class Failure:
    """What one test expected and what is so instead, with the rules that decided; `message` is all of it at once."""

    place: Path
    expected: str
    actual: str
    message: str
    rules: tuple[Reason, ...] = ()


def run_tests(
    policies: PolicySet, document: Document, tests: Iterable[Test], service: str, now: datetime
) -> Iterator[Fault]:
    """Run the tests of one document; every one that fails is a fault at its line. No fault: all passed.

    `service` and `now` are for tests that do not say which registry and when.
    """
    tests = list(tests)
    budget = file_budget(len(tests))
    for test in tests:
        for failure in run_test(policies, test, service, now, budget):
            yield document.fault(failure.place, f"test failed: {failure.message}")
        if budget.is_spent:
            return


def run_test(
    policies: PolicySet, test: Test, service: str, now: datetime, budget: Budget | None = None
) -> Iterator[Failure]:
    """Run one test and tell everything that is not as it expects.

    A test that is not decided within the budget (None: one of its own) has failed.
    """
    context = test.setting.context(service, now)
    budget = budget or file_budget()
    try:
        match test:
            case AsTest():
                yield from _run_as(policies, test, context, budget)
            case WhoTest():
                yield from _run_who(policies, test, context, budget)
            case WhatTest():  # pragma: no branch - the type checker proves that none is left
                yield from _run_what(policies, test, context, budget)
    except TooComplex as error:
        place = test.expectations[0].place if isinstance(test, AsTest) else test.place
        yield Failure(place, spell_test(test), str(error), f"{spell_test(test)}: {error}")


def spell_test(test: Test) -> str:
    """What a test is about, in a few words."""
    match test:
        case AsTest():
            return f"as {_spell_identity(test.identity)}"
        case WhoTest():
            return f"who can {_asked(test)}"
        case WhatTest():  # pragma: no branch - the type checker proves that none is left
            return f"what can {test.who}"


def _run_as(policies: PolicySet, test: AsTest, context: Context, budget: Budget) -> Iterator[Failure]:
    for expectation in test.expectations:
        budget.spend(cost(policies, expectation.scope.resource, test.identity))
        decision = decide(policies, test.identity, expectation.scope, context)
        for action in actions_of(expectation.scope):
            if (action in decision.granted) is not expectation.granted:
                expected = "can" if expectation.granted else "cannot"
                request = spell_request(action, expectation.scope)
                expected = f"{_spell_identity(test.identity)} {expected} {request}"
                actual = _because(decision, action) + _hidden_groups(policies, test.identity)
                rules = tuple(reason for reason in decision.reasons if reason.action == action)
                message = f"expected that {expected}, but {actual}"
                yield Failure(expectation.place, expected, actual, message, rules)


def _run_who(policies: PolicySet, test: WhoTest, context: Context, budget: Budget) -> Iterator[Failure]:
    (action,) = test.scope.actions
    subject = f"who can {_asked(test)}"
    expected = f"{test.relation} {spell_answers(test.answers)}"
    try:
        found = who_can(policies, action, test.scope.resource, context, test.kind, budget)
    except TooManyCombinations as error:
        yield Failure(test.place, f"{subject}: {expected}", str(error), f"{subject} cannot be told: {error}")
        return
    differences: list[str] = []
    rules: dict[Reason, None] = {}

    def missing(answer: Answer) -> None:
        refused = next((one for one in _decisions(policies, answer, test, context) if not one.granted), None)
        because = "somebody broader can" if refused is None else _because(refused, action)
        rules.update(dict.fromkeys(() if refused is None else refused.reasons))
        differences.append(f"{spell_answers([answer])} is not among them: {because}")

    def unexpected(answer: Answer, decision: Decision) -> None:
        rules.update(dict.fromkeys(decision.reasons))
        differences.append(f"{spell_answers([answer])} can: {_because(decision, action)}")

    if test.relation == "exactly":
        wanted = canonical(policies, test.answers)
        for answer in wanted - found.keys():
            missing(answer)
        for answer in found.keys() - wanted:
            unexpected(answer, found[answer])
    for answer in test.answers if test.relation != "exactly" else ():
        decisions = _decisions(policies, answer, test, context)
        granted = [decision for decision in decisions if decision.granted]
        if answer in found:
            granted.insert(0, found[answer])
        if test.relation == "includes" and answer not in found and not (decisions and granted == decisions):
            missing(answer)
        if test.relation == "excludes" and granted:
            unexpected(answer, granted[0])
    if differences:
        actual = "; ".join([spell_answers(found), *sorted(differences)])
        message = f"{subject}: expected {expected}, but it is {actual}"
        cited = tuple(sorted(rules, key=lambda reason: reason.rule))
        yield Failure(test.place, f"{subject}: {expected}", actual, message, cited)


def _run_what(policies: PolicySet, test: WhatTest, context: Context, budget: Budget) -> Iterator[Failure]:
    who = somebody(policies, test.who, test.brought)
    given = Given(context.service, context.client, context.now, is_closed=True)
    found = [_plain(reach.span) for reach in what_can(policies, who, given, budget)]
    differences: list[str] = []
    rules: dict[Reason, None] = {}
    for type_ in TYPES:
        # Of a repository's literal `*` nobody has to speak: it is for clients that ask for it by this name.
        for action in REPOSITORY_ACTIONS if type_ == "repository" else ACTIONS:
            difference = differing_name(found, test.spans, action, type_, budget)
            if difference is None:
                continue
            name, can = difference
            scope = Scope(Resource(type_, name), frozenset({action}))
            # What a variable stands for is for the one who has the name to see; no decision can tell it of nobody.
            reasons = decide(policies, who.identity, scope, context).reasons
            rules.update(dict.fromkeys(reasons))
            cited = f" ({', '.join(reason.rule for reason in reasons)})" if reasons else ""
            what = "can" if can else "cannot"
            differences.append(f"{test.who} {what} {spell_request(action, scope)}{cited}")
    if differences:
        subject = spell_test(test)
        expected = f"exactly {_spell_spans(test.spans)}"
        actual = "; ".join([_spell_spans(found), *differences])
        message = f"{subject}: expected {expected}, but it is {actual}"
        yield Failure(test.place, f"{subject}: {expected}", actual, message, tuple(rules))


def _plain(span: Span) -> Span:
    return replace(span, actions=span.actions - {"*"}) if span.type == "repository" else span


def _spell_spans(spans: Iterable[Span]) -> str:
    return ", ".join(sorted(set(map(str, spans)))) or "nothing"


def _asked(test: WhoTest) -> str:
    (action,) = test.scope.actions
    return spell_request(action, test.scope)


def _decisions(policies: PolicySet, answer: Answer, test: WhoTest, context: Context) -> list[Decision]:
    return [decide(policies, one, test.scope, context) for one in examples(policies, answer, test.kind)]


def _because(decision: Decision, action: str) -> str:
    """The rules that decided about `action`, with their places."""
    reasons = [reason for reason in decision.reasons if reason.action == action]
    if not reasons:
        return "no allow rule applies"
    rules = ", ".join(
        f"{reason.rule} ({reason.file}:{reason.line}" + (f": {reason.message})" if reason.message else ")")
        for reason in reasons
    )
    return f"it is {'allowed' if action in decision.granted else 'forbidden'} by {rules}"


def _spell_identity(identity: Identity) -> str:
    if identity.is_anonymous:
        return "an anonymous client"
    name = "an unnamed user" if identity.subject == SOMEBODY else f"user {identity.subject}"
    groups = ", ".join(map(spell_group, sorted(identity.groups)))
    return f"{name} ({groups})" if groups else name


def _hidden_groups(policies: PolicySet, identity: Identity) -> str:
    hidden = sorted(identity.groups & policies.groups.by_name.keys())
    if not hidden:
        return ""
    return f" ({', '.join(hidden)}: a group of this tree, which hides the directory group of that name)"
