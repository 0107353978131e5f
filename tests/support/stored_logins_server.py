"""A whole server in the process that stores credentials in SQLite: people, a robot, and the workloads of one issuer."""

from __future__ import annotations

import base64
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copied_storages import copied_storage
from tests_web_server import PASSWORDS, POLICY, Lines
from werkzeug.test import TestResponse
from workload_jwts import jwk, jwt, key_set, private_key

from tokenserver.config.load import load_settings
from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Sort
from tokenserver.server.compose import build
from tokenserver.server.running import RunningServer
from tokenserver.storage.credential import StoredCredential
from tokenserver.storage.state_keys import init_state_keys
from tokenserver.web.application import application

ISSUER = "https://issuer.example.com"

CONFIG = """\
issuer: auth.example.com
server: {{url: http://localhost:5001, trusted_proxies: [10.0.0.0/8]}}
registries:
  - {{service: reg, also: [reg-alias]}}
  - {{service: other}}
  - {{service: without, refresh_tokens: false}}
authentication:
  - htpasswd: {{file: users.htpasswd, cache: {cache}}}
  - workload:
      name: ci
      preset: github_actions
      issuer: {issuer}
      audience: here
      keys: {{file: jwks.json}}
      session: {session}
{sources}
anonymous: false
policies: policies
keys: keys
storage: state/tokenserver.db
{sections}
"""

RULES = """\
  - {id: jobs, to: ["workload:job"], repositories: ["team/**"], role: writer}
  - {id: ci, to: ["robot:ci"], repositories: ["team/**"], role: writer}
"""
MACHINES = 'robots: {ci: {description: builds}}\nworkloads: {job: {from: ci, claims: {repository_id: "74"}}}\n'
HOME = "192.0.2.1"


def _team_policy() -> str:
    head, deny, tail = POLICY.partition("deny:")
    return f"{head}{RULES}{deny}{tail}{MACHINES}"


TEAM_POLICY = _team_policy()
"""The policies of `tests_web_server`, and what they need for the robot and the jobs."""


@dataclass
class StoredSite:
    """A server that stores credentials."""

    parts: RunningServer
    client: Any
    audit: Lines
    folder: Path
    key: Any

    def get(self, name: str, text: str, query: str = "", *, address: str = HOME, service: str = "reg") -> TestResponse:
        """One login by Basic, which asks for a push to team/x."""
        basic = base64.b64encode(f"{name}:{text}".encode()).decode()
        answer: TestResponse = self.client.get(
            f"/token?service={service}&scope=repository:team/x:pull,push{query}",
            headers={"Authorization": f"Basic {basic}"},
            environ_overrides={"REMOTE_ADDR": address, "wsgi.url_scheme": "https"},
        )
        return answer

    def login(self, name: str = "ann", query: str = "&offline_token=true", **more: Any) -> TestResponse:
        """A login of a person that asks for a refresh token."""
        return self.get(name, PASSWORDS[name], query, **more)

    def post(self, path: str = "/token", *, address: str = HOME, **form: Any) -> TestResponse:
        """One form."""
        usual = {"service": "reg", "scope": "repository:team/x:pull,push"} if path == "/token" else {}
        answer: TestResponse = self.client.post(
            path,
            data={key: value for key, value in {**usual, **form}.items() if value is not None},
            environ_overrides={"REMOTE_ADDR": address, "wsgi.url_scheme": "https"},
        )
        return answer

    def refresh(self, token: str, **more: Any) -> TestResponse:
        """A grant by refresh token."""
        return self.post(grant_type="refresh_token", refresh_token=token, **more)

    def stored(self, form: AccessKeyForm, owner: str = "ann", **more: Any) -> str:
        """The text of a new key, made as commands make it."""
        sort = Sort.ROBOT if owner.startswith("robot:") else Sort.USER
        now = int(time.time())
        facts = {"source": "htpasswd" if sort is Sort.USER else "", "created": now, "ends": now + 3600}
        wanted = StoredCredential(id="", form=form, owner=owner, sort=sort, created_by="test", **facts | more)
        assert self.parts.storage is not None
        key, _ = self.parts.storage.store.create(wanted, at_most=100)
        return key.text.reveal()

    def jwt(self, **claims: Any) -> str:
        """A JWT of the issuer for a job that is declared."""
        now = int(time.time())
        facts = {"iss": ISSUER, "aud": "here", "sub": "repo:o/web", "iat": now, "exp": now + 300, "repository_id": "74"}
        return jwt({**facts, **claims}, algorithm="RS256", key=self.key)

    def rewrite_users(self, change: Any) -> None:
        """Change the text of the users' file, which the server loads after it has looked twice."""
        file = self.folder / "users.htpasswd"
        file.write_text(change(file.read_text("utf-8")), "utf-8")
        live = self.parts.live
        assert [live.look(), live.look()] == [False, True]

    @property
    def last(self) -> dict[str, Any]:
        """The last audit event."""
        return self.audit.events[-1]


@contextmanager
def stored_site(
    server_folder: Path,
    folder: Path,
    *,
    sections: str = "access_keys: {}\nrefresh_tokens: {}",
    cache: str = "60s",
    session: str = "1h",
    sources: str = "",
    policy: str = TEAM_POLICY,
) -> Iterator[StoredSite]:
    """A running server in a copy of the session's folder."""
    shutil.copytree(server_folder, folder)
    (folder / "policies" / "policy.yaml").write_text(policy)
    issuer = private_key("RS256")
    (folder / "jwks.json").write_bytes(key_set(jwk(issuer, "k")))
    (folder / "state").mkdir(mode=0o700)
    init_state_keys(folder / "keys")
    config = folder / "tokenserver.yaml"
    config.write_text(CONFIG.format(issuer=ISSUER, cache=cache, session=session, sections=sections, sources=sources))
    settings = load_settings(config, {})
    copied_storage(settings)
    audit = Lines()
    parts = build(settings, sink=audit)
    stop = threading.Event()
    assert parts.storage is not None
    threads = parts.storage.start(stop)
    try:
        yield StoredSite(parts, application(parts).test_client(), audit, folder, issuer)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        parts.storage.database.close()


def claims_of(answer: TestResponse) -> dict[str, Any]:
    """The claims of the token."""
    assert answer.status_code == 200, answer.get_json()
    payload = answer.get_json()["access_token"].split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def message(answer: TestResponse) -> tuple[int, str]:
    """The status and what the client is told."""
    return answer.status_code, answer.get_json()["errors"][0]["message"]
