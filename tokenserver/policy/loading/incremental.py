"""Incremental loading: results of one load that the next can reuse, so that only changed files are compiled again.

A file is reused if its whole text is the same, and its rules if everything else that they depend on is, too. Line
numbers of reused files are not kept; after a fault, all files are read again to report it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tokenserver.patterns import Pattern
from tokenserver.policy.index import IndexKey, build_index, index_keys, updated_index
from tokenserver.policy.loading.delegation import Mandate
from tokenserver.policy.model import Group, Groups, Index, Principals, Rule
from tokenserver.policy.syntax.file import PolicyFile


@dataclass(frozen=True, slots=True)
class MandateLimits:
    """The limits of a mandate, independent of its place."""

    patterns: tuple[Pattern, ...]
    actions: frozenset[str]
    max_lifetime: int | None
    principals: Principals | None
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything that the rules of a file depend on besides its name and text.

    `groups` are those of root files as written, or None if their members do not matter.
    """

    roles: Mapping[str, frozenset[str]]
    limits: MandateLimits | None
    groups: Mapping[str, Group] | None

    @classmethod
    def of(cls, roles: Mapping[str, frozenset[str]], mandate: Mandate | None, groups: Mapping[str, Group]) -> Terms:
        """The terms of a file with this mandate (None: a root file)."""
        if mandate is None:
            return cls(roles, None, None)
        given = mandate.delegation
        limits = MandateLimits(given.patterns, given.actions, given.max_lifetime, given.principals, mandate.services)
        return cls(roles, limits, None if given.principals is None else groups)


@dataclass(frozen=True, slots=True)
class Known:
    """A file without faults: its text, its content without rules, and its rules compiled under `terms`."""

    text: str
    file: PolicyFile
    terms: Terms
    rules: tuple[Rule, ...]
    index_keys: frozenset[IndexKey]

    @classmethod
    def of(cls, text: str, file: PolicyFile, terms: Terms, rules: Iterable[Rule]) -> Known:
        """Keep a file without the places of its rules, which are as many as its lines and no longer needed."""
        rules = tuple(rules)
        light = replace(
            file,
            document=replace(file.document, value=None, lines={}),
            ids=[((), name) for _, name in file.ids],
            roles_used=[((), role) for role in dict.fromkeys(role for _, role in file.roles_used)],
            machines_used=[((), one) for one in dict.fromkeys(one for _, one in file.machines_used)],
            sources_used=[((), source) for source in dict.fromkeys(source for _, source in file.sources_used)],
            rules=[],
        )
        return cls(text, light, terms, rules, index_keys(rules))


@dataclass(frozen=True, slots=True)
class CompiledFiles:
    """All files of one load by name, the groups of the tree, and the index over all rules. Empty at first.

    `known_everywhere` are the groups of root files as written.
    """

    files: Mapping[str, Known]
    groups: Groups
    known_everywhere: Mapping[str, Group]
    index: Index

    @classmethod
    def of(
        cls,
        files: Mapping[str, Known],
        groups: Groups,
        known_everywhere: Mapping[str, Group],
        before: CompiledFiles,
    ) -> CompiledFiles:
        """The compiled files; everything unchanged since `before` is shared with it."""
        changed = [known for name, known in files.items() if known is not before.files.get(name)]
        removed = [known for name, known in before.files.items() if known is not files.get(name)]
        touched = frozenset[IndexKey]().union(*(known.index_keys for known in (*changed, *removed)))
        if len(changed) == len(files):
            index = build_index(rule for known in files.values() for rule in known.rules)
            return cls(files, groups, known_everywhere, index)
        near = (rule for known in files.values() if not known.index_keys.isdisjoint(touched) for rule in known.rules)
        return cls(files, groups, known_everywhere, updated_index(before.index, near, touched))


EMPTY = CompiledFiles({}, Groups.of_all(()), {}, {})
