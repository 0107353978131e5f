"""Hooks at a running server with two workers: logins, faults, reloads and the end, after which no process is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from authenticator_contract import GOOD
from harness import web
from harness.own_time import promptly
from harness.server import Setup, TokenServer, serving
from harness.waiting import PATIENCE_SECONDS
from hook_programs import LINES, LOGINS, hook_program
from hook_servers import SECRET, Respond, body, check, hook_server, url_of

pytestmark = pytest.mark.waits

SERVICE = "registry2.test"
POLICY = """\
version: 1
allow:
  - {id: web, to: ["group:web", "group:team=web"], repositories: ["web/*"], role: reader}
"""
SCOPES = ["repository:web/site:pull"]
WORKERS = 2
LIVE_SECONDS = 4.0


@dataclass(frozen=True)
class Site:
    """A server, and where each process of its program notes its number."""

    server: TokenServer
    folder: Path

    @property
    def pids(self) -> list[int]:
        """The processes of the program that were started."""
        noted = self.folder / "pids"
        return [int(line) for line in noted.read_text().split()] if noted.exists() else []

    def log_in(self, user: str = "alice", password: str = GOOD) -> web.Answer:
        """The answer to a login, in any worker."""
        return self.server.request("GET", web.token_target(SERVICE, SCOPES), headers=web.basic(user, password))

    def statuses(self, **login: str) -> set[int]:
        """The statuses of some logins, which both workers get."""
        return {self.log_in(**login).status for _ in range(12)}

    def write(self, text: str, name: str = "check") -> Path:
        """The program with this body, noting its number; replaced as a whole."""
        note = f"open({str(self.folder / 'pids')!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
        made = hook_program(self.folder, note + text, f"{name}.new")
        return made.rename(self.folder / name)


def alive(pids: list[int]) -> list[int]:
    """Those that are running, or zombies of a process that has not waited for them."""
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Starts a server with this program, and stops it."""
    running = []

    def start(text: str, **more: Any) -> Site:
        folder = tmp_path / "program"
        folder.mkdir()
        one = Site(None, folder)  # type: ignore[arg-type]  # the server is made below
        section = {"command": [str(one.write(text))], "workers": 2, "deadline": "2s", "cache": 0, **more}
        settings = {"server": {"workers": WORKERS}, "authentication": [{"program": section}], "anonymous": False}
        manager = serving(_made(tmp_path / "server"), Setup({}, {"p.yaml": POLICY}, {SERVICE: "universal"}, settings))
        running.append(manager)
        return Site(manager.__enter__(), folder)

    yield start
    for manager in running:
        manager.__exit__(None, None, None)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def access(answer: web.Answer) -> list[str]:
    """The names in the token of an answer."""
    return [str(one["name"]) for one in web.claims(answer.json()["token"])["access"]]


def test_logins(site: Callable[..., Site]) -> None:
    """Right, wrong and unknown; processes are started by the first login alone."""
    here = site(LINES["good"])
    assert here.pids == []
    assert access(here.log_in()) == ["web/site"]
    assert (here.statuses(password="wrong"), here.statuses(user="nobody")) == ({401}, {401})
    assert 1 <= len(here.pids) <= WORKERS * 2
    assert alive(here.pids) == here.pids


def test_a_program_that_fails_and_recovers(site: Callable[..., Site]) -> None:
    """503 while it fails, `/readyz` says which source, and a new program is used within two seconds."""
    here = site(LINES["dies"])
    assert here.statuses() == {503}
    problem = "its program ended with exit code 3 without an answer"
    promptly(
        here.server.daemon.pid,
        lambda: here.server.request("GET", "/readyz").json()["parts"]["program"].startswith(problem),
        seconds=LIVE_SECONDS,
    )
    here.write(LINES["good"])
    promptly(here.server.daemon.pid, lambda: here.log_in().status == 200, seconds=12)


@pytest.mark.parametrize("change", ["the file", "the configuration"])
def test_a_reload_ends_the_processes(site: Callable[..., Site], change: str) -> None:
    """Those of the program before; logins go on meanwhile (docs/design/threats.md#threat-208)."""
    here = site(LINES["good"])
    assert here.statuses() == {200}
    before = here.pids
    if change == "the file":
        here.write(LINES["good"])
    else:
        settings = yaml.safe_load(here.server.config.read_text())
        settings["authentication"][0]["program"]["deadline"] = "3s"
        here.server.config.write_text(yaml.safe_dump(settings))
    found: set[int] = set()

    def is_over() -> bool:
        found.add(here.log_in().status)
        return alive(before) == []

    promptly(here.server.daemon.pid, is_over, seconds=8)
    assert found == {200}
    assert here.statuses() == {200}
    assert alive(here.pids) != []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("name", ["good", "ignores the end of its input"])
