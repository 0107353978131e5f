"""The examination of an edited policy tree, stage by stage: faults, tests, lint, and the difference to the live one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tokenserver.documents.document import parse
from tokenserver.errors import LoadError
from tokenserver.policy.budget import TooComplex
from tokenserver.policy.diff.diff import Difference, diff
from tokenserver.policy.diff.report import (
    DiffLine,
    administrator_changes,
    diff_lines,
    owner_changes,
    spell_limit,
    summary_of,
)
from tokenserver.policy.diff.rows import spell_one
from tokenserver.policy.group_names import is_root
from tokenserver.policy.lint.lint import LintedFile, lint
from tokenserver.policy.loading.linker import FileTests
from tokenserver.policy.loading.loader import compile_texts
from tokenserver.policy.model import PolicySet
from tokenserver.policy.playground.examination import (
    DiffReport,
    Examination,
    FailedTest,
    LintReport,
    TreeTests,
    first,
)
from tokenserver.policy.playground.question import PlaygroundQuestion
from tokenserver.policy.testing.assertions import run_test
from tokenserver.printable import cut

MAX_TEXT = 1000
"""How long one text of a finding or of a row is at most."""


def examine(question: PlaygroundQuestion) -> Iterator[Examination]:
    """What is found, more with each stage. It can take long, and a large tree much memory."""
    try:
        policies, tests = _compiled(question, question.texts)
    except LoadError as error:
        faults, more = first(error.faults)
        yield Examination(faults=faults, more_faults=error.count - len(faults) if more else 0)
        return
    found = Examination()
    yield found
    found = replace(found, tests=_tests(question, policies, tests))
    yield found
    found = replace(found, lint=_lint(question, policies, tests))
    yield found
    try:
        live, _ = _compiled(question, question.live)
        found = replace(found, difference=_difference(diff(live, policies, question.now)))
    except LoadError as error:
        reason = f"the live policies have faults by now, so nothing is compared with them: {error.faults[0]}"
        found = replace(found, unfinished=(reason,))
    except TooComplex as error:
        found = replace(found, unfinished=(f"the difference is {error}",))
    yield found


def _compiled(question: PlaygroundQuestion, texts: Mapping[str, str]) -> tuple[PolicySet, Sequence[FileTests]]:
    return compile_texts(
        texts,
        services=question.surroundings.services,
        marked=question.marked,
        now=question.now,
        namespaces=question.surroundings.namespaces,
        workload_sources=question.surroundings.workload_sources,
    )


def _tests(question: PlaygroundQuestion, policies: PolicySet, files: Sequence[FileTests]) -> TreeTests:
    failures = []
    failed = 0
    for file in files:
        for test in file.tests:
            found = [*run_test(policies, test, file.service, question.now)]
            failed += bool(found)
            for one in found:
                fault = file.document.fault(one.place, one.message)  # without the text of a file behind a link
                failures.append(FailedTest(fault.file, fault.line, fault.message))
    listed, more = first(failures)
    failing = dict.fromkeys(one.file for one in failures)
    rejecting = {name for name in failing if is_root(name) or name not in question.live}
    held_back = tuple(name for name in failing if name not in rejecting)
    return TreeTests(sum(len(file.tests) for file in files), failed, listed, more, bool(rejecting), held_back)


def _lint(question: PlaygroundQuestion, policies: PolicySet, files: Sequence[FileTests]) -> LintReport:
    of = question.surroundings
    linted = [
        LintedFile(name, question.texts[name], parse(question.texts[name], name), one.tests, one.service)
        for name, one in zip(policies.files, files, strict=True)
    ]
    found = lint(
        *(policies, linted, question.now),
        have_groups=of.have_groups,
        anonymous=of.anonymous,
        presets=of.presets,
        longest=of.longest,
        access_keys=of.access_keys,
    )
    return LintReport(*first(replace(one, text=cut(one.text, MAX_TEXT)) for one in found))


def _difference(found: Difference) -> DiffReport:
    gains, more_gains = first(map(_shortened, diff_lines(found.gains, found.parts)))
    losses, more_losses = first(map(_shortened, diff_lines(found.losses, found.parts)))
    administrators, more_administrators = first(
        (change, spell_one(one.who), cut(", ".join(map(str, one.entries)), MAX_TEXT))
        for change, one in administrator_changes(found)
    )
    owners, more_owners = first(
        (change, one.robot, spell_one(one.who), cut(", ".join(map(str, one.entries)), MAX_TEXT))
        for change, one in owner_changes(found)
    )
    lifetimes, more_lifetimes = first((one.file, spell_limit(one.old), spell_limit(one.new)) for one in found.lifetimes)
    more = more_gains + more_losses + more_administrators + more_owners + more_lifetimes
    return DiffReport(summary_of(found), gains, losses, administrators, lifetimes, more, owners)


def _shortened(line: DiffLine) -> DiffLine:
    return DiffLine(*(cut(cell, MAX_TEXT) for cell in line.cells()))
