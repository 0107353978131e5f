"""Logins at a terminal against a running server with four workers: codes, page, polls, token, all of it by HTTP.

See docs/design/threats.md#threat-190 and those after it.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import canaries
import pytest
from harness import registries, web
from harness.credential_helper import HelperOnMachine
from harness.json_lines import whole_lines
from harness.machine import Machine
from harness.page_browser import PageBrowser
from harness.processes import run
from harness.programs import ROOT, need
from harness.server import Setup, TokenServer, password, serving
from harness.waiting import until

from tokenserver.exchange.stored.device_refusals import (
    AccessDenied,
    AuthorizationPending,
    ExpiredDeviceCode,
    SlowDown,
    UnknownDeviceCode,
)

pytestmark = pytest.mark.waits

PAGE = (ROOT / "docs" / "terminal-login.md").read_text("utf-8")
SERVICE, OTHER = "reg.test", "other.test"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
POLICIES = {
    "root.yaml": """\
version: 1
allow:
  - {id: ann, to: ["user:ann"], repositories: ["web/**"], role: writer}
"""
}
ADDRESSES = (f"192.0.2.{number}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """Four workers behind a proxy that says who asks; it gives refresh tokens."""
    settings = {
        "server": {"workers": 4, "trusted_proxies": ["127.0.0.1/32", "::1/128"]},
        "storage": "state/tokenserver.db",
        "refresh_tokens": {},
        "anonymous": False,
    }
    services = {SERVICE: "universal", OTHER: "universal"}
    made = Setup({"ann": password(), "ben": password()}, POLICIES, services, settings)
    with serving(tmp_path_factory.mktemp("server"), made) as running:
        yield running


class Terminal:
    """A program at an address of its own."""

    def __init__(self, server: TokenServer) -> None:
        self.server = server
        self.address = next(ADDRESSES)

    def post(self, target: str, **form: Any) -> web.Answer:
        """One form."""
        body = urlencode({"client_id": "tokenserver-helper", **form}, doseq=True).encode()
        headers = web.FORM | {"X-Forwarded-For": self.address}
        return self.server.request("POST", target, headers=headers, body=body)

    def ask(self, **form: Any) -> dict[str, Any]:
        """The codes; they are secrets from now on."""
        answer = self.post("/device/code", **form)
        assert answer.status == 200, answer
        codes = answer.json()
        canaries.know(codes["device_code"])
        canaries.know(codes["user_code"])
        return codes

    def poll(self, codes: dict[str, Any], **form: Any) -> web.Answer:
        """One question."""
        answer = self.post("/token", grant_type=GRANT, device_code=codes["device_code"], **form)
        if answer.status == 200:
            canaries.know(answer.json()["refresh_token"])
        return answer


def link(codes: dict[str, Any], server: TokenServer) -> str:
    """The target of the link that has the code."""
    complete: str = codes["verification_uri_complete"]
    return complete.removeprefix(server.url)


def events(server: TokenServer, step: str) -> list[dict[str, Any]]:
    """The events of this step, from the server's output."""
    return [
        event for event in whole_lines(server.daemon.stdout) if (event["event"], event.get("step")) == ("device", step)
    ]


def test_a_login(server: TokenServer) -> None:
    """Pending until the person has confirmed in the browser; then a refresh token that works, and can be ended."""
    terminal = Terminal(server)
    codes = terminal.ask(service=SERVICE, scope="repository:web/**:pull")
    assert codes["verification_uri"] == f"{server.url}/device"
    assert terminal.poll(codes).json()["error"] == "authorization_pending"
    browser = PageBrowser(server, terminal.address)
    question = browser.log_in("ann", link(codes, server))
    text = question.body.decode()
    assert all(part in text for part in (codes["user_code"], terminal.address, SERVICE, "web/**"))
    assert "another network" not in text
    done = browser.submit(question, "/device", decision="confirm")
    assert (done.status, b"You confirmed the login" in done.body) == (200, True)
    given = terminal.poll(codes).json()
    token = given["refresh_token"]
    assert given["refresh_token_expires_in"] == 90 * 86_400
    form = {"grant_type": "refresh_token", "refresh_token": token}
    pulled = terminal.post("/token", **form, service=SERVICE, scope="repository:web/x:pull,push")
    assert pulled.json()["scope"] == "repository:web/x:pull"
    assert terminal.post("/token", **form, service=OTHER, scope="repository:web/x:pull").status == 401
    listed = json.loads(server.run("logins", "list", "--json", "--config", server.config).stdout)
    (login,) = [one for one in listed["logins"] if one["id"] == token[5:17]]
    assert (login["owner"], login["registries"], login["client"]) == ("ann", [SERVICE], "tokenserver-helper")
    assert terminal.post("/revoke", token=token).status == 200
    flow = events(server, "asked")[-1]["flow"]
    steps = [step for step in ("asked", "approved", "given") if events(server, step)[-1]["flow"] == flow]
    assert steps == ["asked", "approved", "given"]


def test_the_page(server: TokenServer) -> None:
    """The commands of docs/terminal-login.md, one after the other, with what the one before has answered."""
    names = {"https://auth.example.com": server.url, "registry.example.com": SERVICE}
    answers: dict[str, str] = {}
    ran = []
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        text = block.strip()
        for name, value in (names | answers).items():
            text = text.replace(name, value)
        words = shlex.split(text)
        output = run([need("curl"), *words[1:]], environment=server.environment, folder=server.folder)
        assert output.ok, str(output)
        answer = json.loads(output.stdout)
        ran.append(sorted(answer))
        for name in ("device_code", "user_code", "refresh_token"):
            if name in answer:
                canaries.know(answer[name])
                answers[name.upper()] = answer[name]
        if "user_code" in answer:
            browser = PageBrowser(server)
            browser.submit(browser.log_in("ann", link(answer, server)), "/device", decision="confirm")
    assert ran == [
        sorted(json.loads(re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0])),
        ["refresh_token", "refresh_token_expires_in"],
        ["access_token", "expires_in", "issued_at", "scope", "token"],
        [],
    ]
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) - {"error"} == {
        one.code for one in (AuthorizationPending, SlowDown, AccessDenied, ExpiredDeviceCode, UnknownDeviceCode)
    }


