"""What is stored of people who log in at OpenID providers, and how their logins are ended.

Importing this imports SQLAlchemy, so it is imported only where a storage is configured.
"""

from __future__ import annotations

from collections.abc import Callable

from tokenserver.authn.oidc.known_people import KnownPeople
from tokenserver.credentials import AccessKeyForm
from tokenserver.server.stored.logins import SERVER
from tokenserver.server.stored.parts import StoredOpenId
from tokenserver.storage.boxes import Boxes
from tokenserver.storage.people.browser_sessions import BrowserSessions
from tokenserver.storage.people.openid_people import OpenIdPeople
from tokenserver.storage.people.seen_tokens import SeenTokens
from tokenserver.storage.selection import Selection
from tokenserver.storage.store import CredentialStore


def stored_openid(
    store: CredentialStore, browsers: BrowserSessions, *, now: Callable[[], float], grace: Callable[[], float]
) -> StoredOpenId:
    """The people in the storage of these credentials. While it does not answer, they stay known for `grace()` seconds.

    `now` gives seconds since the epoch.
    """
    database, keys = store.database, store.keys

    def end_logins(source: str, subject: str, reason: str, /, *, sessions: bool = True) -> None:
        refresh = Selection(owner=subject, source=source, forms=frozenset({AccessKeyForm.REFRESH}))
        store.end(refresh, by=SERVER, reason=reason)
        if sessions:
            browsers.end_all(source=source, subject=subject)

    def end_session(source: str, sid: str, /) -> None:
        browsers.end_all(source=source, sid=sid)

    people = KnownPeople(OpenIdPeople(database, keys, now=now), grace=grace)
    return StoredOpenId(people, Boxes(keys), end_logins, end_session, SeenTokens(database))
