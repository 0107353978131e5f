"""`tokenserver registry-config --notifications`: the section by which a registry reports to this server."""

from __future__ import annotations

import json
from pathlib import Path

import canaries
import pytest
import yaml
from registries_commands import Site

from tokenserver.cli.registries.notifications import notifications_section
from tokenserver.config.load import load_settings
from tokenserver.credentials import Secret

SECRET = "0123456789abcdef0123456789abcdef-printed"
canaries.know(SECRET)
HEADER = {"Authorization": [f"Bearer {SECRET}"]}


def section(folder: Path, entry: str, server: str = "", service: str | None = None) -> str:
    """What is printed for the only registry of a configuration."""
    (folder / "c.yaml").write_text(
        f"issuer: a\nserver: {{url: 'https://auth.example.com/x'{server}}}\nanonymous: true\npolicies: p\nkeys: k\n"
        f"registries: [{{{entry}}}]\n"
    )
    settings = load_settings(folder / "c.yaml", {})
    registry = settings.registries[0]
    return notifications_section(settings, registry, service or registry.service, Secret(SECRET))


@pytest.mark.parametrize(
    ("more", "unwanted"),
    [
        pytest.param("", {}, id="everything"),
        pytest.param(", actions: [push, delete]", {"ignore": {"actions": ["pull", "mount"]}}, id="not everything"),
    ],
)
def test_distribution(tmp_path: Path, more: str, unwanted: dict[str, object]) -> None:
    """YAML that reads back as what went in; what is not recorded need not be sent."""
    printed = section(tmp_path, f"service: 'a: b', notifications: {{secret_file: s{more}}}")
    assert yaml.safe_load(printed) == {
        "notifications": {
            "endpoints": [
                {
                    "name": "tokenserver",
                    "url": "https://auth.example.com/x/notifications/a:%20b",
                    "headers": HEADER,
                    "timeout": "5s",
                    "threshold": 3,
                    "backoff": "1s",
                    **unwanted,
                }
            ]
        }
    }


def test_zot(tmp_path: Path) -> None:
    """JSON; every version sends a user and a password, and not every one a token."""
    printed = section(tmp_path, "service: reg, compat: zot, algorithm: RS256, notifications: {secret_file: s}")
    assert json.loads(printed) == {
        "extensions": {
            "events": {
                "enable": True,
                "sinks": [
                    {
                        "type": "http",
                        "address": "https://auth.example.com/x/notifications/reg",
                        "timeout": "5s",
                        "credentials": {"username": "zot", "password": SECRET},
                    }
                ],
            }
        }
    }


@pytest.mark.parametrize(
    ("server", "url"),
    [
        pytest.param(", notifications: '10.0.0.5:5003'", "http://10.0.0.5:5003/notifications/reg", id="an address"),
        pytest.param(", notifications: '[2001:db8::1]:5003'", "http://[2001:db8::1]:5003/notifications/reg", id="IPv6"),
        pytest.param(", notifications: '0.0.0.0:5003'", "http://auth.example.com:5003/notifications/reg", id="all"),
        pytest.param(
            ", notifications: '[::]:5003', tls: {certificate: c, key: k}",
            "https://auth.example.com:5003/notifications/reg",
            id="all with TLS",
        ),
    ],
)
def test_a_listener_of_its_own(tmp_path: Path, server: str, url: str) -> None:
    """Its address, or where it listens everywhere, the host of the public URL."""
    printed = section(tmp_path, "service: reg, notifications: {secret_file: s}", server)
    assert yaml.safe_load(printed)["notifications"]["endpoints"][0]["url"] == url


@pytest.fixture
def reporting(site: Site) -> Site:
    """A site of which one registry reports, with two secrets, of which the first is the newer."""
    (site.folder / "secret").write_text(f"{SECRET}\n{'0' * 32}\n")
    (site.folder / "secret").chmod(0o600)
    site.write(
        "{service: plain, also: [bridged], notifications: {secret_file: secret}}",
        "{service: zot, compat: zot, algorithm: RS256, keys: zot-keys, notifications: {secret_file: secret}}",
        "{service: quiet}",
    )
    return site


def test_the_command(reporting: Site) -> None:
    """The section alone, with the newer secret, for the name that was asked; the hints are on standard error."""
    result = reporting.run("registry-config", "bridged", "--for", "distribution3", "--notifications")
    assert result.exit_code == 0, result.stderr
    (endpoint,) = yaml.safe_load(result.stdout)["notifications"]["endpoints"]
    assert (endpoint["headers"], endpoint["url"].rpartition("/")[2]) == (HEADER, "bridged")
    assert SECRET not in result.stderr
    assert "restart the registry" in result.stderr
    zot = reporting.run("registry-config", "zot", "--for", "zot", "--notifications", "--json")
    assert set(json.loads(zot.stdout)) == {"service", "section"}
    assert "zot sends each report once" in zot.stderr


@pytest.mark.parametrize(
    ("server", "is_said"),
    [
        pytest.param("", False, id="https"),
        pytest.param(", notifications: '127.0.0.1:5004'", True, id="plain http"),
        pytest.param(", notifications: '127.0.0.1:5004', require_https: false", False, id="allowed"),
    ],
)
def test_a_url_that_would_be_refused(reporting: Site, server: str, is_said: bool) -> None:
    """The secret must not be on the network."""
    text = reporting.config.read_text()
    reporting.config.write_text(text.replace('auth.example.com"}', f'auth.example.com"{server}}}'))
    result = reporting.run("registry-config", "plain", "--for", "distribution3", "--notifications")
    assert result.exit_code == 0, result.stderr
    assert ("This URL is plain http" in result.stderr) is is_said


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        pytest.param(
            ["quiet", "--for", "distribution3"], 2, "quiet reports nothing; fix: add notifications:", id="quiet"
        ),
        pytest.param(
            ["plain", "--for", "distribution3", "--write", "x"], 2, "goes with neither --trust nor --write", id="write"
        ),
    ],
)
def test_wrong_use(reporting: Site, arguments: list[str], code: int, problem: str) -> None:
    """Said, with the fix."""
    result = reporting.run("registry-config", *arguments, "--notifications")
    assert result.exit_code == code
    assert problem in result.stderr
