"""Logins on devices (RFC 8628): a program at a terminal asks, a person approves in a browser.

The program gets a refresh token, for which the person is looked up again. Every step leaves an audit event without the
codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Protocol

from tokenserver.authn.protection.places import place_of
from tokenserver.credentials import Secret
from tokenserver.errors import BackendUnavailable, InvalidCredentials, InvalidRequest, OutdatedLogin
from tokenserver.exchange.audit_events import cut
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.exchange.stored.device_events import DeviceCaller, device_event, flow_event
from tokenserver.exchange.stored.device_refusals import (
    AccessDenied,
    AuthorizationPending,
    ExpiredDeviceCode,
    SlowDown,
    UnknownClient,
    UnknownDeviceCode,
    UnknownUserCode,
)
from tokenserver.exchange.stored.logins import Logins, NewLogin, RefreshTerms
from tokenserver.exchange.stored.requested_ceiling import requested_ceiling
from tokenserver.identity import PEOPLE, Identity, Kind
from tokenserver.storage.people.device_flow import (
    DeviceApproval,
    DeviceCodes,
    DeviceFlow,
    DeviceRequest,
    FlowState,
)
from tokenserver.storage.people.user_codes import parse_user_code

CLIENTS = frozenset({"tokenserver-helper"})
"""The ids of the programs that may ask for a login."""

PER_SESSION, PER_ADDRESS = 5, 50
"""How many wrong user codes are accepted within ten minutes."""

MAX_AGENT = 255

UNCERTAIN = "does not say whether the user may log in now"

APPROVING = PEOPLE - {Kind.KEY}
"""The kinds of logins that approve: no access key makes another credential."""

Waiting = Callable[[], AbstractContextManager[None]]


class FlowStore(Protocol):
    """The logins in progress. See `storage.people.flows.Flows`; every method may raise `BackendUnavailable`."""

    def begin(self, request: DeviceRequest, *, place: str) -> DeviceCodes: ...
    def by_device_code(self, device_code: Secret) -> DeviceFlow | None: ...
    def by_user_code(self, user_code: str) -> DeviceFlow | None: ...
    def approve(
        self, flow: DeviceFlow, approval: DeviceApproval, *, session: str, recorded: Callable[[], None]
    ) -> bool: ...
    def deny(self, flow: DeviceFlow) -> bool: ...
    def take(self, flow: DeviceFlow) -> bool: ...
    def give_back(self, flow: DeviceFlow) -> None: ...
    def forget(self, flow: DeviceFlow) -> bool: ...
    def is_early(self, flow: DeviceFlow) -> bool: ...


class GuessStore(Protocol):
    """Counts guesses at user codes. See `storage.people.code_guesses.CodeGuesses`."""

    def begin(self, limits: Mapping[str, int]) -> tuple[bytes, ...]: ...
    def was_right(self, guess: tuple[bytes, ...]) -> None: ...


class DeviceLogins:
    """Gives refresh tokens of these `terms` to programs whose users confirm it.

    `record` writes an audit event, after which `count` counts its step, one of `DEVICE_STEPS`. `now` gives seconds
    since the epoch.
    """

    def __init__(
        self,
        flows: FlowStore,
        guesses: GuessStore,
        logins: Logins,
        terms: RefreshTerms,
        *,
        snapshot: Callable[[], Snapshot],
        record: Callable[[dict[str, Any]], None],
        now: Callable[[], float],
        count: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._flows = flows
        self._guesses = guesses
        self._logins = logins
        self._terms = terms
        self._snapshot = snapshot
        self._record = record
        self._now = now
        self._count = count

    def begin(self, caller: DeviceCaller, services: Sequence[str], scopes: Sequence[str]) -> DeviceCodes:
        """The codes of a new login at these registries, within the ceiling of `scopes`; none: all, and no ceiling.

        Raises:
            InvalidRequest: a registry gives no refresh tokens, or the ceiling cannot be read.
            Overloaded: there are too many logins in progress.
            BackendUnavailable, AuditUnavailable: there is no new login.
        """
        client_id = _known_client(caller)
        asked = [self._service(name) for name in services] or sorted(self._terms.services)
        address = "" if caller.client is None else str(caller.client)
        request = DeviceRequest(
            client_id,
            address,
            (caller.agent or "")[:MAX_AGENT],
            tuple(dict.fromkeys(asked)),
            requested_ceiling(scopes),
        )
        codes = self._flows.begin(request, place=place_of(caller.client))
        self._tell("asked", caller, codes.flow)
        return codes

    def look_up(self, typed: str, caller: DeviceCaller, *, session: str) -> DeviceFlow:
        """The login with the user code that a person typed. `session` is the id of the person's session.

        Raises:
            UnknownUserCode: there is none, which counts as a wrong guess.
            Throttled: there were too many of these.
            BackendUnavailable, AuditUnavailable: nobody can tell.
        """
        limits = {f"session {session}": PER_SESSION, f"address {place_of(caller.client)}": PER_ADDRESS}
        guess = self._guesses.begin(limits)
        code = parse_user_code(typed)
        flow = None if code is None else self._flows.by_user_code(code)
        if flow is None:
            self._record(device_event("wrong_code", caller))
            self._count("wrong_code")
            raise UnknownUserCode
        self._guesses.was_right(guess)
        return flow

    def decide(
        self, flow: DeviceFlow, caller: DeviceCaller, person: Identity, *, approves: bool, session: str = ""
    ) -> bool:
        """Record the person's decision; False if somebody has decided before, or it is too late.

        The event comes first: what cannot be recorded is not done. `session` is the id of the person's session.

        Raises:
            OutdatedLogin: the login by which the person approves has ended.
            InvalidCredentials: the person did not log in with a password or at a provider.
            BackendUnavailable, AuditUnavailable: nothing was changed.
        """
        if flow.state is not FlowState.OPEN:
            return False
        if person.kind not in APPROVING or person.credential:
            raise InvalidCredentials(f"{person.subject} cannot approve the login of a device by this login")
        if person.stale:
            raise BackendUnavailable(person.source, UNCERTAIN)
        who = {"subject": person.subject, "source": person.source}
        if not approves:
            self._tell("denied", caller, flow, **who)
            return self._flows.deny(flow)
        approval = DeviceApproval(person.source, person.subject, person.kind, person.proof, person.verified)
        event = flow_event("approved", caller, flow, **who)
        is_approved = self._flows.approve(flow, approval, session=session, recorded=lambda: self._record(event))
        if is_approved:
            self._count("approved")
        return is_approved

    def poll(
        self, device_code: Secret, caller: DeviceCaller, service: str | None = None, *, waiting: Waiting = nullcontext
    ) -> NewLogin:
        """The refresh token of a login that was approved, once. `service`: the registry that the device asks for now.

        `waiting` surrounds what waits for the database.

        Raises:
            DeviceRefusal: there is none, or none yet; see its classes.
            InvalidRequest: the login is not for that registry.
            BackendUnavailable, AuditUnavailable: nobody can tell, or nothing was given.
        """
        client_id = _known_client(caller)
        wanted = None if service is None else self._service(service)
        with waiting():
            flow, approval = self._approved(device_code, client_id, wanted, caller)
        services = self._terms.services.intersection(flow.request.services)
        person = self._person(flow, approval, caller) if services else None
        if person is None:
            raise AccessDenied
        with waiting():
            return self._given(flow, person, services, approval.verified, caller)

    def _approved(
        self, device_code: Secret, client_id: str, wanted: str | None, caller: DeviceCaller
    ) -> tuple[DeviceFlow, DeviceApproval]:
        flow = self._flows.by_device_code(device_code)
        if flow is None or flow.state is FlowState.TAKEN or flow.request.client_id != client_id:
            raise UnknownDeviceCode
        if wanted is not None and wanted not in flow.request.services:
            raise InvalidRequest("service: this login is not for that registry")
        if flow.state is FlowState.DENIED:
            raise AccessDenied
        if flow.ends <= self._now():
            if self._flows.forget(flow):
                self._tell("expired", caller, flow)
            raise ExpiredDeviceCode
        if flow.approval is None:
            raise SlowDown if self._flows.is_early(flow) else AuthorizationPending
        return flow, flow.approval

    def _given(
        self,
        flow: DeviceFlow,
        person: Identity,
        services: frozenset[str],
        approved: int | None,
        caller: DeviceCaller,
    ) -> NewLogin:
        if not self._flows.take(flow):
            raise UnknownDeviceCode
        who = {"subject": person.subject, "source": person.source}
        try:
            login = self._logins.begin_on_device(person, flow.request, services, self._terms, approved=approved)
        except OutdatedLogin as error:
            self._tell("denied", caller, flow, **who, reason=cut(error.reason))
            raise AccessDenied from None
        except Exception:
            self._give_back(flow)
            raise
        displaced = {"displaced": list(login.displaced)} if login.displaced else {}
        try:
            self._tell("given", caller, flow, **who, issued=login.id, **displaced)
        except Exception:
            if self._logins.withdraw(login):  # else a second poll would make a second one
                self._give_back(flow)
            raise
        return login

    def _give_back(self, flow: DeviceFlow) -> None:
        with suppress(BackendUnavailable):
            self._flows.give_back(flow)

    def _person(self, flow: DeviceFlow, approval: DeviceApproval, caller: DeviceCaller) -> Identity | None:
        """The person as of now; None if they can no longer log in, in which case the login is denied."""
        owners = self._snapshot().owners
        if owners is None:
            return None
        try:
            person = owners.person(approval.source, approval.subject, approval.proof)
        except InvalidCredentials as error:
            who = {"subject": approval.subject, "source": approval.source}
            self._tell("denied", caller, flow, **who, reason=cut(error.reason))
            self._flows.deny(flow)
            return None
        if person.stale:
            raise BackendUnavailable(person.source, UNCERTAIN)
        return person

    def _service(self, name: str) -> str:
        service = self._snapshot().registry(name).service
        if service not in self._terms.services:
            raise InvalidRequest("service: this registry gives no refresh tokens")
        return service

    def _tell(self, step: str, caller: DeviceCaller, flow: DeviceFlow, **facts: Any) -> None:
        self._record(flow_event(step, caller, flow, **facts))
        self._count(step)


def _known_client(caller: DeviceCaller) -> str:
    if caller.client_id is None or caller.client_id not in CLIENTS:
        raise UnknownClient
    return caller.client_id
