"""Robots and workloads of all files: those of the tree, and the faults of their declarations and of their names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from tokenserver.documents.hints import Hints
from tokenserver.errors import Fault
from tokenserver.identity import Sort
from tokenserver.policy.group_names import is_root
from tokenserver.policy.groups import included
from tokenserver.policy.loading.delegation import Home, Mandate
from tokenserver.policy.loading.repeated_names import repeated
from tokenserver.policy.machines.claim_globs import accepts, is_any
from tokenserver.policy.machines.claim_names import NO_ALIASES, Aliases, SourceClaims, with_aliases
from tokenserver.policy.machines.robots import Robot
from tokenserver.policy.machines.workloads import (
    Workload,
    Workloads,
    base_of,
    membership,
    requires,
    spell_claims,
    where_claims,
    workload_of,
)
from tokenserver.policy.model import PolicySet, Principal
from tokenserver.policy.principals import client_principal, group_of, group_principal, subject_of
from tokenserver.policy.syntax.file import PolicyFile
from tokenserver.policy.testing.expectations import Test, WhoTest

MAX_SECRETS = 2
"""How many secrets of a robot may be valid: the one in use, and its successor during a rotation."""

WorkloadSources = Mapping[str, SourceClaims]
"""The configured workload sources by name, with what is known of their claims."""


@dataclass(frozen=True, slots=True)
class MachineContext:
    """What is known outside of the policy files: the workload sources (None: unknown), and the time (None: unknown).

    `claim_aliases` are those of the sources that there may be, by name, where `sources` is None.
    """

    sources: WorkloadSources | None = None
    now: datetime | None = None
    claim_aliases: Mapping[str, Aliases] = field(default_factory=dict)

    def aliases(self, source: str) -> Aliases:
        """Short names of the claims of a workload source -> their paths; none where the source is unknown."""
        if self.sources is None:
            return self.claim_aliases.get(source, NO_ALIASES)
        return self.sources[source].aliases if source in self.sources else NO_ALIASES


def robots_of(files: Mapping[str, PolicyFile]) -> dict[str, Robot]:
    """All declared robots by name, with their file as rules name it and their owners by the names in the tree."""
    return {
        robot.name: replace(home.robot(robot), file=name)
        for name, file in files.items()
        if file.robots
        for home in [Home.of(name, file)]
        for _, robot in file.robots
    }


def workloads_of(files: Mapping[str, PolicyFile], context: MachineContext) -> Iterator[Workload]:
    """All declared workloads, and those that stand for the clients of a workload with more claims."""
    declared = {
        one.name: replace(one.spelled(context.aliases(one.source)), file=name)
        for name, file in files.items()
        for _, one in file.workloads
    }
    yield from declared.values()
    seen = set()
    for file in files.values():
        for name, claims in file.where:
            if not name or name in declared:
                workload = where_claims(declared.get(name), claims)
                if workload.name not in seen:
                    seen.add(workload.name)
                    yield workload


def tests_in(file: PolicyFile, context: MachineContext) -> Iterator[Test]:
    """The tests of a file. The workloads that they are about have each claim under all of its names, as clients do."""
    for test in file.tests:
        if isinstance(test, WhoTest) or test.identity is None or test.identity.sort is not Sort.WORKLOAD:
            yield test
            continue
        claims = with_aliases(test.identity.claims, context.aliases(test.identity.source))
        yield replace(test, identity=replace(test.identity, claims=claims))


def without_ended(live: PolicySet, offered: PolicySet) -> PolicySet:
    """The policies without the robots, secrets and workloads that the files on disk, in `offered`, no longer declare.

    Robots are as in `offered`: a secret is a matter of no test, so its change does not wait for one. If nothing
    differs, the result is `live` itself.
    """
    robots = {name: offered.robots[name] for name in live.robots if name in offered.robots}
    declared = offered.groups.workloads.by_name
    workloads = live.groups.workloads.by_name
    left = [one for name, one in workloads.items() if not base_of(name) or base_of(name) in declared]
    if robots == live.robots and len(left) == len(workloads):
        return live
    groups = live.groups
    if len(left) < len(workloads):
        groups = replace(groups, workloads=Workloads.of_all(left))
    digest = combined_digest(live.digest, offered.digest)
    return replace(live, digest=digest, robots=robots, groups=groups, offered=offered.digest)


def combined_digest(live: str, offered: str) -> str:
    """The digest of policies `live` without the machines that the policies `offered` no longer declare."""
    return hashlib.sha256(f"{live} {offered}".encode()).hexdigest()


def machine_faults(
    files: Mapping[str, PolicyFile], given: Mapping[str, Mandate], context: MachineContext, *, is_whole: bool
) -> Iterator[Fault]:
    """The faults of declared machines, and of names that nobody declares; the latter only if the files are whole."""
    robots = [(file.document, place, robot) for file in files.values() for place, robot in file.robots]
    workloads = [(file.document, place, one) for file in files.values() for place, one in file.workloads]
    yield from repeated("robot", ((document, place, robot.name) for document, place, robot in robots))
    yield from repeated("workload", ((document, place, one.name) for document, place, one in workloads))
    secrets = (
        (document, (*place, "secrets", number), secret.id)
        for document, place, robot in robots
        for number, secret in enumerate(robot.secrets)
    )
    yield from repeated("secret id", secrets, below=("id",))
    for document, place, robot in robots:
        message = _too_many_secrets(robot, context.now)
        if message is not None:
            yield document.fault((*place, "secrets"), message)
    if context.sources is not None:
        yield from _source_faults(files, context.sources)
    for name, mandate in given.items():
        if name in files:
            yield from _mandate_faults(mandate, files[name], context)
    yield from _administrator_faults(files)
    if is_whole:
        names = {"robot": {robot.name for _, _, robot in robots}, "workload": {one.name for _, _, one in workloads}}
        yield from _undeclared(files, names)


def _too_many_secrets(robot: Robot, now: datetime | None) -> str | None:
    if now is None or len(robot.secrets) <= MAX_SECRETS:
        return None
    valid = [secret.id for secret in robot.secrets if not secret.is_expired(now)]
    if len(valid) <= MAX_SECRETS:
        return None
    return (
        f"has {len(valid)} secrets that have not expired ({', '.join(valid)}), and may have {MAX_SECRETS}; "
        "fix: remove those that are no longer used"
    )


def _source_faults(files: Mapping[str, PolicyFile], sources: WorkloadSources) -> Iterator[Fault]:
    """Workload sources that are not configured, and workloads of a source that pin none of its sets of claims."""
    hints = Hints()
    for file in files.values():
        for place, source in file.sources_used:
            if source not in sources:
                known = hints.nearest(source, sources) if sources else "no workload source is configured"
                yield file.document.fault(place, f"no workload source {source!r} is configured; {known}")
        for place, workload in file.workloads:
            message = _unanchored(workload, sources)
            if message is not None:
                yield file.document.fault((*place, "claims"), message)


def _unanchored(workload: Workload, sources: WorkloadSources) -> str | None:
    """What is wrong with a workload that anybody's machine of the same issuer could be."""
    known = sources.get(workload.source)
    if known is None:
        return None
    spelled = workload.spelled(known.aliases)
    pinned = {name for name, globs in spelled.claims if not any(map(is_any, globs))}
    if any(pinned >= anchor for anchor in known.anchors if anchor):
        return None
    ways = sorted((sorted(anchor) for anchor in known.anchors), key=lambda anchor: (len(anchor), anchor))
    listed = " or ".join(" and ".join(anchor) for anchor in ways)
    return (
        f"would accept machines of anybody who has tokens of {workload.source}; "
        f"fix: require {listed}, with a value that is more than wildcards"
    )


