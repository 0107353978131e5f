"""Groups of a real directory in a running server: none is lost in silence, and no deny rule is lost with one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import web
from harness.authority import Authority
from harness.processes import Output, run
from harness.server import Event, Setup, TokenServer, serving
from harness.slapd import BASE, READER, Entry, Slapd, group, person, slapd

from tokenserver.config.sources.ldap import Ldap
from tokenserver.identity import spell_group
from tokenserver.server.sources.password_sources import ldap_directory

pytestmark = pytest.mark.real("slapd")

SERVICE, FREE = "reg.test", "free.test"
ODD = {
    "colon": "apps: prod",
    "dollar": "cost $5",
    "hash": "#ops",
    "star": "all*stars",
    "blank": "ends with a blank ",
    "reserved": "authenticated",
    "nbsp": "non\u00a0breaking",
    "variable": "${group}",
    "quotes": '"quoted"',
    "slash": "a/b",
    "form": "gr\u00fcn",
    "second": "the second value",
    "principal": "user:ann",
    "and": "a & group:b",
}
"""By the user who is in it: a group that a deny rule names."""
LIMITED = f"cn=limited,{BASE}"
LIMIT = 5
UNPAGED = f"cn=unpaged,{BASE}"


def _deny(name: str, principal: str) -> str:
    return f"  - {{id: no-{name}, to: [{json.dumps(principal)}], repositories: ['prod/**'], actions: [push]}}\n"


DENIED = {user: f"group:{spell_group(name)}" for user, name in ODD.items()} | {"partner": "group:partner/web team"}
POLICIES = {
    "root.yaml": "version: 1\nallow:\n  - {id: all, to: [authenticated], repositories: ['**'], role: writer}\n"
    "  - {id: own, to: [authenticated], repositories: ['teams/${group}/x'], role: maintainer}\n",
    "denied.yaml": f"version: 1\nregistries: [{SERVICE}]\ndeny:\n"
    + "".join(_deny(user, principal) for user, principal in DENIED.items()),
}


def _group_of(user: str, name: str) -> Entry:
    names = ["another", name] if user == "second" else [name]
    attributes = {"cn": names, "ou": [f"g-{user}"], "member": [f"cn={user},ou=people,{BASE}"]}
    return Entry(f"ou=g-{user},ou=groups", ["groupOfNames"], attributes)


@dataclass
class Site:
    """A server with three directories, which are parts of one."""

    server: TokenServer
    directory: Slapd

    def ask(self, user: str, service: str = SERVICE, name: str = "prod/x", actions: str = "pull,push") -> web.Answer:
        """A token for this name."""
        target = web.token_target(service, [f"repository:{name}:{actions}"])
        return self.server.request("GET", target, headers=web.basic(user, "pw"))

    def event(self, user: str, service: str = SERVICE) -> tuple[int, Event]:
        """The status and the audit event of such a request."""
        mark = self.server.audit.mark()
        status = self.ask(user, service).status
        (event,) = self.server.audit.events(mark)
        return status, event

    def command(self, *arguments: str, config: Path | None = None, stdin: str = "") -> Output:
        """Run `tokenserver …`."""
        command = self.server.command(*arguments, "--config", config or self.server.config)
        return run(command, environment=self.server.environment, folder=self.server.folder, stdin=stdin)

    def changed(self, name: str, denied: str | None = None, **groups: Any) -> Path:
        """The configuration with other settings for the groups of one source, where None takes a key out, and with
        another text in place of the rules that deny.
        """
        content = yaml.safe_load(self.server.config.read_text())
        (ldap,) = [one["ldap"] for one in content["authentication"] if one["ldap"]["name"] == name]
        ldap["groups"] = {key: value for key, value in (ldap["groups"] | groups).items() if value is not None}
        if denied is not None:
            folder = self.server.folder / "changed"
            folder.mkdir(exist_ok=True)
            for file, text in (POLICIES | {"denied.yaml": denied}).items():
                (folder / file).write_text(text)
            content["policies"] = str(folder)
        path = self.server.folder / "changed.yaml"
        path.write_text(yaml.safe_dump(content))
        return path


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """Three companies in one directory, and an account that is told five entries of a search."""
    authority = Authority(tmp_path_factory.mktemp("authority"), "the company")
    with slapd(tmp_path_factory.mktemp("slapd"), authority) as running:
        running.stop()
        limits = f'limits dn.exact="{LIMITED}" size={LIMIT}\nlimits dn.exact="{UNPAGED}" size.prtotal=disabled\n'
        running.config.write_text(running.config.read_text() + limits)
        running.start()
        for unit in ("partners", "third", "pgroups", "tgroups"):
            running.add(Entry(f"ou={unit}", ["organizationalUnit"], {}))
        account = {"userPassword": running.reader_password}
        for name in ("limited", "unpaged"):
            running.add(Entry(f"cn={name}", ["organizationalRole", "simpleSecurityObject"], account))
        running.add(*(person(user, "pw") for user in ODD), *(_group_of(user, name) for user, name in ODD.items()))
        running.add(person("nobody", "pw"), person("clash", "pw"), group("web team", "cn=clash,ou=people"))
        below = {"partners": ["partner", "lost", "both"], "third": ["many", "few"]}
        for unit, users in below.items():
            for user in users:
                entry = person(user, "pw")
                running.add(Entry(f"cn={user},ou={unit}", entry.classes, entry.attributes))
        named: dict[str, Any] = {
            "member": [f"cn={user},ou=partners,{BASE}" for user in ("partner", "both")],
            "description": "Web Team",
        }
        running.add(Entry("cn=p1,ou=pgroups", ["groupOfNames"], named))
        unnamed = {"member": [f"cn={user},ou=partners,{BASE}" for user in ("lost", "both")]}
        running.add(Entry("cn=p2,ou=pgroups", ["groupOfNames"], unnamed))
        for number in range(10):
            users = ["many", "few"] if number < 2 else ["many"]
            members = [f"cn={user},ou=third,{BASE}" for user in users]
            running.add(Entry(f"cn=t{number},ou=tgroups", ["groupOfNames"], {"member": members}))
        yield running


@pytest.fixture(scope="module")
def site(directory: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One after the other: the company, its partner, and a third."""
    common = {
        "preset": "openldap",
        "url": directory.tls_url,
        "ca_file": str(directory.ca_file),
        "bind_password": directory.reader_password,
        "cache": 0,
    }
    partner = {"by": "memberof", "name": "description", "base": f"ou=pgroups,{BASE}", "prefix": "partner/"}
    bases = {
        "corp": {"base": f"ou=people,{BASE}", "bind_dn": READER, "groups": {"base": f"ou=groups,{BASE}"}},
        "partner": {"base": f"ou=partners,{BASE}", "bind_dn": READER, "groups": partner},
        "third": {"base": f"ou=third,{BASE}", "bind_dn": LIMITED, "groups": {"base": f"ou=tgroups,{BASE}"}},
    }
    sources = [{"ldap": {"name": name, **common, **one}} for name, one in bases.items()]
    settings = {"server": {"workers": 1}, "authentication": sources}
    setup = Setup({}, POLICIES, {SERVICE: "universal", FREE: "universal"}, settings)
    with ExitStack() as stack:
        server = stack.enter_context(serving(tmp_path_factory.mktemp("server"), setup))
        yield Site(server, directory)


