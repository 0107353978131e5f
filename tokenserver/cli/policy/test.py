"""`tokenserver policy test`: runs the tests of all policy files; each failure names the rules that decided."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from tokenserver.cli.console.progress import progress
from tokenserver.cli.exits import NO, OK
from tokenserver.cli.policy.options import Source, policy_command, read_source
from tokenserver.cli.terminal import echo, echo_json
from tokenserver.documents.document import parse
from tokenserver.documents.files import read_text, write_file
from tokenserver.errors import Fault, LoadError
from tokenserver.policy.loading.loader import FileTests, default_service
from tokenserver.policy.syntax.file import read_policy_file
from tokenserver.policy.testing.assertions import run_test
from tokenserver.policy.testing.expectations import FailedExpectation, spell_test

# Characters that XML 1.0 cannot represent, even escaped.
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one test: its place, title and failures, and its duration in seconds."""

    file: str
    line: int
    title: str
    failures: tuple[tuple[int, FailedExpectation], ...]
    seconds: float


@click.command("test")
@click.option(
    "--tests",
    "extra",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file with additional tests, outside of the policy folder; repeatable.",
)
@click.option(
    "--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write the results as JUnit XML to this file."
)
@policy_command
def policy_test(
    extra: Sequence[Path], junit: Path | None, config: Path | None, folder: Path | None, as_json: bool
) -> None:
    """Run the tests of all policy files. Exit code 0: all pass; 1: some fail; 2: faulty files."""
    with progress("reading policies"):
        source = read_source(config, folder)
        documents = [*source.tests, *_extra_tests(source, extra)]
    outcomes = _outcomes(source, documents)
    failed = [outcome for outcome in outcomes if outcome.failures]
    if junit is not None:
        try:
            write_file(junit, as_junit(outcomes).encode(), mode=0o644)
        except OSError as error:
            raise click.UsageError(f"--junit: {junit} cannot be written: {error.strerror}") from error
    if as_json:
        facts = {"tests": len(outcomes), "failed": len(failed), "failures": [*_facts(failed)]}
        echo_json(facts, indent=2)
    else:
        for outcome in failed:
            _show(outcome)
        files = sum(1 for one in documents if one.tests)
        counted = f"{_counted(len(outcomes), 'test')} in {_counted(files, 'file')}"
        summary = f"{counted}: {len(outcomes) - len(failed)} passed, {len(failed)} failed"
        echo(summary, fg="red" if failed else "green")
        if not outcomes:
            echo("No file has any tests; fix: add some under tests:", fg="yellow", err=True)
    raise SystemExit(NO if failed else OK)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def as_junit(outcomes: Iterable[Outcome]) -> str:
    """The results as JUnit XML, with a test suite for each file."""
    by_file: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_file.setdefault(outcome.file, []).append(outcome)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    for file, found in by_file.items():
        failures = sum(1 for outcome in found if outcome.failures)
        time = f"{sum(outcome.seconds for outcome in found):.6f}"
        head = _attributes(name=file, tests=len(found), failures=failures, errors=0, skipped=0, time=time)
        lines.append(f"  <testsuite {head}>")
        for outcome in found:
            name = f"{outcome.title} (line {outcome.line})"
            case = _attributes(name=name, classname=file, file=file, line=outcome.line, time=f"{outcome.seconds:.6f}")
            if not outcome.failures:
                lines.append(f"    <testcase {case}/>")
                continue
            lines.append(f"    <testcase {case}>")
            # One element, because readers of this format look only at the first.
            text = "\n".join(f"{file}:{line}: {failure.message}" for line, failure in outcome.failures)
            message = _attributes(message=outcome.failures[0][1].message, type="failed")
            lines += [f"      <failure {message}>{_clean(text)}</failure>", "    </testcase>"]
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>", ""])


def _attributes(**values: str | int) -> str:
    return " ".join(f'{name}="{_clean(str(value))}"' for name, value in values.items())


def _clean(text: str) -> str:
    return escape(_NOT_IN_XML.sub("\ufffd", text))


def _extra_tests(source: Source, paths: Iterable[Path]) -> list[FileTests]:
    """The tests of files that contain only tests.

    Raises:
        LoadError: every fault of every file.
    """
    services = source.services if source.settings is not None else None
    found: list[FileTests] = []
    faults: list[Fault] = []
    for path in paths:
        try:
            document = parse(read_text(path), str(path))
        except LoadError as error:
            faults += error.faults
            continue
        file = read_policy_file(document)
        faults += file.faults
        for key in sorted(document.value if isinstance(document.value, dict) else ()):
            if key not in ("version", "registries", "tests"):
                faults.append(document.fault((key,), "a file for --tests contains only version, registries and tests"))
        for place, service in file.services:
            if services is not None and service not in services:
                faults.append(document.fault(place, f"no registry with the service {service!r} is configured"))
        found.append(FileTests(document, tuple(file.tests), default_service(file.registries, services)))
    if faults:
        raise LoadError(faults)
    return found


def _outcomes(source: Source, documents: Sequence[FileTests]) -> list[Outcome]:
    """The outcome of every test, in the order of the files."""
    now, number = datetime.now(UTC), sum(len(one.tests) for one in documents)
    outcomes: list[Outcome] = []
    with progress("running tests", lambda: f"{len(outcomes):,} of {number:,}"):
        for one in documents:
            outcomes.extend(_run(source, one, now))  # one by one, so that each is counted
    return outcomes


def _run(source: Source, file: FileTests, now: datetime) -> Iterable[Outcome]:
    for test in file.tests:
        start = perf_counter()
        failures = tuple(run_test(source.policies, test, file.service, now))
        placed = tuple((file.document.line(failure.place), failure) for failure in failures)
        seconds = perf_counter() - start
        yield Outcome(file.document.file, file.document.line(test.place), spell_test(test), placed, seconds)


def _show(outcome: Outcome) -> None:
    for line, failure in outcome.failures:
        echo(f"{outcome.file}:{line}", bold=True)
        echo(f"  expected  {failure.expected}")
        echo(f"  actual    {failure.actual}")
        for rule in dict.fromkeys((reason.effect, reason.rule, reason.file, reason.line) for reason in failure.rules):
            echo(f"  rule      {rule[0]} {rule[1]} ({rule[2]}:{rule[3]})")


def _facts(failed: Iterable[Outcome]) -> Iterable[dict[str, Any]]:
    for outcome in failed:
        for line, failure in outcome.failures:
            rules = dict.fromkeys(
                (reason.rule, reason.effect.value, reason.file, reason.line) for reason in failure.rules
            )
            yield {
                "file": outcome.file,
                "line": line,
                "test": outcome.title,
                "expected": failure.expected,
                "actual": failure.actual,
                "rules": [dict(zip(("id", "effect", "file", "line"), rule, strict=True)) for rule in rules],
            }
