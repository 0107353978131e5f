"""Login names with a domain at a running server: one person, one subject and one count, however the name is typed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from harness import web
from harness.authority import Authority
from harness.processes import Output, run
from harness.server import Event, Setup, TokenServer, serving
from harness.slapd import BASE, READER, Slapd, group, person, slapd

pytestmark = pytest.mark.real("slapd")

SERVICE = "reg.test"
LOCAL = "kim@CORP"
"""A user of the htpasswd file, which comes first and takes names as they are typed."""
POLICIES = {
    "root.yaml": "version: 1\nallow:\n"
    "  - {id: own, to: [authenticated], repositories: ['users/${user}/**'], role: maintainer}\n"
    "  - {id: devs, to: ['group:devs'], repositories: ['web/**'], role: writer}\n"
}
FAILURES = 4


@dataclass
class Site:
    """A server with a file of users and a directory."""

    server: TokenServer
    directory: Slapd

    def ask(self, user: str, password: str, *scopes: str) -> tuple[int, Event]:
        """The status of a login, and its audit event."""
        mark = self.server.audit.mark()
        target = web.token_target(SERVICE, [*scopes])
        status = self.server.request("GET", target, headers=web.basic(user, password)).status
        (event,) = self.server.audit.events(mark)
        return status, event

    def test(self, user: str, password: str = "", **changes: Any) -> Output:
        """`ldap test` with these changes of the directory's settings."""
        settings = yaml.safe_load(self.server.config.read_text())
        settings["authentication"][1]["ldap"].update(changes)
        config = self.server.folder / "other.yaml"
        config.write_text(yaml.safe_dump(settings))
        command = self.server.command("ldap", "test", user, "--config", config)
        return run(command, environment=self.server.environment, folder=self.server.folder, stdin=f"{password}\n")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Domains are taken off for the directory, and one address has five tries in total."""
    authority = Authority(tmp_path_factory.mktemp("authority"), "the company")
    with slapd(tmp_path_factory.mktemp("slapd"), authority) as directory:
        people = {name: f"pw-{name}" for name in ("Ann", "ben", "kim", "target", "other")}
        directory.add(*(person(name, password) for name, password in people.items()))
        directory.add(person("back\\slash", "pw"), group("devs", "cn=Ann,ou=people"))
        ldap = {
            "name": "corp",
            "preset": "openldap",
            "url": directory.tls_url,
            "ca_file": str(directory.ca_file),
            "base": BASE,
            "bind_dn": READER,
            "bind_password": directory.reader_password,
            "strip_domain": ["CORP", "corp.example.com"],
        }
        settings = {
            "authentication": [{"htpasswd": {"file": "users.htpasswd"}}, {"ldap": ldap}],
            "throttle": {"enabled": True, "failures_per_user": FAILURES},
        }
        setup = Setup({LOCAL: "pw-local"}, POLICIES, {SERVICE: "universal"}, settings)
        with serving(tmp_path_factory.mktemp("server"), setup) as server:
            yield Site(server, directory)


@pytest.mark.parametrize(
    "typed",
    [
        "ann",
        "ANN",
        "CORP\\ann",
        "corp\\Ann",
        "ann@CORP",
        "ann@corp.example.com",
        "corp.example.com\\ann",
        "Ann@Corp.Example.Com",
    ],
)
def test_every_spelling_is_one_person(site: Site, typed: str) -> None:
    """The same subject, groups and namespace; the audit event has the name as typed beside the subject."""
    status, event = site.ask(typed, "pw-Ann", "repository:users/ann/x:push", "repository:web/x:pull")
    assert (status, event.subject, event.fields["source"], event.fields["groups"]) == (200, "ann", "corp", ["devs"])
    assert event.granted == {"repository:users/ann/x:push", "repository:web/x:pull"}
    assert event.fields.get("username", typed) == typed


@pytest.mark.parametrize(
    "typed",
    [
        "OTHER\\ann",
        "ann@other.example.com",
        "ann@sub.corp.example.com",
        "CORP",
        "CORP\\",
        "@CORP",
        "CORP\\ ",
        "CORP/ann",
        "CORP\\*",
    ],
)
def test_others_are_nobody(site: Site, typed: str) -> None:
    """Another domain's user is another person, and a domain alone is nobody."""
    status, event = site.ask(typed, "pw-Ann")
    assert (status, event.outcome) == (401, "invalid_credentials"), event


def test_a_name_with_a_backslash(site: Site) -> None:
    """It is still found: only listed domains are taken off."""
    assert site.ask("back\\slash", "pw")[1].subject == "back\\slash"


def test_the_file_takes_names_as_they_are_typed(site: Site) -> None:
    """Its user `kim@CORP` is another one than the directory's `kim`, whom other spellings lead to."""
    assert [site.ask(*one)[1].fields.get("source") for one in ((LOCAL, "pw-local"), ("CORP\\kim", "pw-kim"))] == [
        "htpasswd",
        "corp",
    ]
    assert site.ask(LOCAL, "pw-kim")[0] == 401


def test_spellings_share_one_count(site: Site) -> None:
    """The throttle rejects the right password under every spelling after as many failures as for one name, before the
    directory is asked; another domain's user of that name is counted alone.
    """
    spellings = ("target", "CORP\\target", "TARGET@corp.example.com", "\uff34arget@CORP", "corp.example.com\\target")
    statuses = [site.ask(typed, f"wrong-{number}")[0] for number, typed in enumerate(spellings)]
    assert statuses == [401] * FAILURES + [429]
    binds = site.directory.log().count('BIND dn="cn=target,')
    assert binds == FAILURES
    assert {site.ask(typed, "pw-target")[0] for typed in spellings} == {429}
    assert site.directory.log().count('BIND dn="cn=target,') == binds
    assert site.ask("OTHER\\target", "x")[0] == 401


def test_ldap_test_says_which_name_is_searched_for(site: Site) -> None:
    """The name without its domain, and then the login of that user."""
    output = site.test("CORP\\ann", "pw-Ann")
    assert output.code == 0, str(output)
    assert "name      ann, without its domain (strip_domain)" in output.stdout
    assert "(uid=ann)" in output.stdout


@pytest.mark.parametrize(
    ("typed", "changes", "hint", "fix"),
    [
        pytest.param(
            "CORP\\jdoe",
            {"strip_domain": ["OTHER"]},
            "the name has a domain before it; people type jdoe",
            "strip_domain: [OTHER, CORP]",
            id="before",
        ),
        pytest.param(
            "jdoe@example.net",
            {},
            "the name has a domain after it; people type jdoe",
            "strip_domain: [CORP, corp.example.com, example.net], or compare it in user_filter",
            id="after",
        ),
    ],
)
def test_ldap_test_recognizes_a_domain(site: Site, typed: str, changes: dict[str, Any], hint: str, fix: str) -> None:
    """Where nobody is found, it says why, and what to configure."""
    output = site.test(typed, **changes)
    assert output.code == 1
    assert hint in output.stdout
    assert fix in output.stdout


def test_the_log_recognizes_a_domain(site: Site) -> None:
    """Once for each domain, without the name."""
    names = [f"LOGGED\\somebody-{number}" for number in range(6)]
    assert {site.ask(name, "x")[0] for name in names} == {401}
    lines = [line for line in site.server.daemon.log.splitlines() if "no entry matches" in line and "LOGGED" in line]
    assert 1 <= len(lines) <= 2  # once in each worker
    assert all(
        "a domain before it" in line and "fix: strip_domain: [CORP, corp.example.com, LOGGED]" in line for line in lines
    )
    assert "somebody" not in "".join(lines)
