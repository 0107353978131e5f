"""docs/laptop.md on a laptop: its commands one after the other, with a real engine, registries, server and person."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import canaries
import pytest
from harness import registries
from harness.clients import Dockerd
from harness.credential_helper import NAME, HelperOnMachine, TerminalOutput
from harness.machine import Machine
from harness.page_browser import PageBrowser
from harness.programs import ROOT
from harness.registries import Registry
from harness.scene import Scene
from harness.server import Setup, TokenServer, serving

SERVICE, MIRROR = "registry3.test", "mirror.test"
PAGE = (ROOT / "docs" / "laptop.md").read_text("utf-8")
LINK = r"  (http://\S+/device\?user_code=\S+)"
CODE = r"confirm the code ([A-Z-]+) there"

POLICIES = {
    "root.yaml": """\
version: 1
allow:
  - {id: keeper, to: ["user:keeper"], repositories: ["**"], role: maintainer}
  - {id: ann, to: ["user:ann"], repositories: ["web/**"], role: writer}
"""
}


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server that gives refresh tokens."""
    services = {SERVICE: "universal", MIRROR: "universal"}
    settings = {"storage": "state/tokenserver.db", "refresh_tokens": {}, "anonymous": False}
    made = replace(setup, policies=POLICIES, services=services, settings=settings)
    with serving(tmp_path_factory.mktemp("server"), made) as running:
        yield running


registry = registries.own_registry(SERVICE)
mirror = registries.own_registry(MIRROR)


@dataclass(frozen=True)
class Person:
    """A person in front of the laptop, with a browser."""

    name: str
    server: TokenServer

    def decide(self, shown: TerminalOutput, decision: str = "confirm") -> None:
        """Open the link that the terminal shows, log in, compare the codes, and decide."""
        link, code = shown.wait_for(LINK), shown.wait_for(CODE)
        canaries.know(code)
        browser = PageBrowser(self.server)
        question = browser.log_in(self.name, link.removeprefix(self.server.url))
        assert code in question.body.decode()
        said = {"confirm": b"You confirmed the login", "deny": b"You denied the login"}[decision]
        assert said in browser.submit(question, "/device", decision=decision).body


@pytest.fixture
def ann(server: TokenServer) -> Person:
    """Who may pull and push below web/."""
    return Person("ann", server)


def known(helper: HelperOnMachine) -> dict[str, str]:
    """The secrets that the helper has, by registry."""
    found = {name: login["secret"] for name, login in helper.stored().items()}
    for secret in found.values():
        canaries.know(secret)
    return found


def commands() -> list[list[str]]:
    """The commands of the page, word by word."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [line.split() for block in blocks for line in block.splitlines()]


@pytest.mark.real("docker", "dockerd")
def test_the_page(scene: Scene, mirror: Registry, ann: Person) -> None:
    """Every command, with the names of this test's registries and program."""
    client = scene.client(Dockerd)
    repository = scene.stored("web")
    names = {
        "registry.example.com": scene.registry.host,
        "mirror.example.com": mirror.host,
        "registry.example.com/web/site:1": f"{scene.registry.host}/{repository}:1",
    }
    ran: list[str] = []
    helper = HelperOnMachine(client.machine, scene.registry.host, registries=[scene.registry.host])
    for words in commands():
        meant = [names.get(word, word) for word in words]
        ran.append(meant[1] if meant[0] in (NAME, "docker") else meant[0])
        if words[0].startswith("scripts/"):
            made = client.machine.folder / "made"
            subprocess.run([sys.executable, ROOT / words[0], made], check=True)
            assert made.read_bytes() == (helper.file.parent / "helper.pyz").read_bytes()
            continue
        program = str(client.file if meant[0] == "docker" else helper.file)
        shown = TerminalOutput([program, *meant[1:]], client.machine, "")
        if meant[1] in ("pull", "login"):
            ann.decide(shown)
        code, output = shown.end()
        assert code == 0, (meant, shown.shown, output)
        if meant[1] == "status":
            assert re.fullmatch(rf"{scene.registry.host}  {scene.server.url}  until \S+\n", output)
        known(helper)
    assert set(known(helper)) == {scene.registry.host, mirror.host}
    assert ran == ["scripts/credential-helper-zipapp", "version", "pull", "login", "status", "logout", "login"]


@pytest.mark.real("docker", "dockerd")
def test_docker_login_by_browser(scene: Scene, ann: Person) -> None:
    """`docker login` without a name asks the helper, which asks the person; the second time nobody is asked.

    docker takes no identity token there, so that the helper has to answer it as a password.
    """
    client = scene.client(Dockerd)
    settings = {"registries": [scene.registry.host], "asPassword": True}
    helper = HelperOnMachine(client.machine, scene.registry.host, **settings)
    command = [str(client.file), "login", scene.registry.host]
    shown = TerminalOutput(command, client.machine, "")
    ann.decide(shown)
    code, output = shown.end()
    assert (code, "Login Succeeded" in output) == (0, True), (shown.shown, output)
    (token,) = known(helper).values()
    again = client.run("login", scene.registry.host)
    assert again.ok, str(again)
    assert list(known(helper).values()) == [token]
    listed = json.loads(scene.server.run("logins", "list", "--json", "--config", scene.server.config).stdout)
    (found,) = [one for one in listed["logins"] if one["id"] == token[5:17]]
    assert (found["owner"], found["registries"]) == ("ann", [SERVICE])
    assert helper.stored()[scene.registry.host]["ends"] > time.time() + 80 * 86_400


def test_a_person_who_says_no(machine: Machine, scene: Scene, ann: Person) -> None:
    """Nothing is kept, and one line says why."""
    helper = HelperOnMachine(machine, scene.registry.host)
    shown = helper.at_a_terminal("login", scene.registry.host)
    ann.decide(shown, "deny")
    assert shown.end() == (1, "")
    assert shown.shown.splitlines()[-1] == f"no login at {scene.registry.host}: it was denied in the browser"
    assert helper.stored() == {}


def test_without_a_terminal(machine: Machine, scene: Scene) -> None:
    """Nobody is asked, and the line names the command."""
    helper = HelperOnMachine(machine, scene.registry.host, registries=[scene.registry.host])
    output = helper.run("get", stdin=scene.registry.host)
    assert output.stderr == (
        f"no credential for {scene.registry.host}; log in: docker-credential-tokenserver login {scene.registry.host}\n"
    )
    assert helper.get() is None
