"""Examination of OpenID providers: they are asked from here, as the server and a browser ask them; nobody logs in.

The provider learns no more than at a login: the client and its secret, at the token endpoint that its document names.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tokenserver.authn.oidc.authorization import authorization_url, new_attempt
from tokenserver.authn.oidc.client import DEADLINE, ProviderClient
from tokenserver.authn.workload.key_origins import KeysNotFetched
from tokenserver.config.settings import Settings
from tokenserver.config.sources.oidc import OidcSettings
from tokenserver.doctor.checks.vouching.providers import (
    OurProvider,
    ProviderAnswers,
    check_provider,
    check_unreachable,
    check_unusable,
)
from tokenserver.doctor.findings import Finding
from tokenserver.documents.tls_files import client_context
from tokenserver.runtime.http.fetch import fetch
from tokenserver.server.sources.oidc_sources import provider_client

_SIDE_BY_SIDE = 16


def examine_providers(
    settings: Settings,
    config: str,
    *,
    random: Callable[[int], bytes] = secrets.token_bytes,
    now: Callable[[], float] = time.time,
) -> list[Finding]:
    """Ask every provider, side by side. `config` is the path of the settings.

    Raises:
        LoadError: a file of a source cannot be used.
    """

    def examined(source: OidcSettings) -> list[Finding]:
        client = provider_client(source, settings.server.url)
        ours, document = _ours(source, client, settings, config), dict[str, Any]()
        try:
            keys = client.discovery(document.update)().keys
        except KeysNotFetched as error:
            return check_unreachable(ours, error.obstacle, str(error))
        try:
            client.learn(document)
        except KeysNotFetched as error:
            return check_unusable(ours, str(error))
        attempt = new_attempt("/", now=now(), random=random)
        login = fetch(
            authorization_url(client.provider, client.metadata, attempt),
            context=client_context(source.ca_file),
            deadline=DEADLINE,
            agent="tokenserver-doctor",
            is_plain_local=True,
            accept="text/html",
        )
        # The state is as random as any code, and nobody ever gets it as one.
        code = client.outcome(client.code_form(attempt.state, attempt.verifier))
        return check_provider(ours, ProviderAnswers(document, len(keys.keys), login, code))

    with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as requests:
        return [finding for findings in requests.map(examined, settings.oidc_sources) for finding in findings]


def _ours(source: OidcSettings, client: ProviderClient, settings: Settings, config: str) -> OurProvider:
    provider = client.provider
    return OurProvider(
        source.name,
        config,
        provider.issuer,
        provider.client_id,
        provider.redirect_uri,
        f"{settings.server.url}/logout/backchannel/{source.name}",
        tuple(provider.scopes.split()),
        provider.leeway,
        source.client_secret_file is None,
        None if source.ca_file is None else str(source.ca_file),
    )
