"""Linker: connects policy files, compiles their rules, and finds the faults that depend on several files.

A file is not compiled again if everything that its rules depend on is the same as in the previous load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tokenserver.documents.document import Document
from tokenserver.documents.hints import Hints
from tokenserver.errors import Fault
from tokenserver.policy.budget import file_budget
from tokenserver.policy.group_names import is_root, plain_name
from tokenserver.policy.loading.delegated_tests import narrowed, test_faults
from tokenserver.policy.loading.delegation import (
    Home,
    Mandate,
    mandates,
    name_faults,
    scope_faults,
    service_faults,
)
from tokenserver.policy.loading.included_groups import include_faults
from tokenserver.policy.loading.incremental import CompiledFiles, Known, Terms
from tokenserver.policy.loading.machines import MachineContext, machine_faults, tests_in, workloads_of
from tokenserver.policy.loading.repeated_names import repeated
from tokenserver.policy.loading.taken_away import taken_away_faults
from tokenserver.policy.machines.workloads import Workload, Workloads
from tokenserver.policy.model import BUILT_IN_ROLES, Group, Groups, Principals, Rule
from tokenserver.policy.syntax.file import PolicyFile, RuleDraft
from tokenserver.policy.syntax.hosts import host_faults
from tokenserver.policy.testing.expectations import Test

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class FileTests:
    """The tests of one file, and the registry of those that name none."""

    document: Document
    tests: tuple[Test, ...]
    service: str


@dataclass(frozen=True, slots=True)
class Connected:
    """All files with their rules, the groups of the tree, those of root files as written, and the tests.

    If there are faults, some may be missing.
    """

    files: Mapping[str, Known]
    groups: Groups
    known_everywhere: Mapping[str, Group]
    tests: tuple[FileTests, ...]
    faults: list[Fault]


class Connector:
    """Links files. `services` are the configured registries (None: unknown), `context` is that of machines.

    `memory` is that of the previous load; `read` reads a file of it again, with its rules, by name. `pace` is called
    between small pieces of work.
    """

    def __init__(
        self,
        services: frozenset[str] | None,
        context: MachineContext,
        memory: CompiledFiles,
        read: Callable[[str], PolicyFile],
        pace: Callable[[], None],
    ) -> None:
        self._services = services
        self._machines = context
        self._memory = memory
        self._read = read
        self._pace = pace
        self._interned: dict[Principals, Principals] = {}  # equal ones are one object

    def connect(self, texts: Mapping[str, str], files: Mapping[str, PolicyFile], *, is_whole: bool) -> Connected:
        """Link the files. Without `is_whole`, some file could not be read, and missing names are not reported."""
        faults = [*_connection_faults(files, self._services, self._pace)]
        given, mandate_faults = mandates(files, is_whole=is_whole)
        faults += mandate_faults
        roles = _roles(files)
        if is_whole:
            faults += _unknown_roles(files, roles)
        homes = {name: Home.of(name, file) for name, file in files.items()}
        wrong_includes = include_faults(files, is_whole=is_whole)
        faults += wrong_includes
        faults += machine_faults(files, given, self._machines, is_whole=is_whole)
        groups = self._groups(files, homes, keep_includes=not wrong_includes)
        known_everywhere = self._known_everywhere(groups)
        kept: dict[str, Known] = {}
        tests = []
        for name, file in _paced(files.items(), self._pace):
            mandate = given.get(name)
            terms = Terms.of(roles[name], mandate, known_everywhere)
            known = self._memory.files.get(name)
            if known is not None and known.file is not file:
                known = None
            if known is None or known.terms != terms:
                whole = file if known is None else self._read(name)
                compiler = _Compiler(name, whole, roles[name], homes[name], mandate, self._interned)
                known = Known.of(texts[name], whole, terms, compiler.rules(groups, faults))
                faults += host_faults(whole, self._services or ())
                faults += test_faults(mandate, whole) if mandate is not None else ()
                whole.rules.clear()  # saves memory in a large tree
            kept[name] = known
            service = default_service(_registries(file, mandate), self._services)
            own = map(homes[name].test, tests_in(file, self._machines))
            of_file = own if mandate is None else (narrowed(test, mandate) for test in own)
            tests.append(FileTests(file.document, tuple(of_file), service))
        return Connected(kept, groups, known_everywhere, tuple(tests), faults)

    def _groups(self, files: Mapping[str, PolicyFile], homes: Mapping[str, Home], *, keep_includes: bool) -> Groups:
        """The groups of the tree; the object of the previous load, if they are equal."""
        written = [homes[name].group(group) for name, file in files.items() for _, group in file.groups]
        if not keep_includes:
            written = [replace(group, includes=frozenset()) for group in written]
        workloads = [*workloads_of(files, self._machines)]
        before = self._memory.groups
        if {group.name: group for group in written} == before.written and _are_same(workloads, before.workloads):
            return before
        return Groups.of_all(written, workloads)

    def _known_everywhere(self, groups: Groups) -> Mapping[str, Group]:
        """The groups of root files; the object of the previous load, if they are equal."""
        found = {name: group for name, group in groups.written.items() if plain_name(name) == name}
        before = self._memory.known_everywhere
        return before if found == before else found  # comparing identical objects is fast, for each file


def _are_same(workloads: Sequence[Workload], before: Workloads) -> bool:
    """Whether these are the workloads of the previous load, in the same lines."""
    old = before.by_name
    return len(workloads) == len(old) and all(
        one == old.get(one.name) and (one.file, one.line) == (old[one.name].file, old[one.name].line)
        for one in workloads
    )


def default_service(registries: Sequence[str], services: frozenset[str] | None) -> str:
    """The registry of a test that names none, in a file about `registries`."""
    return registries[0] if registries else min(services or {""})


def _registries(file: PolicyFile, mandate: Mandate | None) -> Sequence[str]:
    """The registries of a file: those it names, else those of the delegating file."""
    return file.registries or (() if mandate is None else mandate.services)


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Compiles the rules of one file. `known` has all sets of principals so far, to keep equal ones once."""

    name: str
    file: PolicyFile
    roles: Mapping[str, frozenset[str]]
    home: Home
    mandate: Mandate | None
    known: dict[Principals, Principals]

    def rules(self, groups: Groups, faults: list[Fault]) -> list[Rule]:
        """All rules with a known role; those that exceed the mandate, or have nothing left, are added to `faults`."""
        if self.mandate is not None:
            faults += service_faults(self.mandate, self.file)
        made = []
        count = sum(len(draft.patterns) for draft in self.file.rules)
        budget, budget_of_not = file_budget(count), file_budget(count)
        for draft in self.file.rules:
            faults += taken_away_faults(self.file.document, draft, budget_of_not)
            if draft.role is not None and draft.role not in self.roles:
                continue  # reported by `_unknown_roles`
            rule = self._rule(draft)
            made.append(rule)
            if self.mandate is not None:
                faults += scope_faults(self.mandate, self.file, draft, rule, groups.written, budget)
        return made

    def _rule(self, draft: RuleDraft) -> Rule:
        return Rule.of(
            draft.id,
            draft.effect,
            self._principals(draft.to),
            draft.patterns,
            self.roles[draft.role] if draft.role is not None else draft.actions or frozenset(),
            resource_type=draft.resource_type,
            excluded=None if draft.excluded is None else self._principals(draft.excluded),
            condition=draft.condition,
            services=frozenset(_registries(self.file, self.mandate)) or None,
            message=draft.message,
            max_lifetime=None if self.mandate is None else self.mandate.delegation.max_lifetime,
            without=draft.without,
            capturing=draft.capturing,
            file=self.name,
            line=self.file.document.line(draft.place),
        )

    def _principals(self, principals: Principals) -> Principals:
        principals = self.home.principals(principals)
        return self.known.setdefault(principals, principals)


