"""The types of the policy language: principals, conditions, rules, groups, and the policy set they make up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from tokenserver.errors import Fault
from tokenserver.identity import MACHINES, Identity, Kind, Namespaces, Sort
from tokenserver.patterns import Pattern
from tokenserver.policy.group_names import shown_name
from tokenserver.policy.groups import Group as Group  # noqa: PLC0414 - part of the model
from tokenserver.policy.groups import Groups as Groups  # noqa: PLC0414 - part of the model
from tokenserver.policy.machines.robots import Robot
from tokenserver.policy.machines.workloads import shown_workload
from tokenserver.policy.networks import Network, Prefixes, have_address, prefixes_of
from tokenserver.scopes import ACTIONS, REPOSITORY_ACTIONS

_EVERY_ACTION = frozenset(ACTIONS)


class Effect(StrEnum):
    """The effect of a rule on its actions. A deny always wins."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of a decision.

    `service` is the registry that will read the token, `client` the address of the client (None: unknown), `now`
    an aware time in UTC.
    """

    service: str
    client: IPv4Address | IPv6Address | None
    now: datetime


@dataclass(frozen=True, slots=True, order=True)
class Principal:
    """One principal as it is written: `sort` is one of `everyone authenticated anonymous robots workloads`, which are
    sets, or of `user robot workload group`, with a name.

    Answers also use the sort `namespace` where user sources map names: a user for whom `${user}` is that. `policy diff`
    also uses the sort `directory`: a directory group, even if a group of the tree hides it.
    """

    sort: str
    name: str = ""

    def __str__(self) -> str:
        show = _SHOWN.get(self.sort)
        name = self.name if show is None else show(self.name)
        if name.startswith(" where "):
            return f"{self.sort}s{name}"  # any workload with these claims
        return f"{self.sort}:{name}" if self.name else self.sort


_SHOWN: Mapping[str, Callable[[str], str]] = {"group": shown_name, "workload": shown_workload}


@dataclass(frozen=True, slots=True)
class Principals:
    """A set of principals of a rule. An empty one includes nobody.

    `authenticated` are the people who log in, `robots` and `workloads` all machines of either sort. `users` are
    subjects, those of users and of robots by name; `groups` are groups, and the `membership` of workloads by name.
    """

    everyone: bool = False
    authenticated: bool = False
    anonymous: bool = False
    robots: bool = False
    workloads: bool = False
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    def include(self, identity: Identity, groups: frozenset[str]) -> bool:
        """Whether the identity, being in `groups`, is one of them. An anonymous one is no user of any name."""
        if self.everyone:
            return True
        kind = identity.kind
        if kind is Kind.ANONYMOUS:
            return self.anonymous
        if kind not in MACHINES:
            is_one = self.authenticated
        else:
            is_one = self.robots if identity.sort is Sort.ROBOT else self.workloads
        return is_one or identity.subject in self.users or not self.groups.isdisjoint(groups)

    @property
    def are_named(self) -> bool:
        """Whether only clients and groups by name are in this set."""
        return not (self.everyone or self.authenticated or self.anonymous or self.robots or self.workloads)


@dataclass(frozen=True, slots=True)
class Condition:
    """A rule's `when`. Empty parts always hold.

    The client's address must be in one of `networks` and in none of `outside`.
    """

    networks: tuple[Network, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    kinds: frozenset[Kind] = frozenset()
    outside: tuple[Network, ...] = ()
    prefixes: Prefixes = field(init=False, repr=False, compare=False)
    """`networks` in the form for lookups."""
    outside_prefixes: Prefixes = field(init=False, repr=False, compare=False)
    """`outside` in the form for lookups."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "prefixes", prefixes_of(self.networks))
        object.__setattr__(self, "outside_prefixes", prefixes_of(self.outside))

    @property
    def of_address(self) -> Condition:
        """The part about the client's address."""
        return Condition(self.networks, outside=self.outside)

    @property
    def needs_address(self) -> bool:
        """Whether it depends on the client's address."""
        return bool(self.networks or self.outside)

    def holds(self, kind: Kind, context: Context) -> bool | None:
        """Whether every part holds; None if that depends on the client's address, which is unknown."""
        if self.since is not None and context.now < self.since:
            return False
        if self.until is not None and context.now >= self.until:
            return False
        if self.kinds and kind not in self.kinds:
            return False
        if not self.networks and not self.outside:
            return True
        client = context.client
        if client is None:
            return None
        if isinstance(client, IPv6Address) and client.ipv4_mapped is not None:
            client = client.ipv4_mapped  # a dual-stack socket shows IPv4 clients like this
        if self.networks and not have_address(self.prefixes, client):
            return False
        return not self.outside or not have_address(self.outside_prefixes, client)


