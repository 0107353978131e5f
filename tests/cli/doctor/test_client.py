"""`tokenserver doctor client`, as the command line runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from tokenserver.cli import main

SECRET = "canary-4711-secret"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, without variables of the machine that runs the tests."""
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "DOCKER_CONFIG",
        "REGISTRY_AUTH_FILE",
        "XDG_CONFIG_HOME",
        "HELM_CONFIG_HOME",
        "HELM_REGISTRY_CONFIG",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("TOKENSERVER_CONFIG", "TOKENSERVER_REQUIRE_REAL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stored(home: Path, auths: dict[str, Any], **more: Any) -> Path:
    """Docker's file with these entries."""
    path = home / ".docker" / "config.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"auths": auths, **more}))
    path.chmod(0o600)
    return path


def configured(home: Path, *registries: dict[str, Any], url: str = "https://auth.example.com") -> Path:
    """A configuration; its keys and policies need not exist for this command."""
    path = home / "tokenserver.yaml"
    settings = {
        "issuer": "auth",
        "server": {"url": url},
        "registries": list(registries),
        "anonymous": True,
        "policies": "p",
        "keys": "k",
    }
    path.write_text(yaml.safe_dump(settings))
    return path


def run(*arguments: str) -> Result:
    """Run the command."""
    result = CliRunner().invoke(main, ["doctor", *arguments])
    assert SECRET not in result.output
    return result


def wrong(*arguments: str) -> dict[str, str]:
    """The fixes, by check."""
    result = run("client", "--json", *arguments)
    found = {one["check"]: one["mend"] for one in json.loads(result.stdout) if one["mend"] is not None}
    assert result.exit_code == (1 if found else 0)
    return found


GOOD = {"username": "ann", "password": SECRET}
TWO = ({"service": "hub", "url": "https://registry.example.com:443"}, {"service": "localhost:5000"})


def test_without_a_configuration(home: Path) -> None:
    """A machine that has only clients: the registry has to be named, and no login is tried."""
    stored(home, {"registry.example.com": GOOD})
    assert wrong("--registry", "registry.example.com") == {}
    for arguments in ([], ["--login", "--registry", "registry.example.com"]):
        result = run("client", *arguments)
        assert (result.exit_code, "needs tokenserver.yaml" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    "host", ["registry.example.com", "https://registry.example.com", "https://registry.example.com/v2/"]
)
def test_spellings_of_the_registry(host: str, home: Path) -> None:
    """As in an image name, or a URL."""
    stored(home, {"registry.example.com": GOOD})
    configured(home, *TWO)
    assert wrong("--registry", host) == {}


@pytest.mark.parametrize("host", ["", "a b", "https://", "ann@registry.example.com", "\x1b[2J"])
def test_no_registry(host: str) -> None:
    """Wrong use, without control characters."""
    result = run("client", "--registry", host)
    assert (result.exit_code, "\x1b" in result.stderr) == (2, False)


def test_all_registries(home: Path) -> None:
    """By url or by a service that is a host; without the default port."""
    stored(home, {"registry.example.com:443": GOOD, "localhost:5000": GOOD})
    configured(home, *TWO, {"service": "nowhere"})
    assert wrong() == {"stored login": "docker login registry.example.com"}


def test_registries_without_a_host(home: Path) -> None:
    """One has to be named then."""
    configured(home, {"service": "hub"})
    result = run("client")
    assert (result.exit_code, "pass --registry HOST" in result.stderr) == (2, True)


def test_the_proxy_of_the_token_server(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both hosts are looked at: the registry's, and that of server.url."""
    stored(home, {"registry.example.com": GOOD})
    configured(home, *TWO)
    monkeypatch.setenv("HTTPS_PROXY", f"http://ann:{SECRET}@proxy:3128")
    monkeypatch.setenv("NO_PROXY", "registry.example.com,localhost")
    assert "export NO_PROXY=registry.example.com,localhost,auth.example.com" in wrong()["client proxy"]


def test_a_login_of_an_unknown_registry(home: Path) -> None:
    """The token server would not know it."""
    configured(home, *TWO)
    result = run("client", "--registry", "other.example.com", "--login")
    assert (result.exit_code, "no registry of the configuration has the host" in result.stderr) == (2, True)


def test_a_login_when_nobody_answers(home: Path) -> None:
    """One try for equal logins, and the fault is the server's."""
    stored(home, {"registry.example.com": GOOD, "localhost:5000": GOOD})
    configured(home, *TWO, url="http://127.0.0.1:1")
    result = run("client", "--login", "--json")
    assert [one["check"] for one in json.loads(result.stdout) if one["mend"] is not None] == ["server"]


def test_options_before_the_command() -> None:
    """They would be ignored."""
    result = run("--json", "client")
    assert (result.exit_code, "come behind its name" in result.stderr) == (2, True)


def test_control_characters_of_files(home: Path) -> None:
    """What is printed moves no cursor."""
    stored(home, {"registry.example.com:\x1b[2J1": GOOD, "registry.example.com:5\x1b": {"auth": "\x1b"}})
    result = run("client", "--registry", "registry.example.com")
    assert (result.exit_code, "\x1b" in result.output) == (1, False)
