"""Syntax of `when: {claims: …}`: the rule is for those clients of its workloads that have these claims as well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tokenserver.documents.document import Path
from tokenserver.policy.machines.workloads import Required, Workload, membership, where_claims, workload_of
from tokenserver.policy.model import Principals
from tokenserver.policy.syntax.captures import Recipients
from tokenserver.policy.syntax.machines import read_claims
from tokenserver.policy.syntax.reader import Reader

Where = list[tuple[str, Required]]
"""Workloads by name (empty: any), with the claims that a rule demands besides."""

NO_CONDITION = object()
"""That a rule has no condition, as nothing after `when:` is a fault."""


def read_where(
    reader: Reader, content: dict[str, Any], place: Path, to: Recipients | None
) -> tuple[Any, Recipients | None, Where]:
    """The conditions of a rule besides claims, its recipients with these claims, and the claims.

    The conditions are what the rule has under `when`, as it is in the file, or `NO_CONDITION`. `to` is what the rule
    says; None after a fault.
    """
    if "when" not in content:
        return NO_CONDITION, to, []
    when = content["when"]
    if not isinstance(when, dict) or "claims" not in when:
        return when, to, []
    faults = len(reader.faults)
    claims = read_claims(reader, when["claims"], (*place, "when", "claims"))
    others = {key: value for key, value in when.items() if key != "claims"} or NO_CONDITION
    if to is None or len(reader.faults) > faults:
        return others, to, []
    if to.written or not _are_workloads(to.principals):
        reader.fault(
            (*place, "when", "claims"),
            "only workloads have claims; fix: write to: [workloads] or workload:NAME, and a rule of its own for others",
        )
        return others, None, []
    names = [""] if to.principals.workloads else _names(to.principals)
    derived = (where_claims(Workload(name, "", ()), claims) for name in names)
    groups = frozenset(membership(one.name) for one in derived)
    return others, replace(to, principals=Principals(groups=groups)), [(name, claims) for name in names]


def _names(principals: Principals) -> list[str]:
    return sorted(name for group in principals.groups if (name := workload_of(group)) is not None)


def _are_workloads(principals: Principals) -> bool:
    """Whether all of them are workloads."""
    return principals == Principals(
        workloads=principals.workloads, groups=frozenset(map(membership, _names(principals)))
    )
