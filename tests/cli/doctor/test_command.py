"""`tokenserver doctor` with a registry's files and with a token, as the command line runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from harness.processes import free_port

from tokenserver.cli import main
from tokenserver.config.load import load_settings
from tokenserver.credentials import Secret
from tokenserver.identity import Identity, Kind
from tokenserver.keys.store import load_keys
from tokenserver.scopes import Access, Resource
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import TokenIssuer

SERVICE = "registry.example.com"


@dataclass
class Site:
    """A folder with our configuration and keys, and with a registry's configuration beside it."""

    folder: Path
    config: Path

    def doctor(self, *arguments: str | Path, stdin: str = "") -> Result:
        command = ["doctor", *map(str, arguments), "--config", str(self.config)]
        return CliRunner().invoke(main, command, input=stdin)

    def findings(self, *arguments: str | Path, stdin: str = "") -> dict[str, bool | None]:
        """What counts, by its name, from the JSON; sees to it that the exit code agrees."""
        result = self.doctor(*arguments, "--json", stdin=stdin)
        assert result.exit_code in (0, 1), result.output
        told: list[dict[str, Any]] = json.loads(result.stdout)
        found = {one["check"]: one["ok"] for one in told if one["mend"] is not None}
        assert result.exit_code == (1 if found else 0)
        assert all(set(one) == {"check", "ok", "ours", "theirs", "mend"} for one in told)
        return found

    def registry(self, generation: str = "distribution2", **changes: Any) -> Path:
        """A registry's configuration as we print it, with changes to its section; None takes a key away."""
        command = ["registry-config", SERVICE, "--for", generation, "--write", str(self.folder)]
        printed = CliRunner().invoke(main, [*command, "--config", str(self.config)])
        assert printed.exit_code == 0, printed.output
        section = yaml.safe_load(printed.stdout)
        for key, value in changes.items():
            section["auth"]["token"][key] = value
            if value is None:
                del section["auth"]["token"][key]
        path = self.folder / "config.yml"
        path.write_text(yaml.safe_dump({"version": 0.1, **section}))
        return path

    def token(self, *, service: str = SERVICE, issuer: str = "auth.example.com", ago: int = 0) -> Secret:
        """A token of our own key."""
        settings = load_settings(self.config)
        ring = load_keys(settings.keys.folder, now=datetime.now(UTC))
        made = TokenIssuer(ring, now=lambda: datetime.now(UTC).timestamp() - ago, new_id=lambda: "id")
        registry = Registry(service, issuer, Compat(settings.registries[0].compat), 900)
        access = (Access(Resource("repository", "web/x"), frozenset({"pull"})),)
        return made.issue(Identity("ann", Kind.PASSWORD), registry, access).text


@pytest.fixture
def site(tmp_path: Path) -> Callable[[str], Site]:
    """Makes our side for a `compat`."""

    def site(compat: str = "universal") -> Site:
        config = tmp_path / "tokenserver.yaml"
        settings = {
            "issuer": "auth.example.com",
            "server": {"url": "https://auth.example.com"},
            "registries": [{"service": SERVICE, "compat": compat}],
            "anonymous": True,
            "policies": "policies/",
            "keys": "keys/",
        }
        config.write_text(yaml.safe_dump(settings))
        result = CliRunner().invoke(main, ["keys", "init", "--config", str(config)])
        assert result.exit_code == 0, result.output
        return Site(tmp_path, config)

    return site


Make = Callable[..., Site]


