"""The auth section: YAML for Distribution, JSON for zot, and the file of trusted keys that it names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from doctor_worlds import ring_of

from tokenserver.cli.registries.section import FITS, default_trust, facts, option_of, section, trusted
from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings

COMPATS = ["universal", "distribution2", "distribution3", "jwks", "zot"]


def settings(folder: Path, compat: str, more: str = "") -> Settings:
    (folder / "c.yaml").write_text(
        "issuer: everyone\nserver: {url: 'https://auth.example.com'}\nanonymous: true\npolicies: p\nkeys: k\n"
        f"registries: [{{service: 'a: b', compat: {compat}{more}}}]\n"
    )
    return load_settings(folder / "c.yaml", {})


@pytest.mark.parametrize("compat", [compat for compat in COMPATS if compat != "zot"])
def test_distribution(tmp_path: Path, compat: str) -> None:
    """YAML that reads back as what went in, whatever the names hold."""
    found = settings(tmp_path, compat, ", issuer: 'its: own'")
    text = section(found, found.registries[0], Path("/trust #1"), "a: b")
    assert yaml.safe_load(text)["auth"]["token"] == {
        "realm": "https://auth.example.com/token",
        "service": "a: b",
        "issuer": "its: own",
        option_of(found.registries[0]): "/trust #1",
    }


def test_zot(tmp_path: Path) -> None:
    """JSON, without an issuer, which zot does not know."""
    found = settings(tmp_path, "zot")
    assert json.loads(section(found, found.registries[0], Path("/trust"), "other")) == {
        "http": {"auth": {"bearer": {"realm": "https://auth.example.com/token", "service": "other", "cert": "/trust"}}}
    }


@pytest.mark.parametrize(
    ("compat", "option", "name", "keys"),
    [
        pytest.param("universal", "rootcertbundle", "/etc/distribution/token-ca.pem", 1, id="universal"),
        pytest.param("distribution2", "rootcertbundle", "/etc/distribution/token-signing.pem", 3, id="distribution2"),
        pytest.param("distribution3", "rootcertbundle", "/etc/distribution/token-signing.pem", 3, id="distribution3"),
        pytest.param("jwks", "jwks", "/etc/distribution/jwks.json", 3, id="jwks"),
        pytest.param("zot", "cert", "/etc/zot/token-signing.pem", 1, id="zot"),
    ],
)
def test_trusted_keys(tmp_path: Path, compat: str, option: str, name: str, keys: int) -> None:
    """The CA, every published key, or for zot the active one alone; nothing private."""
    registry = settings(tmp_path, compat).registries[0]
    file = trusted(registry, ring_of())
    assert (option_of(registry), str(default_trust(registry, file))) == (option, name)
    content: Any = json.loads(file.content)["keys"] if compat == "jwks" else file.content.split("BEGIN CERT")[1:]
    assert (len(content), "PRIVATE" in file.content) == (keys, False)


def test_every_compat_fits_somewhere() -> None:
    """A compat that no registry accepts would be of no use."""
    assert {compat for compats in FITS.values() for compat in compats} == set(COMPATS)


def test_json(tmp_path: Path) -> None:
    """The section as text, and the content of the file."""
    registry = settings(tmp_path, "universal").registries[0]
    file = trusted(registry, ring_of())
    assert facts(registry, "other", "text", file) == {
        "service": "other",
        "compat": "universal",
        "section": "text",
        "trusted": {"name": "token-ca.pem", "content": ring_of().ca_certificate_pem},
    }
