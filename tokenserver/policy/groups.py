"""Groups of the tree: their members, by name, through directory groups, and through other groups of the tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tokenserver.identity import Identity, Kind, Sort
from tokenserver.policy.machines.robots import robot_of
from tokenserver.policy.machines.workloads import NO_WORKLOADS, Workload, Workloads, workload_of

_NO_GROUPS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Group:
    """A group of the tree: users by name, and the directory groups and groups of the tree whose members belong to it.

    `users` are the subjects of users and robots, `groups` are directory groups and the `membership` of workloads,
    `includes` are groups of the tree.
    """

    name: str
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    includes: frozenset[str] = frozenset()


def included(written: Mapping[str, Group], name: str) -> Iterator[Group]:
    """The group and all groups that it includes, directly or through others, each once; undefined names are skipped."""
    pending, seen = [name], {name}
    while pending:
        group = written.get(pending.pop())
        if group is not None:
            yield group
            pending += sorted(group.includes - seen)
            seen |= group.includes


def _whole(written: Mapping[str, Group], group: Group) -> Group:
    """The group with all members of the groups that it includes as its own."""
    if not group.includes:
        return group
    found = [*included(written, group.name)]
    return Group(
        group.name,
        frozenset().union(*(one.users for one in found)),
        frozenset().union(*(one.groups for one in found)),
    )


@dataclass(frozen=True, slots=True)
class Groups:
    """All groups of the tree, by name and by member, with all workloads. Created by `Groups.of_all`.

    `by_name` has every member of each group, also those of groups that it includes; `written` is what the files say.
    `of_machines` are the groups with a robot or a workload.
    """

    written: Mapping[str, Group]
    by_name: Mapping[str, Group]
    by_user: Mapping[str, frozenset[str]]
    by_directory_group: Mapping[str, frozenset[str]]
    workloads: Workloads = NO_WORKLOADS
    of_machines: frozenset[str] = frozenset()

    @classmethod
    def of_all(cls, groups: Iterable[Group], workloads: Iterable[Workload] = ()) -> Groups:
        """The table of `groups` and that of `workloads`, each with names that differ."""
        written = {group.name: group for group in groups}
        by_name = {name: _whole(written, group) for name, group in written.items()}
        by_user: dict[str, set[str]] = {}
        by_directory_group: dict[str, set[str]] = {}
        for group in by_name.values():
            for user in group.users:
                by_user.setdefault(user, set()).add(group.name)
            for name in group.groups:
                by_directory_group.setdefault(name, set()).add(group.name)
        kept: dict[frozenset[str], frozenset[str]] = {}  # most members of a team are in the same groups

        def frozen(ways: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
            sets = ((name, frozenset(names)) for name, names in ways.items())
            return {name: kept.setdefault(names, names) for name, names in sets}

        table = Workloads.of_all(workloads)
        machines = [names for user, names in by_user.items() if robot_of(user) is not None]
        machines += [names for group, names in by_directory_group.items() if workload_of(group) is not None]
        of_machines = frozenset[str]().union(*machines)
        return cls(written, by_name, frozen(by_user), frozen(by_directory_group), table, of_machines)

    def holding(self, identity: Identity) -> frozenset[str]:
        """Every group that the identity is in: groups of the tree, its directory groups, and what a workload is.

        A group of the tree hides the directory group of the same name, whose members are not in it for that alone.
        """
        if identity.kind is Kind.ANONYMOUS:
            return _NO_GROUPS
        given = identity.groups
        if identity.sort is Sort.WORKLOAD:
            given |= self.workloads.memberships(identity.source, identity.claims)
        if not self.by_name:
            return given
        found = set(self.by_user.get(identity.subject, ()))
        for name in given:
            if name not in self.by_name:
                found.add(name)
            found.update(self.by_directory_group.get(name, ()))
        return frozenset(found)
