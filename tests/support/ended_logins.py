"""What ends all logins of ann while others are being stored, in a server of this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stored_logins_server import StoredSite

from tokenserver.server.stored.opening import open_store
from tokenserver.storage.people.browser_sessions import BrowserSessions
from tokenserver.storage.people.epochs import Whose
from tokenserver.storage.selection import Selection
from tokenserver.storage.store import CredentialStore

ANN = Selection(owner="ann", source="htpasswd")


def storage_of(site: StoredSite) -> CredentialStore:
    """The storage as the server itself has it."""
    assert site.parts.storage is not None
    return site.parts.storage.store


def sessions_of(site: StoredSite) -> BrowserSessions:
    """The sessions of browsers as the server itself has them."""
    assert site.parts.storage is not None
    return site.parts.storage.sessions


def elsewhere(site: StoredSite) -> CredentialStore:
    """The storage as another process has it."""
    return open_store(site.parts.settings)


def end_all(site: StoredSite) -> None:
    """What another process does: all credentials and sessions of ann end."""
    store = elsewhere(site)
    store.end(ANN, by="root", reason="lost")
    BrowserSessions(store.database, store.keys, now=lambda: 0.0).end_all(Whose("htpasswd", "subject", "ann"))
    store.database.close()


def change_users(site: StoredSite, change: Callable[[str], str]) -> None:
    """What `users disable`, `set` or `delete` does in another process: first the file, then all ends.

    This process knows the revision of that, and has not loaded the file.
    """
    file = site.folder / "users.htpasswd"
    file.write_text(change(file.read_text("utf-8")), "utf-8")
    end_all(site)
    assert site.parts.stored is not None
    site.parts.stored.revision.learn(storage_of(site).database.revision())


def disabled(text: str) -> str:
    """The account of ann is disabled."""
    return f"# tokenserver-account: ann: disabled\n{text.replace('ann:', 'ann:!', 1)}"


def load_users(site: StoredSite) -> None:
    """The server finds that the users' file is at rest, and loads it."""
    live = site.parts.live
    assert [live.look(), live.look()] == [False, True]


def meanwhile(stored: object, method: str, event: Callable[[], object]) -> None:
    """Let something happen once, just before the next row is stored."""
    original = getattr(stored, method)

    def late(*arguments: Any, **options: Any) -> Any:
        delattr(stored, method)
        event()
        return original(*arguments, **options)

    setattr(stored, method, late)


def live(site: StoredSite) -> list[str]:
    """The ids of ann's live credentials."""
    return [one.credential.id for one in storage_of(site).listed(ANN) if one.ended is None]
