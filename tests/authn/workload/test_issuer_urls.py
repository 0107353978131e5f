"""URLs of issuers and of their keys."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from tokenserver.authn.workload.issuer_urls import require_safe


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        pytest.param("https://issuer.example.com", True, id="https"),
        pytest.param("https://10.0.0.1:6443/openid/v1/jwks", True, id="an address inside a network"),
        pytest.param("https://issuer.example.com/keys?tenant=a", True, id="a query"),
        pytest.param("http://localhost:8080/keys", True, id="this machine"),
        pytest.param("http://127.0.0.1/keys", True, id="this machine's address"),
        pytest.param("http://[::1]:80/keys", True, id="this machine's address in IPv6"),
        pytest.param("http://issuer.example.com", False, id="plain http"),
        pytest.param("http://localhost.example.com", False, id="a name that begins like this machine"),
        pytest.param("HTTPS://issuer.example.com", False, id="upper case"),
        pytest.param("https://", False, id="no host"),
        pytest.param("issuer.example.com", False, id="no scheme"),
        pytest.param("", False, id="empty"),
        pytest.param("https://issuer.example.com/?a#b", False, id="fragment after a query"),
        pytest.param("https://issuer.example.com/?a b", False, id="blank in the query"),
    ],
)
def test_urls(url: str, is_safe: bool) -> None:
    """Https, or this machine."""
    with nullcontext() if is_safe else pytest.raises(ValueError, match="must be "):
        require_safe(url)


def test_plain_http_can_be_refused_altogether() -> None:
    """Where a remote issuer names the URL."""
    require_safe("https://issuer.example.com", may_be_plain=False)
    with pytest.raises(ValueError, match="must be https; plain http is for issuers on this machine alone"):
        require_safe("http://127.0.0.1/keys", may_be_plain=False)
