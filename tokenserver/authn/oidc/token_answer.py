"""The answer of a token endpoint (RFC 6749, section 5; OpenID Connect Core, section 3.1.3.3). Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from tokenserver.authn.oidc.authorization import spelled_error
from tokenserver.authn.oidc.presets import REFUSED_GRANT
from tokenserver.authn.oidc.refusals import RefusedByProvider
from tokenserver.credentials import Secret
from tokenserver.documents.strict_json import InvalidJson, read_object
from tokenserver.errors import TokenserverError

MAX_TOKEN = 64 * 1024


class UnusableAnswer(TokenserverError):
    """The provider does not work as configured, or not now. The text continues a sentence about it."""


@dataclass(frozen=True, slots=True)
class ProviderTokens:
    """What a provider gives for a code or a refresh token; each is None if it does not give one."""

    id_token: Secret | None = field(repr=False)
    refresh_token: Secret | None = field(default=None, repr=False)


def read_answer(status: int, body: bytes, refusals: Collection[str] = REFUSED_GRANT) -> ProviderTokens:
    """The answer with this status and body. `refusals` are the errors that say something about the grant.

    Raises:
        RefusedByProvider: the code or the refresh token is not valid (any more).
        UnusableAnswer: it is another error, or no answer of a token endpoint.
    """
    try:
        found = read_object(body)
    except InvalidJson as error:
        raise UnusableAnswer(f"answers with status {status} and a body that {error}") from None
    if status != 200:
        error_code = spelled_error(found.get("error"))
        if status in (400, 401) and error_code in refusals:
            raise RefusedByProvider(error_code)
        raise UnusableAnswer(f"answers with status {status} and the error {error_code}{_FIXES.get(error_code, '')}")
    return ProviderTokens(_token(found.get("id_token")), _token(found.get("refresh_token")))


_FIXES = {
    "invalid_client": "; fix: compare client_id and client_secret_file with the client at the provider",
    "unauthorized_client": "; fix: allow the authorization code flow for the client at the provider",
    "redirect_uri_mismatch": "; fix: enter the redirect URI at the provider as tokenserver check prints it",
}


def _token(value: object) -> Secret | None:
    return Secret(value) if isinstance(value, str) and 0 < len(value) <= MAX_TOKEN else None
