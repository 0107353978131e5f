"""A login in the browser for one registry or for several of one token server, and keeping what it yields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokenserver.credential_helper.outside import Outside
from tokenserver.credential_helper.protocol import IDENTITY_TOKEN
from tokenserver.credential_helper.store.stored_login import StoredLogin
from tokenserver.credential_helper.token_server.device_flow import AT_MOST, GrantedLogin, LoginFailed, await_login
from tokenserver.credential_helper.token_server.endpoints import NamedServer, invite, poll, revoke
from tokenserver.credential_helper.token_server.urls import issuer_of

LOCK = "login.lock"

WAITED = 1.0
"""Who waited longer for the lock, in seconds, has waited for a person."""


@dataclass(frozen=True, slots=True)
class Applicant:
    """A registry to log in at, as the client or the person wrote it, and the token server that it names."""

    server: str
    registry: str
    named: NamedServer


def log_in(
    applicants: Sequence[Applicant],
    outside: Outside,
    tell: Callable[[str], None],
    *,
    services: Sequence[str] = (),
    replaces: bool = True,
) -> StoredLogin:
    """Log in at the token server of the first one, which all of them name; `services` are further ones to log in at.

    One process at a time asks a person: of several pulls that start together, the others wait for its login. With
    `replaces`, a login that is there is replaced.

    Raises:
        LoginFailed: nobody confirmed, or the token server has no such login.
    """
    first, began = applicants[0], outside.now()
    with outside.logins.file.exclusive(LOCK, AT_MOST + 10) as is_mine:
        if not is_mine:
            raise LoginFailed("another login is waiting for its confirmation")
        found = None if replaces else outside.logins.find(first.registry)
        if found is not None and found.is_ready(outside.now()):
            return found
        if not replaces and outside.now() - began > WAITED and not _has_login_since(began, outside):
            raise LoginFailed("nobody confirmed the one that another process asked for")
        asked = [*dict.fromkeys([*(one.named.service for one in applicants), *services])]
        if not all(asked):  # without a service, the login would be for every registry
            raise LoginFailed("it names no service in its challenge")
        granted = _confirmed(applicants, asked, outside, tell)
        return _kept(applicants, services, granted, outside)


def _has_login_since(moment: float, outside: Outside) -> bool:
    """Whether a login was made since; then the person is there, and was asked for another registry."""
    return any(login.probed >= int(moment) for login in outside.logins.file.read().values())


def _confirmed(
    applicants: Sequence[Applicant], services: Sequence[str], outside: Outside, tell: Callable[[str], None]
) -> GrantedLogin:
    realm = applicants[0].named.realm
    issuer = issuer_of(realm)
    if issuer is None:
        raise LoginFailed(f"{realm} is no token server that this program knows")
    try:
        invitation = invite(issuer, services, outside.fetch)
    except LoginFailed as error:
        raise LoginFailed(f"{issuer} {error}") from None
    tell(f"Log in at {issuer} for {', '.join(one.registry for one in applicants)}:")
    tell(f"  {invitation.complete_url}")
    tell(f"and confirm the code {invitation.user_code} there. Waiting for {AT_MOST / 60:.0f} minutes; Ctrl-C stops.")
    return await_login(
        invitation,
        lambda: poll(realm, invitation.device_code, outside.fetch),
        monotonic=outside.monotonic,
        sleep=outside.sleep,
    )


def _kept(
    applicants: Sequence[Applicant], services: Sequence[str], granted: GrantedLogin, outside: Outside
) -> StoredLogin:
    """Keep the login for each registry, and for services that are named like their registry."""
    now = int(outside.now())
    realm = applicants[0].named.realm
    places = {one.registry: (one.server, one.named.service) for one in applicants}
    for service in services:
        places.setdefault(service.lower(), (service, service))
    replaced = []
    kept = None
    for registry, (server, service) in places.items():
        is_asked = any(one.registry == registry for one in applicants)
        before = outside.logins.find(registry)
        if before is not None and before.secret:
            replaced.append(before)
        login = StoredLogin(
            server,
            IDENTITY_TOKEN,
            granted.token,
            realm=realm,
            service=service,
            ends=None if granted.seconds is None else now + granted.seconds,
            checked=now if is_asked else 0,  # the registry of a service has not been asked yet
            probed=now,
        )
        outside.logins.keep(registry, login)
        kept = kept or login
    for before in replaced:
        retire(before, outside)
    assert kept is not None, "there is an applicant"  # noqa: S101 - for the types
    return kept


def retire(login: StoredLogin, outside: Outside) -> bool | None:
    """End a login that is no longer kept at its token server, unless another registry uses it; None: nothing to do."""
    if not login.is_token or not login.realm or outside.logins.shares_secret(login):
        return None
    return revoke(login.realm, login.secret, outside.fetch)
