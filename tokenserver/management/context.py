"""What every part of the management works with: settings, the current snapshot, the storage, and the audit trail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tokenserver.authn.stored.owners import Owners
from tokenserver.config.settings import Settings
from tokenserver.errors import OutdatedLogin
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.exchange.stored.logins import JumpedClock
from tokenserver.management.actors import Actor
from tokenserver.management.events import ManagementEvents
from tokenserver.management.refusals import ActorEnded, MayNotManage
from tokenserver.management.rights import require_fresh, require_manager
from tokenserver.policy.administration import is_administrator
from tokenserver.policy.machines.near_misses import declared_among
from tokenserver.policy.model import PolicySet
from tokenserver.storage.changes import ActingLogin
from tokenserver.storage.credential import WorkloadProof

if TYPE_CHECKING:  # the storage takes a while to import, and is not needed without one
    from tokenserver.storage.people.browser_sessions import BrowserSessions
    from tokenserver.storage.store import CredentialStore


@dataclass(frozen=True, slots=True)
class ManagementContext:
    """One for each worker and version of the settings.

    `snapshot` is called once per use; `now` gives seconds since the epoch. While `is_blocked()`, no secret is made: the
    clock was set back, and its end would be wrong.
    """

    settings: Settings
    snapshot: Callable[[], Snapshot]
    store: CredentialStore
    sessions: BrowserSessions
    events: ManagementEvents
    now: Callable[[], float]
    is_blocked: Callable[[], bool] = lambda: False

    @property
    def policies(self) -> PolicySet:
        """The live policies."""
        return self.snapshot().policies

    @property
    def owners(self) -> Owners:
        """The user sources, in which people are looked up."""
        owners = self.snapshot().owners
        assert owners is not None  # noqa: S101 - there is a storage, so there are owners
        return owners

    @property
    def moment(self) -> datetime:
        """The current moment in UTC."""
        return datetime.fromtimestamp(self.now(), UTC)

    def store_for(self, actor: Actor) -> CredentialStore:
        """The storage for what the actor changes: each change raises `OutdatedLogin` if its login has ended by then."""
        return self.store.on_behalf_of(self._login(actor))

    def sessions_for(self, actor: Actor) -> BrowserSessions:
        """As `store_for`, for browser sessions."""
        return self.sessions.on_behalf_of(self._login(actor))

    def require_recipient(self, actor: Actor) -> None:
        """Check that a secret which the actor has made may be sent to it again.

        Raises:
            MayNotManage, BackendUnavailable, JumpedClock: as `require_maker`.
            ActorEnded: the login of the actor has ended meanwhile.
        """
        self.require_maker(actor)
        try:
            self.store.require_live(self._login(actor))
        except OutdatedLogin as error:
            raise ActorEnded(str(error)) from None

    def is_administrator(self, actor: Actor) -> bool:
        """Whether the actor manages what belongs to others."""
        return is_administrator(self.policies, actor.identity)

    def require_manager(self, actor: Actor) -> None:
        """Check that the credential of the actor may manage.

        Raises:
            MayNotManage: it may not.
        """
        require_manager(self.policies, actor)

    def require_maker(self, actor: Actor) -> None:
        """Check that the actor may make a secret now.

        Raises:
            MayNotManage: its credential may not, or its login is too long ago.
            BackendUnavailable: its source did not confirm it.
            JumpedClock: the end of the secret would be wrong.
        """
        self.require_manager(actor)
        require_fresh(actor, self.now())
        if self.is_blocked():
            raise JumpedClock("the clock was set back; no credential that lasts is made until it is right")

    def require_administrator(self, actor: Actor) -> None:
        """Check that the actor manages what belongs to others.

        Raises:
            MayNotManage: it does not.
        """
        self.require_manager(actor)
        if not self.is_administrator(actor):
            raise MayNotManage("only administrators manage what belongs to others")

    def _login(self, actor: Actor) -> ActingLogin:
        identity, session = actor.identity, actor.session
        proof = None
        if identity.issued is not None:
            proof = WorkloadProof(identity.issued, declared_among(self.policies.groups.holding(identity)))
        return ActingLogin(
            identity.source,
            identity.subject,
            identity.verified,
            session="" if session is None else session.id,
            credential=identity.credential,
            proof=proof,
        )
