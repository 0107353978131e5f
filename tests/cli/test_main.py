"""The commands that a new user meets first, run as the command line runs them."""

from __future__ import annotations

import json
import re
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from cryptography import x509

from tokenserver.cli import main

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in an empty folder; gives its result with standard output and error apart."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def made(run: Run, tmp_path: Path) -> Path:
    """A folder that `init` made."""
    assert run("init", "site").exit_code == 0
    return tmp_path / "site"


def test_init_makes_something_that_check_accepts(run: Run, made: Path) -> None:
    """Configuration, samples, keys and a user; `check` says that all is well, with what it found."""
    result = run("check", "--config", made / "tokenserver.yaml")
    assert result.exit_code == 0, result.stderr
    assert "Configuration is valid." in result.stdout
    facts = json.loads(run("check", "--json", "--config", made / "tokenserver.yaml").stdout)
    assert (facts["ok"], facts["users"]) == (True, 1)
    assert facts["rules"] > 10


def test_init_prints_a_password_that_works_and_stores_it_nowhere(run: Run, tmp_path: Path) -> None:
    """It is random, at least 128 bits, printed once, and only its hash is in a file."""
    passwords = set()
    for name in ("one", "two"):
        result = run("init", name)
        (line,) = [line for line in result.stdout.splitlines() if line.strip().startswith("password")]
        password = line.split()[1]
        passwords.add(password)
        assert len(password) >= 22
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


def test_init_changes_nothing_where_something_is(run: Run, made: Path) -> None:
    """A second run is refused and says what to do; every byte stays."""
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    result = run("init", made)
    assert result.exit_code == 2
    assert "nothing was changed" in result.stderr
    assert before == {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}


BAD_INIT = [
    pytest.param(["--url", "http://127.0.0.1:5001"], "host name", id="ip-address"),
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
    assert found[0].stderr == found[1].stderr
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


def test_serve_refuses_what_check_refuses(run: Run, made: Path) -> None:
    """The start runs the same checks and ends with the same code."""
    (made / "policies" / "broken.yaml").write_text("version: 1\nalow: []\n")
    checked = run("check", "--config", made / "tokenserver.yaml")
    served = run("serve", "--config", made / "tokenserver.yaml")
    assert (served.exit_code, served.stderr) == (checked.exit_code, checked.stderr) == (2, checked.stderr)


def test_an_address_that_cannot_be_had_is_a_fault(run: Run, made: Path) -> None:
    """Somebody else listens there: one line, not a traceback. `check` may run beside the server that does."""
    config = made / "tokenserver.yaml"
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        config.write_text(re.sub(r"listen: .*", f"listen: {listen}", config.read_text()))
        refused = run("serve", "--config", str(config))
        assert run("check", "--config", str(config)).exit_code == 0
    assert refused.exit_code == 1  # a supervisor tries again; after 2 it would not
    assert refused.stderr.splitlines() == [
        f"{config}: server.listen: cannot listen on {listen}: Address already in use",
        "1 fault found; nothing was done.",
    ]


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
    """Threat 10: nobody could say which of the two it is."""
    config = made / "tokenserver.yaml"
    (made / "more.htpasswd").write_bytes((made / "users.htpasswd").read_bytes())
    text = config.read_text()
    entry = "  - htpasswd: {file: users.htpasswd}\n"
    config.write_text(text.replace(entry, entry + "  - htpasswd: {file: more.htpasswd, name: more}\n"))
    result = run("check", "--config", config)
    assert result.exit_code == 2
    assert "'admin' is in the source 'htpasswd' as well" in result.stderr


def test_keys_init_does_nothing_where_keys_are(run: Run, made: Path) -> None:
    """It says so and ends well."""
    before = {path: path.read_bytes() for path in (made / "keys").rglob("*") if path.is_file()}
    result = run("keys", "init", "--config", made / "tokenserver.yaml")
    assert result.exit_code == 0
    assert "already" in result.stdout
    assert before == {path: path.read_bytes() for path in (made / "keys").rglob("*") if path.is_file()}


FITS = [
    ("universal", "distribution2", "rootcertbundle", "token-ca.pem"),
    ("universal", "distribution3", "rootcertbundle", "token-ca.pem"),
    ("distribution2", "distribution2", "rootcertbundle", "token-signing.pem"),
    ("distribution3", "distribution3", "rootcertbundle", "token-signing.pem"),
    ("jwks", "distribution3", "jwks", "jwks.json"),
]


@pytest.mark.parametrize(("compat", "generation", "option", "name"), FITS)
def test_registry_config_is_yaml_with_the_four_values(
    run: Run, made: Path, compat: str, generation: str, option: str, name: str
) -> None:
    """Realm, service, issuer and the trusted keys; `--write` makes the file that the section names."""
    config = made / "tokenserver.yaml"
    config.write_text(config.read_text().replace("compat: universal", f"compat: {compat}"))
    result = run("registry-config", "localhost:5000", "--for", generation, "--write", made, "--config", config)
    assert result.exit_code == 0, result.stderr
    section = yaml.safe_load(result.stdout)
    assert section == {
        "auth": {
            "token": {
                "realm": "http://localhost:5001/token",
                "service": "localhost:5000",
                "issuer": "tokenserver",
                option: str(made / name),
            }
        }
    }
    content = (made / name).read_bytes()
    assert b"PRIVATE" not in content
    if option == "jwks":
        assert [set(key) & {"d"} for key in json.loads(content)["keys"]] == [set()]
    else:
        assert len(x509.load_pem_x509_certificates(content)) == 1


UNFIT = [
    ("distribution3", "distribution2"),
    ("distribution2", "distribution3"),
    ("jwks", "distribution2"),
]


@pytest.mark.parametrize(("compat", "generation"), UNFIT)
def test_registry_config_refuses_what_the_registry_would(run: Run, made: Path, compat: str, generation: str) -> None:
    """A compat whose tokens that generation refuses is exit code 2, with what fits."""
    config = made / "tokenserver.yaml"
    config.write_text(config.read_text().replace("compat: universal", f"compat: {compat}"))
    result = run("registry-config", "localhost:5000", "--for", generation, "--config", config)
    assert result.exit_code == 2
    assert "set compat to universal" in result.stderr


def test_registry_config_names_the_registries_that_there_are(run: Run, made: Path) -> None:
    """An unknown service is exit code 2."""
    arguments = ["registry-config", "nope", "--for", "distribution2", "--config", made / "tokenserver.yaml"]
    result = run(*arguments)
    assert result.exit_code == 2
    assert "localhost:5000" in result.stderr


def test_eddsa_keys_are_refused_for_distribution_2(run: Run, tmp_path: Path, made: Path) -> None:
    """Distribution 2 panics at an Ed25519 certificate; `registry-config` and `check` say so first."""
    config = made / "tokenserver.yaml"
    config.write_text(config.read_text().replace("keys: keys", "keys: eddsa"))
    assert run("keys", "init", "--algorithm", "EdDSA", "--config", config).exit_code == 0
    result = run("registry-config", "localhost:5000", "--for", "distribution2", "--config", config)
    assert result.exit_code == 2
    assert "EdDSA" in result.stderr
    config.write_text(config.read_text().replace("compat: universal", "compat: distribution2"))
    assert run("check", "--config", config).exit_code == 2


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


def test_help_lists_every_command(run: Run) -> None:
    """Each with a sentence."""
    result = run("--help")
    assert result.exit_code == 0
    for command in ("check", "init", "keys", "registry-config", "serve", "users"):
        assert command in result.stdout
