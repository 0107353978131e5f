"""`get` where the store has no answer that is ready: check, probe, a workload's JWT, or a login in the browser.

A credential is bound to the token server that the registry named when it was made. It is not answered while the
registry names another one, since the client would send it there. See docs/design/threats.md#threat-163.
"""

from __future__ import annotations

from tokenserver.credential_helper.browser_login import Applicant, log_in
from tokenserver.credential_helper.outside import Outside
from tokenserver.credential_helper.protocol import is_host
from tokenserver.credential_helper.store.stored_login import StoredLogin
from tokenserver.credential_helper.token_server.device_flow import LoginFailed
from tokenserver.credential_helper.token_server.endpoints import Held, NamedServer, named_by, probe
from tokenserver.credential_helper.token_server.urls import is_own_service, is_protected, issuer_of
from tokenserver.credential_helper.workloads import USER, UnusableWorkload, advice, workload_jwt

Credential = tuple[str, str]
"""A user name and a secret."""

LOG_IN = "docker-credential-tokenserver login"


def obtain(server: str, registry: str, login: StoredLogin | None, outside: Outside) -> Credential | None:
    """The credential for a registry; None where there is none, after one line that says what to do."""
    if not is_host(registry):
        return None if login is None or not login.secret else (login.username, login.secret)
    named = named_by(registry, outside.fetch)
    if login is not None:
        if is_foreign(login, named):
            outside.say(
                f"{registry} now names another token server ({named.realm or 'none'}, {named.service}) than the one of"
                f" its login; if that is meant, log in again: {LOG_IN} {registry}"
            )
            return None
        if login.secret and _still_holds(registry, login, named, outside):
            return login.username, login.secret
    if not named.is_reached:
        outside.say(f"{registry} does not answer, so there is nobody to log in at")
        return None
    return _new(server, registry, login, named, outside) if named.realm else None


def is_foreign(login: StoredLogin, named: NamedServer) -> bool:
    """Whether the registry names another token server, or another service, than when the login was made."""
    if not named.is_reached or login.realm is None:
        return False
    return (login.realm, login.service) != (named.realm, named.service)


def _still_holds(registry: str, login: StoredLogin, named: NamedServer, outside: Outside) -> bool:
    """Whether a stored credential can be answered; what is learned about it is stored."""
    now = outside.now()
    if login.is_ended(now):
        outside.logins.drop_secret(registry, login)
        outside.say(f"the login at {registry} has ended; a new one is needed")
        return False
    if not named.is_reached:
        return True
    held, seconds = Held.UNKNOWN, None
    if login.needs_probe(now) and issuer_of(named.realm) is not None:
        held, seconds = probe(named.realm, named.service, login.secret, outside.fetch)
    if held is Held.NO:
        outside.logins.drop_secret(registry, login)
        outside.say(f"the token server no longer accepts the login at {registry}; a new one is needed")
        return False

    def note(stored: StoredLogin) -> None:
        stored.realm, stored.service, stored.checked = named.realm, named.service, int(now)
        if login.needs_probe(now):
            stored.probed = int(now)  # also where it did not answer: at most one attempt an hour
        if seconds is not None:
            stored.ends = int(now) + seconds

    outside.logins.note(registry, login, note)
    return True


def _new(
    server: str, registry: str, login: StoredLogin | None, named: NamedServer, outside: Outside
) -> Credential | None:
    """A credential that was not there before."""
    issuer = issuer_of(named.realm)
    if issuer is None:
        if not is_protected(named.realm):
            outside.say(f"{registry} names a token server without https, {named.realm}: nothing is sent there")
        return None
    settings = outside.settings
    if settings.token_servers and issuer not in settings.token_servers:
        outside.say(f"{registry} names {issuer}, which is not in tokenServers of helper.json")
        return None
    is_known = login is not None and login.realm is not None
    if not (is_known or is_own_service(registry, named.service) or registry in settings.registries):
        outside.say(
            f"{registry} names itself {named.service or 'nothing'}; if that is meant, log in: {LOG_IN} {registry},"
            " or add it to registries in helper.json"
        )
        return None
    try:
        jwt = workload_jwt(outside.job, issuer, outside.fetch, outside.now())
    except UnusableWorkload as error:
        outside.say(f"{registry}: {error}")
        return None
    if jwt is not None:
        return USER, jwt
    return _browser(server, registry, named, outside, issuer)


def _browser(server: str, registry: str, named: NamedServer, outside: Outside, issuer: str) -> Credential | None:
    terminal = outside.terminal() if outside.settings.interactive else None
    if terminal is None:
        what = advice(outside.job, issuer) or f"log in: {LOG_IN} {registry}"
        outside.say(f"no credential for {registry}; {what}")
        return None
    try:
        login = log_in([Applicant(server, registry, named)], outside, terminal, replaces=False)
    except LoginFailed as error:
        outside.say(f"no login at {registry}: {error}; try again: {LOG_IN} {registry}")
        return None
    return login.username, login.secret
