"""`policy why --as` and `policy lint --directory` with a real directory behind them, which can also be gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from harness.authority import Authority
from harness.processes import Output, run
from harness.server import Setup, TokenServer
from harness.slapd import BASE, READER, Entry, Slapd, group, person, slapd

pytestmark = pytest.mark.real("slapd")

POLICIES = {
    "root.yaml": """\
version: 1
groups:
  web: {users: [bob, gone], groups: [web-devs]}
allow:
  - {id: web, to: ["group:web", "group:auditors"], repositories: ["web/**"], role: writer}
  - {id: names, to: ["user:alice", "user:Alice", "user:left"], repositories: ["x/**"], role: reader}
  - {id: groups, to: ["group:Web-Devs", "group:alice", "group:other"], repositories: ["y/**"], role: reader}
  - {id: two, to: ["user:both", "user:keeper"], repositories: ["z/**"], role: reader}
"""
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory in which somebody expired, somebody left, and somebody has a namesake in the file."""
    authority = Authority(tmp_path_factory.mktemp("authority"), "the company")
    with slapd(tmp_path_factory.mktemp("slapd"), authority) as running:
        running.add(person("Alice", "a"), person("bob", "b"), person("both", "c"))
        expired: dict[str, Any] = {"uid": "gone", "sn": "g", "userPassword": "d", "shadowExpire": "1"}
        running.add(Entry("cn=gone,ou=people", ["inetOrgPerson", "shadowAccount"], expired))
        running.add(group("Web-Devs", "cn=Alice,ou=people"), group("other", "cn=bob,ou=people"))
        yield running


@dataclass
class Site:
    """A configuration that is not served, and the commands that read it."""

    server: TokenServer

    def policy(self, *arguments: str | Path, config: Path | None = None) -> Output:
        """Run `tokenserver policy …`."""
        command = self.server.command("policy", *arguments, "--config", config or self.server.config)
        return run(command, environment=self.server.environment, folder=self.server.folder)

    def changed(self, old: str, new: str) -> Path:
        """The configuration with another text in one place."""
        text = self.server.config.read_text()
        assert old in text
        path = self.server.folder / "changed.yaml"
        path.write_text(text.replace(old, new))
        return path


