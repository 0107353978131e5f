"""Start-up: everything is loaded, or every fault of every file is reported at once."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from harness.processes import free_port

from tokenserver.errors import LoadError
from tokenserver.keys.ring import Algorithm
from tokenserver.keys.store import init_keys
from tokenserver.server.startup import load_all

CONFIG = """\
issuer: auth.example.com
server: {url: "http://localhost:5001", listen: "127.0.0.1:PORT"}
registries: [{service: reg}]
authentication: [{htpasswd: {file: users}}]
policies: policies
keys: keys
"""
POLICY = 'version: 1\nallow:\n  - {id: a, to: [authenticated], repositories: ["**"], role: reader}\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A whole site that is right."""
    text = CONFIG.replace("PORT", str(free_port()))
    (tmp_path / "c.yaml").write_text(text)
    (tmp_path / "users").write_text("")
    (tmp_path / "users").chmod(0o600)
    (tmp_path / "policies").mkdir(mode=0o755)
    (tmp_path / "policies" / "p.yaml").write_text(POLICY)
    init_keys(tmp_path / "keys", issuer="auth.example.com", algorithm=Algorithm.ES256, now=datetime.now(UTC))
    return tmp_path / "c.yaml"


def faults(config: Path) -> list[str]:
    with pytest.raises(LoadError) as caught:
        load_all(config)
    return [str(fault).removeprefix(f"{config.parent}/") for fault in caught.value.faults]


def harm(config: Path) -> None:
    """One fault in each of the files."""
    (config.parent / "users").write_text("ann:plain\n")
    (config.parent / "policies" / "p.yaml").write_text("version: 1\nalow: []\n")
    (config.parent / "keys" / "ring.json").unlink()


def test_everything_is_right(config: Path) -> None:
    """The settings, and the snapshot of the files that they name."""
    settings, snapshot = load_all(config)
    assert (settings.issuer, snapshot.policies.rule_count, set(snapshot.registries)) == (
        "auth.example.com",
        1,
        {"reg"},
    )


def test_every_fault_of_every_file(config: Path) -> None:
    """And of the address, at once."""
    harm(config)
    config.write_text(re.sub("listen: [^}]*", 'listen: "192.0.2.1:5001"', config.read_text()))
    places = {one.partition(": ")[0] for one in faults(config)}
    assert places == {"users:1", "policies/p.yaml:2", "keys/ring.json", "c.yaml"}


def test_rejected_settings_hide_no_other_faults(config: Path) -> None:
    """The files are found in the rejected configuration."""
    harm(config)
    config.write_text(config.read_text().replace("issuer:", "isuer:"))
    found = faults(config)
    assert [one for one in found if one.startswith("c.yaml") and "did you mean 'issuer'" in one] != []
    assert {one.partition(": ")[0] for one in found} >= {"users:1", "policies/p.yaml:2", "keys/ring.json"}


def test_rejected_settings_alone(config: Path) -> None:
    """Files that are right add nothing."""
    config.write_text(config.read_text().replace("issuer: ", "issuer: 5 # "))
    assert {one.partition(":")[0] for one in faults(config)} == {"c.yaml"}
