"""Classes of machines that a question cannot tell apart, with one machine of each to try.

Rules about one resource name few of the robots and workloads of a large tree. All others differ at most in the groups
that these rules name, and workloads in which of the named workloads they are, perhaps only together with others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from tokenserver.patterns import Pattern
from tokenserver.policy.machines.claim_globs import is_accepted, is_literal
from tokenserver.policy.machines.robots import subject_of
from tokenserver.policy.machines.workloads import Required, Workload, Workloads, is_declared, membership

Requirement = tuple[str, tuple[Pattern, ...]]
"""One claim of a workload, with its globs."""

_NO_GROUPS: frozenset[str] = frozenset()


def robots_to_try(
    robots: Iterable[str], subjects: frozenset[str], groups: frozenset[str], by_user: Mapping[str, frozenset[str]]
) -> tuple[str, ...]:
    """The robots among `subjects`, and one of all others that are in the same of these `groups`.

    `by_user` has the groups of the tree of each subject.
    """
    found: dict[str | frozenset[str], str] = {}
    for name in robots:
        subject = subject_of(name)
        found.setdefault(subject if subject in subjects else by_user.get(subject, _NO_GROUPS) & groups, name)
    return tuple(found.values())


def workloads_to_try(
    table: Workloads, names: frozenset[str], groups: frozenset[str], by_member: Mapping[str, frozenset[str]]
) -> dict[str, frozenset[str]]:
    """One declared workload of each class, with those of the `groups` that it is in by itself.

    Whatever else a client is, each workload of a class makes the same of it: whether it is one of the workloads
    `names`, and whether it is in one of the groups. `by_member` has the groups of the tree of each `membership`.
    """
    held = {name: by_member.get(membership(name), _NO_GROUPS) & groups for name in table.by_name}
    targets = [one for name, one in table.by_name.items() if name in names or held[name]]
    requirements = _Requirements(targets)

    by_claim: dict[Requirement, list[Workload]] = {}
    for one in targets:
        for claim in one.claims:
            by_claim.setdefault(claim, []).append(one)

    def is_open(claim: Requirement, mine: frozenset[str]) -> bool:
        """Whether the claim matters about a workload that is in `mine` of the groups by itself."""
        return any(one.name in names or not held[one.name] <= mine for one in by_claim[claim])

    found: dict[tuple[str, frozenset[str], frozenset[Requirement]], str] = {}
    for one in table.by_name.values():
        if is_declared(one.name):
            met = requirements.met_by(one.known)
            mine = _NO_GROUPS.union(*(held[other.name] for other in requirements.whole(met) if _has_source(one, other)))
            found.setdefault((one.source, mine, frozenset(claim for claim in met if is_open(claim, mine))), one.name)
    return {name: mine for (_, mine, _), name in found.items()}


def _has_source(one: Workload, other: Workload) -> bool:
    return other.source in ("", one.source)


class _Requirements:
    """The claims of some workloads, by what can meet them."""

    def __init__(self, targets: Iterable[Workload]) -> None:
        self._targets = list(targets)
        self._by_literal: dict[tuple[str, str], list[Requirement]] = {}
        self._with_wildcard: dict[str, list[Requirement]] = {}
        self._by_rarest: dict[Requirement | None, list[Workload]] = {}
        frequency = Counter(claim for one in self._targets for claim in one.claims)
        for claim in frequency:
            self._add(claim)
        for one in self._targets:
            rarest = min(one.claims, key=lambda claim: frequency[claim], default=None)
            self._by_rarest.setdefault(rarest, []).append(one)

    def _add(self, claim: Requirement) -> None:
        name, globs = claim
        if all(map(is_literal, globs)):
            for glob in globs:
                self._by_literal.setdefault((name, glob.text), []).append(claim)
        else:
            self._with_wildcard.setdefault(name, []).append(claim)

    def met_by(self, claims: Required) -> frozenset[Requirement]:
        """Those that every client with these claims meets."""
        return frozenset(
            claim
            for name, own in claims
            for claim in (*self._by_literal.get((name, own[0].text), ()), *self._with_wildcard.get(name, ()))
            if all(is_accepted(glob, claim[1]) for glob in own)
        )

    def whole(self, met: frozenset[Requirement]) -> Iterator[Workload]:
        """The workloads all of whose claims are met."""
        for claim in (*met, None):
            yield from (one for one in self._by_rarest.get(claim, ()) if met.issuperset(one.claims))