def _granted(answer: web.Answer) -> list[str]:
    assert answer.status == 200, answer.body
    return [action for access in web.claims(answer.json()["token"])["access"] for action in access["actions"]]


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ODD)
def test_no_name_escapes_a_deny(site: Site, user: str) -> None:
    """The deny rule for the group holds, whatever is in its name; where no rule names it, nothing is taken away; and
    in the audit event, which is ASCII, it stands as it is.
    """
    assert _granted(site.ask(user)) == ["pull"]
    assert _granted(site.ask("nobody")) == ["pull", "push"]
    status, event = site.event(user)
    assert (status, ODD[user] in event.fields["groups"]) == (200, True)


@pytest.mark.parametrize("by", ["member", "memberof", "nested"])
def test_every_way_brings_every_name(directory: Slapd, by: str) -> None:
    """Both values of a name of two, also where the entry of the user has but the DN."""
    values = {
        "preset": "openldap",
        "url": directory.tls_url,
        "ca_file": str(directory.ca_file),
        "base": f"ou=people,{BASE}",
        "bind_dn": READER,
        "bind_password": directory.reader_password,
        "groups": {"by": by, "base": f"ou=groups,{BASE}"},
    }
    source = ldap_directory(Ldap.model_validate(values))
    for user, name in ODD.items():
        found = source.look_up(user)
        assert found is not None
        assert (found.lost, set(found.groups)) == ((), {name} | ({"another"} if user == "second" else set()))
        assert source.group_problem(name) is None
    assert source.unnameable_groups() == ((), True)


