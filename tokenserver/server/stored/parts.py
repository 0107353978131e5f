"""What the exchanges of a worker need of its storage: which credentials there are, new ones, and their ends.

Nothing here imports SQLAlchemy, so that a server without a storage does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tokenserver.authn.oidc.known_people import KnownPeople
from tokenserver.authn.oidc.ports import EndLoginsOf, EndSession, TokenMemory
from tokenserver.authn.stored.endings import Endings
from tokenserver.authn.stored.known_revision import KnownRevision
from tokenserver.authn.stored.new_networks import Network, NewNetworks
from tokenserver.authn.stored.ports import Address, Ending, KeyIndex
from tokenserver.config.settings import Settings
from tokenserver.errors import Fault, LoadError
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.exchange.stored.device_logins import DeviceLogins, FlowStore, GuessStore
from tokenserver.exchange.stored.logins import Logins, LoginStore, RefreshTerms
from tokenserver.exchange.stored.revocation import Revocation
from tokenserver.storage.boxes import Boxes
from tokenserver.storage.credential import StoredCredential

NEW_NETWORK = "credential_new_network"
"""The value of `event` in the audit event about the first use of a credential from another network."""


@dataclass(frozen=True, slots=True)
class StoredOpenId:
    """The people of OpenID providers, how their logins are ended, and boxes for logins in progress."""

    people: KnownPeople
    boxes: Boxes
    end_logins: EndLoginsOf
    end_session: EndSession
    seen: TokenMemory


@dataclass(frozen=True, slots=True)
class StoredParts:
    """The stored credentials of one process, kept across reloads. `record` writes an audit event.

    `openid` is what is stored of people who log in at OpenID providers. `flows` are the logins on devices in progress,
    and `guesses` those at their user codes. `revision` is that of the storage.
    """

    index: KeyIndex
    logins: LoginStore
    end: Ending
    record: Callable[[dict[str, Any]], None]
    openid: StoredOpenId
    flows: FlowStore
    guesses: GuessStore
    revision: KnownRevision
    endings: Endings = field(init=False)
    networks: NewNetworks = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "endings", Endings(self.end))
        object.__setattr__(self, "networks", NewNetworks(self._report))

    @property
    def revocation(self) -> Revocation:
        """Ends credentials by possession."""
        return Revocation(self.index, self.end, self.record)

    def given(self, settings: Settings, *, now: Callable[[], float], is_blocked: Callable[[], bool]) -> Logins:
        """The refresh tokens and sessions that logins are given by these settings."""
        sessions = {source.name: source.session for source in settings.workload_sources}
        return Logins(self.logins, refresh_terms(settings), now, sessions, is_blocked)

    def device_logins(
        self,
        settings: Settings,
        *,
        snapshot: Callable[[], Snapshot],
        now: Callable[[], float],
        is_blocked: Callable[[], bool],
        count: Callable[[str], None],
    ) -> DeviceLogins | None:
        """The logins on devices by these settings; None where there are no refresh tokens. For `count` see there."""
        terms = refresh_terms(settings)
        if terms is None:
            return None
        logins = self.given(settings, now=now, is_blocked=is_blocked)
        stores = (self.flows, self.guesses)
        return DeviceLogins(*stores, logins, terms, snapshot=snapshot, record=self.record, now=now, count=count)

    def _report(self, credential: StoredCredential, client: Address, network: Network) -> None:
        self.record(
            {
                "event": NEW_NETWORK,
                "credential": credential.id,
                "owner": credential.owner,
                "client": str(client),
                "network": str(network),
            }
        )


def require_findable_owners(settings: Settings) -> None:
    """Check that the owners of access keys and refresh tokens can be looked up, if there are any.

    Raises:
        LoadError: a source can tell about its users with their own passwords alone.
    """
    providers = settings.oidc_sources or None
    named = {"access_keys": settings.access_keys, "refresh_tokens": settings.refresh_tokens, "oidc": providers}
    configured = [name for name, section in named.items() if section is not None]
    faults: list[Fault] = []
    for index, source in enumerate(settings.authentication if configured else ()):
        if source.ldap is not None and source.ldap.user_dn_template is not None:
            message = (
                f"cannot be combined with {' and '.join(configured)}, whose owners are looked up without their"
                " passwords; fix: bind_dn and bind_password_file instead"
            )
            faults.append(Fault("authentication", 0, f"[{index}].ldap.user_dn_template", message))
        if source.program is not None and not source.program.can_find:
            message = (
                f"cannot be combined with {' and '.join(configured)}, whose owners are looked up without their"
                " passwords; fix: protocol: json"
            )
            faults.append(Fault("authentication", 0, f"[{index}].program.protocol", message))
    if faults:
        raise LoadError(faults)


def refresh_terms(settings: Settings) -> RefreshTerms | None:
    """The limits of refresh tokens; None if there are none."""
    refresh = settings.refresh_tokens
    if refresh is None:
        return None
    services = frozenset(one.service for one in settings.registries if settings.gives_refresh_tokens(one))
    return RefreshTerms(refresh.idle, refresh.lifetime, refresh.per_user, services)
