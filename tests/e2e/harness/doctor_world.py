"""What all causes of the doctor's corpus share: a token server, registries of each kind, and files of strangers."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from harness.authority import Authority
from harness.foreign import self_signed
from harness.registries import PRINTED_FOR
from harness.server import Setup, TokenServer, started
from tokenserver.keys.certificates import make_ca

REGISTRIES: list[dict[str, Any]] = [
    {"service": "universal.test", "compat": "universal"},
    {"service": "second.test", "compat": "universal"},
    {"service": "kid2.test", "compat": "distribution2"},
    {"service": "kid3.test", "compat": "distribution3"},
    {"service": "jwks.test", "compat": "jwks"},
    {"service": "rsa.test", "compat": "distribution3", "keys": "keys-rsa", "algorithm": "RS256"},
    {"service": "okp.test", "compat": "universal", "keys": "keys-okp", "algorithm": "EdDSA"},
    {"service": "rotated.test", "compat": "distribution2", "keys": "keys-rotated"},
    {"service": "own.test", "also": ["alias.test"], "issuer": "another", "keys": "keys-own"},
    {"service": "zot.test", "compat": "zot", "keys": "keys-zot", "algorithm": "RS256"},
    {"service": "zot-ec.test", "compat": "zot", "keys": "keys-zot-ec"},
    {"service": "zot-new.test", "compat": "zot", "keys": "keys-zot-new", "algorithm": "EdDSA"},
]
"""A registry of each `compat`, and those with keys or an issuer of their own."""

PRINTED_BY = {
    **dict.fromkeys(("kid2.test", "rotated.test"), "distribution2"),
    **dict.fromkeys(("kid3.test", "jwks.test", "rsa.test", "okp.test"), "distribution3"),
}
"""The generation that some of them are for, whatever the registry is."""

PEOPLE = ("ann", "olga", "eve")


@dataclass
class World:
    """The server, and files that are not the server's. `strangers` maps the names of files to their paths."""

    server: TokenServer
    folder: Path
    strangers: Mapping[str, Path]
    _printed: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def keys(self, service: str) -> Path:
        """The folder of the keys that sign for a service."""
        entry = next(one for one in REGISTRIES if service in (one["service"], *one.get("also", ())))
        return self.server.folder / str(entry.get("keys", "keys"))

    def signing(self, service: str) -> Path:
        """The certificate of the active key."""
        ring = json.loads((self.keys(service) / "ring.json").read_text())
        (active,) = [str(key["id"]) for key in ring["keys"] if key["state"] == "active"]
        folder = self.keys(service) / "signing"
        return folder / f"{active}.pem"

    def section(self, service: str, generation: str) -> dict[str, Any]:
        """What `registry-config` prints; the files that it names are in a folder of this world."""
        key = service, PRINTED_BY.get(service, PRINTED_FOR.get(generation, generation))
        if key not in self._printed:
            self._printed[key] = self.server.registry_config(*key, self.folder / "-".join(key))
        return copy.deepcopy(self._printed[key])

    def variant(self, folder: Path, changes: Mapping[str, Any], url: str) -> Path:
        """A configuration next to the server's own, with `changes` at dotted keys and that `server.url`."""
        whole = yaml.safe_load(self.server.config.read_text())
        whole["server"]["url"] = url
        for path, value in changes.items():
            put(whole, path, value)
        file = self.server.config.with_name(f"{folder.name}.yaml")
        file.write_text(yaml.safe_dump(whole))
        return file


def put(whole: Any, path: str, value: Any) -> None:
    """Set the value at a dotted path of mappings and lists; None removes it, and a path of no name is all of it."""
    *above, last = path.split(".")
    for key in above:
        whole = whole[int(key)] if isinstance(whole, list) else whole.setdefault(key, {})
    if value is None:
        whole.pop(last, None)
    elif isinstance(whole, list):
        whole[int(last)] = value
    else:
        whole[last] = value


@contextmanager
def world(folder: Path, setup: Setup) -> Iterator[World]:
    """Such a world, with its server running."""
    people = {name: setup.people[name] for name in PEOPLE}
    (folder / "server").mkdir()
    (folder / "files").mkdir()
    made = replace(
        setup, people=people, services={}, settings={"registries": REGISTRIES, "storage": "state/tokenserver.db"}
    )
    server = TokenServer(folder / "server", made)
    strangers = _strangers(folder / "files", server)
    elsewhere = folder / "server" / "elsewhere.yaml"
    elsewhere.write_text(yaml.safe_dump({**yaml.safe_load(server.config.read_text()), "keys": "keys-elsewhere/"}))
    server.run("keys", "init", "--config", elsewhere)
    server.run("keys", "rotate", "--service", "rotated.test", "--config", server.config)
    server.run("keys", "rotate", "--service", "rotated.test", "--now", "--config", server.config)
    with started(server):
        yield World(server, folder / "files", strangers)


def _strangers(folder: Path, server: TokenServer) -> dict[str, Path]:
    """Certificates of somebody else, the token CA once it has expired, and a signing key before its rotation."""
    authority = folder / "authority"
    authority.mkdir()
    old = next((server.folder / "keys-rotated" / "signing").glob("*.pem"))
    files = {name: folder / f"{name}.pem" for name in ("rsa", "ec", "expired", "old")}
    files["rsa"].write_bytes(self_signed("somebody else", "RS256"))
    files["ec"].write_bytes(self_signed("somebody else", "ES256"))
    files["expired"].write_bytes(_expired_ca(server.folder / "keys"))
    files["old"].write_bytes(old.read_bytes())
    return {"foreign": Authority(authority, "Somebody else's CA").file, **files}


def _expired_ca(keys: Path) -> bytes:
    """The token CA of this folder, made so long ago that it is valid no more."""
    key = serialization.load_pem_private_key((keys / "token-ca.key").read_bytes(), None)
    now = x509.load_pem_x509_certificate((keys / "token-ca.pem").read_bytes())
    life = now.not_valid_after_utc - now.not_valid_before_utc
    old = make_ca(key, issuer="tokenserver-under-test", now=now.not_valid_before_utc - 2 * life)  # type: ignore[arg-type]
    return old.public_bytes(serialization.Encoding.PEM)
