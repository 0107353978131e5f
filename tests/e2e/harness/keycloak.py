"""Keycloak as issuer: a realm with clients that get access tokens by a secret of their own (service accounts)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import canaries

from harness import web
from harness.processes import Daemon, free_port, java_options, plain_environment
from harness.programs import need

START_SECONDS = 600.0
"""Keycloak creates its tables in each start: seconds on an idle machine, and minutes on a busy one."""

REQUEST_SECONDS = 180.0
"""For one answer: it makes a realm in a second on an idle machine, and in half a minute on a busy one."""

REALM = "builds"
_CLIENTS = f"/admin/realms/{REALM}/clients"


class Keycloak:
    """A running Keycloak. `url` is the issuer of its realm `REALM`."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.base = f"http://localhost:{self.port}"
        self.url = f"{self.base}/realms/{REALM}"
        self._administrator, self._secret = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        environment = plain_environment(folder) | {
            "KC_BOOTSTRAP_ADMIN_USERNAME": "administrator",
            "KC_BOOTSTRAP_ADMIN_PASSWORD": self._administrator,
            "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m",
            "JAVA_OPTS_APPEND": java_options(folder),
            "QUARKUS_TRANSACTION_MANAGER_OBJECT_STORE_DIRECTORY": str(folder / "transactions"),
        }
        command: list[str | Path] = [
            need("keycloak"),
            "start",
            "--optimized",
            "--cache=local",  # listens for no other Keycloak
            "--http-enabled=true",
            "--http-host=127.0.0.1",
            f"--http-port={self.port}",
            f"--hostname={self.base}",
        ]
        self.daemon = Daemon("keycloak", command, environment=environment, folder=folder)

    def is_ready(self) -> bool:
        """Whether it serves."""
        try:
            return web.request(self.port, "GET", "/realms/master").status == 200
        except OSError:
            return False

    def set_up(self) -> None:
        """Create the realm."""
        self.manage("POST", "/admin/realms", {"realm": REALM, "enabled": True, "sslRequired": "none"})

    def add_client(self, name: str, *, audience: str | None = None, has_full_scope: bool = True) -> str:
        """Create a client with a service account, and give the `sub` of its tokens.

        `audience` is added to its access tokens by a mapper. `has_full_scope` is "Full scope allowed", which is on by
        default: tokens carry all roles of the account, and are for the clients whose roles those are.
        """
        mapper = {
            "name": "registry",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-audience-mapper",
            "config": {"included.custom.audience": audience, "access.token.claim": "true"},
        }
        client = {
            "clientId": name,
            "secret": self._secret,
            "serviceAccountsEnabled": True,
            "standardFlowEnabled": False,
            "fullScopeAllowed": has_full_scope,
            "protocolMappers": [] if audience is None else [mapper],
        }
        self.manage("POST", _CLIENTS, client)
        (made,) = self.manage("GET", f"{_CLIENTS}?clientId={name}")
        return str(self.manage("GET", f"{_CLIENTS}/{made['id']}/service-account-user")["id"])

    def access_token(self, client: str) -> str:
        """An access token of a client's service account (client credentials)."""
        return self.token(REALM, grant_type="client_credentials", client_id=client, client_secret=self._secret)

    def token(self, realm: str, **fields: str) -> str:
        """The access token for a form at the token endpoint of a realm."""
        target = f"/realms/{realm}/protocol/openid-connect/token"
        answer = web.request(
            self.port, "POST", target, headers=web.FORM, body=web.form(**fields), seconds=REQUEST_SECONDS
        )
        assert answer.status == 200, answer
        token = str(answer.json()["access_token"])
        canaries.know(token)
        return token

    def manage(self, method: str, target: str, content: Mapping[str, Any] | None = None) -> Any:
        """One request of the administrator to the admin REST API."""
        password = {"username": "administrator", "password": self._administrator}
        bearer = self.token("master", grant_type="password", client_id="admin-cli", **password)
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
        body = None if content is None else json.dumps(content).encode()
        answer = web.request(self.port, method, target, headers=headers, body=body, seconds=REQUEST_SECONDS)
        assert answer.status in (200, 201, 204), answer
        return json.loads(answer.body) if answer.body else None


@contextmanager
def keycloak(folder: Path) -> Iterator[Keycloak]:
    """A running Keycloak with its realm."""
    made = Keycloak(folder)
    try:
        made.daemon.start(made.is_ready, seconds=START_SECONDS)
        made.set_up()
        yield made
    finally:
        made.daemon.stop()
