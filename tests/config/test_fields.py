"""Field types of the settings: URLs, addresses and durations that are accepted."""

from __future__ import annotations

from pathlib import Path

import pytest
from configuration import load, with_registry, with_server, with_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("https://auth.example.com", "https://auth.example.com", id="plain"),
        pytest.param("https://auth.example.com/", "https://auth.example.com", id="closing-slash"),
        pytest.param("https://auth.example.com/a/b/", "https://auth.example.com/a/b", id="path"),
        pytest.param("http://localhost:5001", "http://localhost:5001", id="localhost"),
        pytest.param("https://auth.example.com.", "https://auth.example.com.", id="closing-dot"),
        pytest.param("https://xn--bcher-kva.example", "https://xn--bcher-kva.example", id="punycode"),
        pytest.param("https://3com.example", "https://3com.example", id="digit-first"),
    ],
)
def test_right_urls(folder: Path, url: str, expected: str) -> None:
    """As written, without a closing slash, so that the realm has one slash before `token`."""
    found = load(folder, with_url(url)).server
    assert (found.url, found.realm) == (expected, f"{expected}/token")


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        pytest.param("127.0.0.1:5001", ("127.0.0.1", 5001), id="ipv4"),
        pytest.param("0.0.0.0:80", ("0.0.0.0", 80), id="everywhere"),  # noqa: S104 - an address in a text
        pytest.param("[::]:5001", ("::", 5001), id="ipv6-everywhere"),
        pytest.param("[2001:db8::1]:65535", ("2001:db8::1", 65535), id="ipv6"),
    ],
)
def test_right_addresses(folder: Path, listen: str, expected: tuple[str, int]) -> None:
    """Address and port, the brackets of IPv6 gone."""
    assert load(folder, with_server(f"listen: '{listen}'")).server.address == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("60", 60, id="number"),
        pytest.param("60s", 60, id="seconds"),
        pytest.param("15m", 900, id="minutes"),
        pytest.param("1h", 3600, id="hour"),
        pytest.param("3600", 3600, id="longest"),
        pytest.param("060s", 60, id="leading-zero"),
    ],
)
def test_right_durations(folder: Path, text: str, expected: int) -> None:
    """Seconds, whatever the unit; the limits are allowed."""
    assert load(folder, with_registry(f"token_lifetime: {text}")).registries[0].token_lifetime.default == expected
