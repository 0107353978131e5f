"""`tokenserver registries config`: the section and the trusted keys of every registry."""

from __future__ import annotations

import json

import yaml
from cryptography import x509
from registries_commands import PLAIN, ZOT, Site


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