def test_with_the_credential_helper(server: TokenServer, machine: Machine, tmp_path: Path) -> None:
    """The program shows link and code; the person follows the link and compares the code; the program has a login."""
    with registries.registry(tmp_path, server, SERVICE, "distribution3") as registry:
        helper = HelperOnMachine(machine, registry.host)
        shown = helper.at_a_terminal("login", registry.host)
        code = shown.wait_for(r"confirm the code ([A-Z-]+) there")
        canaries.know(code)
        target = shown.wait_for(r"(/device\?\S+)")
        browser = PageBrowser(server)
        question = browser.log_in("ann", target)
        assert all(part in question.body.decode() for part in (code, "tokenserver-helper", SERVICE))
        browser.submit(question, "/device", decision="confirm")
        status, output = shown.end()
        assert status == 0, (shown.shown, output)
        kept = helper.get()
    assert kept is not None
    canaries.know(kept[1])
    assert kept[0] == "<token>"
    issued = events(server, "given")[-1]
    assert (issued["subject"], issued["issued"], issued["registries"]) == ("ann", kept[1][5:17], [SERVICE])


def test_sixteen_questions_together(server: TokenServer) -> None:
    """Over four workers, one of them gets the token, and there is one.

    See docs/design/threats.md#threat-192.
    """
    terminal = Terminal(server)
    codes = terminal.ask()
    browser = PageBrowser(server, terminal.address)
    browser.submit(browser.log_in("ann", link(codes, server)), "/device", decision="confirm")
    before = len(events(server, "given"))
    with ThreadPoolExecutor(16) as pool:
        answers = [run.result() for run in [pool.submit(terminal.poll, codes) for _ in range(16)]]
    assert sorted(answer.status for answer in answers) == [200] + [400] * 15
    assert {answer.json()["error"] for answer in answers if answer.status == 400} == {"invalid_grant"}
    assert len(events(server, "given")) == before + 1


def test_the_pace_over_all_workers(server: TokenServer) -> None:
    """Whichever worker is asked knows when another one was, and how long the pause has become.

    See docs/design/threats.md#threat-193.
    """
    terminal = Terminal(server)
    codes = terminal.ask()
    errors = [terminal.poll(codes).json()["error"] for _ in range(8)]
    assert errors == ["authorization_pending"] + ["slow_down"] * 7
    time.sleep(5.5)
    assert terminal.poll(codes).json()["error"] == "slow_down"


def test_denied(server: TokenServer) -> None:
    """The program learns it from the page of another worker."""
    terminal = Terminal(server)
    codes = terminal.ask()
    browser = PageBrowser(server, "198.51.100.7")
    question = browser.log_in("ben", link(codes, server))
    assert b"in another network" in question.body
    assert b"You denied the login" in browser.submit(question, "/device", decision="deny").body
    assert terminal.poll(codes).json()["error"] == "access_denied"


def test_guessing_over_all_workers(server: TokenServer) -> None:
    """A session has five wrong codes, whichever worker gets them.

    See docs/design/threats.md#threat-190.
    """
    codes = Terminal(server).ask()
    browser = PageBrowser(server, next(ADDRESSES))
    browser.log_in("ben", "/device")
    statuses = [browser.get(f"/device?user_code=BCDF-GHJ{letter}").status for letter in "BCDFG"]
    assert statuses == [400] * 5
    assert browser.get(link(codes, server)).status == 429
    other = PageBrowser(server, next(ADDRESSES))
    assert other.log_in("ben", link(codes, server)).status == 200


def test_a_flood(server: TokenServer) -> None:
    """One address begins twenty logins; then it waits, others do not, and tokens are given as before.

    See docs/design/threats.md#threat-193.
    """
    flood, other = Terminal(server), Terminal(server)
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: flood.post("/device/code").status, range(60)))
    assert (statuses.count(200), statuses.count(503)) == (20, 40)
    codes = other.ask()
    assert other.poll(codes).json()["error"] == "authorization_pending"
    assert server.ask(SERVICE, ["repository:web/x:pull"], person="ann").status == 200


def test_an_account_that_ends_in_between(server: TokenServer) -> None:
    """The person who confirmed is looked up again when the program asks."""
    terminal = Terminal(server)
    codes = terminal.ask()
    typed = server.people["gone"] = password()
    canaries.know(typed, user="gone")
    server.run("users", "set", "gone", "--weak", "--file", server.folder / "users.htpasswd", stdin=typed)
    until(lambda: server.ask(SERVICE, person="gone").status == 200, in_a_row=20)
    browser = PageBrowser(server, terminal.address)
    browser.submit(browser.log_in("gone", link(codes, server)), "/device", decision="confirm")
    server.run("users", "disable", "gone", "--file", server.folder / "users.htpasswd")
    until(lambda: server.ask(SERVICE, person="gone").status == 401, in_a_row=20)
    assert terminal.poll(codes).json()["error"] == "access_denied"
    assert events(server, "denied")[-1]["subject"] == "gone"
