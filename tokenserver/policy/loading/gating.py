"""Change gating: tests of root files gate every change, tests of a delegated file gate changes of that file only.

If the new version of a delegated file fails a test (its own, or one of a root file), its last good version stays live
and all other changes go live. If a change elsewhere breaks a test of a delegated file, the policies go live with a
note. At the start there is no last good version to compare with, so a failing test of a delegated file is a note too:
refusing the start would stop the service for every team.

What ends machines waits for no test: a robot, a secret or a workload that the new version of a delegated file no longer
declares is not accepted any more, even while the rest of the file's last good version stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tokenserver.errors import Fault, LoadError
from tokenserver.policy.budget import file_budget
from tokenserver.policy.group_names import is_root
from tokenserver.policy.loading.incremental import CompiledFiles
from tokenserver.policy.loading.linker import FileTests
from tokenserver.policy.loading.machines import without_ended
from tokenserver.policy.model import PolicySet
from tokenserver.policy.testing.assertions import run_test
from tokenserver.policy.testing.expectations import AsTest, FailedExpectation, Test

MAX_NOTES = 20
"""How many notes are logged for one load."""

Texts = Mapping[str, str]
"""The text of each policy file, by name."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled policy set, its tests by file (not yet run), and the texts it was compiled from."""

    texts: Texts
    policies: PolicySet
    tests: Mapping[str, FileTests]
    memory: CompiledFiles


@dataclass(frozen=True, slots=True)
class Failed:
    """One failed expectation. `key` identifies it independently of its line."""

    key: object
    fault: Fault


Failures = Mapping[str, list[Failed]]
"""Failed expectations by file; files without any are absent."""


