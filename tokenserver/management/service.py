"""The management of stored credentials, for pages and the API: each operation checks rights and writes audit events."""

from __future__ import annotations

from contextlib import AbstractContextManager

from tokenserver.config.credentials import AccessKeySettings
from tokenserver.credentials import Secret
from tokenserver.exchange.service import denials_of, ruling_for
from tokenserver.identity import Kind
from tokenserver.management.actors import Actor
from tokenserver.management.context import ManagementContext
from tokenserver.management.operations.access_keys import AccessKeyManagement
from tokenserver.management.operations.logins import LoginManagement
from tokenserver.management.operations.robot_secrets import RobotManagement
from tokenserver.management.rights import may_manage
from tokenserver.management.views import ExplainedRuling, GroupOrigin, LoginView, RobotView, WhoAmI
from tokenserver.management.wishes import KeyWish
from tokenserver.policy.administration import is_administrator
from tokenserver.policy.group_names import plain_name
from tokenserver.policy.machines.workloads import workload_of
from tokenserver.scopes import ScopeLimits, ScopeRequest
from tokenserver.storage.credential import StoredCredential
from tokenserver.storage.people.holders import Holder, holders
from tokenserver.storage.selection import Listed, Selection


class Management:
    """What actors may know and change. Its parts document the rights and errors of each operation."""

    def __init__(self, context: ManagementContext) -> None:
        self.context = context
        self._keys = AccessKeyManagement(context)
        self._robots = RobotManagement(context)
        self._logins = LoginManagement(context)

    @property
    def scope_limits(self) -> ScopeLimits:
        """How many scopes one explanation may cover."""
        limits = self.context.settings.limits
        return ScopeLimits(limits.scopes, limits.scope_bytes)

    def reading(self) -> AbstractContextManager[None]:
        """In this context, all that is read from the storage goes over one connection.

        Raises:
            StorageUnavailable: the storage does not answer.
        """
        return self.context.store.database.reading()

    def whoami(self, actor: Actor) -> WhoAmI:
        """The actor as the server knows it, whatever credential it used.

        Raises:
            StorageUnavailable: its credential is stored, and the storage does not answer.
        """
        identity, policies = actor.identity, self.context.policies
        found = sorted(policies.groups.holding(identity))
        groups = [
            GroupOrigin(plain_name(name), "source" if name in identity.groups else "tree")
            for name in found
            if workload_of(name) is None
        ]
        return WhoAmI(
            subject=identity.subject,
            sort=identity.sort,
            kind=identity.kind,
            source=identity.source,
            groups=tuple(groups),
            workloads=tuple(one for one in map(workload_of, found) if one is not None),
            credential=identity.credential,
            via=identity.via or ("" if actor.session is None else "browser"),
            ends=self._end(actor),
            is_administrator=is_administrator(policies, identity),
            may_manage=may_manage(policies, identity),
        )

    @property
    def access_key_settings(self) -> AccessKeySettings:
        """See `AccessKeyManagement.settings`."""
        return self._keys.settings

    def access_keys(self, actor: Actor, user: str | None = None) -> list[Listed]:
        """See `AccessKeyManagement.listed`."""
        return self._keys.listed(actor, user)

    def access_key(self, actor: Actor, identifier: str) -> Listed:
        """See `AccessKeyManagement.one`."""
        return self._keys.one(actor, identifier)

    def create_access_key(
        self, actor: Actor, wish: KeyWish, user: str | None = None, reason: str | None = None
    ) -> tuple[Secret, StoredCredential]:
        """See `AccessKeyManagement.create`."""
        return self._keys.create(actor, wish, user, reason)

    def rename_access_key(self, actor: Actor, identifier: str, name: str) -> Listed:
        """See `AccessKeyManagement.rename`."""
        return self._keys.rename(actor, identifier, name)

    def rotate_access_key(
        self, actor: Actor, identifier: str, lifetime: int | None = None
    ) -> tuple[Secret, StoredCredential]:
        """See `AccessKeyManagement.rotate`."""
        return self._keys.rotate(actor, identifier, lifetime)

    def end_access_key(self, actor: Actor, identifier: str, reason: str | None = None) -> None:
        """See `AccessKeyManagement.end`."""
        self._keys.end(actor, identifier, reason)

    def robots(self, actor: Actor) -> list[RobotView]:
        """See `RobotManagement.listed`."""
        return self._robots.listed(actor)

    def robot(self, actor: Actor, name: str) -> RobotView:
        """See `RobotManagement.one`."""
        return self._robots.one(actor, name)

    def create_robot_secret(self, actor: Actor, name: str, wish: KeyWish) -> tuple[Secret, StoredCredential]:
        """See `RobotManagement.create`."""
        return self._robots.create(actor, name, wish)

    def rotate_robot_secret(
        self, actor: Actor, name: str, identifier: str, lifetime: int | None = None
    ) -> tuple[Secret, StoredCredential]:
        """See `RobotManagement.rotate`."""
        return self._robots.rotate(actor, name, identifier, lifetime)

    def end_robot_secret(self, actor: Actor, name: str, identifier: str) -> None:
        """See `RobotManagement.end`."""
        self._robots.end(actor, name, identifier)

    def logins(self, actor: Actor, user: str | None = None) -> list[LoginView]:
        """See `LoginManagement.listed`."""
        return self._logins.listed(actor, user)

    def end_login(self, actor: Actor, identifier: str, user: str | None = None) -> None:
        """See `LoginManagement.end`."""
        self._logins.end(actor, identifier, user)

    def end_logins_of(self, actor: Actor, subject: str, reason: str | None = None) -> int:
        """See `LoginManagement.end_all`."""
        return self._logins.end_all(actor, subject, reason)

    def holders(self, actor: Actor) -> list[Holder]:
        """All owners of access keys or logins, for administrators.

        Raises:
            MayNotManage: the actor is none.
            StorageUnavailable: the storage does not answer.
        """
        self.context.require_administrator(actor)
        return holders(self.context.store.database, now=int(self.context.now()))

    def explain(self, actor: Actor, service: str | None, scopes: ScopeRequest) -> ExplainedRuling:
        """What the actor would be granted now at a registry, and why.

        Raises:
            InvalidRequest, UnusableAccessKey, Incomplete: as a request for a token.
        """
        snapshot, now = self.context.snapshot(), self.context.now
        registry = snapshot.registry(service)
        ruling = ruling_for(snapshot, registry, actor.identity, scopes, actor.client, now=now)
        return ExplainedRuling(ruling, denials_of(snapshot, ruling, actor.client, now()))

    def _end(self, actor: Actor) -> int | None:
        """When the credential or session that the actor used expires."""
        identity = actor.identity
        if actor.session is not None:
            return actor.session.ends
        if not identity.credential:
            return None
        if identity.kind is Kind.ROBOT:
            robots = self.context.policies.robots.values()
            declared = [one for robot in robots for one in robot.secrets if one.id == identity.credential]
            if declared:
                return int(declared[0].expires.timestamp())
        found = self.context.store.listed(Selection(ids=frozenset({identity.credential})))
        return found[0].credential.ends if found else None
