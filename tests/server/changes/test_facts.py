"""Digests and differences of the versions of a part."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from configuration import MINIMAL, folder, load

from tokenserver.authn.htpasswd.backend import load_htpasswd
from tokenserver.config.changes.transfer import plain as as_plain
from tokenserver.config.changes.transfer import validated
from tokenserver.keys.ring import Algorithm, KeyRing
from tokenserver.keys.store import init_keys, load_keys
from tokenserver.policy.loading.loader import load_policies
from tokenserver.server.changes.facts import (
    differences,
    digest_of,
    digest_of_settings,
    state_of,
)
from tokenserver.tokens.issuer import TokenIssuer

__all__ = ["folder"]

NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    place = tmp_path_factory.mktemp("ring") / "keys"
    init_keys(place, issuer="auth.example.com", now=NOW, algorithm=Algorithm.ES256)
    return load_keys(place, now=NOW)


def issuer(ring: KeyRing) -> TokenIssuer:
    return TokenIssuer(ring, now=NOW.timestamp, new_id=str)


def test_the_digest_of_users_is_that_of_the_file(tmp_path: Path) -> None:
    """As `sha256sum` prints it."""
    file = tmp_path / "users"
    file.write_text(f"ann:$2b$04${'.' * 53}\n")
    assert digest_of(load_htpasswd(file, "local")) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_policies(tmp_path: Path) -> None:
    """The digest is the `policy` of exchange events; files that were only written again do not differ."""
    text = "version: 1\nallow:\n  - {id: a, to: [everyone], repositories: [x], actions: [pull]}\n"
    for name in ("a.yaml", "b.yaml", "c.yaml"):
        (tmp_path / name).write_text(text.replace("id: a", f"id: {name[0]}"))
    before = load_policies(tmp_path, now=NOW)
    (tmp_path / "a.yaml").write_text((tmp_path / "a.yaml").read_text())
    (tmp_path / "b.yaml").unlink()
    (tmp_path / "c.yaml").write_text((tmp_path / "c.yaml").read_text() + "# more\n")
    (tmp_path / "d.yaml").write_text(text.replace("id: a", "id: d"))
    after = load_policies(tmp_path, now=NOW)
    assert (digest_of(before), state_of(after, {}).hex()) == (before.digest, after.digest)
    assert differences(before, after) == {"added": ["d.yaml"], "removed": ["b.yaml"], "changed": ["c.yaml"]}


def test_keys(ring: KeyRing) -> None:
    """Each key by what has happened to it; the digest follows every step."""
    new = replace(ring.active, id="new")
    first = ring.active.id
    steps = [
        (ring, replace(ring, next=(new,)), {"added": ["new"]}),
        (replace(ring, next=(new,)), replace(ring, active=new, retired=(ring.active,)), None),
        (replace(ring, active=new, retired=(ring.active,)), replace(ring, active=new), {"dropped": [first]}),
        (ring, ring, {}),
        (ring, replace(ring, active=new), {"activated": ["new"], "added": ["new"], "dropped": [first]}),
    ]
    for before, after, expected in steps:
        wanted = {"activated": ["new"], "retired": [first]} if expected is None else expected
        assert differences(issuer(before), issuer(after)) == wanted
        assert (digest_of(issuer(before)) == digest_of(issuer(after))) == (not wanted)


def test_settings(folder: Path) -> None:
    """The digest covers values, and not how they were written."""
    plain = load(folder, MINIMAL)
    other = plain.model_copy(update={"anonymous": not plain.anonymous})
    assert digest_of_settings(plain) == digest_of_settings(load(folder, MINIMAL))
    assert digest_of_settings(plain) == digest_of_settings(validated(as_plain(plain)))
    assert digest_of_settings(plain) == digest_of_settings(load(folder, f"{MINIMAL}\nanonymous: {plain.anonymous}\n"))
    assert digest_of_settings(plain) != digest_of_settings(other)
