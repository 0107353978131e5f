"""Warnings about `server.url`: plain http, and an IP address."""

from __future__ import annotations

import pytest

from tokenserver.config.registries import RegistrySettings
from tokenserver.config.server import ServerSettings
from tokenserver.config.settings import Settings
from tokenserver.server.url_warnings import MAX_NAMED, url_warnings


def warnings_of(settings: Settings, url: str, *registries: str | None) -> list[str]:
    """The warnings for a server at `url` with registries at these URLs (None: not known)."""
    listed = tuple(RegistrySettings(service=f"r{number}", url=one) for number, one in enumerate(registries))
    changed = {"server": ServerSettings(url=url, require_https=False), "registries": listed}
    return list(url_warnings(settings.model_copy(update=changed)))


@pytest.mark.parametrize(
    ("url", "registries", "says"),
    [
        pytest.param("https://auth.example.com", [None], [], id="a name"),
        pytest.param("http://localhost:5001", [None], [], id="localhost"),
        pytest.param("http://auth.localhost:5001", [None], [], id="below localhost"),
        pytest.param("http://auth.example.com", [None], ["clear text; use https"], id="plain http"),
        pytest.param("https://10.0.0.5:5001", [None], ["crane rejects 10.0.0.5 in a realm unless"], id="not known"),
        pytest.param("https://10.0.0.5", ["https://10.0.0.5"], [], id="the same host and port"),
        pytest.param(
            "https://10.0.0.5:5001",
            ["https://10.0.0.5:5000", "https://10.0.0.5:5001/x", None],
            ["same host and port, 10.0.0.5:5001 (registry r0)", "oras and helm reject some"],
            id="three registries",
        ),
        pytest.param(
            "https://10.0.0.5", ["https://r.example.com"], ["another host and port, r.example.com"], id="a name there"
        ),
        pytest.param("https://[fd00::5]:5001", [None], ["crane rejects fd00::5"], id="IPv6"),
        pytest.param("http://10.0.0.5", ["http://10.0.0.5"], ["clear text"], id="plain http at an address"),
        pytest.param("http://127.0.0.1:5001", ["http://127.0.0.1:5000"], ["crane rejects 127.0.0.1"], id="loopback"),
        pytest.param("http://[::1]:5001", ["http://[::1]:5001"], [], id="loopback, one port"),
        pytest.param("https://203.0.113.5", [None], ["a public one in a realm (crane rejects"], id="public"),
        pytest.param("https://[2001:db8::1]", [None], ["Distribution 3.1 as a mirror"], id="public IPv6"),
    ],
)
def test_warnings(url: str, registries: list[str | None], says: list[str], settings: Settings) -> None:
    """One sentence for each fault, which names the clients that reject the address and the registries concerned."""
    found = warnings_of(settings, url, *registries)
    assert len(found) == len(says)
    assert all(text in one for text, one in zip(says, found, strict=True))
    assert all("; fix: " in one or "; use https" in one for one in found)


def test_many_registries_are_counted(settings: Settings) -> None:
    """The line stays readable, however many there are."""
    (found,) = warnings_of(settings, "https://10.0.0.5", *[None] * (MAX_NAMED + 2))
    assert "(registry r0, r1, r2, r3, r4 and 2 more)" in found
