"""Two directories at once, in the order of the configuration: whose user it is, and what happens when one is down."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import web
from harness.authority import Authority
from harness.faultproxy import FaultProxy, Mode, faulty
from harness.processes import run
from harness.server import Setup, TokenServer, serving
from harness.slapd import BASE, READER, Slapd, group, person, slapd
from harness.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.real("slapd")

SERVICE = "reg.test"
POLICIES = {
    "root.yaml": "version: 1\nallow:\n"
    '  - {id: devs, to: ["group:devs", "user:both", "user:ben"], repositories: ["web/**"], role: writer}\n'
}
NAMES = ("corp", "partner")


@dataclass
class Site:
    """A server, its two directories, and the proxies before them."""

    server: TokenServer
    directories: dict[str, Slapd]
    proxies: dict[str, FaultProxy]

    def ask(self, user: str, password: str) -> tuple[int, str | None, list[str] | None]:
        """The status of a login, who vouched, and the groups that came."""
        mark = self.server.audit.mark()
        target = web.token_target(SERVICE, ["repository:web/x:push"])
        status = self.server.request("GET", target, headers=web.basic(user, password)).status
        (event,) = self.server.audit.events(mark)
        return status, event.fields.get("source"), event.fields.get("groups")

    def status(self, user: str, password: str) -> int:
        """The status alone."""
        return self.ask(user, password)[0]

    def readiness(self) -> dict[str, str]:
        """What /readyz says about each directory."""
        parts = self.server.request("GET", "/readyz").json()["parts"]
        return {name: parts[name] for name in NAMES}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """ann is in corp, ben in partner, and both in both, with a password and a group in each."""
    authority = Authority(tmp_path_factory.mktemp("authority"), "the company")
    with ExitStack() as stack:
        directories = {name: stack.enter_context(slapd(tmp_path_factory.mktemp(name), authority)) for name in NAMES}
        directories["corp"].add(person("ann", "a"), person("Both", "of corp"), group("corp-all", "cn=Both,ou=people"))
        directories["partner"].add(
            person("ben", "b"), person("both", "of partner"), group("devs", "cn=both,ou=people", "cn=ben,ou=people")
        )
        proxies = {name: stack.enter_context(faulty(one.tls_port)) for name, one in directories.items()}
        sources: list[dict[str, Any]] = [
            {
                "ldap": {
                    "name": name,
                    "preset": "openldap",
                    "url": f"ldaps://localhost:{proxies[name].port}",
                    "ca_file": str(authority.file),
                    "base": BASE,
                    "bind_dn": READER,
                    "bind_password": one.reader_password,
                    "deadline": 2,
                    "cache": 0,
                }
            }
            for name, one in directories.items()
        ]
        settings = {"server": {"workers": 1}, "authentication": sources}
        setup = Setup({}, POLICIES, {SERVICE: "universal"}, settings)
        server = stack.enter_context(serving(tmp_path_factory.mktemp("server"), setup))
        yield Site(server, directories, proxies)


def _recovered(site: Site) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (site.status("ann", "a"), site.status("ben", "b")) != (200, 200):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_in_order(site: Site) -> None:
    """Whom the first does not have is looked for in the second; a wrong password ends it; a name in both is the
    first's, with its groups alone.
    """
    assert site.ask("ann", "a") == (200, "corp", [])
    assert site.ask("ben", "b") == (200, "partner", ["devs"])
    assert site.ask("both", "of corp") == (200, "corp", ["corp-all"])
    before = site.directories["partner"].log().count('BIND dn="cn=both,')
    assert site.status("both", "of partner") == 401
    assert site.directories["partner"].log().count('BIND dn="cn=both,') == before
    assert [site.status(user, "x") for user in ("ann", "ben", "nobody")] == [401, 401, 401]


def test_the_first_is_down(site: Site) -> None:
    """Nobody can tell then whose anybody is: 503 for all, and never the second one's word for a user of the first."""
    site.proxies["corp"].mode = Mode.REFUSE
    try:
        assert [site.status(*login) for login in (("ann", "a"), ("ben", "b"), ("both", "of partner"))] == [503] * 3
        readiness = site.readiness()
        assert (readiness["corp"] != "ok", readiness["partner"]) == (True, "ok")
    finally:
        site.proxies["corp"].mode = Mode.PASS
    _recovered(site)


def test_the_second_is_down(site: Site) -> None:
    """The first one's users do not notice; whom it does not have gets 503, because nobody can tell."""
    site.proxies["partner"].mode = Mode.REFUSE
    try:
        assert [site.status("ben", "b") for _ in range(4)] == [503] * 4
        assert [site.status("ann", "a"), site.status("ann", "wrong"), site.status("nobody", "x")] == [200, 401, 503]
        readiness = site.readiness()
        assert (readiness["corp"], "the circuit breaker is open" in readiness["partner"]) == ("ok", True)
    finally:
        site.proxies["partner"].mode = Mode.PASS
    _recovered(site)


