"""A registry and our token server as `fetch` meets them, without any network, and what each of them was sent."""

from __future__ import annotations

import base64
import json
import ssl
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from doctor_worlds import ISSUER, REALM, SERVICE, ours_of, ring_of

from tokenserver.credentials import Secret
from tokenserver.doctor.examination.our_side import Side, Sides
from tokenserver.doctor.examination.token import Baseline
from tokenserver.doctor.examination.visiting.requests import TIMEOUT, Requests, TimeLimit
from tokenserver.doctor.http import FailureReason, FetchFailure, HttpAnswer, Outcome
from tokenserver.doctor.token import UnreadableToken, open_unverified
from tokenserver.identity import Identity, Kind
from tokenserver.keys.ring import KeyRing
from tokenserver.scopes import Access, Resource
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import TokenIssuer

URL = "https://registry.example.com"
TODAY = datetime.now(UTC)


def current_ring(number: int = 0) -> KeyRing:
    """A ring whose certificates are valid now."""
    return ring_of(number=number, now=TODAY)


NO_ANSWER = FetchFailure(FailureReason.REFUSED, "connection refused")


def answered(status: int = 200, body: Any = None, skew: float = 0.0, **headers: str) -> HttpAnswer:
    """A response."""
    named = {name.replace("_", "-"): (value,) for name, value in headers.items()}
    return HttpAnswer(status, named, b"" if body is None else json.dumps(body).encode(), skew)


def challenge(realm: str = REALM, service: str = SERVICE, more: str = "") -> str:
    """A registry's challenge."""
    return f'Bearer realm="{realm}",service="{service}"{more}'


@dataclass
class FakeSites:
    """Both servers. The registry accepts tokens that `ring` signed; `outcomes` are fixed answers by their URL."""

    challenge: str = field(default_factory=challenge)
    ring: KeyRing = field(default_factory=current_ring)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=lambda: {"ann": "correct horse"})
    skew: float = 0.0
    accepts_anything: bool = False
    sent: list[tuple[str, str | None]] = field(default_factory=list)

    def fetch(self, url: str, *, authorization: Secret | None = None, **_: Any) -> Outcome:
        """As the function that it stands in for."""
        said = None if authorization is None else authorization.reveal()
        self.sent.append((url, said))
        fixed = self.outcomes.get(url.partition("?")[0])
        if fixed is not None:
            return fixed
        return self._registry(said) if url.startswith(URL) else self._ours(url, said)

    def to_registry(self) -> list[str]:
        """The tokens that the registry was sent, without the one that nobody signed."""
        sent = [said.partition(" ")[2] for url, said in self.sent if url.startswith(URL) and said is not None]
        return [token for token in sent if not token.endswith("A" * 86) and token != "x x"]

    def claims_sent(self) -> list[dict[str, Any]]:
        """Their claims."""
        return [dict(open_unverified(token).claims) for token in self.to_registry()]

    def _registry(self, said: str | None) -> Outcome:
        refused = answered(401, None, self.skew, www_authenticate=self.challenge)
        if said is None:
            return refused
        if self.accepts_anything:
            return answered(200, {}, self.skew)
        is_ours = said.partition(" ")[2] in self._signed_by_ring(said)
        return answered(200, {}, self.skew) if is_ours else refused

    def _signed_by_ring(self, said: str) -> list[str]:
        token = said.partition(" ")[2]
        try:
            chain = open_unverified(token).x5c
        except UnreadableToken:
            return []
        is_zero = token.endswith("A" * 86)
        return [token] if chain is not None and chain[:1] == (self.ring.active.chain[0],) and not is_zero else []

    def _ours(self, url: str, said: str | None) -> Outcome:
        if url.endswith("/readyz"):
            return answered(200, {"parts": {"keys": "ok"}})
        if "jwks.json" in url:
            return answered(200, {"keys": [{"kid": ours_of(current_ring()).active.names.rfc7638}]})
        if said is None:
            return answered(401, {"details": "authentication is required"})
        user, _, password = base64.b64decode(said.partition(" ")[2]).decode().partition(":")
        if self.passwords.get(user) != password:
            return answered(401, {"details": "wrong user name or password"})
        query = parse_qs(urlsplit(url).query)
        access = [
            Access(Resource(kind, name), frozenset(actions.split(",")))
            for kind, name, actions in (scope.split(":") for scope in query.get("scope", []))
        ]
        issuer = TokenIssuer(current_ring(), now=time.time, new_id=lambda: "id")
        registry = Registry(query["service"][0], ISSUER, Compat.UNIVERSAL, 900)
        return answered(200, {"token": issuer.issue(Identity(user, Kind.PASSWORD), registry, access).text.reveal()})


def baseline(**changes: Any) -> Baseline:
    """Our side, with one registry that is at `URL`."""
    side = Side(ours_of(current_ring(), url=URL), current_ring())
    found = Baseline(Sides(side, {SERVICE: side}), side.ours.registries[0], None, None, datetime.now(UTC))
    return replace(found, **changes)


def asking(seconds: float = TIMEOUT) -> Requests:
    """The requests of a visit that may take so long."""
    return Requests(ssl.create_default_context(), TimeLimit.in_(seconds))
