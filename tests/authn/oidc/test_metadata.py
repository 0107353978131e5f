"""The discovery document: the endpoints that are used, and documents with which nobody can log in."""

from __future__ import annotations

from typing import Any

import pytest

from tokenserver.authn.oidc.metadata import ProviderMetadata, UnusableProvider, read_metadata

DOCUMENT: dict[str, Any] = {
    "issuer": "https://sso.example.com",
    "authorization_endpoint": "https://login.example.com/auth?p=1",
    "token_endpoint": "https://sso.example.com/token",
}


def test_a_document() -> None:
    """With as little as Entra says, and with everything."""
    urls = ("https://login.example.com/auth?p=1", "https://sso.example.com/token")
    assert read_metadata(DOCUMENT) == ProviderMetadata(*urls)
    more = {
        "end_session_endpoint": "https://sso.example.com/end",
        "authorization_response_iss_parameter_supported": True,
        "response_types_supported": ["code", "token"],
        "code_challenge_methods_supported": ["plain", "S256"],
    }
    assert read_metadata(DOCUMENT | more) == ProviderMetadata(*urls, "https://sso.example.com/end", True)
    local = {name: value.replace("https://", "http://localhost:1/") for name, value in DOCUMENT.items()}
    assert read_metadata(local).token == "http://localhost:1/sso.example.com/token"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"authorization_endpoint": None}, "has no usable authorization_endpoint"),
        ({"token_endpoint": "http://sso.example.com/token"}, "must be https"),
        ({"token_endpoint": "http://localhost/token"}, "must be https"),
        ({"token_endpoint": ["https://sso.example.com/token"]}, "has no usable token_endpoint"),
        ({"token_endpoint": "javascript:alert(1)"}, "has no usable token_endpoint"),
        ({"end_session_endpoint": "https://sso.example.com/#x"}, "has no usable end_session_endpoint"),
        ({"response_types_supported": ["token"]}, "does not list code in response_types_supported"),
        ({"code_challenge_methods_supported": ["plain"]}, "does not list S256"),
        ({"code_challenge_methods_supported": "S256"}, "does not list S256"),
    ],
)
def test_a_document_that_cannot_be_used(changes: dict[str, Any], problem: str) -> None:
    """Plain http is for an issuer on this machine alone."""
    with pytest.raises(UnusableProvider) as caught:
        read_metadata(DOCUMENT | changes)
    assert problem in str(caught.value)