def _mandate_faults(mandate: Mandate, file: PolicyFile, context: MachineContext) -> Iterator[Fault]:
    """The robots and workloads that a delegated file declares beyond its mandate."""
    globs, limits = mandate.delegation.robots, mandate.delegation.workloads
    for place, robot in file.robots:
        if not accepts(globs, robot.name):
            given = _delegates(mandate, "robots", [glob.text for glob in globs], f'robots: ["{robot.name}"]')
            yield file.document.fault(place, f"the robot {robot.name!r} is not delegated to this file: {given}")
    for place, workload in file.workloads:
        if limits is None:
            given = _delegates(mandate, "workloads", [], f"workloads: {{from: [{workload.source}], claims: …}}")
            message = f"the workload {workload.name!r} is not delegated to this file: {given}"
            yield file.document.fault(place, message)
            continue
        if limits.sources is not None and workload.source not in limits.sources:
            given = _delegates(mandate, "workloads", sorted(limits.sources), "")
            message = f"workloads of {workload.source!r} are not delegated to this file: {given}"
            yield file.document.fault((*place, "from"), message)
        known = workload.spelled(context.aliases(workload.source)).known
        lacking = tuple(claim for claim in limits.claims if not requires(known, (claim,)))
        if lacking:
            message = (
                f"does not require that {spell_claims(lacking)}, as all workloads of this file must by {mandate.at}"
            )
            yield file.document.fault((*place, "claims"), message)


def _delegates(mandate: Mandate, what: str, given: Sequence[str], fix: str) -> str:
    if given:
        return f"{mandate.at} delegates {', '.join(given)}"
    return f"{mandate.at} delegates no {what}; fix: add there {fix}"


def _administrator_faults(files: Mapping[str, PolicyFile]) -> Iterator[Fault]:
    """Administrators that delegated files declare: their authors could add secrets or claims, and so themselves."""
    declared = {
        name: f"{file_name}:{file.document.line(place)}"
        for file_name, file in files.items()
        if not is_root(file_name)
        for place, name in (
            *((place, robot.subject) for place, robot in file.robots),
            *((place, membership(one.name)) for place, one in file.workloads),
        )
    }
    if not declared:
        return
    roots = [file for name, file in files.items() if is_root(name)]
    groups = {group.name: group for file in roots for _, group in file.groups}
    for file in roots:
        for place, one in file.administrators or ():
            known = [*included(groups, one.name)] if one.sort == "group" else []
            names = {subject_of(one), group_of(one)}.union(*(group.users | group.groups for group in known))
            for name in sorted(name for name in names if name is not None and name in declared):
                machine = group_principal(name) if workload_of(name) is not None else client_principal(name)
                by = "is" if machine == one else f"has {machine}, which is"
                message = (
                    f"{by} declared in {declared[name]}, a delegated file, whose authors could make themselves "
                    "administrators; fix: declare it in a file at the top of the policy folder"
                )
                yield file.document.fault(place, f"{one} {message}")


def _undeclared(files: Mapping[str, PolicyFile], names: Mapping[str, set[str]]) -> Iterator[Fault]:
    """Robots and workloads that a file names and none declares."""
    hints = Hints()
    for file in files.values():
        for place, machine in file.machines_used:
            if machine.name not in names[machine.sort]:
                yield file.document.fault(place, _unknown(machine, names[machine.sort], hints))


def _unknown(machine: Principal, known: set[str], hints: Hints) -> str:
    hint = hints.nearest(machine.name, known) if known else f"fix: declare it under {machine.sort}s"
    return f"no file declares the {machine.sort} {machine.name!r}; {hint}"