def _roles(files: Mapping[str, PolicyFile]) -> dict[str, dict[str, frozenset[str]]]:
    """The roles of each file: the built-in ones, those of root files, and its own."""
    of_all = dict(BUILT_IN_ROLES)
    for name, file in files.items():
        if is_root(name):
            of_all |= {role: actions for _, role, actions in file.roles}
    return {
        name: of_all if is_root(name) or not file.roles else {**{r: a for _, r, a in file.roles}, **of_all}
        for name, file in files.items()
    }


def _connection_faults(
    files: Mapping[str, PolicyFile], services: frozenset[str] | None, pace: Callable[[], None]
) -> Iterator[Fault]:
    """The faults that depend on several files or the configuration."""
    roots = [file for name, file in files.items() if is_root(name)]
    ids = ((file.document, place, name) for file in _paced(files.values(), pace) for place, name in file.ids)
    yield from repeated("rule id", ids, below=("id",))
    yield from repeated("group", ((file.document, place, one.name) for file in roots for place, one in file.groups))
    yield from repeated("role", ((file.document, place, name) for file in roots for place, name, _ in file.roles))
    yield from name_faults(files)
    hints = Hints()
    for file in _paced(files.values(), pace):
        for place, service in file.services:
            if services is not None and service not in services:
                message = f"no registry with the service {service!r} is configured; {hints.nearest(service, services)}"
                yield file.document.fault(place, message)


def _paced(items: Iterable[_Item], pace: Callable[[], None]) -> Iterator[_Item]:
    for item in items:
        pace()
        yield item


def _unknown_roles(
    files: Mapping[str, PolicyFile], roles: Mapping[str, Mapping[str, frozenset[str]]]
) -> Iterator[Fault]:
    hints = Hints()
    for name, file in files.items():
        for place, role in file.roles_used:
            if role not in roles[name]:
                message = f"unknown role {role!r}; {hints.nearest(role, roles[name])}"
                yield file.document.fault((*place, "role"), message)
