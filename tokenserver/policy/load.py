"""Loading the policy folder: all files or none, with every fault of every file at once, and their tests run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from tokenserver.documents import Document, nearest, parse
from tokenserver.documents import Path as Place
from tokenserver.errors import Fault, LoadError
from tokenserver.policy.check import run_tests
from tokenserver.policy.folder import completeness_faults, read_folder
from tokenserver.policy.index import build_index
from tokenserver.policy.model import BUILT_IN_ROLES, Groups, PolicySet, Rule
from tokenserver.policy.schema import PolicyFile, RuleDraft, read_policy_file


def load_policies(folder: Path, *, services: frozenset[str] | None = None, now: datetime) -> PolicySet:
    """Read, check and compile all policy files at the top of `folder`, and run the tests in them.

    `services` are the configured registries, to hold against what files name in `registries:` and `service:`
    (None: not known, so not held against). `now` is the aware time at which tests without `at:` are run.

    Raises:
        LoadError: with every fault of every file; a failing test is a fault. Tests run once nothing else is wrong.
    """
    texts, faults = read_folder(folder)
    is_whole = not faults
    faults += completeness_faults(folder, texts)
    files: dict[str, PolicyFile] = {}
    for name, text in texts.items():
        try:
            document = parse(text, str(folder / name))
        except LoadError as error:
            faults += error.faults
            continue
        files[name] = read_policy_file(document)
        faults += files[name].faults
    roles = {**BUILT_IN_ROLES, **{name: actions for file in files.values() for _, name, actions in file.roles}}
    faults += _connection_faults(files.values(), services)
    if is_whole and len(files) == len(texts):  # else the role may stand in a file that could not be read
        faults += _unknown_roles(files.values(), roles)
    if faults:
        raise LoadError(faults)

    rules = tuple(_rule(name, file, draft, roles) for name, file in files.items() for draft in file.rules)
    if not rules:
        raise LoadError([Fault(str(folder), 0, "", "holds no rule in any file, so nothing would ever be granted")])
    groups = Groups.of_all(group for file in files.values() for _, group in file.groups)
    policies = PolicySet(_digest(texts), tuple(texts), rules, groups, build_index(rules))
    for file in files.values():
        service = file.registries[0] if file.registries else min(services or {""})
        faults += run_tests(policies, file.document, file.tests, service, now)
    if faults:
        raise LoadError(faults)
    return policies


def _rule(name: str, file: PolicyFile, draft: RuleDraft, roles: Mapping[str, frozenset[str]]) -> Rule:
    return Rule.of(
        draft.id,
        draft.effect,
        draft.to,
        draft.patterns,
        roles[draft.role] if draft.role is not None else draft.actions or frozenset(),
        resource_type=draft.resource_type,
        excluded=draft.excluded,
        condition=draft.condition,
        services=frozenset(file.registries) or None,
        message=draft.message,
        file=name,
        line=file.document.line(draft.place),
    )


def _connection_faults(files: Iterable[PolicyFile], services: frozenset[str] | None) -> Iterator[Fault]:
    """What only shows with all files, and the configuration, side by side."""
    files = list(files)
    yield from _repeated("rule id", ((file.document, place, name) for file in files for place, name in file.ids))
    yield from _repeated("group", ((file.document, place, one.name) for file in files for place, one in file.groups))
    yield from _repeated("role", ((file.document, place, name) for file in files for place, name, _ in file.roles))
    for file in files:
        for place, service in file.services:
            if services is not None and service not in services:
                message = f"no registry with the service {service!r} is configured; {nearest(service, services)}"
                yield file.document.fault(place, message)


def _repeated(what: str, named: Iterable[tuple[Document, Place, str]]) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for document, place, name in named:
        if name in first:
            yield document.fault(place, f"the {what} {name!r} is already used in {first[name]}")
        else:
            first[name] = f"{document.file}:{document.line(place)}"


def _unknown_roles(files: Iterable[PolicyFile], roles: Mapping[str, frozenset[str]]) -> Iterator[Fault]:
    for file in files:
        for place, role in file.roles_used:
            if role not in roles:
                yield file.document.fault(place, f"unknown role {role!r}; {nearest(role, roles)}")


def _digest(texts: Mapping[str, str]) -> str:
    """SHA-256 over names and contents, each with its length before it, so that no two sets of files look alike."""
    digest = hashlib.sha256()
    for name in sorted(texts):
        for part in (name, texts[name]):
            content = part.encode("utf-8", "surrogateescape")
            digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()
