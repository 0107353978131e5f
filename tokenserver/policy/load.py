"""Loading the policy folder: all files or none, with every fault of every file at once, and their tests run."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from tokenserver.documents import Document, nearest, parse
from tokenserver.documents import Path as Place
from tokenserver.errors import Fault, LoadError
from tokenserver.policy.check import Test, run_tests
from tokenserver.policy.delegation import Home, Mandate, is_root, mandates, name_faults, scope_faults, service_faults
from tokenserver.policy.folder import are_marked, completeness_faults, read_folder
from tokenserver.policy.index import build_index
from tokenserver.policy.model import BUILT_IN_ROLES, Groups, PolicySet, Principals, Rule
from tokenserver.policy.schema import PolicyFile, RuleDraft, read_policy_file


@dataclass(frozen=True, slots=True)
class FileTests:
    """The tests of one file, and the registry that those are about which name none."""

    document: Document
    tests: tuple[Test, ...]
    service: str


def load_policies(
    folder: Path, *, services: frozenset[str] | None = None, now: datetime, marked: bool = False
) -> PolicySet:
    """Read, check and compile all policy files in `folder` and its sub-folders, and run the tests in them.

    `services` are the configured registries, to hold against what files name in `registries:` and `service:`
    (None: not known, so not held against). `now` is the aware time at which tests without `at:` are run. `marked` says
    that the files ended with `...` when they were loaded before: one that does not is taken for cut short then.

    Raises:
        LoadError: with every fault of every file; a failing test is a fault. Tests run once nothing else is wrong.
    """
    policies, tests = compile_policies(folder, services=services, marked=marked)
    faults = [fault for one in tests for fault in run_tests(policies, one.document, one.tests, one.service, now)]
    if faults:
        raise LoadError(faults)
    return policies


def compile_policies(
    folder: Path, *, services: frozenset[str] | None = None, marked: bool = False
) -> tuple[PolicySet, tuple[FileTests, ...]]:
    """Like `load_policies`, but the tests are handed back and not run.

    Raises:
        LoadError: with every fault of every file.
    """
    with _collector_paused():
        return _compiled(folder, services, marked)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Nothing that is made here is garbage in a cycle, and to look for it again and again costs half of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _compiled(folder: Path, services: frozenset[str] | None, marked: bool) -> tuple[PolicySet, tuple[FileTests, ...]]:
    texts, faults = read_folder(folder)
    is_whole = not faults
    faults += completeness_faults(folder, texts, marked=marked)
    files: dict[str, PolicyFile] = {}
    for name, text in texts.items():
        try:
            document = parse(text, str(folder / name))
        except LoadError as error:
            faults += error.faults
            continue
        files[name] = read_policy_file(document)
        files[name].document = replace(document, value=None)  # its lines are still asked for, its values are not
        faults += files[name].faults
    is_whole = is_whole and len(files) == len(texts)  # else what is missed may stand in a file that was not read
    faults += _connection_faults(files, services)
    given, mandate_faults = mandates(files, is_whole=is_whole)
    faults += mandate_faults
    roles = _roles(files)
    if is_whole:
        faults += _unknown_roles(files, roles)
    homes = {name: Home.of(name, file) for name, file in files.items()}
    groups = Groups.of_all(homes[name].group(group) for name, file in files.items() for _, group in file.groups)
    rules: list[Rule] = []
    known: dict[Principals, Principals] = {}
    for name, file in files.items():
        mandate = given.get(name)
        if mandate is not None:
            faults += service_faults(mandate, file)
            file.registries = file.registries or list(mandate.services)
        compiler = _Compiler(name, file, roles[name], homes[name], mandate, known)
        for draft in file.rules:
            if draft.role is not None and draft.role not in roles[name]:
                continue  # told above
            rule = compiler.rule(draft)
            rules.append(rule)
            if mandate is not None:
                faults += scope_faults(mandate, file, draft, rule, groups.by_name)
        file.rules.clear()  # a large tree need not be in memory twice
    if faults:
        raise LoadError(faults)
    if not rules:
        raise LoadError([Fault(str(folder), 0, "", "holds no rule in any file, so nothing would ever be granted")])
    policies = PolicySet(_digest(texts), tuple(texts), tuple(rules), groups, build_index(rules), are_marked(texts))
    tests = (
        FileTests(file.document, tuple(map(homes[name].test, file.tests)), default_service(file, services))
        for name, file in files.items()
    )
    return policies, tuple(tests)


def default_service(file: PolicyFile, services: frozenset[str] | None) -> str:
    """The registry that a test of the file is about if it names none."""
    return file.registries[0] if file.registries else min(services or {""})


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Makes the rules of one file. `known` holds all sets of principals so far, so that equal ones are kept once."""

    name: str
    file: PolicyFile
    roles: Mapping[str, frozenset[str]]
    home: Home
    mandate: Mandate | None
    known: dict[Principals, Principals]

    def rule(self, draft: RuleDraft) -> Rule:
        """The rule of a draft whose role is known."""
        return Rule.of(
            draft.id,
            draft.effect,
            self._principals(draft.to),
            draft.patterns,
            self.roles[draft.role] if draft.role is not None else draft.actions or frozenset(),
            resource_type=draft.resource_type,
            excluded=None if draft.excluded is None else self._principals(draft.excluded),
            condition=draft.condition,
            services=frozenset(self.file.registries) or None,
            message=draft.message,
            max_lifetime=None if self.mandate is None else self.mandate.delegation.max_lifetime,
            file=self.name,
            line=self.file.document.line(draft.place),
        )

    def _principals(self, principals: Principals) -> Principals:
        principals = self.home.principals(principals)
        return self.known.setdefault(principals, principals)


