"""Which URLs may be asked, and where the endpoints of a token server are. See docs/design/threats.md#threat-167."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.credential_helper.token_server.urls import (
    MAX_URL,
    challenge_urls,
    is_own_service,
    is_protected,
    issuer_of,
    with_audience,
)


@pytest.mark.parametrize(
    "url",
    [
        "https://auth.example.com/token",
        "https://auth.example.com:8443/x?y=z",
        "http://localhost:5001/token",
        "http://127.0.0.1:5001/token",
        "http://127.8.9.10/token",
        "http://[::1]:5001/token",
    ],
)
def test_protected(url: str) -> None:
    """https, and plain http to this machine."""
    assert is_protected(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://auth.example.com/token",
        "http://localhost.example.com/token",
        "http://127.0.0.1.example.com/token",
        "http://10.0.0.1/token",
        "ftp://auth.example.com/token",
        "file:///etc/passwd",
        "https:///token",
        "https://ann:pw@auth.example.com/token",
        "https://@auth.example.com/token",
        "https://auth.example.com/token#x",
        "https://auth.example.com\\@evil.example.com/token",
        "https://auth.example.com/to ken",
        "https://auth.example.com/\x1b[2J",
        "https://[::1/token",
        "https://auth.example.com:port/token",
        "https://auth.example.com:99999/token",
        "https://äuth.example.com/token",
        "https://auth.example.com/" + "a" * MAX_URL,
        "",
        "token",
    ],
)
def test_not_protected(url: str) -> None:
    """Anything else is not asked."""
    assert not is_protected(url)
    assert issuer_of(url) is None


@pytest.mark.parametrize(
    ("realm", "issuer"),
    [
        ("https://auth.example.com/token", "https://auth.example.com"),
        ("https://example.com/registry/auth/token", "https://example.com/registry/auth"),
        ("https://auth.example.com/auth", "https://auth.example.com"),
        ("http://localhost:5001/token", "http://localhost:5001"),
        ("https://auth.example.com//token", "https://auth.example.com"),
        ("https://auth.example.com/v2/service", None),
        ("https://auth.example.com/token?tenant=a", None),
    ],
)
def test_issuer_of(realm: str, issuer: str | None) -> None:
    """The realm without the path of the token endpoint."""
    assert issuer_of(realm) == issuer


@pytest.mark.parametrize(
    ("registry", "urls"),
    [
        ("registry.example.com", ["https://registry.example.com/v2/"]),
        ("registry.example.com:5000", ["https://registry.example.com:5000/v2/"]),
        ("localhost:5000", ["https://localhost:5000/v2/", "http://localhost:5000/v2/"]),
        ("[::1]:5000", ["https://[::1]:5000/v2/", "http://[::1]:5000/v2/"]),
        ("[2001:db8::1]", ["https://[2001:db8::1]/v2/"]),
    ],
)
def test_challenge_urls(registry: str, urls: list[str]) -> None:
    """Plain http is for this machine."""
    assert challenge_urls(registry) == urls


@pytest.mark.parametrize(
    ("registry", "service", "expected"),
    [
        ("registry.example.com", "registry.example.com", True),
        ("registry.example.com:5000", "registry.example.com", True),
        ("registry.example.com:5000", "Registry.example.com:5000", True),
        ("registry.example.com", "registry.example.com:5000", False),
        ("evil.example.com", "registry.example.com", False),
        ("registry.example.com", "", False),
        ("registry.example.com", "example.com", False),
    ],
)
def test_is_own_service(registry: str, service: str, expected: bool) -> None:
    """A registry speaks for its own host."""
    assert is_own_service(registry, service) is expected


def test_with_audience() -> None:
    """GitHub's URL has a query; another one may have none."""
    assert with_audience("https://g/x?v=2", "https://a/b") == "https://g/x?v=2&audience=https%3A%2F%2Fa%2Fb"
    assert with_audience("https://g/x", "a&b") == "https://g/x?audience=a%26b"


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_text(url: str, service: str) -> None:
    """Any text is a URL or not."""
    assert is_protected(url) or issuer_of(url) is None
    assert isinstance(is_own_service("registry.example.com", service), bool)
