"""The server under test, run as people run it: through its command line, with files made for it."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

import canaries
import yaml
from click.testing import CliRunner

from harness import web
from harness.authority import Authority
from harness.json_lines import whole_lines
from harness.processes import Daemon, Output, answers, free_port, plain_environment, run
from harness.waiting import PATIENCE_SECONDS
from harness.wire import Wire, normal
from tokenserver.cli import main

ISSUER = "tokenserver-under-test"
Person = str
ANONYMOUS: Person = ""


@dataclass(frozen=True)
class Event:
    """One audit event of an exchange. Scopes are in the form of `wire.normal`."""

    fields: Mapping[str, Any]

    @property
    def subject(self) -> str | None:
        """Who it was, or for a failed exchange who it claimed to be."""
        found: str | None = self.fields.get("subject", self.fields.get("username"))
        return found

    @property
    def outcome(self) -> str:
        return str(self.fields["outcome"])

    @property
    def asked(self) -> frozenset[str]:
        return frozenset(normal(scope) for scope in self.fields.get("asked") or ())

    @property
    def granted(self) -> frozenset[str]:
        return frozenset(normal(scope) for scope in self.fields.get("granted") or ())

    def actions(self, resource: str) -> frozenset[str]:
        """What was granted on `repository:NAME` or `registry:NAME`."""
        return frozenset(
            action
            for scope in self.granted
            for action in scope.rpartition(":")[2].split(",")
            if scope.rpartition(":")[0] == resource
        )

    def wanted(self, resource: str) -> frozenset[str]:
        """What was asked on `repository:NAME` or `registry:NAME`."""
        return frozenset(
            action
            for scope in self.asked
            for action in scope.rpartition(":")[2].split(",")
            if scope.rpartition(":")[0] == resource
        )


class Audit:
    """Reads the audit events out of the server's standard output."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mark(self) -> int:
        """A point in time, for `events`."""
        return self._path.stat().st_size

    def events(
        self, since: int = 0, until: Callable[[list[Event]], bool] = bool, seconds: float = PATIENCE_SECONDS
    ) -> list[Event]:
        """The exchanges since the mark. Waits until `until(events)` holds, but no longer than `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            found = self._read(since)
            if until(found) or time.monotonic() > deadline:
                return found
            time.sleep(0.02)

    def _read(self, since: int) -> list[Event]:
        with self._path.open("rb") as stream:
            stream.seek(since)
            data = stream.read()
        return [Event(event) for event in whole_lines(data) if event.get("event") == "exchange"]


@dataclass(frozen=True)
class Setup:
    """What a server is made of: passwords by user, policy files by name, and the `compat` of each service.

    `settings` are laid over the configuration. With `tls` the server speaks TLS, and nothing listens on the wire. It is
    called by `host`.
    """

    people: Mapping[Person, str]
    policies: Mapping[str, str]
    services: Mapping[str, str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    tls: Authority | None = None
    host: str = "localhost"


class TokenServer:
    """One server. `port` is its own; `wire` listens on the port that clients are sent to."""

    def __init__(self, folder: Path, setup: Setup, *, prefix: Sequence[str] = ()) -> None:
        self.folder = folder
        self.people = dict(setup.people)
        self.port = free_port()
        self.wire = Wire(self.port)
        self.config = folder / "tokenserver.yaml"
        self.environment = plain_environment(folder)
        self.url = f"http://{setup.host}:{self.wire.port}"
        self._context = None
        if setup.tls is not None:
            self.url = f"https://{setup.host}:{self.port}"
            self._context = setup.tls.context()
        self._write(setup)
        command = [*prefix, *self.command("serve", "--config", self.config)]
        self.daemon = Daemon("tokenserver", command, environment=self.environment, folder=folder)
        self.audit = Audit(self.daemon.stdout)

    @property
    def realm(self) -> str:
        return f"{self.url}/token"

    def command(self, *arguments: str | Path) -> list[str]:
        """The command line as the interpreter that runs the tests would run it."""
        return [sys.executable, "-m", "tokenserver", *map(str, arguments)]

    def run(self, *arguments: str | Path, stdin: str = "") -> Output:
        """Run one command of the command line and see that it succeeds."""
        output = run(self.command(*arguments), environment=self.environment, folder=self.folder, stdin=stdin)
        canaries.watch(output.text, f"the output of {arguments[0]}")
        assert output.ok, str(output)
        return output

    def is_ready(self) -> bool:
        """Whether `/readyz` says so."""
        try:
            return answers(self.port) and self.request("GET", "/readyz").status == 200
        except (OSError, HTTPException):
            return False

    def request(
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> web.Answer:
        """One request, straight, past the wire."""
        return web.request(self.port, method, target, headers=headers, body=body, context=self._context)

    def registry_config(self, service: str, generation: str, folder: Path) -> dict[str, Any]:
        """The `auth` section that the server prints for a registry; the trusted keys go into `folder`."""
        printed = self.run(
            "registry-config", service, "--for", generation, "--write", folder, "--config", self.config
        ).stdout
        section: dict[str, Any] = yaml.safe_load(printed)
        return section

    def ask(self, service: str, scopes: Sequence[str] = (), *, person: Person = ANONYMOUS) -> web.Answer:
        """Ask for a token as this person, straight, past the wire. Who is not known here brings a wrong password."""
        headers = web.basic(person, self.people.get(person, "wrong")) if person else {}
        return self.request("GET", web.token_target(service, scopes), headers=headers)

    def token(self, service: str, scopes: Sequence[str] = (), *, person: Person = ANONYMOUS) -> str:
        """The token for these scopes, which may hold less than was asked."""
        answer = self.ask(service, scopes, person=person)
        assert answer.status == 200, answer
        return str(answer.json()["token"])

    def _prepare(self, *arguments: str | Path, stdin: str = "") -> None:
        """Run a command in this process: what hundreds of servers need before they start, without as many programs."""
        settings_of_the_run = {name: None for name in os.environ if name.startswith("TOKENSERVER_")}
        result = CliRunner().invoke(main, [*map(str, arguments)], input=stdin, env=settings_of_the_run)
        canaries.watch(result.output, f"the output of {arguments[0]}")
        assert result.exit_code == 0, result.output

    @staticmethod
    def message(answer: bytes) -> str:
        """The text for people in the body of a refusal."""
        return str(json.loads(answer)["details"])

    def _write(self, setup: Setup) -> None:
        (self.folder / "tmp").mkdir()
        policies = self.folder / "policies"
        for name, text in setup.policies.items():
            path = policies / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        settings: dict[str, Any] = {
            "issuer": ISSUER,
            "server": {"listen": f"127.0.0.1:{self.port}", "url": self.url},
            "registries": [{"service": service, "compat": compat} for service, compat in setup.services.items()],
            "authentication": [{"htpasswd": {"file": "users.htpasswd"}}],
            "anonymous": True,
            "policies": "policies/",
            "keys": "keys/",
            # One address brings all the wrong passwords of a whole run; whoever tests the throttle switches it on.
            "throttle": {"enabled": False},
        }
        if setup.tls is not None:
            certificate, key_file = setup.tls.issue(self.folder)
            settings["server"]["tls"] = {"certificate": str(certificate), "key": str(key_file)}
        for key, value in setup.settings.items():
            is_section = isinstance(value, dict) and isinstance(settings.get(key), dict)
            settings[key] = {**settings[key], **value} if is_section else value
        self.config.write_text(yaml.safe_dump(settings))
        users = self.folder / "users.htpasswd"
        for name, password in self.people.items():
            canaries.know(password, user=name)
            self._prepare("users", "set", name, "--weak", "--file", users, stdin=password)
        self._prepare("keys", "init", "--config", self.config)
        canaries.know_keys(self.folder / "keys")


@contextmanager
def started(server: TokenServer) -> Iterator[None]:
    """The server runs and is ready."""
    try:
        server.daemon.start(server.is_ready)
        yield
    finally:
        server.daemon.stop()
        server.wire.close()


@contextmanager
def serving(folder: Path, setup: Setup, *, prefix: Sequence[str] = ()) -> Iterator[TokenServer]:
    """A running server; `prefix` stands before its command, as `faketime` does."""
    server = TokenServer(folder, setup, prefix=prefix)
    try:
        with started(server):
            yield server
    finally:
        canaries.know_keys(folder / "keys")  # those that were made meanwhile
        for name, file in (("events", server.daemon.stdout), ("log", server.daemon.stderr)):
            canaries.watch(file.read_bytes() if file.exists() else b"", f"the server's {name}")


def password() -> str:
    """A password for one run."""
    return secrets.token_urlsafe(12)
