"""Claim values: the claims of clients that are some workloads of two trees, and as few others as possible.

A glob stands for many values. One in which a text that no glob has takes the place of each wildcard is accepted only by
globs that accept every value of the glob, except that a `**` has to have some length. So a few values of each claim
represent all: the workloads of both trees accept no other value less often.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count, product
from math import prod

from tokenserver.identity import Claims
from tokenserver.patterns import Pattern, SegmentKind
from tokenserver.policy.budget import TooComplex
from tokenserver.policy.machines.claim_globs import FRESH, accepts, is_literal
from tokenserver.policy.machines.claim_names import with_aliases
from tokenserver.policy.machines.workloads import Workload, Workloads, shown_workload

MAX_WAYS = 64
"""Limit for the values of one claim that represent all, and for the sets of claims that represent a workload."""

MAX_TRIED = 4096
"""Limit for the values of one glob that are tried."""

FILLINGS = ("any", "some", "other")
"""What takes the place of a wildcard, if no glob accepts a value only because of it."""

_Globs = tuple[Pattern, ...]


class ClaimValues:
    """The values of claims that the workloads of all `tables` distinguish."""

    def __init__(self, *tables: Workloads) -> None:
        asked: dict[str, dict[_Globs, None]] = {}
        workloads = [one for table in tables for one in table.by_name.values()]
        short = {path: alias for one in workloads for alias, path in one.aliases}
        for one in workloads:
            for name, globs in one.claims:
                # A value by the one name is a value by the other one, at some of the sources.
                for spelling in {name, short.get(name, name)}:
                    asked.setdefault(spelling, {})[globs] = None
        self._asked = {name: _Asked(tuple(found)) for name, found in asked.items()}
        self._values: dict[tuple[str, _Globs], tuple[str, ...]] = {}
        self._ways: dict[Workload, tuple[Claims, ...]] = {}

    def ways(self, workload: Workload) -> tuple[Claims, ...]:
        """The minimal claims of a client that is the workload, one set for each way to be it.

        Every client that is the workload is, in both trees, all that a client with one of these sets is.

        Raises:
            TooComplex: there are more than `MAX_WAYS`.
        """
        found = self._ways.get(workload)
        if found is None:
            each = [[(name, one) for one in self._minimal(name, globs, workload)] for name, globs in workload.claims]
            _bound(prod(map(len, each)), MAX_WAYS, workload)
            aliases = dict(workload.aliases)
            ways = (with_aliases(frozenset(way), aliases) for way in product(*each))
            found = self._ways[workload] = tuple(dict.fromkeys(ways))
        return found

    def fewest(self, claims: Claims) -> Claims:
        """Some of these claims with which a client is the same workloads as with all of them."""
        by_name: dict[str, list[str]] = {}
        for name, value in sorted(claims):
            by_name.setdefault(name, []).append(value)
        return frozenset((name, value) for name, values in by_name.items() for value in self._enough(name, values))

    def _enough(self, name: str, values: list[str]) -> list[str]:
        """The values of a claim without those that only meet what another one meets, too."""
        if name not in self._asked:
            return []
        if len(values) == 1:
            return values
        met = {value: self._asked[name].met(value) for value in values}
        enough: list[str] = []
        for value in sorted(values, key=lambda one: -len(met[one])):
            if not any(met[value] <= met[other] for other in enough):
                enough.append(value)
        return enough

    def _minimal(self, name: str, globs: _Globs, workload: Workload) -> tuple[str, ...]:
        """The values that represent all that the globs accept: what others accept of them is minimal."""
        known = self._values.get((name, globs))
        if known is None:
            found: dict[frozenset[int], str] = {}
            for glob in globs:
                if len(globs) == 1 and is_literal(glob):
                    return (glob.text,)
                for value in self._instances(self._asked[name], glob, workload):
                    found.setdefault(self._asked[name].met(value), value)
            minimal = [value for met, value in found.items() if not any(other < met for other in found)]
            _bound(len(minimal), MAX_WAYS, workload)
            known = self._values[name, globs] = tuple(minimal)
        return known

    @staticmethod
    def _instances(asked: _Asked, glob: Pattern, workload: Workload) -> Iterator[str]:
        """Values of a glob, one for each length that its `**` can have as far as others can tell."""
        if is_literal(glob):
            yield glob.text
            return
        lengths = [range(1, asked.most + 1) if one.kind is SegmentKind.MANY else (1,) for one in glob.rest]
        _bound(prod(map(len, lengths)), MAX_TRIED, workload)
        for chosen in product(*lengths):
            ideal = asked.met(_filled(glob, chosen, FRESH))
            values = (_filled(glob, chosen, one) for one in (*FILLINGS, asked.unused))
            yield next(value for value in values if asked.met(value) == ideal)


class _Asked:
    """What the workloads ask of one claim: each of several lists of globs."""

    def __init__(self, lists: tuple[_Globs, ...]) -> None:
        self._literal: dict[str, set[int]] = {}
        self._others: list[tuple[int, _Globs]] = []
        for number, globs in enumerate(lists):
            others = tuple(one for one in globs if not is_literal(one))
            if others:
                self._others.append((number, others))
            for one in globs:
                if is_literal(one):
                    self._literal.setdefault(one.text, set()).add(number)
        every = [one for globs in lists for one in globs]
        self.most = 1 + max(one.depth + len(one.rest) for one in every)
        """More segments than any of the globs has."""
        used = set().union(*(one.text for one in every))
        self.unused = next(one for one in map(chr, count(ord("0"))) if one.isprintable() and one not in used)
        """A printable character that none of the globs has."""

    def met(self, value: str) -> frozenset[int]:
        """The numbers of the lists of which a glob accepts this value."""
        others = (number for number, globs in self._others if accepts(globs, value))
        return frozenset(self._literal.get(value, ())).union(others)


def _bound(found: int, most: int, workload: Workload) -> None:
    if found > most:
        name = shown_workload(workload.name).strip()
        raise TooComplex(f"not decided: there are more than {most} ways to be the workload {name}")


def _filled(glob: Pattern, lengths: Iterable[int], filling: str) -> str:
    """The glob with a text in place of each wildcard, and as many segments in place of each `**`."""
    parts = [glob.prefix] if glob.depth else []
    for segment, length in zip(glob.rest, lengths, strict=True):
        parts += [filling] * length if segment.kind is SegmentKind.MANY else [segment.text.replace("*", filling)]
    return "/".join(parts)
