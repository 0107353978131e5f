"""A server with the API in the process: ann and zoë are people, root-ann administers, ann owns the robot ci."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import canaries
from stored_logins_server import HOME, TEAM_POLICY, StoredSite, stored_site
from tests_web_server import PASSWORDS
from werkzeug.test import TestResponse

from tokenserver.access_keys import RANDOM_BYTES, compose_key, declare, spell_declaration
from tokenserver.credentials import AccessKeyForm

ADMINISTRATORS = 'administrators: ["user:root-ann", "robot:terraform"]\n'
ROBOTS = """\
robots:
  ci: {description: builds, owners: ["user:ann"]}
  terraform: {description: makes robots}
  lonely: {description: has no owner}
"""


@dataclass
class ApiSite:
    """A server, and how programs call its API."""

    stored: StoredSite
    later: list[Callable[[], object]] = field(default_factory=list)
    """Steps of a test that come after others."""

    @property
    def audit(self) -> list[dict[str, Any]]:
        """The audit events about management."""
        return [event for event in self.stored.audit.events if event["event"] == "management"]

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: str | None = "ann",
        password: str | None = None,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
        scheme: str = "https",
    ) -> TestResponse:
        """One request, by Basic; `user` None: without any credentials."""
        sent = dict(headers or {})
        if user is not None:
            text = PASSWORDS[user] if password is None else password
            sent["Authorization"] = f"Basic {base64.b64encode(f'{user}:{text}'.encode()).decode()}"
        options: dict[str, Any] = {} if body is None else {"json": body}
        if raw is not None:
            options = {"data": raw}
        answer: TestResponse = self.stored.client.open(
            f"/api/v1{path}",
            method=method,
            headers=sent,
            environ_overrides={"REMOTE_ADDR": HOME, "wsgi.url_scheme": scheme},
            **options,
        )
        if answer.status_code == 201:
            canaries.know(answer.get_json()["secret"])
        return answer

    def new_key(self, user: str = "ann", **body: Any) -> dict[str, Any]:
        """A new access key of this user."""
        answer = self.call("POST", "/access-keys", body, user=user)
        assert answer.status_code == 201, answer.get_json()
        found: dict[str, Any] = answer.get_json()
        return found

    def problem(self, *arguments: Any, **options: Any) -> tuple[int, str, str]:
        """The status, code and detail of the problem that a request has."""
        answer = self.call(*arguments, **options)
        assert answer.content_type == "application/problem+json", answer.get_data()
        content = answer.get_json()
        assert content["status"] == answer.status_code
        assert content["request_id"] == answer.headers["X-Request-Id"]
        return answer.status_code, content["code"], content["detail"]

    def add_robots(self, text: str) -> None:
        """Declare other robots, which the server loads after it has looked twice."""
        file = self.stored.folder / "policies" / "policy.yaml"
        file.write_text(_with_robots(file.read_text(), text))
        live = self.stored.parts.live
        assert [live.look(), live.look()] == [False, True]


def _with_robots(policy: str, robots: str) -> str:
    return f"{policy.partition('robots:')[0]}{robots}workloads:{policy.partition('workloads:')[2]}"


@contextmanager
def api_site(server_folder: Path, folder: Path, **options: Any) -> Iterator[ApiSite]:
    """A running server in a copy of the session's folder."""
    head, tail = "version: 1\n", TEAM_POLICY.removeprefix("version: 1\n")
    policy = _with_robots(f"{head}{ADMINISTRATORS}{tail}", ROBOTS)
    with stored_site(server_folder, folder, policy=policy, **options) as stored:
        yield ApiSite(stored)


def declared_secret(days: int = 30) -> tuple[str, str]:
    """A secret, and the line that declares it in a policy file."""
    key = compose_key(AccessKeyForm.ROBOT, secrets.token_bytes(RANDOM_BYTES))
    canaries.know(key.text.reveal())
    end = (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)
    return key.text.reveal(), spell_declaration(declare(key, end, (), ""))


def with_secret(line: str) -> str:
    """The robots, where ci has a declared secret."""
    return ROBOTS.replace('owners: ["user:ann"]', f'owners: ["user:ann"], secrets: [{line.removeprefix("- ")}]')
