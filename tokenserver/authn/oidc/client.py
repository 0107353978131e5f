"""The client of one OpenID provider: its document and keys, fetched in the background, and its token endpoint.

A request of its own is made for each login alone, with a deadline and a bounded answer, and follows no redirect.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode

from tokenserver.authn.oidc.metadata import ProviderMetadata, UnusableProvider, read_metadata
from tokenserver.authn.oidc.presets import REFUSED_GRANT
from tokenserver.authn.oidc.provider import OpenIdProvider
from tokenserver.authn.oidc.token_answer import ProviderTokens, UnusableAnswer, read_answer
from tokenserver.authn.workload.issuer_keys import IssuerKeys
from tokenserver.authn.workload.key_origins import Discovery, KeysNotFetched
from tokenserver.credentials import Secret
from tokenserver.errors import BackendUnavailable
from tokenserver.runtime.http.fetch import fetch
from tokenserver.runtime.http.response import FetchFailure, HttpResponse

DEADLINE = 5.0
"""Seconds for one request at the token endpoint."""

_FORM = "application/x-www-form-urlencoded"
_AGENT = "tokenserver"


class ProviderClient:
    """The client of a provider. Without a `secret`, it is a public client, which PKCE alone protects.

    `keys` has to be followed: its first `tick` begins to fetch.
    """

    def __init__(
        self,
        provider: OpenIdProvider,
        context: ssl.SSLContext,
        *,
        secret: Secret | None = None,
        make_keys: Callable[[str, Discovery], IssuerKeys] = IssuerKeys,
    ) -> None:
        self.provider = provider
        self._context = context
        self._secret = secret
        self._metadata: ProviderMetadata | None = None
        self.keys = make_keys(provider.name, self.discovery(self.learn))

    @property
    def metadata(self) -> ProviderMetadata:
        """The endpoints of the provider.

        Raises:
            BackendUnavailable: they could not be fetched yet.
        """
        found = self._metadata
        if found is None:
            problem = "its discovery document could not be fetched yet"
            raise BackendUnavailable(self.provider.name, problem, summary=f"{problem}; see the log")
        return found

    def discovery(self, read: Callable[[Mapping[str, Any]], None]) -> Discovery:
        """The keys of the provider, by its document, which `read` gets first."""
        return Discovery(self.provider.issuer, self._context, read=read)

    def redeem(self, code: str, verifier: str) -> ProviderTokens:
        """The tokens for the code of a login.

        Raises:
            RefusedByProvider: the code was used before, or comes too late.
            BackendUnavailable: the provider does not answer, or not as it should.
        """
        return self._ask(self.code_form(code, verifier))

    def code_form(self, code: str, verifier: str) -> dict[str, str]:
        """The form of a request for the tokens of a code."""
        return {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.provider.redirect_uri,
            "code_verifier": verifier,
        }

    def refresh(self, token: Secret) -> ProviderTokens:
        """The tokens for a refresh token, which many providers replace.

        Raises:
            RefusedByProvider: the provider has ended it.
            BackendUnavailable: the provider does not answer, or not as it should.
        """
        form = {"grant_type": "refresh_token", "refresh_token": token.reveal()}
        return self._ask(form, self.provider.preset.refusals)

    def learn(self, document: Mapping[str, Any]) -> None:
        """Take the endpoints from the provider's discovery document.

        Raises:
            KeysNotFetched: nobody can log in with it.
        """
        try:
            self._metadata = read_metadata(document)
        except UnusableProvider as error:
            raise KeysNotFetched(f"the discovery document {error}") from None

    def outcome(self, fields: Mapping[str, str]) -> HttpResponse | FetchFailure:
        """What the token endpoint answers to the form with these fields, sent by this client with its secret.

        Raises:
            BackendUnavailable: the endpoint is not known yet.
        """
        client_id, authorization = self.provider.client_id, None
        if self._secret is None:
            fields = {**fields, "client_id": client_id}
        else:
            # RFC 6749, section 2.3.1: both are encoded as in a form first.
            both = f"{quote_plus(client_id)}:{quote_plus(self._secret.reveal())}"
            authorization = Secret(f"Basic {base64.b64encode(both.encode()).decode()}")
        return fetch(
            self.metadata.token,
            context=self._context,
            deadline=DEADLINE,
            agent=_AGENT,
            authorization=authorization,
            is_plain_local=True,
            method="POST",
            body=urlencode(fields).encode(),
            content_type=_FORM,
        )

    def _ask(self, fields: Mapping[str, str], refusals: Collection[str] = REFUSED_GRANT) -> ProviderTokens:
        name, outcome = self.provider.name, self.outcome(fields)
        if isinstance(outcome, FetchFailure):
            raise BackendUnavailable(name, f"its token endpoint: {outcome.reason}: {outcome.detail}")
        if outcome.is_cut:
            raise BackendUnavailable(name, "its token endpoint answers with too much")
        try:
            return read_answer(outcome.status, outcome.body, refusals)
        except UnusableAnswer as error:
            raise BackendUnavailable(name, f"its token endpoint {error}") from None
