"""`tokenserver import docker-auth`: a site that starts, with a report; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from site_commands import Run

CONFIG = """\
server: {addr: ":5001"}
token: {issuer: us, expiration: 900}
users:
  "": {}
  admin: {password: "$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC"}
  open: {}
acl:
  - match: {account: admin}
    actions: ["*"]
    comment: "all for the admin"
  - match: {team: web}
    actions: [push]
  - match: {account: "", name: "public/*", service: registry.example.com}
    actions: [pull]
"""


@pytest.fixture
def peer(tmp_path: Path) -> Path:
    """A configuration of docker_auth."""
    (tmp_path / "auth.yml").write_text(CONFIG)
    return tmp_path / "auth.yml"


def test_a_site(run: Run, peer: Path, tmp_path: Path) -> None:
    """It starts, its tests pass, and the report has a request that is answered differently."""
    result = run("import", "docker-auth", peer, "site", "--url", "https://auth.example.com")
    assert result.exit_code == 0, result.stderr
    assert "auth.yml:11: closed: (ignored: match.team)" in result.stdout
    assert "closed: users: open" in result.stdout
    check = run("check", "--config", "site/tokenserver.yaml")
    assert check.exit_code == 0, check.stderr
    report = (tmp_path / "site" / "REPORT.md").read_text()
    assert "Answered differently: `" in report
    settings = yaml.safe_load((tmp_path / "site" / "tokenserver.yaml").read_text())
    assert [one["service"] for one in settings["registries"]] == ["registry.example.com"]
    assert settings["server"]["url"] == "https://auth.example.com"
    allowed = run("policy", "why", "push", "any/thing", "--user", "admin", "--config", "site/tokenserver.yaml")
    assert allowed.exit_code == 0, allowed.stdout
    policy = yaml.safe_load((tmp_path / "site" / "policies" / "acl.yaml").read_text())
    assert policy["tests"]


def test_json(run: Run, peer: Path, tmp_path: Path) -> None:
    """The same report, which is also a file."""
    result = run("import", "docker-auth", peer, "site", "--json", "--service", "other.example.com", "--compat", "jwks")
    printed = json.loads(result.stdout)
    saved = json.loads((tmp_path / "site" / "report.json").read_text())
    assert printed == {"folder": "site", **saved}
    assert [one["verdict"] for one in saved["constructs"] if one["text"].startswith("(ignored")] == ["closed"]
    settings = yaml.safe_load((tmp_path / "site" / "tokenserver.yaml").read_text())
    assert [(one["service"], one["compat"]) for one in settings["registries"]] == [
        ("registry.example.com", "jwks"),
        ("other.example.com", "jwks"),
    ]


def test_traps_are_kept(run: Run, peer: Path) -> None:
    """If the operator says so."""
    result = run("import", "docker-auth", peer, "site", "--keep-traps")
    assert "auth.yml:11: kept: (ignored: match.team)" in result.stdout


def test_no_service(run: Run, tmp_path: Path) -> None:
    """A placeholder, with a step that says so."""
    (tmp_path / "auth.yml").write_text(CONFIG.replace(", service: registry.example.com", ""))
    result = run("import", "docker-auth", "auth.yml", "site")
    assert "Replace registry.example.com in tokenserver.yaml" in result.stdout


def test_a_directory(run: Run, tmp_path: Path) -> None:
    """Its files are copied."""
    ldap = "ldap_auth: {addr: 'x:636', base: o=x, bind_dn: cn=x, bind_password_file: p, filter: '(uid=${account})'}\n"
    (tmp_path / "auth.yml").write_text(CONFIG + ldap)
    (tmp_path / "p").write_text("a secret word\n")
    result = run("import", "docker-auth", "auth.yml", "site")
    assert result.exit_code == 0, result.stderr
    copy = tmp_path / "site" / "ldap-password"
    assert (copy.read_text(), copy.stat().st_mode & 0o777) == ("a secret word\n", 0o600)


FAULTS = {
    "broken YAML": ("users: [", "auth.yml:2: is not valid YAML"),
    "not UTF-8": (b"\xff", "auth.yml: is not UTF-8 text"),
    "an expression that is none": (CONFIG.replace("admin}", '"/(/"}'), "docker_auth does not start with this"),
    "an entry without a match": (CONFIG + "  - actions: [pull]\n", "docker_auth does not start with this"),
    "too many repetitions": (CONFIG.replace("admin}", '"/^((a{900}){900}){900}$/"}'), "auth.yml:"),
}


@pytest.mark.parametrize(("content", "message"), FAULTS.values(), ids=FAULTS)
def test_faults(run: Run, tmp_path: Path, content: str | bytes, message: str) -> None:
    """Nothing is written."""
    (tmp_path / "auth.yml").write_bytes(content if isinstance(content, bytes) else content.encode())
    result = run("import", "docker-auth", "auth.yml", "site")
    assert result.exit_code == 2
    assert message in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["auth.yml"]


def test_a_folder_that_exists(run: Run, peer: Path, tmp_path: Path) -> None:
    """Nothing in it is overwritten."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "file").touch()
    result = run("import", "docker-auth", peer, "site")
    assert result.exit_code == 2
    assert "exists, and nothing in it is overwritten" in result.stderr