class Gate:
    """Decides which file versions go live.

    `before` holds the texts of the last good load (empty at the start), `seen` the digest of the files on disk at that
    load. `compile_again` compiles other texts; `placed` returns a file's tests with line numbers; `pace` is called
    between small pieces of work.
    """

    def __init__(
        self,
        before: Texts,
        seen: str | None,
        *,
        compile_again: Callable[[dict[str, str]], Compiled],
        placed: Callable[[str, Compiled], FileTests],
        now: datetime,
        pace: Callable[[], None],
    ) -> None:
        self._before = before
        self._seen = seen
        self._compile_again = compile_again
        self._placed = placed
        self._now = now
        self._pace = pace

    def passing(self, offered: Compiled) -> Compiled:
        """The policies to put live, with notes: `offered`, or `offered` with the last good versions of some files.

        Raises:
            LoadError: tests of root files fail, or the only changes are of delegated files that fail a test.
        """
        waiting: dict[str, list[Fault]] = {}
        first = self._failed(offered)
        current, failed = offered, first
        while found := self._at_fault(current, failed):
            waiting |= found
            reported = [fault for faults in found.values() for fault in faults]
            current = self._with_last_good(current, found, reported)
            failed = self._failed(current)
        live = without_ended(current.policies, offered.policies)
        is_unchanged = current.texts == self._before and live is current.policies
        if waiting and is_unchanged and offered.policies.digest != self._seen:
            raise LoadError(fault for faults in waiting.values() for fault in faults)
        notes = {_waiting(name, fault) for name, faults in waiting.items() for fault in faults}
        for name, failures in failed.items():
            # For a file whose change is not live, report the lines of the file on disk.
            pending = {one.key for one in failures}
            notes |= {one.fault for one in (first.get(name, ()) if name in waiting else failures) if one.key in pending}
        return replace(current, policies=replace(live, notes=tuple(sorted(notes))))

    def _at_fault(self, current: Compiled, failed: Failures) -> dict[str, list[Fault]]:
        """The changed delegated files that break a test, with the faults; empty: `current` can go live.

        Raises:
            LoadError: a test of a root file or of a new delegated file fails for another reason.
        """
        every = [one.fault for failures in failed.values() for one in failures]
        changed = [name for name, text in current.texts.items() if not is_root(name) and self._is_changed(name, text)]
        found = self._breaking_own_tests(current, failed, changed, every)
        if found:
            return found
        if self._before and any(name not in self._before for name in failed if not is_root(name)):
            raise LoadError(every)
        at_root = _of_roots(failed)
        return self._breaking_root_tests(current, at_root, changed, every) if at_root else {}

    def _breaking_own_tests(
        self, current: Compiled, failed: Failures, changed: Iterable[str], every: list[Fault]
    ) -> dict[str, list[Fault]]:
        """The changed files with failing tests of their own that pass with the last good versions."""
        suspects = [name for name in changed if name in failed]
        if not suspects:
            return {}
        old = self._failed(self._with_last_good(current, suspects, every))
        found = {name: _not_among(failed[name], old.get(name, ())) for name in suspects}
        return {name: faults for name, faults in found.items() if faults}

    def _breaking_root_tests(
        self, current: Compiled, at_root: list[Fault], changed: Sequence[str], every: list[Fault]
    ) -> dict[str, list[Fault]]:
        """The changed files that break a test of a root file.

        Raises:
            LoadError: no changed file is the reason.
        """
        if not changed or _of_roots(self._failed(self._with_last_good(current, changed, every))):
            raise LoadError(every)
        # Changes that are harmless one by one can break a test together; then none of them goes live.
        alone = {name: self._broken_by(name, current, changed, every) for name in changed}
        return {name: faults for name, faults in alone.items() if faults} or dict.fromkeys(changed, at_root)

    def _is_changed(self, name: str, text: str) -> bool:
        return name in self._before and self._before[name] != text

    def _broken_by(self, name: str, current: Compiled, changed: Iterable[str], reported: list[Fault]) -> list[Fault]:
        """Failures in root files if this is the only changed delegated file."""
        return _of_roots(self._failed(self._with_last_good(current, [one for one in changed if one != name], reported)))

    def _with_last_good(self, current: Compiled, names: Iterable[str], reported: Iterable[Fault]) -> Compiled:
        """`current` with the last good versions of these files.

        Raises:
            LoadError: those versions do not compile with the rest; the error has the faults `reported`.
        """
        try:
            return self._compile_again({**current.texts, **{name: self._before[name] for name in names}})
        except LoadError as error:
            raise LoadError(reported) from error

    def _failed(self, compiled: Compiled) -> Failures:
        found = ((name, [*self._failures(name, compiled)]) for name in compiled.tests)
        return {name: failures for name, failures in found if failures}

    def _failures(self, name: str, compiled: Compiled) -> Iterator[Failed]:
        self._pace()
        one = compiled.tests[name]
        budget = file_budget(len(one.tests))
        failures: list[tuple[Test, FailedExpectation]] = []
        for test in one.tests:
            failures += (
                (test, failure) for failure in run_test(compiled.policies, test, one.service, self._now, budget)
            )
            if budget.is_spent:
                break
        if not failures:
            return
        document = self._placed(name, compiled).document
        for test, failure in failures:
            yield Failed(
                (_key(test), failure.expected), document.fault(failure.place, f"test failed: {failure.message}")
            )


def note_lines(notes: Sequence[Fault]) -> list[str]:
    """The notes of live policies as log lines: the first `MAX_NOTES`, then the number of the others."""
    lines = [str(note) for note in notes[:MAX_NOTES]]
    return lines if len(notes) <= MAX_NOTES else [*lines, f"and {len(notes) - MAX_NOTES} more; run: policy test"]


def _key(test: Test) -> object:
    """The test without its place in the file."""
    test = replace(test, place=())
    return replace(test, expectations=()) if isinstance(test, AsTest) else test


def _not_among(failures: Iterable[Failed], old: Iterable[Failed]) -> list[Fault]:
    """The faults of expectations that did not fail before."""
    pending = {one.key for one in old}
    return [one.fault for one in failures if one.key not in pending]


def _of_roots(failed: Failures) -> list[Fault]:
    return [one.fault for name, failures in failed.items() if is_root(name) for one in failures]


def _waiting(name: str, fault: Fault) -> Fault:
    message = f"the change of {name} is not live, its last good version stays: {fault.message}"
    return replace(fault, message=message)
