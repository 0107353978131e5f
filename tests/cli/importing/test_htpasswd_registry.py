"""`tokenserver import htpasswd-registry`: from a registry's users file to a site, and what is refused."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from site_commands import Run
from users_commands import hashed
from zot_configurations import content, zot_configuration

from tokenserver.cli import main
from tokenserver.cli import serve as serving
from tokenserver.process import listener

PAGE = (Path(__file__).parents[3] / "docs" / "move-from-a-users-file.md").read_text("utf-8")
COMMANDS = re.findall(r"^(tokenserver .*)$", PAGE, re.MULTILINE)

CONFIG = """\
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/registry}}
http: {addr: ":5000"}
auth:
  htpasswd: {realm: basic, path: /auth/passwords-of-people}
"""


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """The configuration of a registry, with its users file beside it."""
    (tmp_path / "passwords-of-people").write_text(f"ann:{hashed('a password of ann')}\nold:$apr1$abc$def\n")
    (tmp_path / "config.yml").write_text(CONFIG)
    return tmp_path / "config.yml"


def test_a_site(run: Run, registry: Path, tmp_path: Path) -> None:
    """It starts, the password works, and the report says what was left out."""
    result = run("import", "htpasswd-registry", registry, "site")
    assert result.exit_code == 0, result.stderr
    assert "passwords-of-people:2: not translated: old" in result.stdout
    assert run("check", "--config", "site/tokenserver.yaml").exit_code == 0
    verify = ["users", "verify", "ann", "--file", str(tmp_path / "site" / "users.htpasswd")]
    assert CliRunner().invoke(main, verify, input="a password of ann\n").exit_code == 0
    why = run("policy", "why", "push", "any/thing", "--user", "ann", "--config", "site/tokenserver.yaml")
    assert why.exit_code == 0, why.stdout


def test_the_section_is_that_of_registry_config(run: Run, registry: Path, tmp_path: Path) -> None:
    """With the keys that the new site has."""
    options = ["--service", "r.example.com", "--url", "https://auth.example.com", "--issuer", "us"]
    assert run("import", "htpasswd-registry", registry, "site", *options, "--trust", "/ca.pem").exit_code == 0
    printed = run(
        *("registry-config", "r.example.com", "--for", "distribution3"),
        *("--trust", "/ca.pem", "--config", "site/tokenserver.yaml"),
    )
    assert (tmp_path / "site" / "registry" / "auth.yml").read_text() == printed.stdout
    assert yaml.safe_load(printed.stdout)["auth"]["token"]["realm"] == "https://auth.example.com/token"
    trusted = (tmp_path / "site" / "registry" / "token-ca.pem").read_bytes()
    assert trusted == (tmp_path / "site" / "keys" / "token-ca.pem").read_bytes()


def test_json(run: Run, registry: Path) -> None:
    """The report for machines."""
    report = json.loads(run("import", "htpasswd-registry", registry, "site", "--json").stdout)
    assert report["counts"] == {"exact": 2, "different": 1, "not translated": 1}


def test_variables_alone(run: Run, registry: Path, tmp_path: Path) -> None:
    """As `docker run -e` has them; the service is the host that the registry knows."""
    registry.write_text("version: 0.1\nhttp: {host: 'https://registry.example.com/'}\n")
    (tmp_path / "env").write_text("REGISTRY_AUTH=htpasswd\nREGISTRY_AUTH_HTPASSWD_PATH=/auth/passwords-of-people\n")
    result = run("import", "htpasswd-registry", registry, "site", "--env", "env")
    assert result.exit_code == 0, result.stderr
    assert yaml.safe_load((tmp_path / "site" / "tokenserver.yaml").read_text())["registries"] == [
        {"service": "registry.example.com", "compat": "universal"}
    ]


def test_the_commands_of_the_page(run: Run, registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each works as it is written; the server is not started, and so the doctor does not reach it."""
    monkeypatch.setattr(serving, "harden_process", lambda: None)
    monkeypatch.setattr(listener, "run", lambda *_: None)
    registry.rename(tmp_path / "config.yml")
    (tmp_path / "config.json").write_bytes(content(zot_configuration({"**": {"defaultPolicy": ["read"]}})))
    (tmp_path / "htpasswd").write_text("")
    assert [command.split()[1] for command in COMMANDS] == ["import", "check", "serve", "doctor", "import"]
    for command in COMMANDS:
        _, *words = shlex.split(command)
        result = CliRunner().invoke(main, words)
        findings = 1 if words[0] == "doctor" else 0  # no server is running
        assert (command, result.exit_code) == (command, findings), result.stderr


def test_the_section_of_the_page(run: Run, registry: Path, tmp_path: Path) -> None:
    """The keys are where the page says."""
    assert run("import", "htpasswd-registry", registry, "site").exit_code == 0
    section = yaml.safe_load((tmp_path / "site" / "registry" / "auth.yml").read_text())["auth"]["token"]
    assert section["rootcertbundle"] == "/etc/distribution/token-ca.pem"
    assert section["rootcertbundle"] in PAGE
    for path in (tmp_path / "site").iterdir():
        assert path.name in PAGE


def _other_auth(config: Path) -> None:
    config.write_text(CONFIG.replace("htpasswd:", "silly:"))


def _token(config: Path) -> None:
    config.write_text("version: 0.1\nauth: {token: {realm: http://x/token, service: x, issuer: x}}\n")


def _none(config: Path) -> None:
    config.write_text("version: 0.1\n")


def _no_path(config: Path) -> None:
    config.write_text("version: 0.1\nauth: {htpasswd: {realm: x}}\n")


def _elsewhere(config: Path) -> None:
    (config.parent / "passwords-of-people").unlink()


def _broken_users(config: Path) -> None:
    (config.parent / "passwords-of-people").write_text("ann\n")


def _no_text(config: Path) -> None:
    (config.parent / "passwords-of-people").write_bytes(b"\xff:x\n")


def _broken(config: Path) -> None:
    config.write_text("auth: [")


def _there(config: Path) -> None:
    (config.parent / "site").write_text("mine")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param(_other_auth, "auth is silly, and not htpasswd", id="another auth"),
        pytest.param(_token, "asks a token server already", id="token"),
        pytest.param(_none, "auth is none, and not htpasswd", id="no auth"),
        pytest.param(_no_path, "auth.htpasswd.path: is missing", id="no path"),
        pytest.param(_elsewhere, "does not exist on this machine; fix: copy it here, and add --users", id="no file"),
        pytest.param(_broken_users, "passwords-of-people:1: is not NAME:HASH", id="users"),
        pytest.param(_no_text, "is not UTF-8 text", id="no text"),
        pytest.param(_broken, "is not valid YAML", id="YAML"),
        pytest.param(_there, "exists, and is not a folder", id="the folder is there"),
    ],
)
def test_refused(run: Run, registry: Path, tmp_path: Path, change: Callable[[Path], None], fault: str) -> None:
    """With a fault that says what to do, and nothing is written."""
    change(registry)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    result = run("import", "htpasswd-registry", registry, "site")
    assert (result.exit_code, fault in result.stderr) == (2, True), result.stderr
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
