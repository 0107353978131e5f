"""`store` and `erase`: what clients hand over at a login, and what they want forgotten at a logout."""

from __future__ import annotations

from tokenserver.credential_helper.browser_login import retire
from tokenserver.credential_helper.outside import Outside
from tokenserver.credential_helper.protocol import IDENTITY_TOKEN, TOKEN_USER, KeepRequest, is_host
from tokenserver.credential_helper.store.logins import has_secret_of
from tokenserver.credential_helper.store.stored_login import StoredLogin
from tokenserver.credential_helper.token_server.endpoints import named_by


def keep(request: KeepRequest, outside: Outside) -> None:
    """Keep what a client has just logged in with, bound to the token server that the registry names now.

    A refresh token that it replaces is revoked.
    """
    now = int(outside.now())
    login = StoredLogin(request.server, request.username, request.secret, probed=now)
    if is_host(request.registry):
        named = named_by(request.registry, outside.fetch)
        if named.is_reached:
            login.realm, login.service, login.checked = named.realm, named.service, now
    if login.is_token and login.username == TOKEN_USER:
        login.username = IDENTITY_TOKEN  # a client that was answered it as a password hands it back
    before = outside.logins.find(request.registry)
    if before is not None and has_secret_of(before, login):
        login.ends = before.ends
    outside.logins.keep(request.registry, login)
    if before is not None:
        retire(before, outside)


def erase(registry: str, outside: Outside) -> bool:
    """Revoke a login and forget it; whether there was one."""
    login = outside.logins.remove(registry)
    if login is None:
        return False
    if retire(login, outside) is False:
        outside.say(f"the login at {registry} is forgotten here; its token server did not answer, so it still holds")
    return True
