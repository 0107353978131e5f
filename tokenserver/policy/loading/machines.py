"""Robots and workloads of all files: those of the tree, and the faults of their names and of what is delegated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tokenserver.errors import Fault
from tokenserver.policy.loading.delegation import Mandate
from tokenserver.policy.machines.robots import Robot
from tokenserver.policy.machines.workloads import Workload, where_claims
from tokenserver.policy.syntax.file import PolicyFile


def robots_of(files: Mapping[str, PolicyFile]) -> dict[str, Robot]:
    """All declared robots by name, each with the name of its file as rules have it."""
    return {robot.name: replace(robot, file=name) for name, file in files.items() for _, robot in file.robots}


def workloads_of(files: Mapping[str, PolicyFile]) -> Iterator[Workload]:
    """All declared workloads, and those that stand for the clients of a workload with more claims."""
    declared = {one.name: replace(one, file=name) for name, file in files.items() for _, one in file.workloads}
    yield from declared.values()
    seen = set()
    for file in files.values():
        for name, claims in file.where:
            if not name or name in declared:
                workload = where_claims(declared.get(name), claims)
                if workload.name not in seen:
                    seen.add(workload.name)
                    yield workload


def machine_faults(files: Mapping[str, PolicyFile], given: Mapping[str, Mandate], *, is_whole: bool) -> Iterator[Fault]:
    """The faults of declared machines, and of names that nobody declares."""
    yield from ()
