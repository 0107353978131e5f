"""Namespaces of users whose names cannot stand in a path: a file, and a real directory by name and by attribute."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from harness.authority import Authority
from harness.processes import run
from harness.server import Setup, TokenServer, serving
from harness.slapd import BASE, READER, Entry, Slapd, group, person, slapd

pytestmark = pytest.mark.real("slapd")

POLICIES = {
    "root.yaml": """\
version: 1
allow:
  - {id: own, to: [authenticated], repositories: ["users/${user}/**"], role: maintainer}
"""
}
PEOPLE = {
    "JohnDoe": "john@example.com",
    "Eva": "eva.one@example.com",
    "eva": "eva.two@example.com",
    "Ann-Smith": "ann@example.com",
}
"""By uid; two differ in case alone, and one has a namespace of the file."""

STAFF = {"s1": "web", "s2": "web", "s3": "kim", "s4": "Kim", "s5": ["a", "b"], "s6": []}
"""The numbers of employees by uid."""

FILE = {"ann@smith": "1", "john doe": "2", "john@doe": "3", "web+ci": "4"}


def entry(number: int, uid: str, mail: str) -> Entry:
    """A person whose DN says nothing of the name."""
    found = person(f"p{number}", f"secret-{mail}")
    return Entry(found.dn, found.classes, {**found.attributes, "uid": uid, "mail": mail})


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """People who log in by e-mail address, and staff with numbers."""
    authority = Authority(tmp_path_factory.mktemp("authority"), "the company")
    with slapd(tmp_path_factory.mktemp("slapd"), authority) as running:
        running.add(*(entry(number, uid, mail) for number, (uid, mail) in enumerate(PEOPLE.items())))
        running.add(group("everybody", "cn=p0,ou=people"))
        running.add(Entry("ou=staff", ["organizationalUnit"], {}))
        for uid, numbers in STAFF.items():
            one = person(uid, f"secret-{uid}")
            more = {"departmentNumber": numbers} if numbers else {}
            running.add(Entry(f"cn={uid},ou=staff", one.classes, {**one.attributes, **more}))
        yield running


@pytest.fixture(scope="module")
def server(directory: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A file first, then people by name, then staff by attribute; logins are remembered for a second."""
    shared = {
        "preset": "openldap",
        "url": directory.tls_url,
        "ca_file": str(directory.ca_file),
        "bind_dn": READER,
        "bind_password": directory.reader_password,
        "cache": 1,
    }
    people = {
        "name": "people",
        "base": f"ou=people,{BASE}",
        "user_filter": "(mail={user})",
        "lowercase": False,
        "names": {"namespace": "lower"},
    }
    names = {"namespace": "attribute", "attribute": "departmentNumber"}
    staff = {"name": "staff", "base": f"ou=staff,{BASE}", "names": names}
    sources = [
        {"htpasswd": {"file": "users.htpasswd", "cache": 1, "names": {"namespace": "slug"}}},
        *({"ldap": {**shared, **one, "groups": {"base": f"ou=groups,{BASE}"}}} for one in (people, staff)),
    ]
    setup = Setup(FILE, POLICIES, {"reg.test": "universal"}, {"authentication": sources})
    with serving(tmp_path_factory.mktemp("server"), setup) as running:
        running.people |= {mail: f"secret-{mail}" for mail in PEOPLE.values()}
        running.people |= {uid: f"secret-{uid}" for uid in STAFF}
        yield running


