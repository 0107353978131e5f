"""`registry-config` for registries that differ from the others: zot, further names, keys of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from tokenserver.cli import main

Run = Callable[..., Result]

REGISTRIES = """\
  - {service: plain, also: [bridged]}
  - {service: zot, compat: zot, issuer: zot.example.com, keys: zot-keys, algorithm: RS256}
  - {service: team, issuer: team.example.com, keys: team-keys}
  - {service: set, compat: jwks, keys: team-keys}
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command over a site with several registries and all of their keys."""
    site = tmp_path / "site"
    assert CliRunner().invoke(main, ["init", str(site)]).exit_code == 0
    config = site / "tokenserver.yaml"
    text = config.read_text()
    before, _, rest = text.partition("  # service: auth.token.service")
    config.write_text(before + REGISTRIES + rest[rest.index("# Who can log in.") :])

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(main, [*map(str, arguments), "--config", str(config)])

    assert run("keys", "init").exit_code == 0
    return run


def test_zot_reads_json_and_one_certificate(run: Run, tmp_path: Path) -> None:
    """Realm, service and the certificate that signs, RSA as asked; no issuer, since zot knows none."""
    result = run("registry-config", "zot", "--for", "zot", "--write", tmp_path)
    assert result.exit_code == 0, result.stderr
    file = tmp_path / "token-signing.pem"
    assert json.loads(result.stdout) == {
        "http": {"auth": {"bearer": {"realm": "http://localhost:5001/token", "service": "zot", "cert": str(file)}}}
    }
    (certificate,) = x509.load_pem_x509_certificates(file.read_bytes())
    assert isinstance(certificate.public_key(), rsa.RSAPublicKey)
    assert "/etc/zot/token-signing.pem" in run("registry-config", "zot", "--for", "zot").stdout


@pytest.mark.parametrize(
    ("service", "issuer"),
    [
        pytest.param("plain", "tokenserver", id="as-all"),
        pytest.param("bridged", "tokenserver", id="another-name"),
        pytest.param("team", "team.example.com", id="an-issuer-of-its-own"),
    ],
)
def test_the_name_and_the_issuer_are_the_registrys_own(run: Run, service: str, issuer: str) -> None:
    """A registry under another of its names gets that name."""
    result = run("registry-config", service, "--for", "distribution3")
    section = yaml.safe_load(result.stdout)["auth"]["token"]
    assert (section["service"], section["issuer"]) == (service, issuer)


def test_only_its_own_keys_are_trusted(run: Run, tmp_path: Path) -> None:
    """Two registries with the same folder trust the same; another folder is another authority or set."""
    bundles = []
    for service in ("plain", "team"):
        assert run("registry-config", service, "--for", "distribution2", "--write", tmp_path).exit_code == 0
        bundles.append((tmp_path / "token-ca.pem").read_bytes())
    assert bundles[0] != bundles[1]
    assert run("registry-config", "set", "--for", "distribution3", "--write", tmp_path).exit_code == 0
    assert len(json.loads((tmp_path / "jwks.json").read_text())["keys"]) == 1


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        pytest.param("plain", "http://localhost:5001/ca.pem\n", id="of-all"),
        pytest.param("team", "http://localhost:5001/ca.pem?service=team\n", id="its-own"),
        pytest.param("set", "http://localhost:5001/.well-known/jwks.json?service=set\n", id="its-own-set"),
    ],
)
def test_where_the_trusted_keys_come_from(run: Run, service: str, expected: str) -> None:
    """The command that fetches them asks for those of this registry."""
    assert expected in run("registry-config", service, "--for", "distribution3").stderr


@pytest.mark.parametrize(
    ("service", "generation", "expected"),
    [
        pytest.param(
            "zot", "distribution3", "fix: set compat to universal or distribution3 or jwks", id="zot-elsewhere"
        ),
        pytest.param("plain", "zot", "fix: set compat to zot", id="elsewhere-for-zot"),
        pytest.param("nobody", "zot", "configured: plain, bridged, zot, team, set", id="unknown"),
    ],
)
def test_what_does_not_fit_is_refused(run: Run, service: str, generation: str, expected: str) -> None:
    """Exit code 2, with what would fit."""
    result = run("registry-config", service, "--for", generation)
    assert result.exit_code == 2
    assert expected in result.stderr


def test_a_folder_that_is_not_there_is_made(run: Run, tmp_path: Path) -> None:
    """Whoever writes files for a registry need not make a folder first."""
    result = run("registry-config", "plain", "--for", "distribution3", "--write", tmp_path / "new" / "folder")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "new" / "folder" / "token-ca.pem").exists()


@pytest.mark.parametrize("command", [["registry-config", "plain", "--for", "distribution3"], ["registries", "config"]])
def test_where_nothing_can_be_written(run: Run, tmp_path: Path, command: list[str]) -> None:
    """Exit code 2 and the reason, and no traceback."""
    (tmp_path / "file").write_text("")
    for place in ("/proc", tmp_path / "file" / "below"):
        result = run(*command, "--write", place)
        assert result.exit_code == 2
        assert ": cannot be created: " in result.stderr or ": cannot be written: " in result.stderr
        assert "1 fault found" in result.stderr


def test_json_holds_what_is_printed_and_what_is_trusted(run: Run, tmp_path: Path) -> None:
    """The same section as for people, under the name that was asked, and the file that `--write` writes."""
    arguments = ("registry-config", "bridged", "--for", "distribution3", "--write", tmp_path)
    printed, told = run(*arguments).stdout, json.loads(run(*arguments, "--json").stdout)
    trusted = told.pop("trusted")
    assert told == {"service": "bridged", "compat": "universal", "section": printed.rstrip("\n")}
    assert (tmp_path / trusted["name"]).read_text() == trusted["content"]