@pytest.mark.parametrize(
    ("compat", "generation"),
    [
        ("universal", "distribution2"),
        ("universal", "distribution3"),
        ("distribution2", "distribution2"),
        ("distribution3", "distribution3"),
        ("jwks", "distribution3"),
    ],
)
def test_what_registry_config_prints_is_well(site: Make, compat: str, generation: str) -> None:
    """The one command writes it, the other finds nothing."""
    made = site(compat)
    assert made.findings("--registry-config", made.registry(generation)) == {}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"realm": "http://auth.example.com/token"}, {"realm": False}, id="scheme"),
        pytest.param({"realm": None}, {"realm": False}, id="no realm"),
        pytest.param({"service": "x"}, {"service": False}, id="service"),
        pytest.param({"issuer": "x"}, {"issuer": False}, id="issuer"),
        pytest.param({"rootcertbundle": None}, {"rootcertbundle": False}, id="no bundle"),
        pytest.param({"rootcertbundle": "/nowhere/ca.pem"}, {"rootcertbundle": False}, id="missing bundle"),
        pytest.param({"rootcertbundle": "tokenserver.yaml"}, {"rootcertbundle": False}, id="no certificate in it"),
        pytest.param({"signingalgorithms": ["RS256"]}, {"algorithm": False}, id="algorithms"),
        pytest.param({"autoredirect": True}, {"autoredirect": None}, id="autoredirect"),
        pytest.param({"isuer": "x"}, {"keys": None}, id="misspelt"),
    ],
)
def test_each_fault_is_named(site: Make, changes: dict[str, Any], expected: dict[str, bool | None]) -> None:
    """One fault, one finding; the others stay silent."""
    made = site()
    assert made.findings("--registry-config", made.registry(**changes)) == expected


def test_a_finding_for_people(site: Make) -> None:
    """One sentence, both values, and the fix with file and line."""
    made = site()
    result = made.doctor("--registry-config", made.registry(issuer="x"))
    assert result.exit_code == 1
    assert "FAULT    issuer: the registry expects another issuer than the tokens have" in result.stdout
    assert "fix:   set issuer to auth.example.com in " in result.stdout
    assert "1 finding. Fix the first one" in result.stdout


def test_a_copy_of_the_trusted_keys(site: Make, tmp_path: Path) -> None:
    """Inside a container the path is another one."""
    made = site()
    config = made.registry(rootcertbundle="/in/the/container.pem")
    assert made.findings("--registry-config", config, "--trust", tmp_path / "token-ca.pem") == {}
    made = site("jwks")
    config = made.registry("distribution3", jwks="/in/the/container.json")
    assert made.findings("--registry-config", config, "--trust", tmp_path / "jwks.json") == {}


def test_a_copy_of_nothing_that_is_named(site: Make, tmp_path: Path) -> None:
    """Where the configuration names no file of trusted keys, a copy of one changes nothing."""
    made = site()
    config = made.registry(rootcertbundle=None)
    assert made.findings("--registry-config", config, "--trust", tmp_path / "token-ca.pem") == {"rootcertbundle": False}


def test_a_jwks_that_is_no_json(site: Make, tmp_path: Path) -> None:
    """It is a finding of its own, and no token's key is in it."""
    made = site("jwks")
    config = made.registry("distribution3")
    (tmp_path / "jwks.json").write_text("{")
    assert made.findings("--registry-config", config, "--token", "-", stdin=made.token().reveal()) == {"jwks": False}


def test_a_file_that_is_too_large(site: Make, tmp_path: Path) -> None:
    """Nobody's configuration is that long."""
    path = tmp_path / "large.yml"
    path.write_text("#" * 300_000)
    result = site().doctor("--registry-config", path)
    assert (result.exit_code, "is larger than" in result.stderr) == (2, True)


def test_a_token_for_nobody_of_ours(site: Make, tmp_path: Path) -> None:
    """With several registries, a token for none of them belongs to none; --service says which is meant."""
    made = site()
    settings = yaml.safe_load(made.config.read_text())
    settings["registries"].append({"service": "b.example.com"})
    made.config.write_text(yaml.safe_dump(settings))
    text = made.token(service="elsewhere").reveal()
    assert made.findings("--token", "-", stdin=text) == {"audience": False}
    assert made.findings("--token", "-", "--service", "b.example.com", stdin=text) == {"audience": False}