def test_no_name_is_a_path(site: Site) -> None:
    """`${group}` stands for a group whose name is a component of a path, and never for a part of a path or more."""
    for name in ("teams/a/b/x", "teams/b/x"):
        assert "delete" not in _granted(site.ask("slash", FREE, name, "delete"))
    assert _granted(site.ask("clash", FREE, "teams/web/x", "delete")) == []


def test_how_a_name_is_spelled(site: Site) -> None:
    """`ldap test` tells it as policies write it, also to a terminal; and lint is content with what it told."""
    output = site.command("ldap", "test", "nbsp", "--source", "corp", stdin="pw\n")
    assert output.code == 0, str(output)
    assert output.stdout.endswith("All steps passed.\n")
    lines = [line.strip() for line in output.stdout.splitlines()]
    assert r'"non\u00a0breaking"' in lines
    assert r'group:"non\u00a0breaking"' in lines
    found = json.loads(site.command("policy", "lint", "--directory", "--json").stdout)
    assert [one["text"] for one in found if one["file"].endswith("denied.yaml")] == []
    output = site.command("policy", "why", "push", "prod/x", "--as", "star", "--service", SERVICE)
    assert (output.code, 'bringing "all*stars"' in output.stdout) == (1, True), str(output)
    output = site.command(
        *("policy", "why", "push", "prod/x", "--user", "x", "--group", '"all*stars"', "--service", SERVICE)
    )
    assert (output.code, "denied by no-star" in output.stdout) == (1, True), str(output)


def test_a_star_is_no_wildcard(site: Site, tmp_path: Path) -> None:
    """Refused as before, since a rule for `reg-*` would silently be for nobody, with the spelling that is right."""
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "a.yaml").write_text(
        'version: 1\nallow:\n  - {id: a, to: ["group:all*stars"], repositories: [x], role: reader}\n'
    )
    command = site.server.command("policy", "lint", "--policies", folder)
    output = run(command, environment=site.server.environment, folder=tmp_path)
    assert (output.code, 'or for a directory group of that name, write "all*stars"' in output.stderr) == (2, True), str(
        output
    )


# --- two sources -----------------------------------------------------------------------------------------------------


def test_a_prefix_tells_two_groups_apart(site: Site) -> None:
    """The rule for the partner's group is not for the company's of the same name, nor the other way round."""
    assert _granted(site.ask("clash")) == ["pull", "push"]
    assert _granted(site.ask("partner")) == ["pull"]
    status, event = site.event("partner")
    assert (status, event.fields["source"], event.fields["groups"]) == (200, "partner", ["partner/web team"])


def test_lint_reports_groups_that_two_sources_have(site: Site) -> None:
    """TS303 with a fix, at the rule that names the group, if no directory has a prefix."""
    denied = POLICIES["denied.yaml"].replace("partner/web team", "web team")
    config = site.changed("partner", denied, prefix=None)
    found = json.loads(site.command("policy", "lint", "--directory", "--json", config=config).stdout)
    reported = [(one["code"], one["text"]) for one in found if one["file"].endswith("denied.yaml")]
    fix = "fix: distinguish them by groups: {prefix: partner/} in partner"
    assert reported == [("TS303", f"no-partner: the group 'web team' is in corp and partner; {fix}")]


# --- lost groups -----------------------------------------------------------------------------------------------------


def test_a_group_without_a_name_is_not_passed_over(site: Site) -> None:
    """It may be the one that a deny rule is for: 503 with the reason, the log tells it once, and nobody else waits.
    Where no rule takes anything away from members of groups, the login goes on, and its event says what is lost.
    """
    lost = f"cn=p2,ou=pgroups,{BASE}"
    for user in ("lost", "both"):
        for _ in range(2):
            status, event = site.event(user)
            assert (status, event.outcome) == (503, "unavailable")
            assert event.fields["reason"].startswith(
                "partner: cannot tell the names of all groups of the user, and no-"
            )
            assert "denied.yaml:" in event.fields["reason"]
    status, event = site.event("lost", FREE)
    assert (status, event.fields["groups"], event.fields["lost"]) == (200, [], [lost])
    assert "lost" not in site.event("partner", FREE)[1].fields
    told = f"partner: left out of the groups of users: a group ({lost}): it has no readable description"
    assert site.server.daemon.log.count(told) == 1
    answer = site.server.request("GET", "/readyz")
    assert (answer.status, answer.json()["parts"]["partner"]) == (200, "ok")


