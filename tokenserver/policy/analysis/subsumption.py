"""Subsumption: whether one rule covers another one, with its principals, conditions, registries and names.

Every answer is conservative: True is always right. False can be wrong for principals, where the answer depends on the
members of directory groups. For repository names it is exact where `inner` is for everybody who logs in; where it names
users and groups, its groups fill the variables of `outer`, and its users do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tokenserver.identity import Kind
from tokenserver.policy.analysis.conditions import implies
from tokenserver.policy.analysis.containment import contains, escape_from, may_overlap
from tokenserver.policy.budget import Budget, command_budget
from tokenserver.policy.model import Condition, Groups, Principals, Rule
from tokenserver.policy.patterns import Pattern, SegmentKind
from tokenserver.policy.variables.filling import filled

NOBODY = Principals()

_LOGGED_IN = frozenset(kind for kind in Kind if kind is not Kind.ANONYMOUS)


def covers(outer: Rule, inner: Rule, groups: Groups, actions: frozenset[str], budget: Budget | None = None) -> bool:
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
        and covers_people(outer.to, inner.to, groups)
        and excludes_no_more(outer.excluded or NOBODY, inner, groups)
        and covers_condition(outer.condition, inner)
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
    """For each user and group by name: the groups that such a client is certainly in."""
    for user in sorted(to.users):
        yield groups.by_user.get(user, frozenset())
    for group in sorted(to.groups):
        more = groups.by_directory_group.get(group, frozenset()) if group not in groups.by_name else frozenset()
        yield more | {group}


def covers_services(outer: frozenset[str] | None, inner: frozenset[str] | None) -> bool:
    """Whether the registries `outer` include all of `inner` (None: all registries)."""
    return outer is None or (inner is not None and inner <= outer)


def covers_people(outer: Principals, inner: Principals, groups: Groups) -> bool:
    """Whether `outer` includes everybody in `inner`. An empty `inner` is always included."""
    if outer.everyone:
        return True
    if inner.everyone and not (outer.authenticated and outer.anonymous):
        return False
    if inner.anonymous and not outer.anonymous:
        return False
    if outer.authenticated:
        return True
    return (
        not inner.authenticated
        and not inner.everyone
        and all(_has_user(outer, user, groups) for user in inner.users)
        and all(_has_group(outer, group, groups) for group in inner.groups)
    )


def excludes_no_more(excluded: Principals, inner: Rule, groups: Groups) -> bool:
    """Whether `excluded` includes nobody to whom `inner` applies."""
    if covers_people(inner.excluded or NOBODY, excluded, groups):
        return True
    if excluded.everyone or (excluded.anonymous and (inner.to.anonymous or inner.to.everyone)):
        return False
    if not (excluded.authenticated or excluded.users or excluded.groups):
        return True
    if inner.to.everyone or inner.to.authenticated or inner.to.groups:
        return False  # some of them may have an excluded name or be in an excluded directory group
    if not inner.to.users:
        return True  # anonymous clients have neither groups nor a name
    members = excluded.users.union(*(groups.by_name[name].users for name in excluded.groups if name in groups.by_name))
    return (
        not excluded.authenticated
        and inner.to.users.isdisjoint(members)
        and all(name in groups.by_name and not groups.by_name[name].groups for name in excluded.groups)
    )


def covers_condition(outer: Condition | None, inner: Rule) -> bool:
    """Whether `outer` holds whenever the condition of `inner` does, for every kind of credential of `inner`."""
    return outer is None or implies(replace(inner.condition or Condition(), kinds=kinds_of(inner)), outer)


def kinds_of(rule: Rule) -> frozenset[Kind]:
    """The kinds of credential that a rule can apply to; none where its principals and its `kind` exclude each other."""
    to = rule.to
    possible: frozenset[Kind] = frozenset()
    if to.everyone or to.anonymous:
        possible |= {Kind.ANONYMOUS}
    if to.everyone or to.authenticated or to.users or to.groups:
        possible |= _LOGGED_IN
    asked = rule.condition.kinds if rule.condition is not None else frozenset()
    return possible & asked if asked else possible


def _has_user(people: Principals, user: str, groups: Groups) -> bool:
    return user in people.users or not people.groups.isdisjoint(groups.by_user.get(user, frozenset()))


def _has_group(people: Principals, name: str, groups: Groups) -> bool:
    if name in people.groups:
        return True
    group = groups.by_name.get(name)
    return (
        group is not None
        and all(_has_user(people, user, groups) for user in group.users)
        and all(_has_directory_group(people, member, groups) for member in group.groups)
    )


def _has_directory_group(people: Principals, name: str, groups: Groups) -> bool:
    """Whether `people` include all members of this directory group. A group of the tree hides one of the same name."""
    is_meant = name in people.groups and name not in groups.by_name
    return is_meant or not people.groups.isdisjoint(groups.by_directory_group.get(name, frozenset()))
