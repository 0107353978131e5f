"""The credential helper with a scripted network, clock and person, and a store in a folder of the test."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import canaries

from tokenserver.credential_helper.outside import Outside
from tokenserver.credential_helper.settings import HelperSettings
from tokenserver.credential_helper.store.credential_file import CredentialFile
from tokenserver.credential_helper.store.logins import KeptLogins
from tokenserver.credential_helper.store.stored_login import StoredLogin
from tokenserver.credential_helper.store.system_keyring import SystemKeyring
from tokenserver.credential_helper.token_server.reply import Form, ServerReply
from tokenserver.credential_helper.workloads import JobEnvironment

REGISTRY = "registry.example.com"
ISSUER = "https://auth.example.com"
REALM = f"{ISSUER}/token"
NOW = 1_800_000_000


def refresh_token(letter: str = "a", form: str = "f") -> str:
    """A text with the form of a refresh token."""
    text = f"tkn{form}_{letter * 61}"
    canaries.know(text)
    return text


def challenge(realm: str = REALM, service: str = REGISTRY) -> ServerReply:
    """A registry's answer to a client without a token."""
    return ServerReply(401, b"", (f'Bearer realm="{realm}",service="{service}"',))


def answer(status: int = 200, **members: Any) -> ServerReply:
    """A JSON answer."""
    return ServerReply(status, json.dumps(members).encode())


def jwt(aud: Any = ISSUER, exp: Any = NOW + 300, **claims: Any) -> str:
    """A JWT that nobody signed."""
    parts = [{"alg": "RS256"}, {"aud": aud, "exp": exp, **claims}]
    text = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    canaries.know(f"{text}.c2ln")
    return f"{text}.c2ln"


@dataclass(frozen=True)
class Asked:
    """One request."""

    url: str
    form: Form | None
    headers: Mapping[str, str]


@dataclass
class HelperWorld:
    """The helper's outside. `replies` are by URL: the one of a list that is next, or always the same."""

    folder: Path
    replies: dict[str, Any] = field(default_factory=lambda: {f"https://{REGISTRY}/v2/": challenge()})
    settings: HelperSettings = field(default_factory=HelperSettings)
    job: JobEnvironment = field(default_factory=lambda: JobEnvironment("", "", "", lambda: None, "/projected"))
    keyring: SystemKeyring | None = None
    has_terminal: bool = False
    now: float = NOW
    asked: list[Asked] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def fetch(
        self, url: str, form: Form | None = None, *, headers: Mapping[str, str] | None = None, seconds: float = 5.0
    ) -> ServerReply | None:
        """As `Web.fetch`."""
        assert seconds > 0
        self.asked.append(Asked(url, form, headers or {}))
        reply = self.replies.get(url)
        found: ServerReply | None = reply.pop(0) if isinstance(reply, list) else reply
        return found

    def sleep(self, seconds: float) -> None:
        """Let the clock go on."""
        self.slept.append(seconds)
        self.now += seconds

    @property
    def logins(self) -> KeptLogins:
        """The store."""
        return KeptLogins(CredentialFile(str(self.folder)), self.keyring)

    @property
    def outside(self) -> Outside:
        """The ports."""
        return Outside(
            self.logins,
            self.settings,
            self.fetch,
            self.job,
            lambda: self.told.append if self.has_terminal else None,
            self.said.append,
            now=lambda: self.now,
            monotonic=lambda: self.now,
            sleep=self.sleep,
        )

    def keep(self, registry: str = REGISTRY, secret: str | None = None, **more: Any) -> StoredLogin:
        """A login that is there."""
        facts: dict[str, Any] = {"realm": REALM, "service": registry, "checked": NOW, "probed": NOW} | more
        login = StoredLogin(registry, "<token>", refresh_token() if secret is None else secret, **facts)
        self.logins.keep(registry, login)
        return login

    def urls(self) -> list[str]:
        """What was asked."""
        return [one.url for one in self.asked]

    def forms(self, url: str) -> Sequence[dict[str, str]]:
        """The forms that were sent there."""
        return [dict(one.form or ()) for one in self.asked if one.url == url]
