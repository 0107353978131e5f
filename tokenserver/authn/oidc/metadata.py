"""The discovery document of a provider, as far as logins need it (OpenID Connect Discovery, section 3). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenserver.authn.workload.issuer_urls import require_safe
from tokenserver.errors import TokenserverError


class UnusableProvider(TokenserverError):
    """A discovery document with which nobody can log in. The text continues a sentence about the document."""


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """Where a provider is asked. `end_session` is None if it cannot be told that a person logs out.

    `sends_issuer`: its redirects say whose they are (RFC 9207).
    """

    authorization: str
    token: str
    end_session: str | None = None
    sends_issuer: bool = False


def read_metadata(document: Mapping[str, Any]) -> ProviderMetadata:
    """The metadata in a discovery document whose `issuer` is the configured one.

    Plain http is accepted on this machine alone, and only from an issuer that is there, too.

    Raises:
        UnusableProvider: an endpoint is missing or not safe, or the provider has no code flow with PKCE by S256.
    """
    may_be_plain = str(document.get("issuer")).startswith("http://")
    _require("response_types_supported", "code", document)
    _require("code_challenge_methods_supported", "S256", document)
    end_session = document.get("end_session_endpoint")
    return ProviderMetadata(
        _endpoint("authorization_endpoint", document, may_be_plain=may_be_plain),
        _endpoint("token_endpoint", document, may_be_plain=may_be_plain),
        None if end_session is None else _endpoint("end_session_endpoint", document, may_be_plain=may_be_plain),
        document.get("authorization_response_iss_parameter_supported") is True,
    )


def _require(member: str, value: str, document: Mapping[str, Any]) -> None:
    """Check a list of what the provider can do; Entra and others leave some out although they can do it."""
    listed = document.get(member)
    if listed is not None and (not isinstance(listed, list) or value not in listed):
        raise UnusableProvider(f"does not list {value} in {member}")


def _endpoint(member: str, document: Mapping[str, Any], *, may_be_plain: bool) -> str:
    url = document.get(member)
    try:
        require_safe(url if isinstance(url, str) else "", may_be_plain=may_be_plain)
    except ValueError as error:
        raise UnusableProvider(f"has no usable {member}, which {error}") from None
    return str(url)
