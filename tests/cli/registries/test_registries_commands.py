"""`registries list`, `check` and `config`: many registries at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from cryptography import x509

from tokenserver.cli import main

Run = Callable[..., Result]

HEAD = """\
issuer: auth.example.com
server: {url: "https://auth.example.com"}
anonymous: true
policies: policies
keys: keys
registries:
"""

POLICY = """\
version: 1
registries: [plain, zot]
allow:
  - {id: public, to: [everyone], repositories: ["public/**"], actions: [pull]}
"""

PLAIN = "{service: plain, also: [bridged], token_lifetime: {push: 1h}}"
ZOT = "{service: zot, compat: zot, issuer: zot.example.com, algorithm: RS256, keys: zot-keys}"


class Site:
    """A configuration in a folder, with the keys that it needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "tokenserver.yaml"
        (folder / "policies").mkdir()
        (folder / "policies" / "policy.yaml").write_text(POLICY)

    def write(self, *entries: str) -> None:
        """Configure these registries and make their keys."""
        self.config.write_text(HEAD + "".join(f"  - {entry}\n" for entry in entries))
        assert self.run("keys", "init").exit_code == 0

    def run(self, *arguments: str | Path) -> Result:
        """Run one command."""
        return CliRunner().invoke(main, [*map(str, arguments), "--config", str(self.config)])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Two registries that differ in everything."""
    site = Site(tmp_path)
    site.write(PLAIN, ZOT)
    return site


def test_list_shows_what_tokens_say(site: Site) -> None:
    """One line each, aligned; in JSON with every value."""
    result = site.run("registries", "list")
    assert result.exit_code == 0
    heads, plain, zot = result.stdout.splitlines()
    assert heads.split() == ["SERVICE", "ALSO", "COMPAT", "SIGNED", "WITH", "TOKENS", "LIVE", "ISSUER", "KEYS"]
    assert plain.split("  ")[0] == "plain"
    for part in ("bridged", "universal", "ES256", "900 s, push 3600 s", "auth.example.com", "of all"):
        assert part in plain
    for part in ("zot", "RS256", "900 s", "zot.example.com", str(site.folder / "zot-keys")):
        assert part in zot
    assert json.loads(site.run("registries", "list", "--json").stdout) == [
        {
            "service": "plain",
            "also": ["bridged"],
            "issuer": "auth.example.com",
            "compat": "universal",
            "algorithm": "ES256",
            "token_lifetime": {"default": 900, "push": 3600},
            "keys": str(site.folder / "keys"),
            "url": None,
        },
        {
            "service": "zot",
            "also": [],
            "issuer": "zot.example.com",
            "compat": "zot",
            "algorithm": "RS256",
            "token_lifetime": {"default": 900},
            "keys": str(site.folder / "zot-keys"),
            "url": None,
        },
    ]


def test_list_works_without_keys(site: Site) -> None:
    """It is about the configuration; what is wrong with keys is for `check`."""
    (site.folder / "zot-keys" / "ring.json").unlink()
    result = site.run("registries", "list")
    assert result.exit_code == 0
    assert " ?  " in result.stdout
    assert "To see why: tokenserver registries check" in result.stderr


def test_check_says_that_all_is_well(site: Site) -> None:
    """Exit code 0, and each registry is named."""
    result = site.run("registries", "check")
    assert (result.exit_code, result.stdout) == (0, "plain: ok\nzot: ok\n")
    facts = json.loads(site.run("registries", "check", "--json").stdout)
    assert (facts["ok"], [one["findings"] for one in facts["registries"]]) == (True, [[], []])


@pytest.mark.parametrize(
    ("entries", "service", "expected"),
    [
        pytest.param([PLAIN, ZOT, "{service: forgotten}"], "forgotten", "no policy applies to it", id="no-policy"),
        pytest.param([PLAIN, "{service: zot, compat: zot}"], "zot", "also accepts the tokens for plain", id="shared"),
        pytest.param([PLAIN, "{service: zot, compat: zot, keys: k}"], "zot", "an older one needs RS256", id="old-zot"),
        pytest.param(
            ["{service: plain, algorithm: EdDSA, keys: e}", ZOT], "plain", "works with Distribution 3 alone", id="eddsa"
        ),
    ],
)
def test_check_finds_what_is_hardly_meant(site: Site, entries: list[str], service: str, expected: str) -> None:
    """Exit code 1, with the registry and what to do; the others are ok."""
    site.write(*entries)
    result = site.run("registries", "check")
    assert result.exit_code == 1
    below = result.stdout.partition(f"{service}:\n")[2].splitlines()[0:2]
    assert expected in "\n".join(below)
    facts = json.loads(site.run("registries", "check", "--json").stdout)
    assert not facts["ok"]
    found = {one["service"]: one["findings"] for one in facts["registries"] if one["findings"]}
    assert set(found) == {service}
    assert expected in "\n".join(found[service])


def test_a_deny_rule_does_not_speak_for_a_registry(site: Site) -> None:
    """Only an allow rule lets a token allow anything."""
    (site.folder / "policies" / "deny.yaml").write_text(
        "version: 1\nregistries: [forgotten]\n"
        'deny:\n  - {id: no, to: [everyone], repositories: ["**"], actions: [push]}\n'
    )
    site.write(PLAIN, ZOT, "{service: forgotten}")
    assert "no policy applies to it" in site.run("registries", "check").stdout


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(("[plain, zot]", "[plain, zott]"), "'zott' is configured; did you mean 'zot'?", id="unknown-name"),
        pytest.param(("[plain, zot]", "[bridged]"), "no registry with the service 'bridged' is configured", id="also"),
    ],
)
def test_check_refuses_what_the_start_would(site: Site, change: tuple[str, str], expected: str) -> None:
    """Exit code 2, with file and line; policies know a registry by its own name alone."""
    (site.folder / "policies" / "policy.yaml").write_text(POLICY.replace(*change))
    result = site.run("registries", "check")
    assert result.exit_code == 2
    assert "policy.yaml:2: registries[" in result.stderr
    assert expected in result.stderr
    (fault, *_) = json.loads(site.run("registries", "check", "--json").stdout)["faults"]
    assert (fault["line"], expected in fault["message"]) == (2, True)


def test_check_refuses_keys_that_a_registry_cannot_verify(site: Site) -> None:
    """A clash between compat and algorithm names the registry."""
    site.config.write_text(site.config.read_text().replace("algorithm: RS256", "algorithm: ES256"))
    result = site.run("registries", "check")
    assert result.exit_code == 2
    assert "registry zot: the keys here sign with RS256, not with its algorithm: ES256" in result.stderr


def test_config_prints_every_section(site: Site) -> None:
    """Under the name of its registry."""
    result = site.run("registries", "config")
    assert result.exit_code == 0, result.stderr
    plain, _, zot = result.stdout.partition("# zot (compat: zot)\n")
    assert plain.startswith("# plain (compat: universal)\n")
    assert yaml.safe_load(plain)["auth"]["token"] == {
        "realm": "https://auth.example.com/token",
        "service": "plain",
        "issuer": "auth.example.com",
        "rootcertbundle": "/etc/distribution/token-ca.pem",
    }
    assert json.loads(zot)["http"]["auth"]["bearer"]["cert"] == "/etc/zot/token-signing.pem"


def test_config_writes_a_folder_for_each(site: Site) -> None:
    """The section and the keys that it trusts, of its own folder of keys; nothing private; whatever the name."""
    site.write(PLAIN, ZOT, '{service: "a/b:5000"}', '{service: "a_b:5000"}', '{service: ".."}')
    out = site.folder / "out"
    result = site.run("registries", "config", "--write", out, "--trust", "/certs")
    assert result.exit_code == 0, result.stderr
    assert {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} == {
        "plain/auth.yml",
        "plain/token-ca.pem",
        "zot/bearer.json",
        "zot/token-signing.pem",
        "a_b_5000/auth.yml",
        "a_b_5000/token-ca.pem",
        "a_b_5000-2/auth.yml",
        "a_b_5000-2/token-ca.pem",
        "_../auth.yml",
        "_../token-ca.pem",
    }
    section = yaml.safe_load((out / "plain" / "auth.yml").read_text())["auth"]["token"]
    assert section["rootcertbundle"] == "/certs/token-ca.pem"
    assert (out / "plain" / "token-ca.pem").read_bytes() == (site.folder / "keys" / "token-ca.pem").read_bytes()
    (certificate,) = x509.load_pem_x509_certificates((out / "zot" / "token-signing.pem").read_bytes())
    assert certificate.issuer.rfc4514_string() == "CN=zot.example.com token CA"
    assert not any(b"PRIVATE" in path.read_bytes() for path in out.rglob("*") if path.is_file())


def test_config_as_json(site: Site) -> None:
    """For whatever brings it to the registries."""
    facts = json.loads(site.run("registries", "config", "--json").stdout)
    assert [(one["service"], one["compat"], one["trusted"]["name"]) for one in facts] == [
        ("plain", "universal", "token-ca.pem"),
        ("zot", "zot", "token-signing.pem"),
    ]
    assert "auth:" in facts[0]["section"]


def test_config_writes_and_prints_json(site: Site) -> None:
    """Both at once; keys that sign for nobody need not be there."""
    site.write(ZOT)
    (site.folder / "keys" / "ring.json").unlink()
    result = site.run("registries", "config", "--json", "--write", site.folder / "out")
    assert [one["service"] for one in json.loads(result.stdout)] == ["zot"]
    assert (site.folder / "out" / "zot" / "bearer.json").read_text() == json.loads(result.stdout)[0]["section"] + "\n"


def test_policies_are_asked_under_any_name_of_a_registry(site: Site) -> None:
    """`--service` takes the names of `also`, and refuses others."""
    for service, code in (("plain", 0), ("bridged", 0), ("nobody", 2)):
        arguments = ["policy", "why", "--anonymous", "pull", "public/x", "--service", service]
        result = site.run(*arguments)
        assert result.exit_code == code, result.output