def test_variables_win_over_the_file(site: Make, tmp_path: Path) -> None:
    """And will do alone."""
    made = site()
    variables = tmp_path / "registry.env"
    variables.write_text("REGISTRY_AUTH_TOKEN_ISSUER=x\n")
    assert made.findings("--registry-config", made.registry(), "--registry-env", variables) == {"issuer": False}
    section = yaml.safe_load(made.registry().read_text())["auth"]["token"]
    lines = [f"REGISTRY_AUTH_TOKEN_{key.upper()}={value}\n" for key, value in section.items()]
    variables.write_text("REGISTRY_AUTH=token\n" + "".join(lines))
    assert made.findings("--registry-env", variables) == {}


@pytest.mark.parametrize(
    ("cert", "expected"),
    [
        pytest.param("token-signing.pem", {}, id="signing certificate"),
        pytest.param("jwks.json", {}, id="jwks"),
        pytest.param("keys/token-ca.pem", {"cert": False}, id="the CA"),
        pytest.param("nowhere.pem", {"cert": False}, id="missing"),
    ],
)
def test_zot(site: Make, tmp_path: Path, cert: str, expected: dict[str, bool]) -> None:
    """Its JSON is known by itself; it wants the signing certificate, alone."""
    made = site("distribution2")
    made.registry()
    made.config.write_text(made.config.read_text().replace("distribution2", "zot"))
    settings = load_settings(made.config)
    ring = load_keys(settings.keys.folder, now=datetime.now(UTC))
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [_jwk(ring)]}))
    bearer = {"realm": "https://auth.example.com/token", "service": SERVICE, "cert": str(tmp_path / cert)}
    config = tmp_path / "zot.json"
    config.write_text(json.dumps({"http": {"auth": {"bearer": bearer}}}))
    assert made.findings("--registry-config", config) == expected


def _jwk(ring: Any) -> Any:
    from tokenserver.keys.jwk import public_jwk

    return public_jwk(ring.active)


@pytest.mark.parametrize("compat", ["universal", "distribution2", "distribution3", "jwks"])
def test_a_good_token(site: Make, compat: str) -> None:
    """Nothing is wrong with it; its text is printed only when asked for."""
    made = site(compat)
    text = made.token().reveal()
    assert made.findings("--token", "-", stdin=text) == {}
    assert made.findings("--token", "-", "--scope", "repository:web/x:pull", stdin=text) == {}
    result = made.doctor("--token", "-", stdin=text)
    assert "repository:web/x:pull" in result.stdout
    assert text.rpartition(".")[2] not in result.output
    assert text in made.doctor("--token", "-", "--show-token", stdin=text).stdout


def test_the_host_in_a_scope_is_left_out(site: Make) -> None:
    """As clients do; that of another registry stays, and the token lacks it."""
    made = site()
    text = made.token().reveal()
    own, other = f"repository:{SERVICE}/web/x:pull", "repository:ghcr.io/web/x:pull"
    result = made.doctor("--token", "-", "--scope", own, stdin=text)
    assert (result.exit_code, result.stderr) == (
        0,
        f"{own} is read as repository:web/x:pull; clients leave the host out of scopes\n",
    )
    assert made.doctor("--token", "-", "--scope", other, stdin=text).exit_code == 1


@pytest.mark.parametrize(
    ("made_with", "scopes", "expected"),
    [
        pytest.param({"service": "x"}, [], {"audience": False}, id="audience"),
        pytest.param({"issuer": "x"}, [], {"issuer": False}, id="issuer"),
        pytest.param({"ago": 1000}, [], {"time": False}, id="over"),
        pytest.param({"ago": -100}, [], {"time": False}, id="not yet"),
        pytest.param({}, ["repository:web/x:push"], {"access": False}, id="access"),
    ],
)
def test_a_token_that_is_refused(
    site: Make, made_with: dict[str, Any], scopes: list[str], expected: dict[str, bool]
) -> None:
    """The one check that fails is named."""
    made = site()
    arguments = [word for scope in scopes for word in ("--scope", scope)]
    assert made.findings("--token", "-", *arguments, stdin=made.token(**made_with).reveal()) == expected


