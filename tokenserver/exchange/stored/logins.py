"""Refresh tokens and sessions: which logins get one, and what it is bound to.

A person who logged in, with a password or by an OpenID provider, is given a refresh token, a workload a session. A
login by a stored or declared credential is given none: that is a secret already which can be revoked, and no credential
makes another one. Neither is one that an unreachable user source did not confirm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from tokenserver.authn.stored.ports import Address
from tokenserver.credentials import AccessKeyForm, Secret
from tokenserver.errors import BackendUnavailable, ServiceError
from tokenserver.identity import Identity, Kind, Sort
from tokenserver.storage.credential import StoredCredential, WorkloadProof
from tokenserver.storage.people.device_flow import DeviceRequest

MAX_SESSIONS = 1000
"""How many live sessions a workload can have; the next one ends the one that was unused for longest."""

MAX_CLIENT = 255

UNRECORDED = "its audit event could not be written"
"""The reason for the end of a login that was given to nobody."""

REFRESHED = frozenset({Kind.PASSWORD, Kind.OIDC})
"""The kinds of logins that get refresh tokens."""


class NewLogin(NamedTuple):
    """A refresh token or session that was stored just now: the only time that its text is known.

    It is valid from `begins` to `ends`, in seconds since the epoch. `displaced` are the ids of those of the same owner
    that ended for it.
    """

    id: str
    text: Secret
    begins: int
    ends: int
    displaced: tuple[str, ...] = ()


class LoginStore(Protocol):
    """Stores refresh tokens and sessions."""

    def begin(
        self, wanted: StoredCredential, at_most: int, verified: int | None, proof: WorkloadProof | None = None, /
    ) -> NewLogin:
        """Store a credential like `wanted`, whose `id` and `created` are filled in.

        Of the owner's others of the form, the ones that are unused for longest end, so that there are `at_most`.
        `verified`: see `Identity.verified`. `proof` is that of a workload.

        Raises:
            OutdatedLogin: all logins of the owner were ended after this one was verified.
            BackendUnavailable: nothing was stored.
        """
        ...

    def end(self, identifier: str, reason: str) -> None:
        """End a credential.

        Raises:
            BackendUnavailable: it was not ended.
        """
        ...


@dataclass(frozen=True, slots=True)
class RefreshTerms:
    """The limits of refresh tokens: `idle` and `lifetime` in seconds, `per_user` of them, at these `services`."""

    idle: int
    lifetime: int
    per_user: int
    services: frozenset[str]


class JumpedClock(ServiceError):
    """The clock has jumped, so the end of a new credential may be wrong. Nothing was stored."""


@dataclass(frozen=True, slots=True)
class Logins:
    """Gives refresh tokens and sessions. `now` is in seconds since the epoch.

    `refresh` None: people are given none. `sessions` has for each workload source how many seconds its sessions live.
    While `is_blocked()`, none is made.
    """

    store: LoginStore
    refresh: RefreshTerms | None
    now: Callable[[], float]
    sessions: Mapping[str, int] = field(default_factory=dict)
    is_blocked: Callable[[], bool] = lambda: False

    def begin(
        self,
        identity: Identity,
        service: str | None,
        client: Address | None,
        program: str | None,
        workloads: tuple[str, ...] = (),
    ) -> NewLogin | None:
        """What a login is given at the registry `service` (None: a session for all of them); None: nothing.

        `program` is the client_id, which is shown and never enforced: docker and crane share what is stored.
        `workloads` are the declared ones that a workload is.

        Raises:
            OutdatedLogin: all logins of the person were ended after this one was verified.
            BackendUnavailable: the storage cannot keep it. Without it, clients would keep the password instead.
            JumpedClock: the clock may be wrong.
        """
        if identity.stale or identity.via or identity.credential:
            return None
        now = int(self.now())
        wanted = StoredCredential(
            id="",
            form=AccessKeyForm.REFRESH,
            owner=identity.subject,
            sort=Sort.USER,
            source=identity.source,
            created=now,
            created_by=identity.subject,
            ends=now,
            created_from="" if client is None else str(client),
            client="" if program is None else program[:MAX_CLIENT],
            services=None if service is None else frozenset({service}),
        )
        if identity.kind in REFRESHED:
            return self._refresh_token(wanted, identity, service)
        return self._session(wanted, identity, workloads) if identity.kind is Kind.WORKLOAD else None

    def begin_on_device(
        self,
        person: Identity,
        request: DeviceRequest,
        services: frozenset[str],
        terms: RefreshTerms,
        *,
        approved: int | None,
    ) -> NewLogin:
        """The refresh token for a device whose login a person approved, at these registries, within its ceiling.

        `approved` is `Identity.verified` of the login that approved.

        Raises:
            OutdatedLogin: all logins of the person were ended after that.
            BackendUnavailable: the storage cannot keep it.
            JumpedClock: the clock is wrong.
        """
        now = int(self.now())
        wanted = StoredCredential(
            id="",
            form=AccessKeyForm.REFRESH,
            owner=person.subject,
            sort=Sort.USER,
            source=person.source,
            created=now,
            created_by=person.subject,
            ends=now + terms.lifetime,
            created_from=request.address,
            client=request.client_id,
            idle=terms.idle,
            ceiling=request.ceiling,
            services=services,
            proof=person.proof,
        )
        return self._store(wanted, terms.per_user, approved)

    def withdraw(self, login: NewLogin) -> bool:
        """End a login whose text reaches nobody, since its audit event could not be written; whether it has ended.

        What it displaced does not come back.
        """
        try:
            self.store.end(login.id, UNRECORDED)
        except BackendUnavailable:
            return False
        return True

    def _refresh_token(self, wanted: StoredCredential, identity: Identity, service: str | None) -> NewLogin | None:
        terms = self.refresh
        if terms is None or service not in terms.services:
            return None
        ends, proof = wanted.created + terms.lifetime, identity.proof
        return self._store(replace(wanted, ends=ends, idle=terms.idle, proof=proof), terms.per_user, identity.verified)

    def _session(self, wanted: StoredCredential, identity: Identity, workloads: tuple[str, ...]) -> NewLogin | None:
        seconds = self.sessions.get(identity.source, 0)
        if not seconds:
            return None
        ends, claims = wanted.created + seconds, identity.claims
        session = replace(wanted, form=AccessKeyForm.SESSION, sort=Sort.WORKLOAD, ends=ends, claims=claims)
        proof = None if identity.issued is None else WorkloadProof(identity.issued, workloads)
        return self._store(session, MAX_SESSIONS, identity.verified, proof)

    def _store(
        self, wanted: StoredCredential, at_most: int, verified: int | None, proof: WorkloadProof | None = None
    ) -> NewLogin:
        if self.is_blocked():
            raise JumpedClock("the clock has jumped; no refresh token or session is made until it is right")
        return self.store.begin(wanted, at_most, verified, proof)
