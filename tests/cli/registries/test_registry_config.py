"""`tokenserver registry-config`: the section for each generation, zot, further names, and separate keys."""

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
def run_many(tmp_path: Path) -> Run:
    """Run a command over a site with several registries and all of their keys."""
    site = tmp_path / "site"
    assert CliRunner().invoke(main, ["init", str(site)]).exit_code == 0
    config = site / "tokenserver.yaml"
    text = config.read_text()
    before, _, rest = text.partition("  # service: auth.token.service")
    config.write_text(before + REGISTRIES + rest[rest.index("# Who can log in.") :])

    def run_many(*arguments: str | Path) -> Result:
        return CliRunner().invoke(main, [*map(str, arguments), "--config", str(config)])

    assert run_many("keys", "init").exit_code == 0
    return run_many


def test_zot_reads_json_and_one_certificate(run_many: Run, tmp_path: Path) -> None:
    """Realm, service and the certificate that signs, RSA as asked; no issuer, since zot knows none."""
    result = run_many("registry-config", "zot", "--for", "zot", "--write", tmp_path)
    assert result.exit_code == 0, result.stderr
    file = tmp_path / "token-signing.pem"
    assert json.loads(result.stdout) == {
        "http": {"auth": {"bearer": {"realm": "http://localhost:5001/token", "service": "zot", "cert": str(file)}}}
    }
    (certificate,) = x509.load_pem_x509_certificates(file.read_bytes())
    assert isinstance(certificate.public_key(), rsa.RSAPublicKey)
    assert "/etc/zot/token-signing.pem" in run_many("registry-config", "zot", "--for", "zot").stdout


@pytest.mark.parametrize("options", [(), ("--json",), ("--write", "keys")], ids=["text", "json", "write"])
def test_the_hint_for_a_proxy_is_no_part_of_the_section(
    options: tuple[str, ...], run_many: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nginx in front of the registry takes headers of 8 kB; the hint is on standard error, whatever is printed."""
    monkeypatch.chdir(tmp_path)
    result = run_many("registry-config", "plain", "--for", "distribution3", *options)
    assert result.exit_code == 0, result.stderr
    assert "large_client_header_buffers 4 128k;" in result.stderr
    assert "large_client" not in result.stdout


@pytest.mark.parametrize(
    ("service", "issuer"),
    [
        pytest.param("plain", "tokenserver", id="as-all"),
        pytest.param("bridged", "tokenserver", id="another-name"),
        pytest.param("team", "team.example.com", id="an-issuer-of-its-own"),
    ],
)
def test_the_name_and_the_issuer_are_the_registrys_own(run_many: Run, service: str, issuer: str) -> None:
    """A registry under another of its names gets that name."""
    result = run_many("registry-config", service, "--for", "distribution3")
    section = yaml.safe_load(result.stdout)["auth"]["token"]
    assert (section["service"], section["issuer"]) == (service, issuer)


def test_only_its_own_keys_are_trusted(run_many: Run, tmp_path: Path) -> None:
    """Two registries with the same folder trust the same; another folder is another authority or set."""
    bundles = []
    for service in ("plain", "team"):
        assert run_many("registry-config", service, "--for", "distribution2", "--write", tmp_path).exit_code == 0
        bundles.append((tmp_path / "token-ca.pem").read_bytes())
    assert bundles[0] != bundles[1]
    assert run_many("registry-config", "set", "--for", "distribution3", "--write", tmp_path).exit_code == 0
    assert len(json.loads((tmp_path / "jwks.json").read_text())["keys"]) == 1


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        pytest.param("plain", "http://localhost:5001/ca.pem\n", id="of-all"),
        pytest.param("team", "http://localhost:5001/ca.pem?service=team\n", id="its-own"),
        pytest.param("set", "http://localhost:5001/.well-known/jwks.json?service=set\n", id="its-own-set"),
    ],
)
def test_where_the_trusted_keys_come_from(run_many: Run, service: str, expected: str) -> None:
    """The command that fetches them asks for those of this registry."""
    assert expected in run_many("registry-config", service, "--for", "distribution3").stderr


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
def test_what_does_not_fit_is_refused(run_many: Run, service: str, generation: str, expected: str) -> None:
    """Exit code 2, with what would fit."""
    result = run_many("registry-config", service, "--for", generation)
    assert result.exit_code == 2
    assert expected in result.stderr


def test_a_folder_that_is_not_there_is_made(run_many: Run, tmp_path: Path) -> None:
    """Whoever writes files for a registry need not make a folder first."""
    result = run_many("registry-config", "plain", "--for", "distribution3", "--write", tmp_path / "new" / "folder")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "new" / "folder" / "token-ca.pem").exists()


@pytest.mark.parametrize("command", [["registry-config", "plain", "--for", "distribution3"], ["registries", "config"]])
def test_where_nothing_can_be_written(run_many: Run, tmp_path: Path, command: list[str]) -> None:
    """Exit code 2 and the reason, and no traceback."""
    (tmp_path / "file").write_text("")
    for place in ("/proc", tmp_path / "file" / "below"):
        result = run_many(*command, "--write", place)
        assert result.exit_code == 2
        assert ": cannot be created: " in result.stderr or ": cannot be written: " in result.stderr
        assert "1 fault found" in result.stderr


def test_json_holds_what_is_printed_and_what_is_trusted(run_many: Run, tmp_path: Path) -> None:
    """The same section as for people, under the name that was asked, and the file that `--write` writes."""
    arguments = ("registry-config", "bridged", "--for", "distribution3", "--write", tmp_path)
    printed, told = run_many(*arguments).stdout, json.loads(run_many(*arguments, "--json").stdout)
    trusted = told.pop("trusted")
    assert told == {"service": "bridged", "compat": "universal", "section": printed.rstrip("\n")}
    assert (tmp_path / trusted["name"]).read_text() == trusted["content"]


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