def test_a_token_with_a_broken_signature(site: Make) -> None:
    """Somebody changed it, or it came from elsewhere."""
    made = site()
    text = made.token().reveal()
    broken = text[:-8] + ("AAAAAAAA" if not text.endswith("AAAAAAAA") else "BBBBBBBB")
    assert made.findings("--token", "-", stdin=broken) == {"key": False}


def test_a_token_against_a_registrys_files(site: Make, tmp_path: Path) -> None:
    """What that registry really has decides, and not what it should have."""
    made = site()
    config = made.registry(rootcertbundle=str(made.folder / "empty.pem"))
    (tmp_path / "empty.pem").write_text("")
    found = made.findings("--registry-config", config, "--token", "-", stdin=made.token().reveal())
    assert found == {"rootcertbundle": False}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["--token", "-"], "--token: is no token", id="no token"),
        pytest.param(["--trust", "x"], "--trust needs --registry-config", id="trust alone"),
        pytest.param(["--registry-config", "nowhere.yml"], "cannot be read: No such file", id="no file"),
        pytest.param(["--registry-config", "/dev/null"], "is not a regular file", id="a device"),
        pytest.param(["--token", "-", "--service", "x"], "no registry is named 'x'", id="no such registry"),
        pytest.param(["--token", "-", "--scope", "::"], "--scope: ", id="no scope"),
        pytest.param(["--user", "ann"], "--user needs --registry URL", id="a user for nobody"),
        pytest.param(["--registry", "http://a", "--user", "a:b"], "has no colon", id="no user name"),
        pytest.param(["--registry", "registry.example.com"], "--registry must be a URL", id="no scheme"),
        pytest.param(["--registry", "http://"], "--registry must be a URL", id="no host"),
        pytest.param(["--registry", "http://a:x"], "--registry must be a URL", id="no port"),
        pytest.param(["--registry", "http://ann:secret@a"], "--registry must be a URL", id="a password in it"),
        pytest.param(["--registry", "http://a\r\nX: y"], "--registry must be a URL", id="a header in it"),
        pytest.param(["--registry", "http://a/?x"], "without user, query", id="a query"),
        pytest.param(["--registry", "http://a_b:5000"], "--registry 'a_b' is not a host name", id="an underscore"),
        pytest.param(["--registry", "http://127.1"], "is neither a host name nor", id="a short address"),
        pytest.param(["--ca-file", "nowhere.pem"], "cannot be read", id="no CA"),
        pytest.param(["--for", "x"], "Invalid value for '--for'", id="no such kind"),
    ],
)
def test_wrong_use(site: Make, arguments: list[str], says: str) -> None:
    """Exit code 2, and what is wrong."""
    result = site().doctor(*arguments, stdin="nonsense")
    assert result.exit_code == 2
    assert says in result.stderr


def test_an_installation_that_would_not_start(site: Make) -> None:
    """Its faults are told with their places, as by `check`, and nothing is visited."""
    result = site().doctor()
    assert result.exit_code == 2
    assert "policies" in result.stderr


def test_a_server_that_is_down(site: Make, tmp_path: Path) -> None:
    """The files are right, and nobody answers at server.url."""
    made = site()
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "a.yaml").write_text(
        'version: 1\nallow:\n  - {id: a, to: [everyone], repositories: ["a/**"], role: reader}\n'
    )
    made.config.write_text(
        made.config.read_text().replace("https://auth.example.com", f"http://localhost:{free_port()}")
    )
    assert made.findings() == {"configuration": None, "server": False}


def test_bytes_that_are_no_text(site: Make, tmp_path: Path) -> None:
    """As a file and as a configuration."""
    made = site()
    path = tmp_path / "bytes"
    path.write_bytes(b"\xff\xfe\n\xff")
    assert made.doctor("--token", path).exit_code == 2
    result = made.doctor("--registry-config", path)
    assert (result.exit_code, "is not UTF-8 text" in result.stderr) == (2, True)


def test_the_command_is_read_when_it_is_called() -> None:
    """Starting up does not read the doctor."""
    code = "import sys, tokenserver.cli; sys.exit('tokenserver.doctor.registry.trust_files' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
