"""Evaluation of `who_can` tests against the answer of `policy who-can`.

The `kind` of a test is the kind of credential that people are assumed to have; machines have their own. With
`kind: robot` or `kind: workload` the test is only about such machines: all other clients are neither expected nor
unexpected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokenserver.documents.document import Path
from tokenserver.policy.analysis.conditions import Given, spell_moment
from tokenserver.policy.analysis.moments import EARLIEST
from tokenserver.policy.budget import Budget
from tokenserver.policy.decide import decide
from tokenserver.policy.decision import Decision, Reason, spell_reasons
from tokenserver.policy.model import Context, PolicySet
from tokenserver.policy.principals import AllOf
from tokenserver.policy.queries.equivalence import Agreement, Stray, filled_in
from tokenserver.policy.queries.spelling import are_plain, spell_lines
from tokenserver.policy.queries.summary import canonical, short_answer, spell_answers
from tokenserver.policy.queries.who_can import Line, People, holders
from tokenserver.policy.queries.who_can_report import people_of
from tokenserver.policy.queries.witnesses import TooManyCombinations, asked, examples, machines_about
from tokenserver.policy.testing.expectations import FailedExpectation, WhoTest, spell_asked


def run_exactly(policies: PolicySet, test: WhoTest, context: Context, budget: Budget) -> Iterator[FailedExpectation]:
    """Compare the whole answer, with its exceptions and conditions, to the expected one.

    Raises:
        TooComplex: not decided within the budget.
    """
    (action,) = test.scope.actions
    subject = f"who can {spell_asked(test)}"
    setting = test.setting
    is_plain = are_plain(test.lines)
    expected = f"exactly {spell_answers(policies, test.answers)}"
    try:
        if not is_plain:
            expected = spell_lines(people_of(policies, test.lines, budget), test.lines)
        given = Given(context.service, setting.client, setting.at)
        found = holders(policies, action, test.scope.resource, given, budget)
        people = people_of(policies, [*found, *test.lines], budget)
        is_open = {"any_time": setting.at is None, "any_address": setting.client is None}
        agreement = Agreement(people, test.kind, context, **is_open)
        wanted = filled_in(people, test.lines, found)
        unexpected = list(agreement.strays(found, wanted))
        missing = list(agreement.strays(wanted, found))
        if not unexpected and not missing:
            return
        short = short_answer(policies, action, test.scope.resource, context, test.kind, budget)
    except TooManyCombinations as error:
        yield _undecided(test.place, subject, expected, error)
        return
    rules: dict[Reason, None] = {}
    differences: list[str] = []
    for stray in (*unexpected, *missing):
        decision = decide(policies, stray.identity, test.scope, stray.context)
        rules.update(dict.fromkeys(decision.reasons))
        who, where = spell_answers(policies, [_plainly(people, stray.who)]), _circumstances(test, stray)
        because = spell_reasons(decision, action)
        can = f"{who} can{where}: {because}" if decision.granted else f"{who} is not among them{where}: {because}"
        differences.append(can)
    reported = {_plainly(people, stray.who) for stray in missing}
    is_plain = is_plain and are_plain(found)
    if is_plain:
        covered = canonical(policies, test.answers) - short.keys() - reported
        differences += (
            f"{spell_answers(policies, [one])} is not among them: a broader principal can" for one in covered
        )
    right = spell_answers(policies, short) if is_plain else spell_lines(people, found)
    actual = "; ".join([right, *sorted(differences)])
    if is_plain:
        message = f"{subject}: expected {expected}, but it is {actual}"
    else:
        found_differences = "; ".join(sorted(differences))
        hint = f"the answer now is {right}{_or_settle(test, found)}"
        message = f"{subject}: expected {expected}, but {found_differences}; {hint}"
    yield FailedExpectation(test.place, f"{subject}: {expected}", actual, message, _by_id(rules))


def run_some(policies: PolicySet, test: WhoTest, budget: Budget, context: Context) -> Iterator[FailedExpectation]:
    """Check the principals of `includes:` or `excludes:` in one context.

    Raises:
        TooComplex: not decided within the budget.
    """
    (action,) = test.scope.actions
    subject = f"who can {spell_asked(test)}"
    expected = f"{test.relation} {spell_answers(policies, test.answers)}"
    try:
        found = short_answer(policies, action, test.scope.resource, context, test.kind, budget)
    except TooManyCombinations as error:
        yield _undecided(test.place, subject, expected, error)
        return
    differences: list[str] = []
    rules: dict[Reason, None] = {}

    def missing(answer: AllOf) -> None:
        refused = next((one for one in _decisions(policies, answer, test, context) if not one.granted), None)
        because = "a broader principal can" if refused is None else spell_reasons(refused, action)
        rules.update(dict.fromkeys(() if refused is None else refused.reasons))
        differences.append(f"{spell_answers(policies, [answer])} is not among them: {because}")

    def unexpected(answer: AllOf, decision: Decision) -> None:
        rules.update(dict.fromkeys(decision.reasons))
        differences.append(f"{spell_answers(policies, [answer])} can: {spell_reasons(decision, action)}")

    for answer in test.answers:
        decisions = _decisions(policies, answer, test, context)
        granted = [decision for decision in decisions if decision.granted]
        if answer in found:
            granted.insert(0, found[answer])
        if test.relation == "includes" and answer not in found and not (decisions and granted == decisions):
            missing(answer)
        if test.relation == "excludes" and granted:
            unexpected(answer, granted[0])
    if differences:
        actual = "; ".join([spell_answers(policies, found), *sorted(differences)])
        message = f"{subject}: expected {expected}, but it is {actual}"
        yield FailedExpectation(test.place, f"{subject}: {expected}", actual, message, _by_id(rules))


def _undecided(place: Path, subject: str, expected: str, error: TooManyCombinations) -> FailedExpectation:
    return FailedExpectation(place, f"{subject}: {expected}", str(error), f"{subject}: not decided: {error}")


def _by_id(rules: Iterable[Reason]) -> tuple[Reason, ...]:
    return tuple(sorted(rules, key=lambda reason: reason.rule))


def _plainly(people: People, who: AllOf) -> AllOf:
    """The principals without sets to which the others belong anyway: every user is authenticated."""
    return frozenset(one for one in who if one.name or not people.follows(who - {one}, one)) or who


def _circumstances(test: WhoTest, stray: Stray) -> str:
    """The moment and the address of the counterexample, if the test sets none."""
    parts = []
    if test.setting.at is None and stray.context.now > EARLIEST:
        parts.append(f"at {spell_moment(stray.context.now)}")
    if test.setting.client is None and stray.context.client is not None:
        parts.append(f"from {stray.context.client}")
    return f" ({' '.join(parts)})" if parts else ""


def _or_settle(test: WhoTest, found: Iterable[Line]) -> str:
    """A hint at the settings that would decide the conditions."""
    conditions = [condition for line in found for condition in line.conditions]
    keys = []
    if test.setting.at is None and any(one.since is not None or one.until is not None for one in conditions):
        keys.append("at:")
    if test.setting.client is None and any(one.needs_address for one in conditions):
        keys.append("from:")
    return f" (or add {' and '.join(keys)})" if keys else ""


def _decisions(policies: PolicySet, answer: AllOf, test: WhoTest, context: Context) -> list[Decision]:
    machines = machines_about(policies, test.scope.resource, answer)
    found = (asked(one, test.kind) for one in examples(policies, answer, test.kind, machines))
    return [decide(policies, one, test.scope, context) for one in found if one is not None]
