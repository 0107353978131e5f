"""Where the keys of an issuer come from: its discovery document (OpenID Connect Discovery, section 4), a URL or a file.

Each origin is asked as a whole within `DEADLINE` seconds. Requests go to the configured issuer or URL; a discovery
document may name another host for the keys, as that of Kubernetes does, but no other way of transport.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tokenserver.authn.workload.issuer_urls import require_safe
from tokenserver.authn.workload.key_obstacles import Obstacle
from tokenserver.authn.workload.key_sets import MAX_JWKS, IssuerKeySet, UnusableKeys, read_key_set
from tokenserver.credentials import Secret
from tokenserver.documents.files import read_file, read_text
from tokenserver.documents.strict_json import InvalidJson, read_object
from tokenserver.errors import LoadError, TokenserverError
from tokenserver.printable import cut, one_line
from tokenserver.runtime.http.fetch import fetch
from tokenserver.runtime.http.response import FetchFailure, HttpResponse

DEADLINE = 5.0
"""Seconds, for discovery and keys together."""

DISCOVERY_PATH = "/.well-known/openid-configuration"

_AGENT = "tokenserver"
_ACCEPT = "application/json, application/jwk-set+json"
"""The API server of Kubernetes has its keys as the second (RFC 7517, section 8.5), and answers 406 without it."""
_MAX_BEARER = 16 * 1024
_MAX_REASON = 300


class KeysNotFetched(TokenserverError):
    """The keys could not be fetched. The text says why, for the log and the audit event."""

    def __init__(self, reason: str, obstacle: Obstacle | None = None) -> None:
        super().__init__(cut(one_line(reason), _MAX_REASON))
        self.obstacle = obstacle or Obstacle()


@dataclass(frozen=True, slots=True)
class FetchedKeys:
    """Keys as their origin has them now. `fresh_for`: the seconds for which it says so; None if it does not."""

    keys: IssuerKeySet
    fresh_for: int | None = None


class KeyOrigin(Protocol):
    """Where the keys of one issuer come from."""

    def __call__(self) -> FetchedKeys:
        """Fetch the keys. Takes `DEADLINE` seconds at most.

        Raises:
            KeysNotFetched: there are none, or none that can be used.
        """
        ...


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A JWKS file that the operator provides, for an issuer that cannot be reached."""

    path: Path

    def __call__(self) -> FetchedKeys:
        """See `KeyOrigin`."""
        try:
            return FetchedKeys(read_key_set(read_file(self.path, limit=MAX_JWKS)))
        except LoadError as error:
            raise KeysNotFetched(str(error)) from None
        except UnusableKeys as error:
            raise KeysNotFetched(f"{self.path} {error}") from None


class KeyUrl:
    """A JWKS document at a URL. `token_file` has a bearer token for it, which is read for each request.

    `url` is https, or http at this machine (`require_safe`).
    """

    def __init__(self, url: str, context: ssl.SSLContext, *, token_file: Path | None = None) -> None:
        self._url = url
        self._client = _Client(context, token_file)

    def __call__(self) -> FetchedKeys:
        """See `KeyOrigin`."""
        return self._client.keys(self._url, _countdown())


class Discovery:
    """The keys that the discovery document of `issuer` names. It must name the same issuer, byte for byte.

    `issuer` is a URL: https, or http at this machine (`require_safe`). Credentials are never sent, since the document
    chooses where the keys are. `read` gets the whole document before the keys are fetched, and raises `KeysNotFetched`
    if it needs more than that.
    """

    def __init__(
        self, issuer: str, context: ssl.SSLContext, *, read: Callable[[Mapping[str, Any]], None] = lambda _: None
    ) -> None:
        self._issuer = issuer
        self._client = _Client(context, None)
        self._read = read

    def __call__(self) -> FetchedKeys:
        """See `KeyOrigin`."""
        rest = _countdown()
        document = self._client.document(f"{self._issuer.removesuffix('/')}{DISCOVERY_PATH}", rest)
        try:
            found = read_object(document.body)
        except InvalidJson as error:
            raise KeysNotFetched(f"the discovery document {error}") from None
        issuer = found.get("issuer")
        if issuer != self._issuer:
            other = Obstacle(issuer=issuer if isinstance(issuer, str) else "")
            raise KeysNotFetched("the discovery document is of another issuer", other)
        self._read(found)
        url = found.get("jwks_uri")
        try:
            require_safe(url if isinstance(url, str) else "", may_be_plain=self._issuer.startswith("http://"))
        except ValueError as error:
            raise KeysNotFetched(f"the jwks_uri of the discovery document {error}") from None
        return self._client.keys(str(url), rest)


def _countdown() -> Callable[[], float]:
    """How many of `DEADLINE` seconds are left, from now on."""
    end = time.monotonic() + DEADLINE
    return lambda: max(end - time.monotonic(), 0.01)


@dataclass(frozen=True, slots=True)
class _Client:
    context: ssl.SSLContext
    token_file: Path | None

    def keys(self, url: str, rest: Callable[[], float]) -> FetchedKeys:
        """The keys at this URL."""
        response = self.document(url, rest)
        try:
            return FetchedKeys(read_key_set(response.body), _fresh_for(response))
        except UnusableKeys as error:
            raise KeysNotFetched(f"the key set {error}", Obstacle(url)) from None

    def document(self, url: str, rest: Callable[[], float]) -> HttpResponse:
        """The response with status 200 at this URL."""
        outcome = fetch(
            url,
            context=self.context,
            deadline=rest(),
            agent=_AGENT,
            authorization=self._authorization(),
            is_plain_local=True,
            accept=_ACCEPT,
        )
        if isinstance(outcome, FetchFailure):
            raise KeysNotFetched(f"{url}: {outcome.reason}: {outcome.detail}", Obstacle(url, outcome.reason))
        if outcome.status != 200:
            status = Obstacle(url, status=outcome.status, location=outcome.header("location"))
            raise KeysNotFetched(f"{url} answers with status {outcome.status}", status)
        if outcome.is_cut:
            raise KeysNotFetched(f"{url} answers with more than {MAX_JWKS // 1024} KiB")
        return outcome

    def _authorization(self) -> Secret | None:
        if self.token_file is None:
            return None
        try:
            text = read_text(self.token_file, private=True, limit=_MAX_BEARER).strip()
        except LoadError as error:
            raise KeysNotFetched(str(error), Obstacle(file=str(self.token_file))) from None
        if re.fullmatch(r"[!-~]+", text) is None:
            raise KeysNotFetched(f"{self.token_file} holds no bearer token", Obstacle(file=str(self.token_file)))
        return Secret(f"Bearer {text}")


def _fresh_for(response: HttpResponse) -> int | None:
    """The seconds of `Cache-Control` (RFC 9111, section 5.2.2); 0 if the response is not to be reused."""
    text = ",".join(response.headers.get("cache-control", ())).lower()
    directives = {name.strip(): value.strip().strip('"') for name, _, value in map(_parted, text.split(","))}
    if "no-store" in directives or "no-cache" in directives:
        return 0
    seconds = directives.get("max-age", "")
    return int(seconds) if re.fullmatch(r"[0-9]{1,9}", seconds, re.ASCII) else None


def _parted(directive: str) -> tuple[str, str, str]:
    return directive.partition("=")
