"""Changes of the kept logins, whose secrets are in the file or the keyring: keeping, forgetting, what was learned."""

from __future__ import annotations

from collections.abc import Callable

from tokenserver.credential_helper.store.credential_file import CredentialFile
from tokenserver.credential_helper.store.stored_login import StoredLogin
from tokenserver.credential_helper.store.system_keyring import SystemKeyring


class KeptLogins:
    """The logins in a file, and in the keyring if there is one."""

    def __init__(self, file: CredentialFile, keyring: SystemKeyring | None) -> None:
        self.file = file
        self._keyring = keyring

    def find(self, registry: str) -> StoredLogin | None:
        """The login for a registry, with its secret."""
        login = self.file.read().get(registry)
        if login is not None and login.in_keyring:
            login.secret = (self._keyring or SystemKeyring()).read(registry)
        return login

    def every(self) -> dict[str, StoredLogin]:
        """All of them, with their secrets."""
        found = {registry: self.find(registry) for registry in self.file.read()}
        return {registry: login for registry, login in found.items() if login is not None}

    def keep(self, registry: str, login: StoredLogin) -> None:
        """Keep a login, in place of the one that is there."""
        kept = _copy(login)
        kept.in_keyring = self._keyring is not None and self._keyring.keep(registry, login.secret)
        if kept.in_keyring:
            kept.secret = ""

        def change(logins: dict[str, StoredLogin]) -> bool:
            before = logins.get(registry)
            logins[registry] = kept
            return before is not None and before.in_keyring and not kept.in_keyring

        if self.file.change(change):
            self._forget_in_keyring(registry)

    def note(self, registry: str, known: StoredLogin, change: Callable[[StoredLogin], None]) -> None:
        """Write what was learned about a login, unless another one has taken its place meanwhile."""

        def noted(logins: dict[str, StoredLogin]) -> None:
            found = logins.get(registry)
            if found is not None and (found.in_keyring or has_secret_of(found, known)):
                change(found)

        self.file.change(noted)

    def drop_secret(self, registry: str, known: StoredLogin) -> None:
        """Forget the secret of a login, and remember which token server its registry names."""

        def dropped(logins: dict[str, StoredLogin]) -> bool:
            found = logins.get(registry)
            if found is None or not (found.in_keyring or has_secret_of(found, known)):
                return False
            was_in_keyring = found.in_keyring
            found.secret, found.in_keyring, found.ends = "", False, None
            return was_in_keyring

        if self.file.change(dropped):
            self._forget_in_keyring(registry)

    def remove(self, registry: str) -> StoredLogin | None:
        """Forget all about a registry; gives what was there, with its secret."""
        login = self.find(registry)
        self.file.change(lambda logins: logins.pop(registry, None))
        if login is not None and login.in_keyring:
            self._forget_in_keyring(registry)
        return login

    def shares_secret(self, login: StoredLogin) -> bool:
        """Whether another registry is kept with the same secret: one login for several."""
        return any(has_secret_of(other, login) for other in self.every().values())

    def _forget_in_keyring(self, registry: str) -> None:
        (self._keyring or SystemKeyring()).forget(registry)


def _copy(login: StoredLogin) -> StoredLogin:
    members = {name: getattr(login, name) for name in StoredLogin.__slots__}
    return StoredLogin(**members)


def has_secret_of(login: StoredLogin, other: StoredLogin) -> bool:
    """Whether both have the same secret."""
    import hmac  # noqa: PLC0415 - for this alone

    mine, theirs = (one.secret.encode(errors="surrogatepass") for one in (login, other))
    return hmac.compare_digest(mine, theirs)
