"""People of Keycloak who log in at a server: their accounts, their groups, and the pages of Keycloak on the way."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import canaries

from harness import web
from harness.keycloak import REALM, Keycloak
from harness.openid_browser import OpenIdBrowser
from harness.people_site import PeopleSite

POLICIES = """\
version: 1
allow:
  - {id: web, to: ["group:reg-web"], repositories: ["web/**"], role: writer}
  - {id: staff, to: ["group:staff"], repositories: ["staff/**"], role: reader}
"""
_ADMIN = f"/admin/realms/{REALM}"


class KeycloakSite(PeopleSite):
    """A server whose people are those of a realm, by the section of docs/single-sign-on.md."""

    def __init__(self, folder: Path, keycloak: Keycloak, client_id: str, **settings: Any) -> None:
        source = {"name": "corp", "preset": "keycloak", "issuer": keycloak.url, "client_id": client_id, "cache": "0s"}
        source |= settings
        super().__init__(folder, source, POLICIES, secrets.token_urlsafe(16))
        self.keycloak = keycloak
        self.client_id = client_id
        self.passwords: dict[str, str] = {}
        self._ids: dict[str, str] = {}

    def register(self) -> None:
        """Create the client as the page says, and the groups if there are none."""
        mapper = {
            "name": "groups",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-group-membership-mapper",
            "config": {"claim.name": "groups", "full.path": "true", "id.token.claim": "true"},
        }
        self._client = {
            "clientId": self.client_id,
            "secret": self.client_secret,
            "standardFlowEnabled": True,
            "directAccessGrantsEnabled": True,  # so that a test has an access token without a browser
            "redirectUris": [f"{self.server.url}/login/callback/corp"],
            "protocolMappers": [mapper],
            "attributes": {
                "pkce.code.challenge.method": "S256",
                "backchannel.logout.url": f"{self.server.url}/logout/backchannel/corp",
                "backchannel.logout.session.required": "true",
                "post.logout.redirect.uris": f"{self.server.url}/login",
            },
        }
        self.keycloak.manage("POST", f"{_ADMIN}/clients", self._client)
        for group in ("reg-web", "staff") if not self.keycloak.manage("GET", f"{_ADMIN}/groups") else ():
            self.keycloak.manage("POST", f"{_ADMIN}/groups", {"name": group})
        self._ids |= {one["name"]: one["id"] for one in self.keycloak.manage("GET", f"{_ADMIN}/groups")}

    def amend(self, **changes: Any) -> None:
        """Change the client for a while."""
        (made,) = self.keycloak.manage("GET", f"{_ADMIN}/clients?clientId={self.client_id}")
        self.keycloak.manage("PUT", f"{_ADMIN}/clients/{made['id']}", {**self._client, **changes})

    def add(self, name: str, *groups: str) -> None:
        """Create a person in these groups."""
        self.passwords[name] = secrets.token_urlsafe(12)
        canaries.know(self.passwords[name])
        person = {
            "username": name,
            "enabled": True,
            "email": f"{name}@example.com",
            "emailVerified": True,
            "firstName": name,
            "lastName": "Example",
            "groups": [f"/{group}" for group in groups],
            "credentials": [{"type": "password", "value": self.passwords[name], "temporary": False}],
        }
        self.keycloak.manage("POST", f"{_ADMIN}/users", person)
        (made,) = self.keycloak.manage("GET", f"{_ADMIN}/users?exact=true&username={name}")
        self._ids[name] = made["id"]

    def change(self, method: str, name: str, what: str = "", content: Any = None) -> Any:
        """One request of an administrator about a person; the answer."""
        return self.keycloak.manage(method, f"{_ADMIN}/users/{self._ids[name]}{what}", content)

    def disable(self, name: str) -> None:
        """Switch the account off."""
        self.change("PUT", name, content={"enabled": False})

    def leave(self, name: str, group: str) -> None:
        """Take the person out of a group."""
        self.change("DELETE", name, f"/groups/{self._ids[group]}")

    def reset_password(self, name: str) -> None:
        """Set another password, as an administrator."""
        self.passwords[name] = secrets.token_urlsafe(12)
        canaries.know(self.passwords[name])
        credential = {"type": "password", "value": self.passwords[name], "temporary": False}
        self.change("PUT", name, "/reset-password", credential)

    def access_token(self, name: str) -> str:
        """Keycloak's access token of a person, which is for its own account page."""
        login = {"username": name, "password": self.passwords[name], "scope": "openid"}
        client = {"client_id": self.client_id, "client_secret": self.client_secret}
        return self.keycloak.token(REALM, grant_type="password", **login, **client)

    def add_keys(self) -> None:
        """Sign with a new key from now on; the old one is still published."""
        (realm,) = [one for one in self.keycloak.manage("GET", "/admin/realms") if one["realm"] == REALM]
        component = {
            "name": "newer",
            "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider",
            "parentId": realm["id"],
            "config": {"priority": ["200"], "algorithm": ["RS256"]},
        }
        self.keycloak.manage("POST", f"{_ADMIN}/components", component)

    def log_in(self, name: str, wanted: str = "/account") -> tuple[OpenIdBrowser, web.Answer]:
        """A browser after a login, and the page that it shows."""
        browser = OpenIdBrowser()
        page = self.begin(browser, wanted)
        return browser, browser.submit(page, username=name, password=self.passwords[name])
