"""Near misses: the claims by which a client is not a workload, and the workloads that come closest to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from tokenserver.identity import Claims
from tokenserver.patterns import Pattern
from tokenserver.policy.machines.claim_globs import accepts
from tokenserver.policy.machines.workloads import Workload, is_declared, shown_workload, workload_of
from tokenserver.printable import cut, one_line

MAX_NEAREST = 3

MAX_COMPARED = 10_000
"""Workloads that are compared for one answer."""

MAX_VALUES = 3
"""Values of one claim that a message shows."""

_MAX_SHOWN = 100


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A workload that a client is not. `missing` has the claims by which it is not, in words."""

    workload: Workload
    missing: tuple[str, ...]

    def __str__(self) -> str:
        name = shown_workload(self.workload.name)
        who = f"workloads{name}" if name.startswith(" ") else f"workload:{name}"  # any workload with these claims
        return f"{who}: {'; '.join(self.missing)}"


def mismatches(workload: Workload, claims: Claims) -> Iterator[str]:
    """Each claim by which a client with these claims is not the workload, such as `ref is main, not refs/tags/*`."""
    for name, globs in _mismatched(workload, claims):
        values = sorted(value for claim, value in claims if claim == name)
        found = _any_of(values) if values else "missing"
        yield f"{name} is {found}, not {_any_of([glob.text for glob in globs])}"


def _mismatched(workload: Workload, claims: Claims) -> list[tuple[str, tuple[Pattern, ...]]]:
    return [
        (name, globs)
        for name, globs in workload.claims
        if not any(claim == name and accepts(globs, value) for claim, value in claims)
    ]


def nearest(
    workloads: Iterable[Workload],
    source: str,
    claims: Claims,
    most: int = MAX_NEAREST,
    among: int = MAX_COMPARED,
) -> list[NearMiss]:
    """The workloads that clients of this source come closest to with these claims: the fewest of theirs do not match.

    Those that the client is, and those of other sources, are left out; the first `among` of the rest are compared.
    """
    compared = islice((one for one in workloads if one.source in ("", source)), among)
    missed = ((len(_mismatched(one, claims)), one) for one in compared)
    found = sorted(
        ((count, one) for count, one in missed if count), key=lambda each: (each[0], -len(each[1].claims), each[1].name)
    )
    return [NearMiss(one, tuple(mismatches(one, claims))) for _, one in found[:most]]


def declared_among(groups: Iterable[str]) -> tuple[str, ...]:
    """The declared workloads whose membership is among the groups of a client, by name."""
    names = (workload_of(group) for group in groups)
    return tuple(sorted(name for name in names if name is not None and is_declared(name)))


def _any_of(values: Iterable[str]) -> str:
    texts = [cut(one_line(value), _MAX_SHOWN) for value in values]
    more = f" or {len(texts) - MAX_VALUES} more" if len(texts) > MAX_VALUES else ""
    return " or ".join(texts[:MAX_VALUES]) + more