@pytest.fixture(scope="module")
def site(directory: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A file first, and then the directory."""
    ldap = {
        "name": "corp",
        "preset": "openldap",
        "url": directory.tls_url,
        "ca_file": str(directory.ca_file),
        "base": BASE,
        "bind_dn": READER,
        "bind_password": directory.reader_password,
        "groups": {"allow": ["web-*", "alice"]},
    }
    sources = [{"htpasswd": {"name": "local", "file": "users.htpasswd"}}, {"ldap": ldap}]
    setup = Setup({"keeper": "k", "both": "x"}, POLICIES, {"reg.test": "universal"}, {"authentication": sources})
    server = TokenServer(tmp_path_factory.mktemp("site"), setup)
    yield Site(server)
    server.wire.close()


# --- why --as --------------------------------------------------------------------------------------------------------


def test_why_as_a_user_of_the_directory(site: Site) -> None:
    """The directory tells who it is, in its own spelling, and the groups; nobody's password is asked for."""
    output = site.policy("why", "push", "web/app", "--as", "ALICE")
    assert output.code == 0, str(output)
    assert output.stdout.startswith("push web/app: allowed by web (root.yaml:5)")
    assert "for alice (bringing web-devs)" in output.stdout


def test_why_as_a_user_of_the_file(site: Site) -> None:
    """The sources are asked in order: who is in both is the file's, and brings no group."""
    facts = json.loads(site.policy("why", "push", "web/app", "--as", "both", "--json").stdout)
    assert facts["verdict"] == "not_granted"


@pytest.mark.parametrize(
    ("user", "told"),
    [
        pytest.param("left", "--as: no user source knows 'left' (asked: local, corp)", id="unknown"),
        pytest.param(
            "gone", "--as: corp knows 'gone', but the user cannot log in: the account has expired", id="expired"
        ),
    ],
)
def test_why_as_nobody(site: Site, user: str, told: str) -> None:
    """Exit code 2, and what the sources say."""
    output = site.policy("why", "pull", "web/app", "--as", user)
    assert (output.code, told in output.stderr) == (2, True), str(output)


def test_why_as_when_the_directory_is_down(site: Site, directory: Slapd) -> None:
    """It is said that nobody can tell, and not that there is no such user."""
    config = site.changed(directory.tls_url, "ldaps://localhost:1")
    output = site.policy("why", "pull", "web/app", "--as", "alice", config=config)
    assert (output.code, "corp: ldaps://localhost:1: connection refused" in output.stderr) == (2, True), str(output)
    assert site.policy("why", "pull", "x/a", "--as", "keeper", config=config).code == 1


# --- lint --directory ------------------------------------------------------------------------------------------------


def test_lint_asks_the_directory(site: Site) -> None:
    """Users who left or are told otherwise, groups that nobody brings, and names that two sources have."""
    output = site.policy("lint", "--directory", "--json")
    assert output.code == 1, str(output)
    policies = site.server.folder / "policies" / "root.yaml"
    users = site.server.folder / "users.htpasswd"
    found = [(one["file"], one["line"], one["code"], one["text"]) for one in json.loads(output.stdout)]
    correct, rename = "; fix: correct or remove the name", "logins use the first, local; fix: rename one of the two"
    other_case = "must be spelled 'web-devs': the directory ignores case in names (corp)"
    assert [one for one in found if one[2].startswith("TS3")] == [
        (str(policies), 3, "TS301", f"web: the user 'gone' cannot log in: the account has expired (corp){correct}"),
        (str(policies), 5, "TS302", f"web: the group 'auditors' is not in the directory (corp){correct}"),
        (str(policies), 6, "TS301", f"names: the user 'Alice' is spelled 'alice' here (corp){correct}"),
        (str(policies), 6, "TS301", f"names: the user 'left' is in no user source (asked: local, corp){correct}"),
        (str(policies), 7, "TS302", f"groups: the group 'Web-Devs' {other_case}{correct}"),
        (str(policies), 7, "TS302", f"groups: the group 'alice' is not in the directory (corp){correct}"),
        (str(policies), 7, "TS302", f"groups: the group 'other' is excluded by groups.allow (corp){correct}"),
        (str(policies), 8, "TS303", f"two: the user 'both' is in local and corp; {rename}"),
        (str(users), 2, "TS303", f"the user 'both' is in corp as well; {rename}"),
    ]


def test_lint_without_asking(site: Site) -> None:
    """Without the option the directory is left alone."""
    output = site.policy("lint", "--json")
    assert [one for one in json.loads(output.stdout) if one["code"].startswith("TS3")] == []


def test_nobody_is_gone_because_the_directory_is_down(site: Site, directory: Slapd) -> None:
    """Exit code 2 and no finding."""
    output = site.policy("lint", "--directory", config=site.changed(directory.tls_url, "ldaps://localhost:1"))
    assert (output.code, output.stdout) == (2, ""), str(output)
    assert "corp: ldaps://localhost:1: connection refused" in output.stderr


def test_a_base_that_is_not_there_is_no_missing_group(site: Site) -> None:
    """A search that fails says nothing about groups."""
    config = site.changed("groups:\n", f"groups:\n      base: ou=none,{BASE}\n")
    output = site.policy("lint", "--directory", config=config)
    assert (output.code, "the base does not exist" in output.stderr) == (2, True), str(output)


def test_lint_without_a_directory_to_ask(site: Site, tmp_path: Path) -> None:
    """Wrong use: exit code 2, and what is missing."""
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "a.yaml").write_text(POLICIES["root.yaml"])
    environment, here = site.server.environment, site.server.folder
    bare = run(
        site.server.command("policy", "lint", "--directory", "--policies", folder), environment=environment, folder=here
    )
    assert (bare.code, "so it needs --config" in bare.stderr) == (2, True), str(bare)
    config = site.server.folder / "alone.yaml"
    text = site.server.config.read_text()
    config.write_text(text[: text.index("- ldap:")] + text[text.index("issuer:") :])
    alone = site.policy("lint", "--directory", config=config)
    assert (alone.code, "has no directory (ldap:)" in alone.stderr) == (2, True), str(alone)