@dataclass(frozen=True, slots=True)
class Rule:
    """One allow or deny, compiled. Made by `Rule.of`.

    `actions` is what the rule covers after `*` has been spelled out. `max_lifetime` (seconds) bounds tokens in which
    an allow grants something. What one of `without` covers, for anybody, the rule does not cover. `capturing` are the
    principals whose captures the patterns use, as written; `to` is then everybody who logs in.
    """

    id: str
    file: str
    line: int
    effect: Effect
    resource_type: str
    patterns: tuple[Pattern, ...]
    actions: frozenset[str]
    to: Principals
    excluded: Principals | None = None
    condition: Condition | None = None
    services: frozenset[str] | None = None
    message: str | None = None
    max_lifetime: int | None = None
    without: tuple[Pattern, ...] = ()
    capturing: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        id: str,  # noqa: A002 - the word of the policy language
        effect: Effect,
        to: Principals,
        patterns: Iterable[Pattern],
        actions: Iterable[str],
        *,
        resource_type: str = "repository",
        excluded: Principals | None = None,
        condition: Condition | None = None,
        services: frozenset[str] | None = None,
        message: str | None = None,
        max_lifetime: int | None = None,
        without: Iterable[Pattern] = (),
        capturing: tuple[str, ...] = (),
        file: str = "",
        line: int = 0,
    ) -> Rule:
        """A rule from what a file says.

        A deny of `*` covers every action. An allow of `*` covers every action on a repository, and nothing but
        the literal `*` on a registry resource.
        """
        covered = frozenset(actions)
        if "*" in covered and (effect is Effect.DENY or resource_type == "repository"):
            covered = _EVERY_ACTION
        return cls(
            id, file, line, effect, resource_type, tuple(patterns), covered,
            to, excluded, condition, services, message, max_lifetime, tuple(without), capturing,
        )  # fmt: skip

    def decides(self, action: str) -> bool:
        """Whether the rule, where it applies, grants or forbids `action`.

        Any deny forbids the literal `*`, which a registry may read as "everything".
        """
        return action in self.actions or (action == "*" and self.effect is Effect.DENY)


Entry = tuple[Rule, Pattern]
"""A rule under one of its patterns."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The entries whose patterns begin with the same literal segments, by a further literal segment, and by principal.

    `broad` applies to every client; the others are looked up by user name and group. `by_literal` has the entries whose
    patterns have a literal segment after a wildcard, by one such segment, in buckets of their own. If there are only a
    few entries, all are in `broad`, since trying them is faster than a lookup.
    """

    broad: tuple[Entry, ...]
    by_user: Mapping[str, tuple[Entry, ...]]
    by_group: Mapping[str, tuple[Entry, ...]]
    by_literal: Mapping[str, Bucket]


Index = Mapping[str, Mapping[str, Mapping[str, Bucket]]]
"""By resource type, by the first segment and then all of the pattern's literal prefix (empty: there is none).

One table for each first segment keeps the entries of one team together, however many teams there are.
"""


@dataclass(frozen=True, slots=True)
class Ownership:
    """A namespace that the root file `file` delegates, at `registries` (empty: all), and its owners' `contact`."""

    file: str
    place: tuple[str | int, ...]
    patterns: tuple[Pattern, ...]
    registries: tuple[str, ...]
    contact: str | None


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policy files as one frozen value. `digest` identifies it: SHA-256 over file names and contents.

    `is_marked`: the files end with the line that marks them complete. `notes` report delegated files that are not fully
    in effect although these policies are live: their failing tests, and their pending changes. `owners` is who has
    which namespace; nothing is decided by it. `robots` are the declared robots by name; the declared workloads are in
    `groups`, as it depends on them which groups a workload is in. `administrators` manage the credentials of others;
    nothing is decided by it, see `administration`. `namespaces` is what user sources map names to, for
    questions about clients that are not there; None: the value of `${user}` is the user's name. `offered` is empty, or
    the digest of the files on disk, of which these policies only have the end of machines.
    """

    digest: str
    files: tuple[str, ...]
    rules: tuple[Rule, ...] = field(repr=False)
    groups: Groups = field(repr=False)
    index: Index = field(repr=False)
    is_marked: bool = False
    notes: tuple[Fault, ...] = field(default=(), repr=False)
    owners: tuple[Ownership, ...] = field(default=(), repr=False)
    namespaces: Namespaces | None = None
    robots: Mapping[str, Robot] = field(default_factory=dict, repr=False)
    administrators: Principals = Principals()
    offered: str = ""
    texts: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """The text of each file, for comparisons with what somebody would like to change."""

    @property
    def rule_count(self) -> int:
        """How many rules there are, allow and deny together."""
        return len(self.rules)


BUILT_IN_ROLES: Mapping[str, frozenset[str]] = {
    "reader": frozenset({"pull"}),
    "writer": frozenset({"pull", "push"}),
    "maintainer": frozenset(REPOSITORY_ACTIONS),
}
