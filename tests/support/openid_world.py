"""OpenID sources for tests: a fake provider, people in a real storage, and the clock of both."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake_provider import FakeProvider, fake_provider
from stored_credentials import NOW, STATE_KEYS, Clock, new_database

from tokenserver.authn.oidc.client import ProviderClient
from tokenserver.authn.oidc.known_people import KnownPeople
from tokenserver.authn.oidc.login import FinishedLogin, OidcLogins
from tokenserver.authn.oidc.presets import PRESETS
from tokenserver.authn.oidc.provider import GroupClaim, OpenIdProvider
from tokenserver.authn.oidc.source import OidcSource
from tokenserver.authn.workload.issuer_keys import IssuerKeys
from tokenserver.credentials import Secret
from tokenserver.identity import Identity
from tokenserver.storage.boxes import Boxes
from tokenserver.storage.people.openid_people import OpenIdPeople

REDIRECT = "https://auth.example.com/login/callback/sso"
PROVIDER = OpenIdProvider(
    name="sso",
    issuer="https://sso.example.com",
    client_id="tokenserver",
    preset=PRESETS["keycloak"],
    redirect_uri=REDIRECT,
    subject="preferred_username",
    groups=GroupClaim("groups", None, "/"),
)


class Users:
    """A user source with these people; with `error`, it raises that instead."""

    def __init__(self, name: str, *people: Identity, error: Exception | None = None) -> None:
        self.name = name
        self.people = {one.subject: one for one in people}
        self.error = error

    def find(self, subject: str) -> Identity | None:
        """See `KnownUsers`."""
        if self.error is not None:
            raise self.error
        return self.people.get(subject)


@dataclass
class OpenIdWorld:
    """The source `source` at the provider `fake`, and all logins that were ended."""

    fake: FakeProvider
    folder: Path
    clock: Clock
    people: OpenIdPeople
    known: KnownPeople
    ended: list[tuple[str, str, bool]] = field(default_factory=list)
    source: OidcSource = field(init=False)
    logins: OidcLogins = field(init=False)

    def __post_init__(self) -> None:
        self.logins = OidcLogins(Boxes(STATE_KEYS), now=self.clock)
        self.source = self.make()

    def make(self, *, is_public: bool = False, **changes: Any) -> OidcSource:
        """A source with other settings; `users` and `accounts` are the other sources."""
        users, accounts = changes.pop("users", ()), changes.pop("accounts", None)
        facts = {name: getattr(PROVIDER, name) for name in PROVIDER.__dataclass_fields__}
        provider = OpenIdProvider(**{**facts, "issuer": self.fake.url, **changes})
        client = ProviderClient(
            provider,
            ssl.create_default_context(),
            secret=None if is_public else Secret("s3 cret"),
            make_keys=lambda name, origin: IssuerKeys(name, origin, spawn=lambda run: run()),
        )
        client.keys.tick()
        return OidcSource(
            client,
            self.known,
            login_page="https://auth.example.com/login",
            others=users,
            accounts=accounts,
            end_logins=self._end,
            now=self.clock,
        )

    def log_in(self, source: OidcSource | None = None, **answer: str) -> FinishedLogin:
        """A whole login, as a browser does it."""
        source = source or self.source
        begun = self.logins.begin(source, "/account")
        return self.logins.finish(source, begun.cookie, self.fake.authorize(begun.url, **answer))

    def _end(self, source: str, subject: str, reason: str, /, *, sessions: bool = True) -> None:
        assert reason
        self.ended.append((source, subject, sessions))


@contextmanager
def openid_world(folder: Path) -> Iterator[OpenIdWorld]:
    """A new one."""
    with fake_provider() as fake:
        clock = Clock(NOW)
        fake.now = clock.now
        people = OpenIdPeople(new_database(folder), STATE_KEYS, now=clock)
        yield OpenIdWorld(fake, folder, clock, people, KnownPeople(people, grace=lambda: 900.0))
