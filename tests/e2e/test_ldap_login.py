"""A directory account from `docker login` to a push, and `tokenserver ldap test` beside it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import registries
from harness.authority import Authority
from harness.clients import Client, Crane, Ctr, Docker, Dockerd
from harness.images import Image, make
from harness.processes import Output, run
from harness.registries import KEEPER, Registry
from harness.server import Setup, TokenServer, password, serving
from harness.slapd import BASE, READER, Slapd, group, person, slapd

pytestmark = pytest.mark.real("slapd")

POLICIES = {
    "root.yaml": """\
version: 1
groups:
  site: {users: [kim], groups: [web-devs]}
allow:
  - {id: keeper, to: ["user:keeper"], repositories: ["**"], role: maintainer}
  - {id: devs, to: ["group:web-devs"], repositories: ["web/**"], role: writer}
"""
}


NAMES = ("authenticated", "user:zoe", "group:web-devs")
"""What zoe is in policies that have no groups of their own."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory of web developers; zoe stays one, so that the group is never empty."""
    authority = Authority(tmp_path_factory.mktemp("authority"), "the company")
    with slapd(tmp_path_factory.mktemp("slapd"), authority) as running:
        people = {"Alice": "wonder:land", "zoe": "z", "ben": "engine", "kim": "k"}
        running.add(*(person(name, password) for name, password in people.items()))
        running.add(group("Web-Devs", *(f"cn={name},ou=people" for name in people)))
        yield running


@pytest.fixture(scope="module")
def ldap_settings(directory: Slapd) -> dict[str, object]:
    """The directory, remembered for a second."""
    return {
        "name": "corp",
        "preset": "openldap",
        "url": directory.tls_url,
        "ca_file": str(directory.ca_file),
        "base": BASE,
        "bind_dn": READER,
        "bind_password": directory.reader_password,
        "cache": 1,
    }


@pytest.fixture(scope="module")
def server(
    directory: Slapd, ldap_settings: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TokenServer]:
    """A server that asks a file first, and then the directory."""
    folder = tmp_path_factory.mktemp("server")
    secret = folder / "ldap-password"
    secret.touch(mode=0o600)
    secret.write_text(directory.reader_password + "\n")
    ldap = {key: value for key, value in ldap_settings.items() if key != "bind_password"}
    ldap["bind_password_file"] = "ldap-password"
    sources = [{"htpasswd": {"file": "users.htpasswd"}}, {"ldap": ldap}]
    setup = Setup({KEEPER: password()}, POLICIES, {"registry2.test": "universal"}, {"authentication": sources})
    with serving(folder, setup) as running:
        yield running


registry = registries.own_registry("registry2.test", "distribution2")


def test_login_push_and_no_more(
    server: TokenServer,
    registry: Registry,
    directory: Slapd,
    tmp_path: Path,
    client_of: Callable[[type[Client]], Client],
) -> None:
    """docker logs in with the directory's password; its group may push, until alice is out of the group."""
    docker = client_of(Docker)
    mark = server.audit.mark()
    assert not docker.login(registry, "ALICE", "wrong").ok
    output = docker.login(registry, "ALICE", "wonder:land")
    assert output.ok, str(output)
    (event,) = [event for event in server.audit.events(mark) if event.outcome == "login"]
    assert (event.subject, event.fields["source"], event.fields["groups"]) == ("alice", "corp", ["web-devs"])
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    crane = client_of(Crane)
    crane.machine.sign_in(registry.host, "alice", "wonder:land")
    output = crane.push(registry, make(tmp_path / "one", "one"), "web/one")
    assert output.ok, str(output)
    directory.modify(
        f"dn: cn=Web-Devs,ou=groups,{BASE}\nchangetype: modify\ndelete: member\nmember: cn=Alice,ou=people,{BASE}\n"
    )
    time.sleep(1.2)  # the lifetime of a remembered login
    output = crane.push(registry, make(tmp_path / "two", "two"), "web/two")
    assert not output.ok
    last = server.audit.events(mark)[-1]
    assert (last.subject, last.outcome, last.granted, last.fields["groups"]) == ("alice", "denied", frozenset(), [])
    assert not registry.holds("web/two")


def test_the_engine_pushes_by_a_directory_group(
    registry: Registry, directory: Slapd, image: Image, client_of: Callable[[type[Client]], Client]
) -> None:
    """`docker login` and `docker push` with the engine; out of the group, the next push is refused in a second."""
    docker = client_of(Dockerd)
    output = docker.login(registry, "ben", "engine")
    assert output.ok, str(output)
    output = docker.push(registry, image, "web/engine")
    assert output.ok, str(output)
    directory.modify(
        f"dn: cn=Web-Devs,ou=groups,{BASE}\nchangetype: modify\ndelete: member\nmember: cn=ben,ou=people,{BASE}\n"
    )
    time.sleep(1.2)  # the lifetime of a remembered login
    output = docker.push(registry, image, "web/refused")
    assert (output.ok, docker.refusal in output.text) == (False, True), str(output)
    assert (registry.holds("web/engine"), registry.holds("web/refused")) == (True, False)


