"""The settings of a shadow peer: a URL that passwords may be sent to, and that is another server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tokenserver.config.sources.shadow_peer import ShadowPeerSettings

URL = "https://old-auth.example.com/auth"


def settings(value: Any) -> ShadowPeerSettings:
    return ShadowPeerSettings.model_validate(value, context={"base": Path("/etc/tokenserver")})


def test_a_url_is_enough() -> None:
    """The rest has defaults."""
    found = settings(URL)
    assert found == settings({"url": URL})
    assert (found.url, found.ca_file, found.deadline, found.rate, found.failed_logins) == (URL, None, 5, 10, False)


def test_everything() -> None:
    """Each key has its effect."""
    found = settings({"url": URL, "ca_file": "ca.pem", "deadline": "30s", "rate": 100, "failed_logins": True})
    assert (found.ca_file, found.deadline) == (Path("/etc/tokenserver/ca.pem"), 30)
    assert (found.rate, found.failed_logins) == (100, True)


@pytest.mark.parametrize("url", ["http://localhost:5001/auth", "http://127.0.0.1/auth", "http://[::1]:5001/auth"])
def test_plain_http_at_this_machine(url: str) -> None:
    """No password leaves it."""
    assert settings(url).url == url


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        pytest.param("http://old.example.com/auth", "must be https, since passwords are sent there", id="plain http"),
        pytest.param("http://localhost.example.com/auth", "must be https", id="a name that begins like this machine"),
        pytest.param("https://old.example.com", "with its path, such as", id="no path"),
        pytest.param("https://old.example.com/", "with its path, such as", id="the root"),
        pytest.param("https://ann:x@old.example.com/auth", "without user", id="a user"),
        pytest.param("https://old.example.com/auth?x=y", "without user, query", id="a query"),
        pytest.param("https://old.example.com/a/../b", "must be plain", id="dots"),
        pytest.param("old.example.com", "must be a URL such as https://old-auth", id="a host"),
        pytest.param({"url": URL, "deadline": "0s"}, "must be from 1s to 30s", id="no time"),
        pytest.param({"url": URL, "deadline": "31s"}, "must be from 1s to 30s", id="long"),
        pytest.param({"url": URL, "rate": 0}, "greater than or equal to 1", id="no questions"),
        pytest.param({"url": URL, "rate": 101}, "less than or equal to 100", id="a flood"),
        pytest.param({"rate": 1}, "required", id="no url"),
        pytest.param({"url": URL, "insecure": True}, "not permitted", id="an unknown key"),
    ],
)
def test_faults(value: Any, problem: str) -> None:
    """Each with what would be right."""
    with pytest.raises(ValidationError) as caught:
        settings(value)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("url", "server_url", "is_ours"),
    [
        pytest.param("https://auth.example.com/auth", "https://auth.example.com", True, id="docker_auth's path"),
        pytest.param("https://auth.example.com/token", "https://auth.example.com", True, id="ours"),
        pytest.param("https://auth.example.com/auth/token", "https://auth.example.com", True, id="autoredirect"),
        pytest.param("https://AUTH.example.com.:443/token", "https://auth.example.com", True, id="another spelling"),
        pytest.param("https://auth.example.com/x/token", "https://auth.example.com/x", True, id="below a path"),
        pytest.param("https://auth.example.com/old/auth", "https://auth.example.com", False, id="another path"),
        pytest.param("https://auth.example.com:8443/auth", "https://auth.example.com", False, id="another port"),
        pytest.param("https://old.example.com/auth", "https://auth.example.com", False, id="another host"),
        pytest.param("http://localhost:5001/auth", "http://localhost:5002", False, id="two servers of one machine"),
    ],
)
def test_the_server_itself(url: str, server_url: str, *, is_ours: bool) -> None:
    """A proxy may have both servers under one name."""
    assert settings(url).is_at(server_url) == is_ours
