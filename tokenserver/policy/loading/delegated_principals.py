"""Principals that a rule of a delegated file names although its mandate limits them to others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tokenserver.patterns import Capture
from tokenserver.policy.group_names import plain_name
from tokenserver.policy.groups import included
from tokenserver.policy.machines.robots import robot_of
from tokenserver.policy.machines.workloads import base_of, membership, workload_of
from tokenserver.policy.model import Group, Principals
from tokenserver.policy.principals import client_principal, group_principal
from tokenserver.policy.syntax.file import PolicyFile

_SETS = ("everyone", "authenticated", "anonymous", "robots", "workloads")


@dataclass(frozen=True, slots=True)
class DelegatedPrincipals:
    """The principals `given` to a file, which declares the machines `own` (subjects, and memberships of workloads).

    `groups` are all groups as written, by their name in the tree.
    """

    given: Principals
    own: frozenset[str]
    groups: Mapping[str, Group]

    @classmethod
    def of(cls, given: Principals, file: PolicyFile, groups: Mapping[str, Group]) -> DelegatedPrincipals:
        """What this file may name if `given` is delegated to it."""
        robots = (robot.subject for _, robot in file.robots)
        workloads = (membership(workload.name) for _, workload in file.workloads)
        return cls(given, frozenset((*robots, *workloads)), groups)

    def beyond(self, named: Principals) -> Iterator[str]:
        """The principals that are named but not delegated, in words.

        `everyone` delegates all of them, `authenticated` all people and groups of people, `robots` and `workloads` all
        machines of the sort. A file may name its own machines. A local group counts as its members; a group of a root
        file is delegated by its name, or by that of a group that includes it.
        """
        if self.given.everyone:
            return
        yield from (sort for sort in _SETS if getattr(named, sort) and not getattr(self.given, sort))
        yield from (str(client_principal(subject)) for subject in sorted(named.users) if not self._has(subject))
        beyond = sorted(named.groups - self.given.groups)
        reached = self._reached() if beyond else frozenset()
        for name in beyond:
            yield from self._members_beyond(name, reached)

    def captured_beyond(self, captures: tuple[Capture, ...]) -> Iterator[str]:
        """The members of groups of root files with such a name who are not delegated, if all people are."""
        reached = self._reached()
        for name in sorted(self.groups):
            if plain_name(name) == name and any(capture.value(name) is not None for capture in captures):
                yield from self._members_beyond(name, reached)

    def _has(self, subject: str) -> bool:
        """Whether the user or robot is delegated."""
        is_all = self.given.authenticated if robot_of(subject) is None else self.given.robots
        return is_all or subject in self.given.users or subject in self.own

    def _has_workload(self, name: str) -> bool:
        """Whether the workload is delegated, or the one of which it is a part."""
        whole = membership(base_of(name))
        return self.given.workloads or whole in self.given.groups or whole in self.own

    def _reached(self) -> frozenset[str]:
        """The groups that are delegated by name, also through another group."""
        names = self.given.groups
        return names.union(one.name for name in names for one in included(self.groups, name))

    def _members_beyond(self, name: str, reached: frozenset[str]) -> Iterator[str]:
        workload = workload_of(name)
        if workload is not None:
            yield from () if self._has_workload(workload) else (str(group_principal(name)),)
            return
        for one, path in self._spelled_out(name, reached):
            is_local = plain_name(one) != one
            if not is_local and one in reached:
                continue
            if not is_local and not self.given.authenticated:
                yield f"{path}group:{one}"
                continue
            own, within = self.groups.get(one, Group(one)), f"{path}group:{plain_name(one)} with "
            yield from (f"{within}{client_principal(user)}" for user in sorted(own.users) if not self._has(user))
            for group in sorted(own.groups):
                member = workload_of(group)
                if member is not None:
                    yield from () if self._has_workload(member) else (f"{within}{group_principal(group)}",)
                # In `principals:`, the name of a root file's group means that group, not the directory's of that name.
                elif not self.given.authenticated and (group not in self.given.groups or group in self.groups):
                    yield f"{within}the directory group {group}"

    def _spelled_out(self, name: str, reached: frozenset[str]) -> Iterator[tuple[str, str]]:
        """The group, and every group that it includes without a delegation, each once, with the way to it in words."""
        pending, seen = [(name, "")], {name}
        while pending:
            one, path = pending.pop()
            yield one, path
            is_local = plain_name(one) != one
            if one in self.groups and (is_local or (self.given.authenticated and one not in reached)):
                more = sorted(self.groups[one].includes - seen)
                pending += [(further, f"{path}group:{plain_name(one)} with ") for further in more]
                seen.update(more)