def test_one_wrong_login_of_containerd_is_one_failure(
    directory: Slapd,
    tmp_path: Path,
    image: Image,
    ldap_settings: dict[str, object],
    client_of: Callable[[type[Client]], Client],
) -> None:
    """containerd asks with POST, and after a 401 with GET; together that is one failure and one bind, so four
    mistakes leave the fifth try, which is right. And one client's parallel requests are none at all.

    See docs/design/threats.md#bug-30.
    """
    folder = tmp_path / "throttled"
    folder.mkdir()
    settings = {
        "server": {"workers": 1},
        "throttle": {"enabled": True, "failures_per_user": 5},
        "authentication": [{"htpasswd": {"file": "users.htpasswd"}}, {"ldap": ldap_settings}],
    }
    setup = Setup({KEEPER: password()}, POLICIES, {"registry2.test": "universal"}, settings)
    with (
        serving(folder, setup) as server,
        registries.registry(tmp_path / "registry", server, "registry2.test", "distribution2") as registry,
    ):
        registry.put("web/site", image)
        ctr = client_of(Ctr)
        binds = directory.log().count('BIND dn="cn=kim,ou=people')
        mark = server.audit.mark()
        for number in range(4):
            ctr.machine.sign_in(registry.host, "kim", f"mistake-{number}")
            assert not ctr.pull(registry, "web/site").ok
        methods = [event.fields["method"] for event in server.audit.events(mark) if event.subject == "kim"]
        assert {"POST", "GET"} <= set(methods)
        assert len(methods) >= 8
        assert directory.log().count('BIND dn="cn=kim,ou=people') - binds == 4
        ctr.machine.sign_in(registry.host, "kim", "k")
        output = ctr.pull(registry, "web/site")
        assert output.ok, str(output)


def _ldap_test(server: TokenServer, *arguments: str, stdin: str = "") -> Output:
    command = server.command("ldap", "test", "--config", server.config, *arguments)
    return run(command, environment=server.environment, folder=server.folder, stdin=stdin)


def test_the_command_tells_every_step(server: TokenServer, directory: Slapd) -> None:
    """Server, TLS, bind, base, search, entry, groups, login, identity, policies; never a password."""
    output = _ldap_test(server, "zoe", stdin="z\n")
    assert output.code == 0, str(output)
    lines = output.stdout.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        *("server", "tls", "bind", "base", "search", "entry", "groups", "login", "identity", "policies", "All"),
    ]
    at = next(number for number, line in enumerate(lines) if line.startswith("groups    1 found by a search"))
    assert lines[at + 1].strip() == "web-devs"
    names = [line.strip() for line in lines[lines.index("policies  match the user as") + 1 : -1]]
    assert names == ["authenticated", "user:zoe", "group:site", "group:web-devs"]
    assert directory.reader_password not in output.text


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "words"),
    [
        pytest.param([], "", 0, "All steps passed", id="the connection alone"),
        pytest.param(["zoe"], "", 0, "not tried, no password was given", id="without a password"),
        pytest.param(["zoe"], "canary-1\n", 1, "wrong password", id="wrong password"),
        pytest.param(["nobody"], "canary-1\n", 1, "no entry matches", id="unknown"),
        pytest.param([" "], "", 2, "printable characters", id="no name"),
        pytest.param(["--source", "other"], "", 2, "no directory is named 'other'; configured: corp", id="no source"),
    ],
)
def test_the_command_answers(server: TokenServer, arguments: list[str], stdin: str, code: int, words: str) -> None:
    """0: well; 1: a step failed, with what to do; 2: wrong use."""
    output = _ldap_test(server, *arguments, stdin=stdin)
    assert output.code == code, str(output)
    assert words in output.text
    assert ("to do:" in output.text) == (code == 1)
    assert "canary-1" not in output.text


def test_the_command_with_broken_policies(server: TokenServer) -> None:
    """It is about the directory: policies that are refused leave out the groups of theirs, and that is said."""
    (server.folder / "broken").mkdir(exist_ok=True)
    (server.folder / "broken" / "root.yaml").write_text("version: 2\n")
    other = server.folder / "broken.yaml"
    other.write_text(server.config.read_text().replace("policies: policies/", "policies: broken/"))
    output = run(
        server.command("ldap", "test", "zoe", "--config", other),
        environment=server.environment,
        folder=server.folder,
        stdin="z\n",
    )
    assert (output.code, "the policies do not load" in output.stderr) == (0, True), str(output)
    assert output.stdout.splitlines()[-4:-1] == [f"{'':<12}{name}" for name in NAMES]


def test_the_command_as_json(server: TokenServer) -> None:
    """The same for machines."""
    output = _ldap_test(server, "--json")
    facts = json.loads(output.stdout)
    names = [step["step"] for step in facts["steps"]]
    assert (facts["ok"], names) == (True, ["server", "tls", "bind", "base", "users", "groups"])


def test_the_command_names_the_step_that_failed(server: TokenServer, directory: Slapd, tmp_path: Path) -> None:
    """A certificate of another authority: the TLS step, and what to change."""
    Authority(tmp_path, "another")
    text = server.config.read_text().replace(str(directory.ca_file), str(tmp_path / "ca.crt"))
    other = server.folder / "other.yaml"
    other.write_text(text)
    command = server.command("ldap", "test", "--config", other)
    output = run(command, environment=server.environment, folder=server.folder)
    assert output.code == 1, str(output)
    assert "tls       the server's certificate was issued by an unknown CA: the company" in output.stdout
    assert "to do: put the certificate of the company into ca_file" in output.stdout
