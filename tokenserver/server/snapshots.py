"""Snapshot composition: which versions of the parts are consistent, and the frozen whole that exchanges read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

from tokenserver.authn.authenticator import is_current
from tokenserver.authn.chain import Chain, joined_stamp
from tokenserver.authn.equal_work import EqualWork
from tokenserver.authn.hooks.source import HookSource
from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.authn.oidc.client import ProviderClient
from tokenserver.authn.oidc.source import OidcSource
from tokenserver.authn.protection.guard import Protection
from tokenserver.authn.robots.declared import DeclaredRobots
from tokenserver.authn.sql.backend import SqlUsers
from tokenserver.authn.stored.backend import StoredCredentials
from tokenserver.authn.stored.owners import Owners
from tokenserver.authn.workload.backend import WorkloadSource
from tokenserver.authn.workload.jwt_reader import looks_like_jwt
from tokenserver.config.settings import Settings
from tokenserver.errors import Fault
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.identity import Identity
from tokenserver.policy.model import PolicySet
from tokenserver.server.registry_keys import registries_of
from tokenserver.server.sources.oidc_sources import oidc_sources
from tokenserver.server.sources.workload_sources import DeclaredWorkloads
from tokenserver.server.stored.parts import StoredParts
from tokenserver.tokens.issuer import TokenIssuer

Key = tuple[str, str]
"""A part: its kind and its name."""

Values = Mapping[Key, object]
"""The loaded value of each part: `Htpasswd`, `LdapDirectory`, `SqlUsers` or `HookSource` for users (by source),
`ProviderClient` for OpenID providers (oidc, by source), `TokenIssuer` for keys (by folder), `PolicySet` for policies
and shadow policies (without a name; the latter may be None)."""

Source = Htpasswd | LdapDirectory | SqlUsers | HookSource


class Composer:
    """Composes snapshots for one configuration. Without `protection`, no login is cached or throttled.

    With `stored`, the credentials in the storage are accepted.
    """

    def __init__(
        self, settings: Settings, protection: Protection | None = None, stored: StoredParts | None = None
    ) -> None:
        self._settings = settings
        self._protection = protection
        self._stored = stored
        self._registries = registries_of(settings)
        self._robots: tuple[PolicySet | None, DeclaredRobots] = (None, DeclaredRobots(()))

    def faults(self, values: Values) -> list[Fault]:
        """Conflicts between parts that are each valid by themselves; some parts may be missing."""
        return [fault for _, fault in _overlaps(_sources(values))]

    def together(self, newest: Values, live: Values) -> tuple[Values, list[Fault]]:
        """As many of the newest parts as can go live together, the live ones for the rest, and the conflicts.

        If two user sources claim the same name, only those of them that changed are kept from going live.
        """
        faults = self.faults(newest)
        if not faults:
            return newest, []
        chosen = dict(newest)
        kept: list[Key] = []
        while overlapping := {key for pair, _ in _overlaps(_sources(chosen)) for key in pair}:
            changed = [key for key in overlapping if chosen[key] is not live[key]]
            if not changed:
                break  # impossible: the live ones are consistent
            chosen |= {key: live[key] for key in changed}
            kept += changed
        while more := next((key for key in sorted(kept) if self._fits(chosen, key, newest)), None):
            chosen[more] = newest[more]
            kept.remove(more)
        return chosen, faults

    def _fits(self, chosen: Values, key: Key, newest: Values) -> bool:
        return not self.faults({**chosen, key: newest[key]})

    def snapshot(self, values: Values) -> Snapshot:
        """The snapshot of these parts."""
        settings = self._settings
        sources = _sources(values)
        issuers = {name: cast("TokenIssuer", value) for (kind, name), value in values.items() if kind == "keys"}
        policies = cast("PolicySet", values["policies", ""])
        users = [sources["users", one.name] for one in settings.user_sources]
        names = [one.name for one in settings.workload_sources]
        trusted = [cast("WorkloadSource", values["workloads", name]) for name in names]
        workloads = DeclaredWorkloads(trusted, policies.groups.workloads) if trusted else None
        robots = self._robots_of(policies)
        known = users if self._protection is None else [_ShelteredUsers(one, self._protection) for one in users]
        owners, providers = None, tuple[OidcSource, ...]()
        if self._stored is not None:
            namespaces = known if settings.namespaces is not None else ()
            clients = {name: cast("ProviderClient", value) for (kind, name), value in values.items() if kind == "oidc"}
            providers = oidc_sources(settings, clients, known, self._stored.openid)
            people = (*known, *providers)  # whose passwords count comes first
            owners = Owners(people, joined_stamp(users), robots, workloads, namespaces, self._protection)
        return Snapshot(
            registries=self._registries,
            chain=_chain(settings, users, known, self._protection, robots, workloads, self._stored, owners),
            owners=owners,
            workload_sources=() if workloads is None else workloads.sources,
            oidc_sources=providers,
            policies=policies,
            issuer=issuers[str(settings.keys.folder)],
            candidate=cast("PolicySet | None", values.get(("shadow_policies", ""))),
            own_issuers={
                entry.service: issuers[str(keys.folder)]
                for keys in settings.key_sets()[1:]
                for entry in keys.registries
            },
        )

    def _robots_of(self, policies: PolicySet) -> DeclaredRobots:
        """The secrets of the declared robots, indexed once for each version of the policies."""
        indexed, robots = self._robots
        if indexed is not policies:
            robots = DeclaredRobots(policies.robots.values())
            self._robots = (policies, robots)
        return robots


def _sources(values: Values) -> dict[Key, Source]:
    return {key: cast("Source", value) for key, value in values.items() if key[0] == "users"}


def _overlaps(sources: Mapping[Key, Source]) -> Iterable[tuple[tuple[Key, Key], Fault]]:
    """Names in two htpasswd files, which would be ambiguous. Between a file and a directory, their order decides."""
    files = [(key, source) for key, source in sources.items() if isinstance(source, Htpasswd)]
    for index, (key, source) in enumerate(files):
        for other, first in files[:index]:
            for user in sorted(source.users & first.users):
                message = f"the user {user!r} is in the source {first.name!r} as well; one name must mean one person"
                yield (other, key), Fault(source.file, 0, "", message)


def _chain(  # noqa: PLR0917 - the parts of a snapshot
    settings: Settings,
    sources: Sequence[Source],
    known: Sequence[Source | _ShelteredUsers],
    protection: Protection | None,
    robots: DeclaredRobots,
    workloads: DeclaredWorkloads | None,
    stored: StoredParts | None,
    owners: Owners | None,
) -> Chain:
    equal = EqualWork(sources, _directly if protection is None else protection.through)
    credentials = None
    if stored is not None and owners is not None:
        asked = [(one.remote.name, one.remote.cache) for one in settings.user_sources if one.remote is not None]
        asked += [(one.name, one.cache) for one in settings.oidc_sources]
        uncached = [name for name, seconds in asked if seconds == 0]
        credentials = StoredCredentials(stored.index, owners, stored.endings, stored.networks, uncached=uncached)
    return Chain(
        sources if protection is None else [protection.sheltered(source) for source in sources],
        anonymous=settings.anonymous,
        decoy=equal.unknown,
        rest=equal,
        guard=protection,
        owners=known if settings.namespaces is not None else (),
        robots=robots,
        stored=credentials,
        workloads=workloads,
        issuer_of=looks_like_jwt,
        revision=None if stored is None else stored.revision,
    )


def _directly(_source: object, question: Callable[[], None]) -> None:
    question()


class _ShelteredUsers:
    """A source that is asked for its users, and for owners of namespaces, under the same bounds as for its logins."""

    def __init__(self, source: Source, protection: Protection) -> None:
        self.name = source.name
        self._source = source
        self._protection = protection

    def owner_of(self, namespace: str) -> str | None:
        """See `NamespaceOwner.owner_of`."""
        return self._protection.through(self._source, lambda: self._source.owner_of(namespace))

    def is_current(self) -> bool:
        """See `FromFile.is_current`."""
        return is_current(self._source)

    def find(self, subject: str) -> Identity | None:
        """See `KnownUsers.find`."""
        return self._protection.through(self._source, lambda: self._source.find(subject))
