"""`tokenserver check`: every fault of every file at once, warnings, and what it prints where all is well."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from log_lines import messages_in
from site_commands import Run


def test_check_lists_every_fault_of_every_file(run: Run, made: Path) -> None:
    """Users, policies and keys are all looked at; exit code 2, each fault with its file and line."""
    with (made / "users.htpasswd").open("a") as users:
        users.write("weak:plaintext\n")
    (made / "policies" / "broken.yaml").write_text("version: 1\nalow: []\n")
    next((made / "keys").rglob("signing/*.key")).chmod(0o644)
    result = run("check", "--config", made / "tokenserver.yaml")
    assert result.exit_code == 2
    assert "users.htpasswd:2:" in result.stderr
    assert "broken.yaml:2:" in result.stderr
    assert "can be read by others" in result.stderr
    faults = json.loads(run("check", "--json", "--config", made / "tokenserver.yaml").stdout)["faults"]
    assert {Path(fault["file"]).name for fault in faults} >= {"users.htpasswd", "broken.yaml"}


def test_faults_of_the_settings_hide_no_others(run: Run, made: Path) -> None:
    """One look at the list is enough, also where the configuration itself is at fault."""
    config = made / "tokenserver.yaml"
    config.write_text(config.read_text().replace("anonymous: true", "anonymus: true"))
    (made / "users.htpasswd").write_text("ann:plain\n")
    (made / "policies" / "public.yaml").write_text("version: 1\nalow: []\n")
    (made / "keys" / "token-ca.pem").chmod(0o666)
    found = [run(command, "--config", str(config)) for command in ("check", "serve")]
    assert [result.exit_code for result in found] == [2, 2]
    assert found[0].stderr.splitlines()[:-1] == messages_in(found[1].stderr)[:-1]
    for file, told in [
        ("tokenserver.yaml:", "did you mean 'anonymous'"),
        ("users.htpasswd:1:", "plain text"),
        ("public.yaml:2:", "did you mean 'allow'"),
        ("token-ca.pem:", "0666"),
    ]:
        assert any(file in line and told in line for line in found[0].stderr.splitlines()), found[0].stderr


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("policies", "5"),
        ("policies", '""'),
        ("policies", '"\\0"'),
        ("policies", "~nobody-of-that-name/x"),
        ("keys", "[]"),
        ("keys", "{folder: 5}"),
        ("keys", "{}"),
        ("authentication", "x"),
        ("authentication", "[x, {htpasswd: x}, {htpasswd: {file: [5]}}]"),
    ],
)
def test_paths_that_are_none_are_one_fault_among_others(run: Run, made: Path, key: str, value: str) -> None:
    """What cannot be looked at is told as what it is, and stops nothing else from being told."""
    lines = [
        line for line in (made / "tokenserver.yaml").read_text().splitlines() if not line.startswith("  - htpasswd")
    ]
    text = "\n".join(f"{key}: {value}" if line.startswith(f"{key}:") else line for line in lines)
    (made / "tokenserver.yaml").write_text(text.replace("issuer:", "isuer:"))
    result = run("check", "--config", str(made / "tokenserver.yaml"))
    assert result.exit_code == 2
    assert "did you mean 'issuer'" in result.stderr


def test_check_names_directories_and_asks_them_nothing(run: Run, made: Path) -> None:
    """A server starts while its directory is down, so the check does not need it either; and it says what does ask."""
    ldap = """\
  - ldap:
      name: corp
      preset: openldap
      url: [ldaps://localhost:1, ldaps://localhost:2]
      base: dc=example,dc=com
      bind_dn: cn=reader,dc=example,dc=com
      bind_password: x
"""
    config = made / "directory.yaml"
    text = (made / "tokenserver.yaml").read_text()
    config.write_text(text.replace("  - htpasswd: {file: users.htpasswd}\n", ldap))
    result = run("check", "--config", str(config))
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert "users      0 in no htpasswd file" in lines
    told = "ldaps://localhost:1, ldaps://localhost:2; not contacted, tokenserver ldap test does that"
    assert f"directory  corp at {told}" in lines


def test_a_missing_configuration_says_what_to_do(run: Run) -> None:
    """Without any file, the answer names the command that makes one."""
    result = run("check")
    assert result.exit_code == 2
    assert "tokenserver init" in result.stderr


@pytest.mark.parametrize("metrics", ["127.0.0.1:9090", "'[::1]:9090'"])
def test_check_says_where_metrics_are(run: Run, made: Path, metrics: str) -> None:
    """Only where there are some; `init` leaves them off."""
    config = made / "tokenserver.yaml"
    assert "metrics   " not in run("check", "--config", config).stdout
    text = config.read_text()
    config.write_text(text.replace("  # metrics: 127.0.0.1:9090", f"  metrics: {metrics}"))
    address = metrics.strip("'")
    assert f"metrics   http://{address}/metrics\n" in run("check", "--config", config).stdout


def test_check_warns_of_clear_text_beyond_this_machine(run: Run) -> None:
    """http:// for other machines is possible, but said; so is that they get nothing that way unless it is wanted."""
    run("init", "site", "--url", "http://auth.example.com")
    refused = run("check", "--config", "site/tokenserver.yaml")
    config = Path("site/tokenserver.yaml")
    config.write_text(config.read_text().replace("server:\n", "server:\n  require_https: false\n"))
    taken = run("check", "--config", "site/tokenserver.yaml")
    assert (refused.exit_code, taken.exit_code) == (0, 0)
    assert "clear text, so requests from other machines are refused" in refused.stderr
    assert "clear text; use https://" in taken.stderr


def test_one_name_in_two_sources_is_refused(run: Run, made: Path) -> None:
    """Nobody could say which of the two it is (docs/design/threats.md#threat-10)."""
    config = made / "tokenserver.yaml"
    (made / "more.htpasswd").write_bytes((made / "users.htpasswd").read_bytes())
    text = config.read_text()
    entry = "  - htpasswd: {file: users.htpasswd}\n"
    config.write_text(text.replace(entry, entry + "  - htpasswd: {file: more.htpasswd, name: more}\n"))
    result = run("check", "--config", config)
    assert result.exit_code == 2
    assert "'admin' is in the source 'htpasswd' as well" in result.stderr


def test_a_tls_key_in_another_form_comes_with_the_command(run: Run, made: Path) -> None:
    """granian takes PKCS#8 only; the fault names the conversion."""
    (made / "tls.pem").write_text("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
    key = "\n".join(["-----BEGIN EC PRIV" + "ATE KEY-----", "-----END EC PRIV" + "ATE KEY-----", ""])
    (made / "tls.key").write_text(key)
    (made / "tls.key").chmod(0o600)
    config = made / "tokenserver.yaml"
    text = config.read_text().replace("url: http://", "url: https://")
    config.write_text(text.replace("server:\n", "server:\n  tls: {certificate: tls.pem, key: tls.key}\n"))
    result = run("check", "--config", config)
    assert result.exit_code == 2
    assert "openssl pkcs8 -topk8" in result.stderr


def test_commands_in_faults_work_as_they_stand(run: Run, made: Path) -> None:
    """They have the `--config` of the command that reports the fault; without one, they need none."""
    shutil.rmtree(made / "keys")
    result = run("check", "--config", made / "tokenserver.yaml")
    assert result.exit_code == 2
    (fix,) = re.findall(r"create the keys with: (.*)", result.stderr)
    assert fix == f"tokenserver keys init --config {made / 'tokenserver.yaml'}"
    assert run(*shlex.split(fix)[1:]).exit_code == 0
    assert run("check", "--config", made / "tokenserver.yaml").exit_code == 0
    shutil.rmtree(made / "keys")
    os.chdir(made)
    assert re.search("create the keys with: tokenserver keys init$", run("check").stderr, re.MULTILINE)
