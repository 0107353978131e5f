"""Questions to the shadow peer: which exchanges are repeated there, and with which credentials.

Only what both servers can know is sent: anonymous requests, and names with a password that a user source vouched for.
Access keys, tokens of workloads, refresh tokens and sessions are secrets of this server and its issuers. They are told
apart by what vouched for the client and, once more, by their text.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Hashable, Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from tokenserver.authn.classification import classify, password_problem
from tokenserver.authn.usernames import canonical, typed_name_problem
from tokenserver.credentials import Credentials, NoCredentials, Password, Secret
from tokenserver.errors import AuthenticationRequired, InvalidCredentials
from tokenserver.exchange.peer.answer import Grants, grants_of, spelled_out
from tokenserver.exchange.rulings import Ruling
from tokenserver.exchange.service import TokenRequest, TokenResult
from tokenserver.identity import Identity, Kind
from tokenserver.scopes import Scope

MAX_SCOPES = 100
"""Scopes of a question. A request for more is not repeated."""

MAX_QUERY = 8000
"""Characters of the query; with more, servers answer 414."""

_UNSENT = re.compile(r"eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.|[\ud800-\udfff]", re.ASCII)
"""A JWT anywhere in the text, or what is no text."""


class PeerQuestion(NamedTuple):
    """An exchange to repeat. `ruling` is what was decided here; None: the login was refused here.

    `username` and `password` are None for an anonymous client. `key` is the same for the same question. `trace` are the
    headers that name the trace of the exchange, if it has one.
    """

    request_id: str
    username: str | None
    password: Secret | None
    service: str
    scopes: tuple[Scope, ...]
    ruling: Ruling | None
    key: Hashable
    trace: Mapping[str, str] = {}

    @property
    def subject(self) -> str:
        """The client as events name it."""
        return (self.username or "") if self.ruling is None else self.ruling.identity.subject

    @property
    def user(self) -> str | None:
        """The user name without differences of spelling, by which servers count failed logins; None: anonymous."""
        return None if self.username is None else canonical(self.username)

    @property
    def text(self) -> str:
        """What the workers of a server compare questions by; the same for the same `key`."""
        accepted = "refused" if self.ruling is None else "accepted"
        return "\n".join(["asked", self.username or "", self.service, accepted, *map(str, self.scopes)])

    @property
    def here(self) -> Grants | None:
        """What this server grants of what was asked; None: it refuses the login."""
        if self.ruling is None:
            return None
        holds = self.ruling.registry.holds
        return grants_of(
            (one.scope.resource, one.granted & spelled_out(one.scope.resource, one.scope.actions))
            if holds  # the token also has what was not asked for, of which the peer knows nothing
            else (one.scope.resource, one.granted)
            for one in self.ruling.decisions
        )

    @property
    def authorization(self) -> Secret | None:
        """The header `Authorization` (RFC 7617); None for an anonymous client."""
        if self.username is None or self.password is None:
            return None
        plain = f"{self.username}:{self.password.reveal()}".encode()
        return Secret(f"Basic {base64.b64encode(plain).decode('ascii')}")

    def target(self, url: str) -> str | None:
        """The URL to ask, as docker asks; None if it would be too long."""
        account = [] if self.username is None else [("account", self.username)]
        query = urlencode([*account, ("service", self.service), *(("scope", str(scope)) for scope in self.scopes)])
        return f"{url}?{query}" if len(query) <= MAX_QUERY else None


def question_key(request: TokenRequest, outcome: TokenResult | Exception) -> Hashable:
    """What makes two exchanges the same question: all but the password, and why a login was refused."""
    credentials = request.credentials
    name = credentials.username if isinstance(credentials, Password) else None
    return name, request.service, request.scopes, isinstance(outcome, TokenResult)


def vouched_for(credentials: Credentials, identity: Identity) -> bool:
    """Whether a user source vouched for a password, or there are no credentials at all."""
    if isinstance(credentials, NoCredentials):
        return True
    return isinstance(credentials, Password) and identity.kind is Kind.PASSWORD and not identity.credential


def is_plain_password(credentials: Credentials) -> bool:
    """Whether the text is a name and a password: nothing like a key, a token, or what no user can have."""
    found = classify(credentials)
    if not isinstance(found, Password) or ":" in found.username:  # the header could not carry the colon
        return False
    if _UNSENT.search(found.username) is not None or _UNSENT.search(found.password.reveal()) is not None:
        return False
    return typed_name_problem(found.username) is None and password_problem(found.password) is None


def question_of(request: TokenRequest, outcome: TokenResult) -> PeerQuestion | None:
    """The question for an exchange that gave a token; None if its credentials are not for the peer."""
    ruling, credentials = outcome.ruling, request.credentials
    if not vouched_for(credentials, ruling.identity):
        return None
    scopes = tuple([decision.scope for decision in ruling.decisions])
    service = request.service or ruling.registry.service
    return _question(request, service, scopes, outcome)


def question_of_failure(request: TokenRequest, error: Exception, *, failed_logins: bool) -> PeerQuestion | None:
    """The question for a refused login; None if it is not one, or not for the peer.

    An anonymous client that is refused has no secret. A refused password is only sent with `failed_logins`.
    """
    is_login = type(error) is InvalidCredentials and failed_logins and isinstance(request.credentials, Password)
    is_anonymous = isinstance(error, AuthenticationRequired) and isinstance(request.credentials, NoCredentials)
    if request.explain or request.service is None or not (is_login or is_anonymous):
        return None
    return _question(request, request.service, request.scopes.scopes, error)


def _question(
    request: TokenRequest, service: str, scopes: tuple[Scope, ...], outcome: TokenResult | Exception
) -> PeerQuestion | None:
    if len(scopes) > MAX_SCOPES:
        return None
    credentials, key = request.credentials, question_key(request, outcome)
    ruling = outcome.ruling if isinstance(outcome, TokenResult) else None
    if isinstance(credentials, NoCredentials):
        return PeerQuestion(request.request_id, None, None, service, scopes, ruling, key)
    if not isinstance(credentials, Password) or not is_plain_password(credentials):
        return None
    return PeerQuestion(request.request_id, credentials.username, credentials.password, service, scopes, ruling, key)
