"""`tokenserver init`: a site that `check` accepts, its secrets, and options that it rejects."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from site_commands import Run

from tokenserver.cli import main
from tokenserver.config.load import load_settings
from tokenserver.server.stored.opening import open_store, storage_faults
from tokenserver.storage.selection import Selection

POLICY = 'version: 1\nallow: [{id: all, to: [everyone], repositories: ["**"], role: reader}]\n'


def test_init_makes_something_that_check_accepts(run: Run, made: Path) -> None:
    """Configuration, samples, keys and a user; `check` says that all is well, with what it found."""
    result = run("check", "--config", made / "tokenserver.yaml")
    assert result.exit_code == 0, result.stderr
    assert "Configuration is valid." in result.stdout
    facts = json.loads(run("check", "--json", "--config", made / "tokenserver.yaml").stdout)
    assert (facts["ok"], facts["users"]) == (True, 1)
    assert facts["rules"] > 10


def test_init_prints_a_password_that_works_and_stores_it_nowhere(run: Run, tmp_path: Path) -> None:
    """It is random, at least 128 bits, of letters and digits, printed once, and only its hash is in a file."""
    passwords = set()
    for name in ("one", "two"):
        result = run("init", name)
        (line,) = [line for line in result.stdout.splitlines() if line.strip().startswith("password")]
        password = line.split()[1]
        passwords.add(password)
        assert len(password) >= 22
        assert password.isascii()
        assert password.isalnum()
        users = tmp_path / name / "users.htpasswd"
        arguments = ["users", "verify", "admin", "--file", str(users)]
        assert CliRunner().invoke(main, arguments, input=f"{password}\n").exit_code == 0
        for path in (tmp_path / name).rglob("*"):
            assert not path.is_file() or password.encode() not in path.read_bytes()
    assert len(passwords) == 2


def test_init_keeps_secrets_private(made: Path) -> None:
    """Users and private keys are 0600, their folders are nobody else's."""
    for path in [made / "users.htpasswd", *(made / "keys").rglob("*.key")]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((made / "keys").stat().st_mode) == 0o700


def test_init_makes_a_storage_that_works(made: Path) -> None:
    """The state key is there, and the first command that stores something makes the file."""
    settings = load_settings(made / "tokenserver.yaml", {})
    assert storage_faults(settings) == []
    assert open_store(settings).listed(Selection()) == []
    assert stat.S_IMODE((made / "state" / "tokenserver.db").stat().st_mode) == 0o600


def test_init_changes_nothing_where_something_is(run: Run, made: Path) -> None:
    """A second run is refused and says what to do; every byte stays."""
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    result = run("init", made)
    assert result.exit_code == 2
    assert "nothing was changed" in result.stderr
    assert before == {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}


BAD_INIT = [
    pytest.param(["--url", "http://127.0.1:5001"], "host name", id="no-ip-address"),
    pytest.param(["--issuer", 'a"b'], "issuer", id="quote-in-issuer"),
    pytest.param(["--listen", "localhost"], "server.listen", id="no-port"),
    pytest.param(["--user", "a:b"], "--user", id="colon-in-user"),
    pytest.param(["--user", "a\nb"], "--user", id="newline-in-user"),
    pytest.param(["--service", ""], "registries[0].service", id="empty-service"),
]


@pytest.mark.parametrize(("arguments", "told"), BAD_INIT)
def test_init_tells_what_is_wrong_and_can_be_repeated(run: Run, arguments: list[str], told: str) -> None:
    """Wrong options are named, and a corrected second run works."""
    result = run("init", "site", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert run("init", "site").exit_code == 0


@pytest.mark.parametrize("value", ["registry.example.com", "yes", "12:30", "a: b", "- x", "null", "#x", "a #b", "1.5"])
def test_init_quotes_what_yaml_would_read_otherwise(run: Run, tmp_path: Path, value: str) -> None:
    """Whatever text is a legal service arrives as that text."""
    result = run("init", "site", "--service", value)
    assert result.exit_code == 0, result.stderr
    read = yaml.safe_load((tmp_path / "site" / "tokenserver.yaml").read_text())
    assert read["registries"][0]["service"] == value


@pytest.mark.parametrize("umask", [pytest.param(0o002, id="002"), pytest.param(0o077, id="077")])
def test_init_works_under_every_usual_umask(run: Run, tmp_path: Path, umask: int) -> None:
    """Also with folders for policies and keys that were made under it, as git does."""
    before = os.umask(umask)
    try:
        for name in ("keys", "policies"):
            (tmp_path / name).mkdir()
        (tmp_path / "policies" / "a.yaml").write_text(POLICY)
        assert run("init", "plain").exit_code == 0
        result = run("init", "with", "--keys", "keys", "--policies", "policies")
        assert result.exit_code == 0, result.stderr
        for name in ("plain", "with"):
            assert run("check", "--config", f"{name}/tokenserver.yaml").exit_code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o777 & ~umask
    for path in [*tmp_path.rglob("*.key"), *tmp_path.rglob("users.htpasswd")]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
