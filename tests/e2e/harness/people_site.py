"""A server whose people log in at a provider: its pages, their access keys, and what its audit trail says of them."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import canaries

from harness import web
from harness.json_lines import whole_lines
from harness.openid_browser import OpenIdBrowser
from harness.processes import run
from harness.server import Setup, TokenServer
from harness.waiting import until
from tokenserver.config.load import load_settings
from tokenserver.server.stored.opening import open_store
from tokenserver.storage.people.openid_people import OpenIdPeople

SERVICE = "registry.test"


class PeopleSite:
    """A server whose only source is the provider `source`, and the secret of the client that it is there."""

    def __init__(self, folder: Path, source: dict[str, Any], policies: str, client_secret: str) -> None:
        canaries.know(client_secret)
        self.client_secret = client_secret
        self.source = str(source["name"])
        secret = folder / "oidc-secret"
        secret.touch(mode=0o600)
        secret.write_text(client_secret)
        settings = {
            "authentication": [{"oidc": {"client_id": "tokenserver", "client_secret_file": "oidc-secret", **source}}],
            "storage": "state/tokenserver.db",
            "access_keys": {},
            "refresh_tokens": {},
        }
        self.server = TokenServer(folder, Setup({}, {"root.yaml": policies}, {SERVICE: "universal"}, settings))

    def start(self) -> None:
        """Start the server, and wait until every worker has fetched the provider's document."""
        self.server.daemon.start(self.server.is_ready)
        target = f"/login/with/{self.source}"
        until(lambda: self.server.request("GET", target).status == 303, in_a_row=20)

    def stop(self) -> None:
        """Stop it, and look for secrets in what it printed."""
        self.server.daemon.stop()
        self.server.wire.close()
        for file in (self.server.daemon.stdout, self.server.daemon.stderr):
            canaries.watch(file.read_bytes() if file.exists() else b"", "the server's output")

    def begin(self, browser: OpenIdBrowser, wanted: str = "/account") -> web.Answer:
        """The page of the provider that asks who somebody is."""
        return browser.go(f"{self.server.url}/login/with/{self.source}?next={wanted}")

    def submit(self, browser: OpenIdBrowser, page: web.Answer, target: str, **fields: str) -> web.Answer:
        """Fill in the form of a page of the server that leads to `target`."""
        form = re.search(rf'<form method="post" action="{target}">.*?</form>', page.body.decode(), re.DOTALL)
        assert form is not None, page
        return browser.submit(web.Answer(page.status, page.headers, form[0].encode()), **fields)

    def follow(self, browser: OpenIdBrowser, page: web.Answer, text: str) -> web.Answer:
        """Open the link of the page with this text."""
        link = re.search(rf'<a[^>]* href="([^"]*)"[^>]*>\s*{re.escape(text)}', page.body.decode())
        assert link is not None, page
        return browser.go(urljoin(browser.shown, link[1].replace("&amp;", "&")))

    def is_logged_in(self, browser: OpenIdBrowser) -> bool:
        """Whether the browser has a session here."""
        browser.go(f"{self.server.url}/account", until="/login")
        return "/login" not in browser.shown

    def age(self, name: str, seconds: int) -> None:
        """Let the provider's last answer about a person be so much longer ago."""
        store = open_store(load_settings(self.server.config, {}))
        now = OpenIdPeople(store.database, store.keys, now=time.time).find(self.source, name)
        assert now is not None
        before = OpenIdPeople(store.database, store.keys, now=lambda: now.asked - seconds)
        before.answered(now, now.groups, None)
        store.database.close()

    def key(self, name: str) -> str:
        """A new access key of a person who has logged in."""
        server = self.server
        command = server.command("access-keys", "create", "--user", name, "--json", "--config", server.config)
        output = run(command, environment=server.environment, folder=server.folder)
        found = re.search(r"tknp_[0-9A-Za-z]{61}", output.text)
        assert found is not None, str(output)
        canaries.know(found[0])
        return found[0]

    def pull(self, name: str, key: str, *repositories: str) -> web.Answer:
        """What a container engine asks for with an access key."""
        scopes = [f"repository:{repository}:pull" for repository in repositories]
        return self.server.request("GET", web.token_target(SERVICE, scopes), headers=web.basic(name, key))

    def granted(self, name: str, key: str, *repositories: str) -> set[str]:
        """Which of these repositories the person can pull."""
        answer = self.pull(name, key, *repositories)
        assert answer.status == 200, answer
        return {entry["name"] for entry in web.claims(answer.json()["token"])["access"]}

    def examined(self) -> dict[str, bool | None]:
        """What `tokenserver doctor` finds out about the provider: checks, and whether they passed."""
        command = self.server.command("doctor", "--json", "--config", self.server.config)
        output = run(command, environment=self.server.environment, folder=self.server.folder)
        canaries.watch(output.text, "the output of doctor")
        found = [one for one in json.loads(output.stdout) if one["check"].startswith("provider")]
        return {one["check"]: one["ok"] for one in found}

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The audit events of this kind."""
        return [line for line in whole_lines(self.server.daemon.stdout) if line["event"] == kind]
