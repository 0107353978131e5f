"""What an attacker tries on a running server with a directory behind it.

See docs/design/threats.md#threat-1, docs/design/threats.md#threat-2, docs/design/threats.md#threat-3,
docs/design/threats.md#threat-4, docs/design/threats.md#threat-5, docs/design/threats.md#threat-6,
docs/design/threats.md#threat-7, docs/design/threats.md#threat-8, docs/design/threats.md#threat-9,
docs/design/threats.md#threat-10, docs/design/threats.md#threat-14, docs/design/threats.md#threat-20,
docs/design/threats.md#threat-21, docs/design/threats.md#threat-26 and docs/design/threats.md#threat-32.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from harness import web
from harness.authority import Authority
from harness.faultproxy import FaultProxy, Mode, faulty
from harness.processes import plain_environment, run
from harness.programs import need
from harness.server import Setup, TokenServer, serving
from harness.slapd import BASE, READER, Entry, Slapd, person, slapd
from harness.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.real("slapd")

SERVICE = "reg.test"
TARGET = web.token_target(SERVICE, ["repository:users/alice/x:push"])
POLICIES = {
    "root.yaml": "version: 1\nallow:\n"
    '  - {id: own, to: [authenticated], repositories: ["users/${user}/**"], role: maintainer}\n'
    'deny:\n  - {id: not-bob, to: ["user:bob"], repositories: ["users/**"], actions: [push]}\n'
}
GOOD = "wonderland"
PEOPLE = ("Alice", "bob", "carol", "dora", "${user}", "anonymous", "everyone")
NUMBERS = itertools.count()


@dataclass
class Site:
    """A server of one worker with a directory, and the proxy between them."""

    server: TokenServer
    directory: Slapd
    proxy: FaultProxy

    def basic(self, user: str, password: str = GOOD) -> web.Answer:
        """A login as clients bring it with GET."""
        return self.server.request("GET", TARGET, headers=web.basic(user, password))

    def form(self, user: str, password: str = GOOD) -> web.Answer:
        """A login as clients bring it with POST."""
        fields = {"grant_type": "password", "service": SERVICE, "username": user, "password": password}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.server.request("POST", "/token", headers=headers, body=urlencode(fields).encode())


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory that takes an empty password for success, with people whom it should not let in."""
    authority = Authority(tmp_path_factory.mktemp("authority"), "the company")
    with slapd(tmp_path_factory.mktemp("slapd"), authority, extra="allow bind_anon_cred bind_anon_dn") as running:
        running.add(*(person(name, GOOD) for name in PEOPLE))
        for name in ("twin1", "twin2"):
            attributes: dict[str, Any] = {"uid": "twin", "sn": "t", "userPassword": GOOD}
            running.add(Entry(f"cn={name},ou=people", ["inetOrgPerson"], attributes))
        expired: dict[str, Any] = {"uid": "gone", "sn": "g", "userPassword": GOOD, "shadowExpire": "1"}
        running.add(Entry("cn=gone,ou=people", ["inetOrgPerson", "shadowAccount"], expired))
        running.add(person("barred", GOOD))
        running.modify(
            f"dn: cn=barred,ou=people,{BASE}\nchangetype: modify\n"
            "replace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n"
        )
        yield running


def settings_for(directory: Slapd, *ports: int, **more: Any) -> dict[str, Any]:
    """The directory at these ports."""
    return {
        "name": "corp",
        "preset": "openldap",
        "url": [f"ldaps://localhost:{port}" for port in ports],
        "ca_file": str(directory.ca_file),
        "base": BASE,
        "bind_dn": READER,
        "bind_password": directory.reader_password,
        "cache": 0,
        **more,
    }