def test_nothing_is_left(site: Callable[..., Site], number: signal.Signals, name: str) -> None:
    """At the end of the server, also of a program that does not end by itself (docs/design/threats.md#threat-208)."""
    text = LINES["good"] if name == "good" else f"{LINES['good']}\ntime.sleep(60)"
    here = site(text)
    assert here.statuses() == {200}
    assert alive(here.pids) == here.pids
    here.server.daemon.signal(number)
    here.server.daemon.wait(PATIENCE_SECONDS)
    assert alive(here.pids) == []


def test_a_worker_that_is_killed(site: Callable[..., Site]) -> None:
    """Its processes see the end of their input."""
    here = site(LINES["good"])
    assert here.statuses() == {200}
    before = here.pids
    parents = {int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in before}
    for parent in parents:
        os.kill(parent, signal.SIGKILL)
    promptly(here.server.daemon.pid, lambda: all(not _runs(pid) for pid in before), seconds=LIVE_SECONDS)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_for_docker_auth(site: Callable[..., Site]) -> None:
    """Labels are groups; nothing is left after each login."""
    here = site(LOGINS["good"], protocol="docker_auth")
    assert access(here.log_in()) == ["web/site"]
    assert here.log_in(password="wrong").status == 401
    assert here.log_in(user="alice x").status == 401
    assert len(here.pids) == 2
    assert alive(here.pids) == []


def test_an_http_hook(tmp_path: Path) -> None:
    """It is asked with the client's address; a reload of the secret is used, and what fails is 503."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    with hook_server() as hook:
        section = {"url": url_of(hook), "secret_file": str(secret), "cache": 0}
        settings = {"server": {"workers": 1}, "authentication": [{"http": section}], "anonymous": False}
        setup = Setup({}, {"p.yaml": POLICY}, {SERVICE: "universal"}, settings)
        with serving(_made(tmp_path / "server"), setup) as server:
            here = Site(server, tmp_path)
            assert access(here.log_in()) == ["web/site"]
            assert hook.requests[-1].question["client"] == "127.0.0.1"
            assert (here.log_in(password="wrong").status, here.log_in(user="nobody").status) == (401, 401)
            secret.write_text(SECRET[::-1])
            promptly(server.daemon.pid, lambda: here.log_in().status == 503, seconds=LIVE_SECONDS)
            secret.write_text(SECRET)
            promptly(server.daemon.pid, lambda: here.log_in().status == 200, seconds=12)
            hook.respond = body("{}")
            assert here.log_in().status == 503


@pytest.mark.parametrize(
    ("respond", "status"),
    [
        pytest.param(check, 200, id="still there"),
        pytest.param(body("", 404), 401, id="gone"),
        pytest.param(body("", 401), 401, id="could not log in now"),
        pytest.param(body("", 501), 503, id="does not support find"),
        pytest.param(body('{"subject":"alice","groups":[],"proof":"2"}'), 401, id="new password"),
    ],
)
def test_the_owner_of_a_refresh_token(tmp_path: Path, respond: Respond, status: int) -> None:
    """The hook is asked whether the user is still there, without a password; logins go on if it does not know that."""
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o600)
    with hook_server() as hook:
        section = {"url": url_of(hook), "secret_file": str(tmp_path / "secret"), "cache": 0}
        settings = {
            "server": {"workers": 1},
            "authentication": [{"http": section}],
            "storage": "state/t.db",
            "refresh_tokens": {},
        }
        setup = Setup({}, {"p.yaml": POLICY}, {SERVICE: "universal"}, settings)
        with serving(_made(tmp_path / "server"), setup) as server:
            target = f"{web.token_target(SERVICE, SCOPES)}&offline_token=true"
            login = server.request("GET", target, headers=web.basic("alice", GOOD))
            form = {"grant_type": "refresh_token", "refresh_token": login.json()["refresh_token"]}
            asked = web.form(**form, service=SERVICE, client_id="test", scope=SCOPES[0])
            hook.respond = respond
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            found = [server.request("POST", "/token", headers=headers, body=asked).status for _ in range(4)]
            assert found == [status] * 4
            question = hook.requests[-1].question
            assert question == {"version": 1, "user": "alice", "find": True}
            hook.respond = check
            assert server.request("GET", target, headers=web.basic("alice", GOOD)).status == 200
