"""The people who own stored credentials, as the configured user sources know them now."""

from __future__ import annotations

import time
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

import click

from tokenserver.authn.authenticator import KnownUsers
from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.usernames import fold
from tokenserver.cli.exits import NO
from tokenserver.cli.options import exit_with
from tokenserver.config.settings import Settings
from tokenserver.config.sources.oidc import OidcSettings
from tokenserver.documents.hints import nearest
from tokenserver.errors import AccountEnded, BackendUnavailable, Fault, InvalidCredentials, LoadError
from tokenserver.identity import Identity, Kind
from tokenserver.server.sources.password_sources import user_source

if TYPE_CHECKING:
    from tokenserver.storage.store import CredentialStore


class PersonFound(NamedTuple):
    """A person: the subject, and the user source that has it. `doubt` says what could not be verified, if anything."""

    subject: str
    source: str
    doubt: str = ""


class OwnerLookup:
    """Looks people up, each of them once. Opening it loads the files of the user sources.

    People of OpenID providers are looked up in the storage, where their last login is; no provider is asked.

    Raises:
        LoadError: every fault of their files.
    """

    def __init__(self, settings: Settings, store: CredentialStore) -> None:
        faults: list[Fault] = []
        self._sources: dict[str, KnownUsers] = {}
        for entry in settings.user_sources:
            try:
                self._sources[entry.name] = user_source(entry)
            except LoadError as error:
                faults.extend(error.faults)
        if faults:
            raise LoadError(faults)
        for provider in settings.oidc_sources:
            if provider.accounts is None:  # the others' people are those of another source
                self._sources[provider.name] = _PeopleOf(provider, store)
        self._answers: dict[tuple[str, str], str | None] = {}
        self._outages: dict[str, BackendUnavailable] = {}

    def find(self, name: str, source: str | None) -> PersonFound:
        """The person of this name, in the first source that has one, or in this source alone.

        Ends the command if there is none, or if a source cannot tell and `source` does not name it.
        """
        name = unicodedata.normalize("NFC", name)
        if source is not None and source not in self._sources:
            raise click.UsageError(f"--source: no user source is named {source!r}; {nearest(source, self._sources)}")
        for known in self._sources.values() if source is None else (self._sources[source],):
            try:
                found = known.find(name)
            except InvalidCredentials as error:
                exit_with(f"{known.name} knows {name!r}, who could not log in: {error.reason}", NO)
            except BackendUnavailable as error:
                if source is not None:
                    return PersonFound(
                        name, known.name, f"{known.name} was not asked whether {name!r} exists: {error.reason}"
                    )
                fix = f"fix: --source {known.name} if {name!r} is one of its users"
                exit_with(f"{known.name} cannot be asked whether it has {name!r}: {error.reason}; {fix}", NO)
            if found is not None:
                return PersonFound(found.subject, known.name)
        asked = ", ".join(self._sources if source is None else (source,)) or "none"
        return exit_with(f"no user source has {name!r} (asked: {asked}){self._other_spelling(name)}", NO)

    def problem(self, subject: str, source: str) -> str | None:
        """Why this person's credentials are refused; None if they are not. A source that cannot tell is asked once.

        Raises:
            BackendUnavailable: the source cannot tell.
        """
        if source in self._outages:
            raise self._outages[source]
        key = (source, subject)
        if key not in self._answers:
            try:
                self._answers[key] = self._look_up(subject, source)
            except BackendUnavailable as error:
                self._outages[source] = error
                raise
        return self._answers[key]

    def _look_up(self, subject: str, source: str) -> str | None:
        known = self._sources.get(source)
        if known is None:
            return f"the user source {source} is not configured"
        try:
            return None if known.find(subject) is not None else f"{source} has no such user"
        except InvalidCredentials as error:
            return error.reason

    def _other_spelling(self, name: str) -> str:
        """The users of htpasswd files whose names differ in case or width alone, as a hint."""
        files = [source for source in self._sources.values() if isinstance(source, Htpasswd)]
        alike = [f"{file.name} has {one!r}" for file in files for one in sorted(file.users) if fold(one) == fold(name)]
        return f"; {', '.join(alike)}: names are compared letter by letter" if alike else ""


class _PeopleOf:
    """The people of an OpenID provider as of their last logins."""

    def __init__(self, provider: OidcSettings, store: CredentialStore) -> None:
        from tokenserver.storage.people.openid_people import OpenIdPeople  # noqa: PLC0415 - needs the storage's engine

        self.name = provider.name
        self._people = OpenIdPeople(store.database, store.keys, now=time.time)

    def find(self, subject: str) -> Identity | None:
        """See `KnownUsers.find`. How long ago the last login was does not matter: the next one revives everything."""
        person = self._people.find(self.name, subject)
        if person is None:
            return None
        if not person.is_active:
            raise AccountEnded(f"{self.name} has ended the sessions of {subject}")
        return Identity(person.subject, Kind.OIDC, self.name, person.groups, proof=person.proof)