@pytest.mark.parametrize(
    ("typed", "subject", "namespace"),
    [
        pytest.param("ann@smith", "ann@smith", "ann-smith", id="a slug"),
        pytest.param("web+ci", "web+ci", "web-ci", id="another slug"),
        pytest.param("john@example.com", "JohnDoe", "johndoe", id="a name in lower case"),
        pytest.param("s3", "s3", "kim", id="an attribute"),
        pytest.param("s4", "s4", "", id="an attribute that is no segment"),
        pytest.param("s6", "s6", "", id="no attribute"),
    ],
)
def test_a_namespace(server: TokenServer, typed: str, subject: str, namespace: str) -> None:
    """It is what `${user}` stands for; the subject stays the name."""
    own, other = f"repository:users/{namespace or subject}/app:push", "repository:users/other/app:push"
    mark = server.audit.mark()
    assert server.ask("reg.test", [own, other], person=typed).status == 200
    (event,) = server.audit.events(mark)
    assert (event.subject, event.fields["namespace"]) == (subject, namespace)
    assert event.fields["granted"] == ([own] if namespace else [])


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        pytest.param("john doe", "the namespace 'john-doe' is shared with 'john@doe'", id="one of a file"),
        pytest.param("john@doe", "the namespace 'john-doe' is shared with 'john doe'", id="the other of the file"),
        pytest.param("eva.one@example.com", f"namespace: eva, cn=p2,ou=people,{BASE}", id="one by case"),
        pytest.param("eva.two@example.com", f"namespace: eva, cn=p1,ou=people,{BASE}", id="the other by case"),
        pytest.param("s1", f"namespace: web, cn=s2,ou=staff,{BASE}", id="one by attribute"),
        pytest.param("s2", f"namespace: web, cn=s1,ou=staff,{BASE}", id="the other by attribute"),
        pytest.param("s5", "the attribute of the namespace has 2 values", id="two values"),
        pytest.param(
            "ann@example.com", "the namespace 'ann-smith' is that of 'ann@smith' in htpasswd", id="of an earlier source"
        ),
    ],
)
def test_a_shared_namespace(server: TokenServer, typed: str, reason: str) -> None:
    """Both are rejected, and the audit event says why; the client learns no more than from a wrong password."""
    mark = server.audit.mark()
    answer = server.ask("reg.test", person=typed)
    (event,) = server.audit.events(mark)
    assert (answer.status, event.outcome) == (401, "invalid_credentials"), event.fields
    assert event.fields["reason"].endswith(reason)


def test_a_namespace_that_becomes_shared(server: TokenServer, directory: Slapd) -> None:
    """The first one is rejected as well, once the login is no longer remembered."""
    directory.add(entry(10, "Bo", "bo.one@example.com"))
    server.people |= {f"bo.{number}@example.com": f"secret-bo.{number}@example.com" for number in ("one", "two")}
    assert server.ask("reg.test", person="bo.one@example.com").status == 200
    directory.add(entry(11, "BO", "bo.two@example.com"))
    assert server.ask("reg.test", person="bo.two@example.com").status == 401
    time.sleep(1.2)
    assert server.ask("reg.test", person="bo.one@example.com").status == 401


def test_the_commands_agree(server: TokenServer) -> None:
    """`check` finds what the file says, `why --as` and `ldap test` what the directory says."""

    def command(*arguments: str) -> tuple[int, str]:
        output = run(
            server.command(*arguments, "--config", str(server.config)),
            environment=server.environment,
            folder=server.folder,
        )
        return output.code, output.text

    code, text = command("check")
    assert (code, "the namespace 'john-doe' is shared with 'john@doe'" in text) == (0, True), text
    code, text = command("policy", "why", "push", "users/johndoe/app", "--as", "john@example.com")
    assert (code, "allowed by own" in text) == (0, True), text
    code, text = command("policy", "why", "push", "users/eva/app", "--as", "eva.one@example.com")
    assert (code, f"namespace: eva, cn=p2,ou=people,{BASE}" in text) == (2, True), text
    code, text = command("policy", "why", "push", "users/ann-smith/app", "--as", "ann@example.com")
    assert (code, "is that of 'ann@smith' in htpasswd" in text) == (2, True), text
    code, text = command("ldap", "test", "--source", "people", "john@example.com")
    assert (code, "johndoe, which no other entry has" in text) == (0, True), text
    code, text = command("ldap", "test", "--source", "staff", "s1")
    assert (code, "another entry has the same namespace" in text) == (1, True), text
