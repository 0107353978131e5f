"""What logins at OpenID providers need of the storage, as protocols."""

from __future__ import annotations

from typing import Protocol

from tokenserver.credentials import Secret
from tokenserver.storage.people.openid_person import OpenIdPerson


class PeopleStore(Protocol):
    """The people of all providers. See `storage.people.openid_people.OpenIdPeople`, also for what each one raises."""

    def find(self, source: str, subject: str) -> OpenIdPerson | None:
        """The person of this name; None if nobody has logged in by it."""
        ...

    def by_sub(self, source: str, sub: str) -> OpenIdPerson | None:
        """The person whom the provider calls `sub`."""
        ...

    def log_in(
        self, source: str, *, sub: str, subject: str, groups: frozenset[str], upstream: Secret | None = None
    ) -> OpenIdPerson:
        """Record a login; the first one pins `sub` and `subject` to each other."""
        ...

    def claim(self, person: OpenIdPerson) -> Secret | None:
        """The refresh token of the provider, for the only caller that may use it now."""
        ...

    def answered(self, person: OpenIdPerson, groups: frozenset[str], upstream: Secret | None) -> OpenIdPerson:
        """Record that the provider still knows the person."""
        ...

    def end(self, person: OpenIdPerson) -> OpenIdPerson:
        """End what was made for the person until now."""
        ...

    def refuse(self, person: OpenIdPerson) -> OpenIdPerson:
        """Refuse the person until the next login."""
        ...


class EndLoginsOf(Protocol):
    """Ends the refresh tokens of a person, and their browser sessions."""

    def __call__(self, source: str, subject: str, reason: str, /, *, sessions: bool = True) -> None:
        """End them all, for this reason; browser sessions only with `sessions`.

        Raises:
            BackendUnavailable: the storage does not answer.
        """
        ...


class EndSession(Protocol):
    """Ends the browser sessions that belong to a session of a provider."""

    def __call__(self, source: str, sid: str, /) -> None:
        """End those of the people of this source.

        Raises:
            BackendUnavailable: the storage does not answer.
        """
        ...


class TokenMemory(Protocol):
    """The tokens of issuers that were used. See `storage.people.seen_tokens.SeenTokens`, also for what it raises."""

    def is_known(self, issuer: str, jti: str, /) -> bool:
        """Whether the token was used."""
        ...

    def is_new(self, issuer: str, jti: str, ends: int, /) -> bool:
        """Whether this is its first use; from now on, it is known."""
        ...
