"""The tests that stand in policy files: what they are, and running them against the policy set they came with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address

from tokenserver.documents import Document, Path
from tokenserver.errors import Fault
from tokenserver.identity import Identity, Kind
from tokenserver.policy.decide import decide
from tokenserver.policy.explain import (
    SOMEBODY,
    Answer,
    TooManyCombinations,
    canonical,
    examples,
    spell_answers,
    who_can,
)
from tokenserver.policy.model import Context, Decision, PolicySet
from tokenserver.policy.terms import actions_of, spell_request
from tokenserver.scopes import Scope


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


@dataclass(frozen=True, slots=True)
class WhoTest:
    """`who_can …`: who may do one action. `relation` is one of `exactly includes excludes`."""

    place: Path
    scope: Scope
    relation: str
    answers: frozenset[Answer]
    kind: Kind
    setting: Setting


Test = AsTest | WhoTest


def run_tests(
    policies: PolicySet, document: Document, tests: Iterable[Test], service: str, now: datetime
) -> Iterator[Fault]:
    """Run the tests of one document; every one that fails is a fault at its line. No fault: all passed.

    `service` and `now` are for tests that do not say which registry and when.
    """
    for test in tests:
        failures = (
            _run_as(policies, test, service, now)
            if isinstance(test, AsTest)
            else _run_who(policies, test, service, now)
        )
        for place, message in failures:
            yield document.fault(place, message)


def _run_as(policies: PolicySet, test: AsTest, service: str, now: datetime) -> Iterator[tuple[Path, str]]:
    context = test.setting.context(service, now)
    for expectation in test.expectations:
        decision = decide(policies, test.identity, expectation.scope, context)
        for action in actions_of(expectation.scope):
            if (action in decision.granted) is not expectation.granted:
                expected = "can" if expectation.granted else "cannot"
                request = spell_request(action, expectation.scope)
                who = _spell_identity(test.identity)
                actual = _because(decision, action) + _hidden_groups(policies, test.identity)
                yield expectation.place, f"test failed: expected that {who} {expected} {request}, but {actual}"


def _run_who(policies: PolicySet, test: WhoTest, service: str, now: datetime) -> Iterator[tuple[Path, str]]:
    context = test.setting.context(service, now)
    (action,) = test.scope.actions
    request = spell_request(action, test.scope)
    try:
        found = who_can(policies, action, test.scope.resource, context, test.kind)
    except TooManyCombinations as error:
        yield test.place, f"test failed: who can {request} cannot be told: {error}"
        return
    start = f"test failed: who can {request}: expected {test.relation} {spell_answers(test.answers)}, but it is "
    differences: list[str] = []
    if test.relation == "exactly":
        expected = canonical(policies, test.answers)
        differences += [_missing(policies, answer, test, context) for answer in expected - found.keys()]
        differences += [_unexpected(answer, found[answer], action) for answer in found.keys() - expected]
    for answer in test.answers if test.relation != "exactly" else ():
        decisions = _decisions(policies, answer, test, context)
        granted = [decision for decision in decisions if decision.granted]
        if answer in found:
            granted.insert(0, found[answer])
        if test.relation == "includes" and answer not in found and not (decisions and granted == decisions):
            differences.append(_missing(policies, answer, test, context))
        if test.relation == "excludes" and granted:
            differences.append(_unexpected(answer, granted[0], action))
    if differences:
        yield test.place, start + "; ".join([spell_answers(found), *sorted(differences)])


def _decisions(policies: PolicySet, answer: Answer, test: WhoTest, context: Context) -> list[Decision]:
    return [decide(policies, one, test.scope, context) for one in examples(policies, answer, test.kind)]


def _missing(policies: PolicySet, answer: Answer, test: WhoTest, context: Context) -> str:
    (action,) = test.scope.actions
    refused = (one for one in _decisions(policies, answer, test, context) if not one.granted)
    because = next((_because(decision, action) for decision in refused), "somebody broader can")
    return f"{spell_answers([answer])} is not among them: {because}"


def _unexpected(answer: Answer, decision: Decision, action: str) -> str:
    return f"{spell_answers([answer])} can: {_because(decision, action)}"


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
    groups = ", ".join(sorted(identity.groups))
    return f"{name} ({groups})" if groups else name


def _hidden_groups(policies: PolicySet, identity: Identity) -> str:
    hidden = sorted(identity.groups & policies.groups.by_name.keys())
    if not hidden:
        return ""
    return f" ({', '.join(hidden)}: a group of this tree, which hides the directory group of that name)"
