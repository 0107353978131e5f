"""Delegation: the limits of each file, and the faults of rules that exceed what is delegated to their file.

Files at the top of the policy folder are root files without limits. A file in a sub-folder must be named under
`delegate:` in a root file; a rule that exceeds the delegation is a fault and never clipped. The groups and roles of
such a file are local to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from tokenserver.documents.document import Path
from tokenserver.documents.hints import Hints
from tokenserver.errors import Fault
from tokenserver.policy.analysis.containment import escape
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.group_names import is_root, owned_name
from tokenserver.policy.loading.delegated_principals import DelegatedPrincipals
from tokenserver.policy.machines.robots import Robot
from tokenserver.policy.model import Group, Ownership, Principal, Principals, Rule
from tokenserver.policy.principals import listed, principals_of
from tokenserver.policy.queries.who_can import Line, Unless
from tokenserver.policy.syntax.delegation import Delegation
from tokenserver.policy.syntax.file import PolicyFile, RuleDraft
from tokenserver.policy.testing.expectations import Test, WhatTest, WhoTest
from tokenserver.scopes import in_order

MAX_LISTED = 5
"""How many delegated patterns a fault lists."""

_Named = TypeVar("_Named")
_Limits = TypeVar("_Limits", Line, Unless)


@dataclass(frozen=True, slots=True)
class Mandate:
    """The delegation to one file; `at` is `FILE:LINE` of the entry, `services` are the registries of the root file.

    `services` empty: the root file applies to all registries.
    """

    delegation: Delegation
    at: str
    services: tuple[str, ...]


def mandates(files: Mapping[str, PolicyFile], *, is_whole: bool) -> tuple[dict[str, Mandate], list[Fault]]:
    """The mandate of each delegated file, and the faults of the entries.

    Faults are entries in a delegated file, for a file that does not exist, or for one that another entry names,
    administrators in a delegated file, and files in sub-folders without an entry. Without `is_whole`, some file could
    not be read, and what it may contain is not reported as missing.
    """
    found: dict[str, Mandate] = {}
    faults: list[Fault] = []
    hints = Hints()
    below = [name for name in files if not is_root(name)]
    for name, file in files.items():
        if not is_root(name):
            if file.delegates:
                message = "is not allowed in a delegated file; only files at the top delegate"
                faults.append(file.document.fault(("delegate",), message))
            if file.administrators is not None:
                message = "is not allowed in a delegated file; fix: name them in a file at the top of the policy folder"
                faults.append(file.document.fault(("administrators",), message))
            continue
        for delegation in file.delegations:
            place: Path = (*delegation.place, "file")
            at = f"{name}:{file.document.line(delegation.place)}"
            if delegation.file in found:
                message = (
                    f"{delegation.file} is already delegated in {found[delegation.file].at}; fix: merge the two entries"
                )
                faults.append(file.document.fault(place, message))
                continue
            found[delegation.file] = Mandate(delegation, at, tuple(file.registries))
            if is_whole and delegation.file not in files:
                hint = hints.nearest(delegation.file, below) if below else "no sub-folder holds a policy file"
                message = f"there is no file {delegation.file!r} in the policy folder; {hint}"
                faults.append(file.document.fault(place, message))
    are_all_known = is_whole and not any(file.delegates_unknown for file in files.values())
    for name in below:
        if are_all_known and name not in found:
            message = (
                "nothing is delegated to this file; name it in a file at the top of the policy folder, such as "
                f"delegate: [{{file: {name}, repositories: [...], actions: [...]}}], or move it there"
            )
            faults.append(files[name].document.fault((), message))
    return found, faults


def ownerships(files: Mapping[str, PolicyFile]) -> Iterator[Ownership]:
    """Every delegated namespace, in the order of the files and their entries."""
    for name, file in files.items():
        for one in file.delegations if is_root(name) else ():
            yield Ownership(name, one.place, one.patterns, tuple(file.registries), one.contact)


def administrators_of(files: Mapping[str, PolicyFile]) -> Principals:
    """All administrators; only root files name them."""
    roots = (file for name, file in files.items() if is_root(name))
    return principals_of(dict.fromkeys(one for file in roots for _, one in file.administrators or ()))


def name_faults(files: Mapping[str, PolicyFile]) -> Iterator[Fault]:
    """Groups and roles of delegated files with the name of one in a root file, which could not be joined this way."""
    taken: dict[tuple[str, str], str] = {}
    for name, file in files.items():
        if is_root(name):
            for place, what, given in _given_names(file):
                taken[what, given] = f"{name}:{file.document.line(place)}"
    for name, file in files.items():
        if is_root(name):
            continue
        for place, what, given in _given_names(file):
            if (what, given) in taken:
                message = (
                    f"the {what} {given!r} is known in all files, from {taken[what, given]}; "
                    "fix: rename the one in this file"
                )
                yield file.document.fault(place, message)


def _given_names(file: PolicyFile) -> Iterator[tuple[Path, str, str]]:
    yield from ((place, "group", group.name) for place, group in file.groups)
    yield from ((place, "role", name) for place, name, _ in file.roles)


@dataclass(frozen=True, slots=True)
class Home:
    """The local groups of one file: written name -> name in the tree. Empty for a root file."""

    own: Mapping[str, str]

    @classmethod
    def of(cls, name: str, file: PolicyFile) -> Home:
        """The home of the file with that name."""
        return cls({} if is_root(name) else {group.name: owned_name(group.name, name) for _, group in file.groups})

    def group(self, group: Group) -> Group:
        """A group of this file, with its name in the tree, and those of the groups that it includes."""
        if not self.own:
            return group
        includes = frozenset(self.own.get(name, name) for name in group.includes)
        return replace(group, name=self.own.get(group.name, group.name), includes=includes)

    def robot(self, robot: Robot) -> Robot:
        """A robot of this file, with the names in the tree of local groups that own it."""
        names = {f"group:{name}": f"group:{within}" for name, within in self.own.items()}
        if names.keys().isdisjoint(robot.owners):
            return robot
        return replace(robot, owners=tuple(names.get(owner, owner) for owner in robot.owners))

    def principals(self, principals: Principals) -> Principals:
        """Principals as written in this file, with the names of local groups in the tree."""
        if not self.own or principals.groups.isdisjoint(self.own):
            return principals
        return replace(principals, groups=frozenset(self.own.get(name, name) for name in principals.groups))

    def test(self, test: Test) -> Test:
        """A test of this file, in which `group:NAME` means the local group of that name, if there is one."""
        if isinstance(test, WhatTest):
            return replace(test, who=self._principal(test.who))
        if not self.own or not isinstance(test, WhoTest):
            return test
        lines = tuple(
            replace(self._limits(line), unless=frozenset(map(self._limits, line.unless))) for line in test.lines
        )
        return replace(test, answers=frozenset(map(self._answer, test.answers)), lines=lines)

    def _answer(self, answer: frozenset[Principal]) -> frozenset[Principal]:
        return frozenset(map(self._principal, answer))

    def _limits(self, one: _Limits) -> _Limits:
        return replace(one, who=self._answer(one.who), excepted=self._answer(one.excepted))

    def _principal(self, principal: Principal) -> Principal:
        is_own = principal.sort == "group" and principal.name in self.own
        return Principal("group", self.own[principal.name]) if is_own else principal


def _first_few(texts: Iterable[str]) -> str:
    """The first texts of a list that may be long, and the number of the others."""
    found = [*texts]
    return ", ".join(found[:MAX_LISTED]) + (f" and {len(found) - MAX_LISTED} more" if len(found) > MAX_LISTED else "")


def scope_faults(  # noqa: PLR0917 - one rule of one file, and its limits
    mandate: Mandate, file: PolicyFile, draft: RuleDraft, rule: Rule, groups: Mapping[str, Group], budget: Budget
) -> Iterator[Fault]:
    """Everything in which one rule of a delegated file exceeds its mandate.

    `rule` is `draft` compiled; `groups` are all groups as written, by their name in the tree. `budget` is that of the
    file; a pattern not decided within it is a fault, and once it is spent, no further pattern is checked.
    """
    document, delegation = file.document, mandate.delegation
    if rule.resource_type != "repository":
        message = (
            f"cannot be delegated, and {mandate.at} delegates repositories; fix: move the rule to a file at the top"
        )
        yield document.fault((*draft.place, "registry"), message)
        return
    for number, pattern in enumerate(rule.patterns):
        if budget.is_spent:
            break
        delegated = _first_few(one.text for one in delegation.patterns)
        try:
            budget.spend(1 + (len(delegation.patterns) + len(rule.without)) // 16)
            witness = escape((*delegation.patterns, *rule.without), pattern, budget.question())
        except TooComplex as error:
            message = f"{pattern.text!r}: whether it lies within {delegated}, delegated in {mandate.at}, is {error}"
            yield document.fault((*draft.place, "repositories", number), message)
            continue
        if witness is not None:
            message = (
                f"{pattern.text!r} reaches {witness}, which is not delegated to this file: "
                f"{mandate.at} delegates {delegated}"
            )
            yield document.fault((*draft.place, "repositories", number), message)
    beyond = rule.actions - delegation.actions
    if beyond:
        said = f"the role {draft.role} has" if draft.role else "says"
        message = (
            f"{said} {', '.join(in_order(beyond))}, which is not delegated to this file: "
            f"{mandate.at} delegates {', '.join(in_order(delegation.actions))}"
        )
        yield document.fault((*draft.place, "role" if draft.role else "actions"), message)
    if delegation.principals is not None:
        limits = DelegatedPrincipals.of(delegation.principals, file, groups)
        delegated = ", ".join(map(str, listed(delegation.principals)))
        for key, named in _named_beyond(limits, rule):
            yield document.fault((*draft.place, key), f"names {named}: {mandate.at} delegates {delegated}")


def _named_beyond(limits: DelegatedPrincipals, rule: Rule) -> Iterator[tuple[str, str]]:
    """The key of the rule and the words for each principal beyond the limits."""
    named = limits.beyond(rule.to)
    if rule.capturing and not (limits.given.everyone or limits.given.authenticated):
        named = iter(())
        for written in rule.capturing:
            yield "to", f"{written}, groups of any such name, which are not delegated to this file"
    elif rule.capturing and not limits.given.everyone:
        named = limits.captured_beyond(rule.patterns[0].captures)
    yield from (("to", f"{one}, who is not delegated to this file") for one in named)
    for one in limits.beyond(rule.excluded or Principals()):
        yield "except", f"{one}, who is not delegated to this file"


def service_faults(mandate: Mandate, file: PolicyFile) -> Iterator[Fault]:
    """The registries that a delegated file names although the delegating file does not apply to them."""
    for number, service in enumerate(file.registries):
        if mandate.services and service not in mandate.services:
            message = (
                f"{service!r} is not delegated to this file: {mandate.at} delegates for {', '.join(mandate.services)}"
            )
            yield file.document.fault(("registries", number), message)
