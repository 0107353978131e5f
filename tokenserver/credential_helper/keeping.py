"""`store` and `erase`: what clients hand over at a login, and what they want forgotten at a logout."""

from __future__ import annotations

from tokenserver.credential_helper.browser_login import retire
from tokenserver.credential_helper.outside import Outside
from tokenserver.credential_helper.protocol import KeepRequest, is_host
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
    before = outside.logins.find(request.registry)
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