def test_lint_reports_names_in_both(site: Site) -> None:
    """A name in a policy that both directories have, compared after folding each directory's spelling."""
    command = site.server.command("policy", "lint", "--directory", "--json", "--config", site.server.config)
    output = run(command, environment=site.server.environment, folder=site.server.folder)
    found = [(one["code"], one["text"]) for one in json.loads(output.stdout)]
    fix = "logins use the first, corp; fix: rename one of the two"
    assert ("TS303", f"devs: the user 'both' is in corp and partner; {fix}") in found, str(output)
    overlap = f"the user 'both' is in corp and in partner; {fix}"
    (place,) = [one for one in json.loads(output.stdout) if one["text"] == overlap]
    lines = site.server.config.read_text().splitlines()
    (line,) = [number for number, text in enumerate(lines, 1) if text == "    name: partner"]
    assert (place["file"], place["code"]) == (str(site.server.config), "TS303")
    assert lines[place["line"] - 1].startswith("- ldap:")
    assert 0 < line - place["line"] < 20
    assert [text for code, text in found if code in ("TS301", "TS302")] == []


def test_lint_lists_all_of_large_directories(site: Site) -> None:
    """Page by page; and a directory that lists no more than a part says so."""
    many = [person(f"n{number}", "x") for number in range(1203)]
    site.directories["corp"].add(*many)
    site.directories["partner"].add(*many[2:])
    command = site.server.command("policy", "lint", "--directory", "--json", "--config", site.server.config)

    def told() -> list[str]:
        output = run(command, environment=site.server.environment, folder=site.server.folder)
        return [one["text"] for one in json.loads(output.stdout) if one["file"] == str(site.server.config)]

    (text,) = told()
    assert text.startswith("1202 users are in corp and in partner ('both', 'n10', 'n100', ")
    assert text.endswith("', …); logins use the first, corp; fix: rename one user of each pair")
    partner = site.directories["partner"]
    partner.stop()
    config = partner.config.read_text().replace("sizelimit unlimited", "sizelimit size=700 size.prtotal=700")
    assert "prtotal" in config
    partner.config.write_text(config)
    partner.start()
    (text, cut) = told()
    assert " users are in corp and in partner (" in text
    assert cut == "not all users of partner could be listed, so more users may be in both"


def test_why_and_test_name_the_source(site: Site, tmp_path: Path) -> None:
    """`why --as` asks in the same order, and `ldap test` wants to know which of the two is meant."""
    server = site.server

    def told(*arguments: str, stdin: str = "") -> tuple[int, str]:
        command = server.command(*arguments, "--config", server.config)
        output = run(command, environment=server.environment, folder=server.folder, stdin=stdin)
        return output.code, output.text

    assert told("policy", "why", "push", "web/x", "--as", "ben")[0] == 0
    code, text = told("ldap", "test", "ben", stdin="b\n")
    assert (code, "fix: add --source with one of: corp, partner" in text) == (2, True)
    code, text = told("ldap", "test", "ben", "--source", "partner", stdin="b\n")
    assert (code, "group:devs" in text) == (0, True)


def test_a_directory_is_removed_and_comes_back(site: Site) -> None:
    """While the server runs: its users are refused although nothing else changed, and the breaker of the other one is
    not reset."""
    text = site.server.config.read_text()
    settings = yaml.safe_load(text)
    del settings["authentication"][0]
    try:
        _replace(site.server.config, yaml.safe_dump(settings))
        time.sleep(2)
        assert (site.status("ann", "a"), site.status("ben", "b")) == (401, 200)
        assert site.ask("both", "of partner") == (200, "partner", ["devs"])
        assert {*site.server.request("GET", "/readyz").json()["parts"]} & {*NAMES} == {"partner"}
        site.proxies["partner"].mode = Mode.REFUSE
        assert [site.status("ben", "b") for _ in range(3)] == [503] * 3
        assert site.server.request("GET", "/readyz").json()["parts"]["partner"] != "ok"
        _replace(site.server.config, text)
        time.sleep(2)
        assert site.ask("ann", "a") == (200, "corp", [])
        assert site.readiness()["corp"] == "ok"
        assert site.readiness()["partner"] != "ok"
    finally:
        site.proxies["partner"].mode = Mode.PASS
        _replace(site.server.config, text)
        time.sleep(2)
        _recovered(site)


def _replace(path: Path, text: str) -> None:
    other = path.with_name("other")
    other.write_text(text)
    other.replace(path)
