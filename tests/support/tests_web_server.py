"""A whole server in the process: real files, real keys, the real Flask application, no network."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt
import canaries
import pytest
from compiled_once import compile_once
from flask.testing import FlaskClient

from tokenserver.config.load import load_settings
from tokenserver.keys.ring import Algorithm
from tokenserver.keys.store import init_keys
from tokenserver.server.compose import build
from tokenserver.server.running import RunningServer
from tokenserver.web.application import application

compile_once()

POLICY = """\
version: 1
groups:
  ops: {users: [root-ann]}
allow:
  - {id: public, to: [everyone], repositories: ["public/**"], actions: [pull]}
  - {id: team, to: ["user:ann", "user:zoë"], repositories: ["team/**"], role: writer}
  - {id: own, to: [authenticated], repositories: ["users/${user}/**"], role: maintainer}
  - {id: catalog, to: ["group:ops"], registry: [catalog], actions: ["*"]}
deny:
  - {id: frozen, to: [everyone], repositories: ["team/prod/**"], actions: [push], message: from the pipeline}
"""

CONFIG = """\
issuer: auth.example.com
server: {{url: http://localhost:5001, trusted_proxies: [10.0.0.0/8]}}
registries:
{registries}
authentication:
  - htpasswd: {{file: users.htpasswd}}
anonymous: {anonymous}
policies: policies
keys: keys
"""

PASSWORDS = {"ann": "ann's pässwörd", "zoë": "z", "root-ann": "r:o:o:t"}

for _name, _password in PASSWORDS.items():
    canaries.know(_password, user=_name)


class Lines:
    """A sink that keeps the lines."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.broken = False

    def write(self, line: bytes) -> None:
        """Keep a line, or fail as a full disk does."""
        if self.broken:
            raise OSError(28, "No space left on device")
        canaries.watch(line, "the audit trail")
        self.raw.append(line)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines, parsed."""
        return [json.loads(line) for line in self.raw]


@dataclass
class Server:
    """A server to be asked."""

    parts: RunningServer
    client: FlaskClient
    audit: Lines
    folder: Path
    extra: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="session")
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Policies, keys and users, made once; with the lowest cost of a hash, which each login pays."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "policies").mkdir()
    (folder / "policies" / "policy.yaml").write_text(POLICY)
    hashes = {
        name: bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode() for name, password in PASSWORDS.items()
    }
    users = "".join(f"{name}:{hashed}\n" for name, hashed in hashes.items())
    (folder / "users.htpasswd").write_text(users)
    (folder / "users.htpasswd").chmod(0o600)
    (folder / "keys").mkdir(mode=0o700)
    from datetime import UTC, datetime

    init_keys(folder / "keys", issuer="auth.example.com", algorithm=Algorithm.ES256, now=datetime.now(UTC))
    canaries.know_keys(folder / "keys")
    return folder


def make_server(folder: Path, *, anonymous: bool = True, services: tuple[str, ...] = ("reg",)) -> Server:
    """A server over the session's files."""
    config = folder / f"tokenserver-{anonymous}-{len(services)}.yaml"
    registries = "\n".join(f"  - service: {service}" for service in services)
    config.write_text(CONFIG.format(registries=registries, anonymous=str(anonymous).lower()))
    audit = Lines()
    parts = build(load_settings(config, {}), sink=audit)
    return Server(parts, application(parts).test_client(), audit, folder)


@pytest.fixture
def server(server_folder: Path) -> Server:
    """One registry, anonymous access on."""
    return make_server(server_folder)


@pytest.fixture
def closed_server(server_folder: Path) -> Server:
    """One registry, anonymous access off."""
    return make_server(server_folder, anonymous=False)


@pytest.fixture
def two_registries(server_folder: Path) -> Server:
    """Two registries."""
    return make_server(server_folder, services=("reg", "other"))
