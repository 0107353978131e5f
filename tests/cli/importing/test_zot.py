"""`tokenserver import zot`: from zot's users and `accessControl` to a site, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from site_commands import Run
from users_commands import hashed
from zot_configurations import content, policy, zot_configuration

WRITE = ["read", "create", "update", "delete"]
CONFIGURATION = zot_configuration(
    {
        "**": {"defaultPolicy": ["read"], "anonymousPolicy": ["read"]},
        "web/**": {"policies": [policy(["ann"], ["devs"], WRITE)]},
    },
    groups={"devs": {"users": ["bob"]}},
)


@pytest.fixture
def zot(tmp_path: Path) -> Path:
    """The configuration of zot, with its users file beside it."""
    (tmp_path / "htpasswd").write_text(f"ann:{hashed('a password of ann')}\n")
    (tmp_path / "config.json").write_bytes(content(CONFIGURATION))
    return tmp_path / "config.json"


@pytest.mark.parametrize(
    ("who", "action", "path", "is_allowed"),
    [
        pytest.param(["--user", "ann"], "delete", "web/shop", True, id="user"),
        pytest.param(["--user", "bob"], "push", "web/shop", True, id="group"),
        pytest.param(["--user", "eve"], "pull", "base/x", True, id="default"),
        pytest.param(["--user", "eve"], "pull", "web/shop", False, id="the longest pattern decides"),
        pytest.param(["--anonymous"], "pull", "base/x", True, id="anonymous"),
    ],
)
def test_a_site(run: Run, zot: Path, who: list[str], action: str, path: str, is_allowed: bool) -> None:
    """It starts, and grants what zot granted."""
    result = run("import", "zot", zot, "site")
    assert result.exit_code == 0, result.stderr
    why = run("policy", "why", action, path, *who, "--config", "site/tokenserver.yaml")
    assert (why.exit_code, why.stderr) == (0 if is_allowed else 1, "")


def test_the_section(run: Run, zot: Path, tmp_path: Path) -> None:
    """As `registry-config` prints it, with the certificate."""
    assert run("import", "zot", zot, "site", "--trust", "/keys.pem").exit_code == 0
    bearer = {"realm": "http://localhost:5001/token", "service": "registry", "cert": "/keys.pem"}
    assert json.loads((tmp_path / "site/registry/auth.json").read_text()) == {"http": {"auth": {"bearer": bearer}}}
    assert "BEGIN CERTIFICATE" in (tmp_path / "site/registry/token-signing.pem").read_text()


def test_without_access_control(run: Run, zot: Path) -> None:
    """Everybody who logs in may do everything, as in zot; other sources of users are reported."""
    auth = {"htpasswd": {"path": "htpasswd"}, "ldap": {"address": "x"}}
    zot.write_bytes(content({"http": {"auth": auth}}))
    report = json.loads(run("import", "zot", zot, "site", "--json").stdout)
    assert report["counts"] == {"exact": 2, "different": 1, "not translated": 1}
    assert run("policy", "why", "push", "any/x", "--user", "bob", "--config", "site/tokenserver.yaml").exit_code == 0


def test_without_users(run: Run, zot: Path) -> None:
    """The users file is empty."""
    zot.write_bytes(content({"http": {**CONFIGURATION["http"], "auth": {}}}))
    assert run("import", "zot", zot, "site").exit_code == 0
    assert (zot.parent / "site" / "users.htpasswd").read_bytes() == b""


@pytest.mark.parametrize(
    ("configuration", "fault"),
    [
        pytest.param({"storage": {}}, "http: is missing", id="another document"),
        pytest.param(zot_configuration({}, groups={}), "grants nothing to anybody", id="no rule"),
        pytest.param(
            {"http": {"auth": {"htpasswd": {"path": "/etc/zot/users"}}}},
            "/etc/zot/users does not exist on this machine; fix: copy it here, and add --users",
            id="no users file",
        ),
    ],
)
def test_refused(run: Run, zot: Path, tmp_path: Path, configuration: dict[str, Any], fault: str) -> None:
    """With a fault, and nothing is written."""
    zot.write_bytes(content(configuration))
    result = run("import", "zot", zot, "site")
    assert (result.exit_code, fault in result.stderr) == (2, True), result.stderr
    assert not (tmp_path / "site").exists()