@pytest.fixture(scope="module")
def site(directory: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The directory comes first, then a file that has a carol as well."""
    with faulty(directory.tls_port) as proxy:
        ldap = settings_for(directory, proxy.port)
        sources = [{"ldap": ldap}, {"htpasswd": {"name": "local", "file": "users.htpasswd"}}]
        people = {"carol": "carol of the file", "lea": "in the file"}
        settings = {"server": {"workers": 1}, "authentication": sources}
        setup = Setup(people, POLICIES, {SERVICE: "universal"}, settings)
        with serving(tmp_path_factory.mktemp("server"), setup) as server:
            yield Site(server, directory, proxy)


@pytest.mark.parametrize("password", ["", "\0", " \0", "secret\0"])
@pytest.mark.parametrize("user", ["alice", "Alice", "nobody"])
def test_an_empty_password_asks_nobody(site: Site, user: str, password: str) -> None:
    """By header and by form, 401, and the directory heard of nothing.

    See docs/design/threats.md#threat-1 and docs/design/threats.md#threat-13.
    """
    before = site.proxy.connections, len(site.proxy.received)
    assert [site.basic(user, password).status, site.form(user, password).status] == [401, 401]
    assert (site.proxy.connections, len(site.proxy.received)) == before


@pytest.mark.parametrize("user", [" ", "\u3000", "\t", "\0", "al\0ice"])
def test_an_empty_name_asks_nobody(site: Site, user: str) -> None:
    """A blank name would be an anonymous bind (docs/design/threats.md#threat-2)."""
    before = site.proxy.connections, len(site.proxy.received)
    assert [site.basic(user).status, site.form(user).status] == [401, 401]
    assert (site.proxy.connections, len(site.proxy.received)) == before


@pytest.mark.parametrize("spelling", ["alice", "ALICE", "Alice", "alice ", " alice", "\uff41lice"])
def test_every_spelling_is_one_subject(site: Site, spelling: str) -> None:
    """The same `sub`, the same audit subject, the same access (docs/design/threats.md#threat-6)."""
    mark = site.server.audit.mark()
    answer = site.basic(spelling)
    claims = web.claims(answer.json()["token"])
    (event,) = site.server.audit.events(mark)
    assert (claims["sub"], event.subject, event.fields["source"]) == ("alice", "alice", "corp")
    assert [one["name"] for one in claims["access"]] == ["users/alice/x"]


@pytest.mark.parametrize("spelling", ["BOB", "Bob", "bob ", "\uff42ob"])
def test_no_spelling_escapes_a_deny(site: Site, spelling: str) -> None:
    """The rule against bob holds however bob is spelled.

    See docs/design/threats.md#threat-6 and docs/design/threats.md#bug-28.
    """
    target = web.token_target(SERVICE, ["repository:users/bob/x:push"])
    answer = site.server.request("GET", target, headers=web.basic(spelling, GOOD))
    assert (answer.status, web.claims(answer.json()["token"])["access"]) == (200, [])


def _seen(answer: web.Answer) -> tuple[int, bytes, list[tuple[str, list[str]]]]:
    """All of an answer that a client sees, but what is new in each."""
    varying = ("date", "x-request-id")
    return answer.status, answer.body, sorted(item for item in answer.headers.items() if item[0] not in varying)


def test_refusals_are_alike(site: Site) -> None:
    """Unknown, wrong, locked, expired, ambiguous, reserved, in the file, injected: byte for byte the same.

    See docs/design/threats.md#threat-20.
    """
    tries = [
        *(("nobody", GOOD), ("alice", "wrong"), ("barred", GOOD), ("gone", GOOD), ("twin", GOOD), ("anonymous", GOOD)),
        *(("${user}", GOOD), ("lea", "wrong"), ("*", GOOD), ("alice)(|(uid=*", GOOD), ("alice", "x" * 1025)),
    ]
    for ask in (site.basic, site.form):
        first = _seen(ask(*tries[0]))
        assert first[0] == 401
        assert {pair: _seen(ask(*pair)) for pair in tries} == dict.fromkeys(tries, first)


@pytest.mark.parametrize("user", ["anonymous", "everyone", "${user}", "twin"])
def test_names_that_nobody_may_have(site: Site, user: str) -> None:
    """A directory that has such an entry gives nobody the rights of that name.

    See docs/design/threats.md#threat-9 and docs/design/threats.md#threat-32.
    """
    mark = site.server.audit.mark()
    assert site.basic(user).status == 401
    (event,) = site.server.audit.events(mark)
    told = "ambiguous" if user == "twin" else "cannot be a subject"
    assert told in event.fields["reason"]


def test_a_name_in_two_sources(site: Site) -> None:
    """Carol is the directory's, which comes first, so the file's password is a wrong one; and when nobody can
    ask the directory, the file does not take her over.

    See docs/design/threats.md#threat-10.
    """
    assert site.basic("carol").status == 200
    assert site.basic("carol", "carol of the file").status == 401
    assert site.basic("lea", "in the file").status == 200
    site.proxy.mode = Mode.REFUSE
    try:
        assert site.basic("carol", "carol of the file").status == 503
    finally:
        site.proxy.mode = Mode.PASS
    deadline = time.monotonic() + PATIENCE_SECONDS
    while site.basic("carol").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_oversized_password_asks_nobody(site: Site) -> None:
    """More than any password has is refused without work, as large as a form may be.

    See docs/design/threats.md#threat-14.
    """
    before = site.proxy.connections, len(site.proxy.received)
    assert [site.form("alice", "x" * 60_000).status, site.basic("alice", "x" * 5_000).status] == [401, 401]
    assert (site.proxy.connections, len(site.proxy.received)) == before


def test_a_changed_password(directory: Slapd, tmp_path: Path) -> None:
    """After a change in the directory the old password works for the cache's lifetime at most.

    See docs/design/threats.md#threat-26.
    """
    ldap = settings_for(directory, directory.tls_port, cache=2)
    settings = {"server": {"workers": 1}, "authentication": [{"ldap": ldap}]}
    with serving(tmp_path, Setup({}, POLICIES, {SERVICE: "universal"}, settings)) as server:

        def status(password: str) -> int:
            return server.request("GET", TARGET, headers=web.basic("dora", password)).status

        assert status(GOOD) == 200
        directory.modify(
            f"dn: cn=dora,ou=people,{BASE}\nchangetype: modify\nreplace: userPassword\nuserPassword: changed\n"
        )
        assert status("changed") == 200
        time.sleep(2.1)
        assert (status(GOOD), status("changed")) == (401, 200)


def test_failover_under_load(directory: Slapd, tmp_path: Path) -> None:
    """The first of two servers fails; nobody is refused for it (docs/design/threats.md#fault-7)."""
    with faulty(directory.tls_port) as first, faulty(directory.tls_port) as second:
        ldap = settings_for(directory, first.port, second.port)
        settings = {"server": {"workers": 1}, "authentication": [{"ldap": ldap}]}
        with serving(tmp_path, Setup({}, POLICIES, {SERVICE: "universal"}, settings)) as server:

            def statuses(count: int) -> set[int]:
                return {server.request("GET", TARGET, headers=web.basic("alice", GOOD)).status for _ in range(count)}

            assert statuses(3) == {200}
            assert second.connections == 0
            first.mode = Mode.REFUSE
            assert statuses(30) == {200}
            ready = server.request("GET", "/readyz")
            assert (ready.status, json.loads(ready.body)["parts"]["corp"]) == (200, "ok")
            tried = first.connections
            assert statuses(20) == {200}
            assert first.connections == tried


def test_below_the_lockout_of_the_directory(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The directory locks at six failures; twenty wrong passwords, each brought twice as clients do, come to
    five binds, and the account is not locked.

    See docs/design/threats.md#threat-21.
    """
    authority = Authority(tmp_path, "the company")
    with slapd(tmp_path_factory.mktemp("slapd"), authority) as own:
        own.add(person("victim", GOOD))
        own.modify(f"dn: cn=policy,{BASE}\nchangetype: modify\nreplace: pwdMaxFailure\npwdMaxFailure: 6\n")
        settings = {
            "server": {"workers": 1},
            "throttle": {"enabled": True},
            "authentication": [{"ldap": settings_for(own, own.tls_port)}],
        }
        setup = Setup({}, POLICIES, {SERVICE: "universal"}, settings)
        with serving(tmp_path_factory.mktemp("server"), setup) as server:
            found = []
            for number in range(20):
                headers = web.basic(("victim", "VICTIM", "victim ")[number % 3], f"guess-{number}")
                found += [server.request("GET", TARGET, headers=headers).status for _ in range(2)]
            assert found == [401] * 10 + [429] * 30
            assert own.log().count('BIND dn="cn=victim,ou=people') == 5
        dn = f"cn=victim,ou=people,{BASE}"
        command: list[str | Path] = [need("ldapwhoami"), "-x", "-H", own.url, "-D", dn, "-w", GOOD]
        output = run(command, environment=plain_environment(tmp_path), folder=tmp_path)
        assert output.ok, str(output)
