"""Subsumption: whether one rule covers another one, with its principals, conditions, registries and names.

Every answer is conservative: True is always right. False can be wrong for principals, where the answer depends on the
members of directory groups and on the claims of workloads. For repository names it is exact where `inner` is for
everybody who logs in; where it names users and groups, its groups fill the variables of `outer`, and its users do not.

`kinds` are those of the credentials that clients can have: those of `possible_kinds`, or all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tokenserver.identity import PEOPLE, Kind
from tokenserver.patterns import Pattern, SegmentKind
from tokenserver.policy.analysis.conditions import implies
from tokenserver.policy.analysis.containment import contains, escape_from, may_overlap
from tokenserver.policy.budget import Budget, command_budget
from tokenserver.policy.machines.robots import robot_of
from tokenserver.policy.machines.workloads import is_declared, workload_of
from tokenserver.policy.model import Condition, Groups, PolicySet, Principals, Rule
from tokenserver.policy.variables.filling import filled

NOBODY = Principals()

EVERY_KIND = frozenset(Kind)


def possible_kinds(policies: PolicySet) -> frozenset[Kind]:
    """The kinds of credential that clients can have: those of machines only if some are declared."""
    absent = set() if policies.robots else {Kind.ROBOT}
    if not any(map(is_declared, policies.groups.workloads.by_name)):
        absent.add(Kind.WORKLOAD)
    return EVERY_KIND - absent


def covers(
    outer: Rule,
    inner: Rule,
    groups: Groups,
    actions: frozenset[str],
    budget: Budget | None = None,
    *,
    kinds: frozenset[Kind] = EVERY_KIND,
) -> bool:
    """Whether `outer` applies wherever `inner` does, for `actions` of `inner`.

    Raises:
        TooComplex: not decided within the budget (None: that of one command).
    """
    budget = budget or command_budget()
    budget.spend(1 + (len(outer.patterns) + len(outer.without)) * len(inner.patterns) // 16)
    return (
        outer.resource_type == inner.resource_type
        and actions <= outer.actions
        and covers_services(outer.services, inner.services)
        and covers_people(outer.to, recipients(inner, groups), groups, kinds)
        and excludes_no_more(outer.excluded or NOBODY, inner, groups, kinds)
        and covers_condition(outer.condition, inner, groups, kinds)
        and all(_covers_names(outer, inner, pattern, groups, budget) for pattern in inner.patterns)
    )


def _covers_names(outer: Rule, inner: Rule, pattern: Pattern, groups: Groups, budget: Budget) -> bool:
    """Whether `outer` has every name that `inner` has by one of its patterns, for the same client."""
    for part in outer.without:
        if may_overlap(part, pattern) and escape_from(inner.without, (pattern, part), budget.question()) is not None:
            return False
    if contains((*outer.patterns, *inner.without), pattern, budget.question()):
        return True
    variable = [one for one in outer.patterns if one.uses(SegmentKind.GROUP)]
    if not variable or pattern.uses(SegmentKind.GROUP) or not inner.to.are_named:
        return False
    for held in known_groups(inner.to, groups):
        budget.spend(1 + len(variable) * len(held) // 16)
        own = [made for one in variable for name in sorted(held) for made in filled(one, group=name)]
        if not contains((*outer.patterns, *own, *inner.without), pattern, budget.question()):
            return False
    return True


def known_groups(to: Principals, groups: Groups) -> Iterator[frozenset[str]]:
    """For each user, robot, group and workload by name: the groups that such a client is certainly in.

    What a workload is counts as a group of its clients.
    """
    for user in sorted(to.users):
        yield groups.by_user.get(user, frozenset())
    for group in sorted(to.groups):
        workload = workload_of(group)
        if workload is not None:
            yield known_of_workload(workload, groups)
            continue
        more = groups.by_directory_group.get(group, frozenset()) if group not in groups.by_name else frozenset()
        yield more | {group}


def known_of_workload(name: str, groups: Groups) -> frozenset[str]:
    """What each client of a workload is: the `membership` of workloads, and groups of the tree."""
    implied = groups.workloads.implied(name)
    return implied.union(*(groups.by_directory_group.get(one, frozenset()) for one in implied))


def covers_services(outer: frozenset[str] | None, inner: frozenset[str] | None) -> bool:
    """Whether the registries `outer` include all of `inner` (None: all registries)."""
    return outer is None or (inner is not None and inner <= outer)


def recipients(rule: Rule, groups: Groups) -> Principals:
    """The principals of a rule. One that captures is for machines only if these groups have some that it takes."""
    to = rule.to
    if not rule.capturing or not (to.robots or to.workloads):
        return to
    captures = {capture for pattern in rule.patterns for capture in pattern.captures}
    if any(capture.value(name) is not None for name in groups.of_machines for capture in captures):
        return to
    return replace(to, robots=False, workloads=False)


def covers_people(outer: Principals, inner: Principals, groups: Groups, kinds: frozenset[Kind] = EVERY_KIND) -> bool:
    """Whether `outer` includes every client in `inner`. An empty `inner` is always included."""
    if outer.everyone:
        return True
    every = inner.everyone
    return (
        (outer.anonymous or not (every or inner.anonymous))
        and (outer.authenticated or not (every or inner.authenticated))
        and (outer.robots or not (every or inner.robots) or Kind.ROBOT not in kinds)
        and (outer.workloads or not (every or inner.workloads) or Kind.WORKLOAD not in kinds)
        and all(_has_client(outer, subject, groups) for subject in inner.users)
        and all(_has_group(outer, group, groups) for group in inner.groups)
    )


def excludes_no_more(excluded: Principals, inner: Rule, groups: Groups, kinds: frozenset[Kind] = EVERY_KIND) -> bool:
    """Whether `excluded` includes nobody to whom `inner` applies."""
    if covers_people(inner.excluded or NOBODY, excluded, groups, kinds):
        return True
    to = recipients(inner, groups)
    if excluded.everyone or (excluded.anonymous and (to.anonymous or to.everyone)):
        return False
    return not (_may_share_people(excluded, to, groups) or may_share_machines(excluded, to, groups))


def _may_share_people(excluded: Principals, to: Principals, groups: Groups) -> bool:
    """Whether a person who logs in may be in both; `excluded` is not everyone."""
    users, named = people_named(excluded, groups)
    if not (excluded.authenticated or users or named):
        return False
    own, own_groups = people_named(to, groups)
    if to.everyone or to.authenticated or own_groups:
        return True  # some of them may have an excluded name or be in an excluded directory group
    if not own:
        return False  # anonymous clients have neither groups nor a name
    members = users.union(*(groups.by_name[name].users for name in named if name in groups.by_name))
    return excluded.authenticated or not own.isdisjoint(members) or any(is_open(name, groups) for name in named)


def people_named(found: Principals, groups: Groups) -> tuple[frozenset[str], frozenset[str]]:
    """The users by name, and the groups that may have users."""
    users = frozenset(subject for subject in found.users if robot_of(subject) is None)
    return users, frozenset(name for name in found.groups if _may_have_people(name, groups))


def is_open(name: str, groups: Groups) -> bool:
    """Whether any user may be in the group, because a directory has its members."""
    group = groups.by_name.get(name)
    return group is None or any(workload_of(member) is None for member in group.groups)


def _may_have_people(name: str, groups: Groups) -> bool:
    """Whether users may be in the group; one without any member counts as one of users."""
    if workload_of(name) is not None:
        return False
    if name not in groups.of_machines:
        return True
    return is_open(name, groups) or any(robot_of(subject) is None for subject in groups.by_name[name].users)


def may_share_machines(one: Principals, other: Principals, groups: Groups) -> bool:
    """Whether a machine may be in both. Clients of different sources are never the same, all others may be."""
    robots = [_robots_in(found, groups) for found in (one, other)]
    if _may_meet(*robots):
        return True
    workloads = [_workloads_in(found, groups) for found in (one, other)]
    known = groups.workloads.by_name
    sources = [
        None if found is None else frozenset(known[name].source for name in found if name in known)
        for found in workloads
    ]
    return _may_meet(*(None if found is not None and "" in found else found for found in sources))


def _may_meet(one: frozenset[str] | None, other: frozenset[str] | None) -> bool:
    """Whether two sets may have something in common; None: all."""
    if one is None or other is None:
        return one is other or bool(one) or bool(other)
    return not one.isdisjoint(other)


def _robots_in(found: Principals, groups: Groups) -> frozenset[str] | None:
    """The subjects of the robots; None: all robots."""
    if found.everyone or found.robots:
        return None
    members = (groups.by_name[name].users for name in found.groups & groups.of_machines)
    return frozenset(subject for subject in found.users.union(*members) if robot_of(subject) is not None)


def _workloads_in(found: Principals, groups: Groups) -> frozenset[str] | None:
    """The names of the workloads; None: all workloads."""
    if found.everyone or found.workloads:
        return None
    members = (groups.by_name[name].groups for name in found.groups & groups.of_machines)
    names = map(workload_of, found.groups.union(*members))
    return frozenset(name for name in names if name is not None)


def covers_condition(outer: Condition | None, inner: Rule, groups: Groups, kinds: frozenset[Kind] = EVERY_KIND) -> bool:
    """Whether `outer` holds whenever the condition of `inner` does, for every kind of credential of `inner`."""
    if outer is None:
        return True
    return implies(replace(inner.condition or Condition(), kinds=kinds_of(inner, groups, kinds)), outer)


def kinds_of(rule: Rule, groups: Groups, kinds: frozenset[Kind] = EVERY_KIND) -> frozenset[Kind]:
    """The kinds of credential that a rule can apply to; none where its principals and its `kind` exclude each other."""
    to = recipients(rule, groups)
    possible = kinds if to.everyone else _kinds_in(to, groups, kinds)
    asked = rule.condition.kinds if rule.condition is not None else frozenset()
    return possible & asked if asked else possible


def _kinds_in(to: Principals, groups: Groups, kinds: frozenset[Kind]) -> frozenset[Kind]:
    """Those of these kinds of credential that clients in `to` have, which is not everyone."""
    found: set[Kind] = set()
    if to.anonymous:
        found.add(Kind.ANONYMOUS)
    if to.authenticated or any(people_named(to, groups)):
        found |= PEOPLE
    if Kind.ROBOT in kinds and _robots_in(to, groups) != frozenset():
        found.add(Kind.ROBOT)
    if Kind.WORKLOAD in kinds and _workloads_in(to, groups) != frozenset():
        found.add(Kind.WORKLOAD)
    return kinds & found


def _has_client(people: Principals, subject: str, groups: Groups) -> bool:
    """Whether `people` include the user or robot with this subject."""
    is_meant = people.authenticated if robot_of(subject) is None else people.robots
    is_meant = is_meant or subject in people.users
    return is_meant or not people.groups.isdisjoint(groups.by_user.get(subject, frozenset()))


def _has_group(people: Principals, name: str, groups: Groups) -> bool:
    """Whether `people` include all members of this group, or all clients with this `membership` of a workload."""
    if name in people.groups:
        return True
    workload = workload_of(name)
    if workload is not None:
        return people.workloads or not people.groups.isdisjoint(known_of_workload(workload, groups))
    if people.authenticated and name not in groups.of_machines:
        return True
    group = groups.by_name.get(name)
    return (
        group is not None
        and all(_has_client(people, subject, groups) for subject in group.users)
        and all(_has_member(people, member, groups) for member in group.groups)
    )


def _has_member(people: Principals, name: str, groups: Groups) -> bool:
    """Whether `people` include all who are in a group by this directory group or workload.

    A group of the tree hides a directory group of the same name.
    """
    if workload_of(name) is not None:
        return _has_group(people, name, groups)
    is_meant = people.authenticated or (name in people.groups and name not in groups.by_name)
    return is_meant or not people.groups.isdisjoint(groups.by_directory_group.get(name, frozenset()))