def _roles(files: Mapping[str, PolicyFile]) -> dict[str, dict[str, frozenset[str]]]:
    """By file the roles that it knows: the built-in ones, those of root files, and its own."""
    of_all = dict(BUILT_IN_ROLES)
    for name, file in files.items():
        if is_root(name):
            of_all |= {role: actions for _, role, actions in file.roles}
    return {
        name: of_all if is_root(name) or not file.roles else {**{r: a for _, r, a in file.roles}, **of_all}
        for name, file in files.items()
    }


def _connection_faults(files: Mapping[str, PolicyFile], services: frozenset[str] | None) -> Iterator[Fault]:
    """What only shows with all files, and the configuration, side by side."""
    roots = [file for name, file in files.items() if is_root(name)]
    ids = ((file.document, place, name) for file in files.values() for place, name in file.ids)
    yield from _repeated("rule id", ids, below=("id",))
    yield from _repeated("group", ((file.document, place, one.name) for file in roots for place, one in file.groups))
    yield from _repeated("role", ((file.document, place, name) for file in roots for place, name, _ in file.roles))
    yield from name_faults(files)
    for file in files.values():
        for place, service in file.services:
            if services is not None and service not in services:
                message = f"no registry with the service {service!r} is configured; {nearest(service, services)}"
                yield file.document.fault(place, message)


def _repeated(what: str, named: Iterable[tuple[Document, Place, str]], below: Place = ()) -> Iterator[Fault]:
    """Names that are given twice; each stands at `below` from its place on."""
    first: dict[str, tuple[Document, Place]] = {}
    for document, place, name in named:
        if name in first:
            other, at = first[name]
            line = other.line((*at, *below))
            yield document.fault((*place, *below), f"the {what} {name!r} is already used in {other.file}:{line}")
        else:
            first[name] = document, place


def _unknown_roles(
    files: Mapping[str, PolicyFile], roles: Mapping[str, Mapping[str, frozenset[str]]]
) -> Iterator[Fault]:
    for name, file in files.items():
        for place, role in file.roles_used:
            if role not in roles[name]:
                yield file.document.fault((*place, "role"), f"unknown role {role!r}; {nearest(role, roles[name])}")


def _digest(texts: Mapping[str, str]) -> str:
    """SHA-256 over names and contents, each with its length before it, so that no two sets of files look alike."""
    digest = hashlib.sha256()
    for name in sorted(texts):
        for part in (name, texts[name]):
            content = part.encode("utf-8", "surrogateescape")
            digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()