def test_the_commands_tell_what_is_lost(site: Site) -> None:
    """`ldap test` fails with what was left out, `why --as` refuses to answer, lint names the group."""
    output = site.command("ldap", "test", "lost", "--source", "partner", stdin="pw\n")
    assert output.code == 1, str(output)
    told = f"left out  a group (cn=p2,ou=pgroups,{BASE}): it has no readable description"
    assert told in output.stdout
    assert "policies  the login is refused, because not all groups are known: no-" in output.stdout
    assert "All steps passed." not in output.stdout
    config = site.changed("partner", POLICIES["denied.yaml"].replace("deny:", "allow:"))
    output = site.command("ldap", "test", "lost", "--source", "partner", config=config, stdin="pw\n")
    assert output.code == 0, str(output)
    assert output.stdout.endswith("The login works, but some groups are left out.\n")
    output = site.command("policy", "why", "push", "prod/x", "--as", "lost", "--service", SERVICE)
    assert (output.code, "the login is refused" in output.stderr) == (2, True), str(output)
    assert site.command("policy", "why", "push", "prod/x", "--as", "lost", "--service", FREE).code == 0
    found = json.loads(site.command("policy", "lint", "--directory", "--json").stdout)
    told = told.removeprefix("left out  ")
    assert [(one["code"], one["text"]) for one in found if one["file"] == str(site.server.config)] == [
        ("TS302", f"left out of the groups of users: {told}"),
        # The third directory tells five entries, as it does to a login.
        ("TS302", "not all groups could be examined, so more of them may have no usable name"),
    ]


def test_a_limit_of_the_directory_is_told_as_such(site: Site) -> None:
    """Who is in ten groups, of which the account is told five: 503, what to do, and that the user is in too many is
    never said. The directory answers, so that the circuit breaker stays closed and others get in.
    """
    for _ in range(4):
        status, event = site.event("many")
        assert (status, event.outcome) == (503, "unavailable")
        assert event.fields["reason"].startswith(
            f"third: the directory returns no more than {LIMIT} groups of the user"
        )
    status, event = site.event("few")
    assert (status, event.fields["groups"]) == (200, ["t0", "t1"])
    output = site.command("ldap", "test", "many", "--source", "third", stdin="pw\n")
    assert (output.code, "to do: raise the limit for the account" in output.stdout) == (1, True), str(output)
    config = site.changed("third", by="memberof")
    output = site.command("ldap", "test", "many", "--source", "third", config=config, stdin="pw\n")
    assert (output.code, "groups    10 found by 10 values" in output.stdout) == (0, True), str(output)
    assert {f"{'':<12}t{number}" for number in range(10)} <= set(output.stdout.splitlines())


def test_groups_come_page_by_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 2696: pages of three, and all ten groups in the end."""
    monkeypatch.setattr("tokenserver.authn.ldap.groups.search.PAGE", 3)
    content = yaml.safe_load(site.server.config.read_text())["authentication"][2]["ldap"] | {"bind_dn": READER}
    before = len(site.directory.log())
    found = ldap_directory(Ldap.model_validate(content)).look_up("many")
    assert found is not None
    assert len(found.groups) == 10
    assert site.directory.log()[before:].count(f'SRCH base="ou=tgroups,{BASE}"') == 4


@pytest.mark.parametrize("by", ["member", "memberof", "nested"])
def test_a_directory_without_pages(site: Site, by: str) -> None:
    """It gives all at once, and so is asked for all."""
    content = yaml.safe_load(site.server.config.read_text())["authentication"][2]["ldap"] | {"bind_dn": UNPAGED}
    content["groups"]["by"] = by
    source = ldap_directory(Ldap.model_validate(content))
    before = len(site.directory.log())
    found = source.look_up("many")
    assert found is not None
    assert len(found.groups) == 10
    assert "SEARCH RESULT tag=101 err=11" in site.directory.log()[before:]
    assert source.unnameable_groups() == ((), True)
