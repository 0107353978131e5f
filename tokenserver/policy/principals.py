"""Principals, single and as sets, and the hypothetical clients that questions about policies are asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from tokenserver.identity import ANONYMOUS as ANONYMOUS_IDENTITY
from tokenserver.identity import PEOPLE, Identity, Kind
from tokenserver.policy.machines.robots import robot_of
from tokenserver.policy.machines.robots import subject_of as robot_subject
from tokenserver.policy.machines.workloads import membership, workload_of
from tokenserver.policy.model import PolicySet, Principal, Principals, Rule

EVERYONE, AUTHENTICATED, ANONYMOUS, ROBOTS, WORKLOADS = (
    Principal(sort) for sort in ("everyone", "authenticated", "anonymous", "robots", "workloads")
)

UNNAMED = "\0"
"""The subject of an unnamed user: no policy file can name it, no pattern variable can take it."""

AllOf = frozenset[Principal]
"""Principals that a client must all be, such as a member of two groups; usually a single one."""

_NONE: frozenset[str] = frozenset()


def principals_of(principals: Iterable[Principal]) -> Principals:
    """Single principals as a set."""
    return _principals_of(tuple(principals))


@lru_cache(maxsize=1024)  # most rules of a team name the same principals, so equal sets are one object
def _principals_of(principals: tuple[Principal, ...]) -> Principals:
    sorts = {principal.sort for principal in principals}
    return Principals(
        "everyone" in sorts,
        "authenticated" in sorts,
        "anonymous" in sorts,
        "robots" in sorts,
        "workloads" in sorts,
        frozenset(subject for one in principals if (subject := subject_of(one)) is not None) or _NONE,
        frozenset(group for one in principals if (group := group_of(one)) is not None) or _NONE,
    )


def subject_of(principal: Principal) -> str | None:
    """The subject that the principal names: a user or a robot; None for another principal."""
    if principal.sort == "user":
        return principal.name
    return robot_subject(principal.name) if principal.sort == "robot" else None


def group_of(principal: Principal) -> str | None:
    """The group, or the `membership` of a workload, that the principal names; None for another principal."""
    if principal.sort == "group":
        return principal.name
    return membership(principal.name) if principal.sort == "workload" else None


def client_principal(subject: str) -> Principal:
    """The user or robot with this subject."""
    robot = robot_of(subject)
    return Principal("user", subject) if robot is None else Principal("robot", robot)


def group_principal(group: str) -> Principal:
    """The group of this name, or the workload whose `membership` it is."""
    workload = workload_of(group)
    return Principal("group", group) if workload is None else Principal("workload", workload)


def listed(principals: Principals) -> list[Principal]:
    """A set of principals as single ones, in a fixed order."""
    broad = {
        EVERYONE: principals.everyone,
        AUTHENTICATED: principals.authenticated,
        ANONYMOUS: principals.anonymous,
        ROBOTS: principals.robots,
        WORKLOADS: principals.workloads,
    }
    return [
        *(principal for principal, present in broad.items() if present),
        *map(client_principal, sorted(principals.users)),
        *map(group_principal, sorted(principals.groups)),
    ]


PARTS: Mapping[Principal, frozenset[Kind]] = {
    AUTHENTICATED: PEOPLE,
    ANONYMOUS: frozenset({Kind.ANONYMOUS}),
    ROBOTS: frozenset({Kind.ROBOT}),
    WORKLOADS: frozenset({Kind.WORKLOAD}),
}
"""The disjoint parts of `everyone`, with the kinds of credential that clients of each have."""

_KINDS: Mapping[str, frozenset[Kind]] = {
    "everyone": frozenset(Kind),
    **{part.sort: kinds for part, kinds in PARTS.items()},
    "robot": PARTS[ROBOTS],
    "workload": PARTS[WORKLOADS],
}


def kinds_of(policies: PolicySet, principal: Principal) -> frozenset[Kind]:
    """The kinds of credential that clients have who are this principal; machines are in a group only by name."""
    group = policies.groups.by_name.get(principal.name) if principal.sort == "group" else None
    if group is None:
        return _KINDS.get(principal.sort, PEOPLE)
    members = [*map(client_principal, group.users), *map(group_principal, group.groups)]
    return frozenset[Kind]().union(*(_KINDS.get(one.sort, PEOPLE) for one in members))


def named_by(rules: Iterable[Rule]) -> set[Principal]:
    """The principals that rules name, in `to` and `except`."""
    sets = dict.fromkeys(one for rule in rules for one in (rule.to, rule.excluded) if one is not None)
    return {principal for one in sets for principal in listed(one)}


def filler_of(policies: PolicySet) -> str:
    """The sort of the principal that a value of `${user}` stands for."""
    return "user" if policies.namespaces is None else "namespace"


def groups_with_machines(policies: PolicySet) -> list[Principal]:
    """The groups of the tree that machines are in; they are in no others."""
    groups = policies.groups.by_name
    found = (name for name, one in groups.items() if any(map(robot_of, one.users)) or any(map(workload_of, one.groups)))
    return [Principal("group", name) for name in sorted(found)]


def part_of(identity: Identity) -> Principal:
    """The one of the disjoint parts of `everyone` that the client belongs to."""
    return next(part for part, kinds in PARTS.items() if identity.kind in kinds)


def parts_of_everyone(policies: PolicySet) -> tuple[Principal, ...]:
    """The disjoint parts of `everyone` that have clients: machines are there only if they are declared."""
    machines = {ROBOTS: policies.robots, WORKLOADS: policies.groups.workloads.by_name}
    return (AUTHENTICATED, ANONYMOUS, *(sort for sort, declared in machines.items() if declared))


def includes(principal: Principal, identity: Identity, groups: frozenset[str]) -> bool:
    """Whether the identity, being in `groups`, is the principal, which may be a namespace."""
    if principal.sort == "namespace":
        return not identity.is_anonymous and identity.user_value == principal.name
    return principals_of([principal]).include(identity, groups)


def parted(principals: Iterable[Principal]) -> Iterator[Principal]:
    """The principals, with `everyone` split into its disjoint parts, some of which may have no client."""
    for principal in principals:
        if principal == EVERYONE:
            yield from PARTS
        else:
            yield principal


@dataclass(frozen=True, slots=True)
class HypotheticalClient:
    """A client that a question is about, with all `groups` that it is in.

    `groups` can hold a group of the tree independent of how the client joined it. An unnamed client represents all
    clients of which no more is known.
    """

    identity: Identity
    groups: frozenset[str]

    @property
    def is_unnamed(self) -> bool:
        """Whether the client is a user without a name, or a machine of which no more is known."""
        return is_unnamed(self.identity)

    @property
    def is_open(self) -> bool:
        """Whether the value of `${user}` is not known: any name, or any namespace where user sources map names."""
        return self.identity.user_value == UNNAMED


def client_for(
    policies: PolicySet, principal: Principal, groups: Collection[str] = (), namespace: str | None = None
) -> HypotheticalClient:
    """The client for a principal: a user, an unnamed member of a group, an unnamed user, or an anonymous client.

    A robot or a workload by name, or one of which no more is known; a workload is each one that it implies as well.
    The member of a group is a person if people can be in it, else a robot if robots are, else a workload. `groups` are
    directory groups of a person. `namespace` is that of a user; None: as far as the names tell.
    """
    if principal == ANONYMOUS:
        return HypotheticalClient(ANONYMOUS_IDENTITY, frozenset())
    if principal.sort in _MACHINES:
        machine = _machine(policies, principal)
        return HypotheticalClient(machine, policies.groups.holding(machine))
    subject = principal.name if principal.sort == "user" else UNNAMED
    directory_groups = frozenset(groups)
    if principal.sort == "group" and principal.name not in policies.groups.by_name:
        directory_groups |= {principal.name}
    identity = user_identity(policies, subject, directory_groups, namespace)
    if principal.sort == "group":
        kinds = kinds_of(policies, principal)
        if kinds and kinds.isdisjoint(PEOPLE):
            identity = Identity(UNNAMED, min(kinds), groups=directory_groups)
        return HypotheticalClient(identity, policies.groups.holding(identity) | {principal.name})
    return HypotheticalClient(identity, policies.groups.holding(identity))


_MACHINES = ("robot", "robots", "workload", "workloads")


def _machine(policies: PolicySet, principal: Principal) -> Identity:
    if principal.sort == "robot":
        return Identity(robot_subject(principal.name), Kind.ROBOT)
    if principal.sort == "robots":
        return Identity(UNNAMED, Kind.ROBOT)
    if principal.sort == "workloads":
        return Identity(UNNAMED, Kind.WORKLOAD)
    known = policies.groups.workloads
    source = known.by_name[principal.name].source if principal.name in known.by_name else ""
    return Identity(f"workload:{UNNAMED}", Kind.WORKLOAD, source, known.implied(principal.name))


def user_identity(
    policies: PolicySet, subject: str, groups: Iterable[str] = (), namespace: str | None = None
) -> Identity:
    """The identity of a user as a question names it. An unknown namespace is `UNNAMED`, as is an unknown subject."""
    if namespace is None and policies.namespaces is not None:
        known = None if subject == UNNAMED else policies.namespaces.of(subject)
        namespace = UNNAMED if known is None else known
    return Identity(subject, Kind.PASSWORD, groups=frozenset(groups), namespace=namespace)


def open_namespace(policies: PolicySet) -> str | None:
    """The namespace of a user of whom nothing is known: None where it is the name, else `UNNAMED`."""
    return None if policies.namespaces is None else UNNAMED


def possible_namespaces(policies: PolicySet, name: str, known: str | None) -> list[str | None]:
    """The namespace of a user of this name who has the namespace `known` (as `open_namespace`); empty: impossible."""
    if policies.namespaces is None or known is None:
        return [known]
    if known == UNNAMED:
        found = policies.namespaces.of(name)
        return [UNNAMED if found is None else found]
    return [known] if policies.namespaces.is_possible(name, known) else []


def is_unnamed(identity: Identity) -> bool:
    """Whether the identity is a user without a name, or a machine of which no more is known."""
    return identity.subject == UNNAMED
