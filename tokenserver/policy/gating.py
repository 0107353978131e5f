"""Which files' tests hold up which change: a root file's tests all of it, a delegated file's that file alone.

A delegated file whose new version fails a test, its own or one of a root file, waits: its last good version stays, and
everything else goes live. Where a test of a delegated file fails because of something else, the policies go live and
say so in their notes. At the start there is no last good version, and nobody can tell whose change it was; so the tests
of delegated files hold up no start, which would take all teams down for what concerns one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from tokenserver.errors import Fault, LoadError
from tokenserver.policy.check import run_test
from tokenserver.policy.connect import FileTests
from tokenserver.policy.delegation import is_root
from tokenserver.policy.expected import AsTest, Test
from tokenserver.policy.memory import Memory
from tokenserver.policy.model import PolicySet

Texts = Mapping[str, str]
"""The text of each policy file, by name."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """Policies whose tests have not been run, by file, and what they were made of."""

    texts: Texts
    policies: PolicySet
    tests: Mapping[str, FileTests]
    memory: Memory


@dataclass(frozen=True, slots=True)
class Failed:
    """One thing that a test expects and that is not so. `key` is the same wherever the test stands in its file."""

    key: object
    fault: Fault


Failures = Mapping[str, list[Failed]]
"""What fails, by file; a file without any is not there."""


class Gate:
    """Decides what of the files as they are now goes live.

    `before` are the files of the last good load, none at the start, and `seen` the digest of those that were offered
    then. `compile_again` compiles the files with other texts; `placed` gives a file's tests with their lines; `pace`
    is called between two small pieces of work.
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
        """What goes live of `offered`, with the notes in its policies.

        Raises:
            LoadError: tests of root files fail, or nothing would change but delegated files that have to wait.
        """
        waiting: dict[str, list[Fault]] = {}
        first = self._failed(offered)
        current, failed = offered, first
        while found := self._at_fault(current, failed):
            waiting |= found
            told = [fault for faults in found.values() for fault in faults]
            current = self._with_last_good(current, found, told)
            failed = self._failed(current)
        if waiting and current.texts == self._before and offered.policies.digest != self._seen:
            raise LoadError(fault for faults in waiting.values() for fault in faults)
        notes = {_waiting(name, fault) for name, faults in waiting.items() for fault in faults}
        for name, failures in failed.items():
            # Of a file that waits, lines are told as they are now, not as they are in the version that is live.
            pending = {one.key for one in failures}
            notes |= {one.fault for one in (first.get(name, ()) if name in waiting else failures) if one.key in pending}
        return replace(current, policies=replace(current.policies, notes=tuple(sorted(notes))))

    def _at_fault(self, current: Compiled, failed: Failures) -> dict[str, list[Fault]]:
        """The changed files that make a test fail, each with the faults; empty: the rest goes live.

        Raises:
            LoadError: a test of a root file fails, or of a delegated file that is new, and no change of a delegated
                file is the reason.
        """
        every = [one.fault for failures in failed.values() for one in failures]
        changed = [name for name, text in current.texts.items() if not is_root(name) and self._is_changed(name, text)]
        suspects = [name for name in changed if name in failed]
        if suspects:
            old = self._failed(self._with_last_good(current, suspects, every))
            found = {name: _not_among(failed[name], old.get(name, ())) for name in suspects}
            found = {name: faults for name, faults in found.items() if faults}
            if found:
                return found
        if self._before and any(name not in self._before for name in failed if not is_root(name)):
            raise LoadError(every)
        at_root = _of_roots(failed)
        if not at_root:
            return {}
        if not changed or _of_roots(self._failed(self._with_last_good(current, changed, every))):
            raise LoadError(every)
        # By themselves the changes may be harmless, and break a test together; then all of them wait.
        alone = {name: self._broken_by(name, current, changed, every) for name in changed}
        return {name: faults for name, faults in alone.items() if faults} or dict.fromkeys(changed, at_root)

    def _is_changed(self, name: str, text: str) -> bool:
        return name in self._before and self._before[name] != text

    def _broken_by(self, name: str, current: Compiled, changed: Iterable[str], told: list[Fault]) -> list[Fault]:
        """The faults of root files' tests with the change of this file and of no other delegated one."""
        return _of_roots(self._failed(self._with_last_good(current, [one for one in changed if one != name], told)))

    def _with_last_good(self, current: Compiled, names: Iterable[str], told: Iterable[Fault]) -> Compiled:
        """`current` with the last good versions of these files.

        Raises:
            LoadError: these do not go with the rest; then `told` is.
        """
        try:
            return self._compile_again({**current.texts, **{name: self._before[name] for name in names}})
        except LoadError as error:
            raise LoadError(told) from error

    def _failed(self, compiled: Compiled) -> Failures:
        found = ((name, [*self._failures(name, compiled)]) for name in compiled.tests)
        return {name: failures for name, failures in found if failures}

    def _failures(self, name: str, compiled: Compiled) -> Iterator[Failed]:
        self._pace()
        one = compiled.tests[name]
        failures = [
            (test, failure)
            for test in one.tests
            for failure in run_test(compiled.policies, test, one.service, self._now)
        ]
        if not failures:
            return
        document = self._placed(name, compiled).document
        for test, failure in failures:
            yield Failed(
                (_key(test), failure.expected), document.fault(failure.place, f"test failed: {failure.message}")
            )


def _key(test: Test) -> object:
    """What makes it the same test, wherever it stands."""
    test = replace(test, place=())
    return replace(test, expectations=()) if isinstance(test, AsTest) else test


def _not_among(failures: Iterable[Failed], old: Iterable[Failed]) -> list[Fault]:
    """What fails, but for what failed already before."""
    pending = {one.key for one in old}
    return [one.fault for one in failures if one.key not in pending]


def _of_roots(failed: Failures) -> list[Fault]:
    return [one.fault for name, failures in failed.items() if is_root(name) for one in failures]


def _waiting(name: str, fault: Fault) -> Fault:
    message = f"the change of {name} is not live, its last good version is, since a {fault.message}"
    return replace(fault, message=message)
