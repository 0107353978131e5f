"""Examinations: what is wrong with an edited policy tree, and what it would change, as plain values.

They are made in one process and shown by another, so they can be told as JSON, part by part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypeVar

from tokenserver.errors import Fault
from tokenserver.policy.diff.report import DiffLine
from tokenserver.policy.lint.lint import LintFinding

MAX_LISTED = 200
"""How many faults, findings, failures or rows of one sort are listed; the rest is only counted."""

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class FailedTest:
    """One expectation of a test that does not hold."""

    file: str
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class TreeTests:
    """How many tests there are, how many failed, and what failed; `more` failures are not listed.

    `rejects`: a running server would keep its policies, since a test of a file at the top fails, or one of a new file.
    `held_back` are other files with failing tests: their changes wait until the tests pass.
    """

    count: int
    failed: int
    failures: tuple[FailedTest, ...] = ()
    more: int = 0
    rejects: bool = False
    held_back: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LintReport:
    """The findings of lint; `more` are not listed."""

    findings: tuple[LintFinding, ...] = ()
    more: int = 0
    owners: tuple[tuple[str, str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DiffReport:
    """Who gains and loses what, each line with an example; `more` lines are not listed.

    `administrators` are `added` or `removed`, with who and by which entries; `owners` have the robot after that.
    `lifetimes` are files, with the limits of their tokens before and after.
    """

    summary: str
    gains: tuple[DiffLine, ...] = ()
    losses: tuple[DiffLine, ...] = ()
    administrators: tuple[tuple[str, str, str], ...] = ()
    lifetimes: tuple[tuple[str, str, str], ...] = ()
    more: int = 0
    owners: tuple[tuple[str, str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Examination:
    """What is known about an edited tree. A part is None if there are faults, or if it was not finished.

    `faults` would keep the tree from being loaded; `more_faults` are not listed. `unfinished` says which parts are
    missing, and why.
    """

    faults: tuple[Fault, ...] = ()
    more_faults: int = 0
    tests: TreeTests | None = None
    lint: LintReport | None = None
    difference: DiffReport | None = None
    unfinished: tuple[str, ...] = ()

    @property
    def is_loadable(self) -> bool | None:
        """Whether the server would load the tree, maybe without some changes of teams' files; None: not known."""
        if self.faults:
            return False
        return None if self.tests is None else not self.tests.rejects


def first(found: Iterable[_Item]) -> tuple[tuple[_Item, ...], int]:
    """The first items, and the number of the others."""
    items = (*found,)
    return items[:MAX_LISTED], max(0, len(items) - MAX_LISTED)


def as_parts(examination: Examination) -> dict[str, Any]:
    """The parts that are known, as JSON values."""
    return {key: value for key, value in asdict(examination).items() if value not in (None, ())}


def with_parts(examination: Examination, parts: Mapping[str, Any]) -> Examination:
    """The examination with these parts, which `as_parts` made."""
    known = {name: read(parts[name]) for name, read in _READERS.items() if name in parts}
    return replace(examination, **known)


def _lines(found: Iterable[Mapping[str, Any]]) -> tuple[DiffLine, ...]:
    return tuple(DiffLine(**one) for one in found)


def _tests(found: Mapping[str, Any]) -> TreeTests:
    failures = tuple(FailedTest(**one) for one in found["failures"])
    return TreeTests(**{**found, "failures": failures, "held_back": tuple(found["held_back"])})


def _lint(found: Mapping[str, Any]) -> LintReport:
    return LintReport(tuple(LintFinding(**one) for one in found["findings"]), found["more"])


def _difference(found: Mapping[str, Any]) -> DiffReport:
    texts = {name: tuple(map(tuple, found[name])) for name in ("administrators", "owners", "lifetimes")}
    return DiffReport(**{**found, "gains": _lines(found["gains"]), "losses": _lines(found["losses"]), **texts})


_READERS: Mapping[str, Any] = {
    "faults": lambda found: tuple(Fault(**one) for one in found),
    "more_faults": int,
    "tests": _tests,
    "lint": _lint,
    "difference": _difference,
    "unfinished": tuple,
}
assert {*_READERS} == {one.name for one in fields(Examination)}  # noqa: S101 - every part can be told
