"""Ways to search a real slapd: without an account, below several bases, and for users with several names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.authority import Authority
from harness.processes import run
from harness.server import Setup, TokenServer
from harness.slapd import BASE, READER, Entry, Slapd, group, person, slapd

from tokenserver.authn.chain import Chain
from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.authn.ldap.diagnosis.diagnose import diagnose
from tokenserver.config.sources.ldap import Ldap
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, InvalidCredentials
from tokenserver.identity import Identity
from tokenserver.server.sources.password_sources import ldap_directory

pytestmark = pytest.mark.real("slapd")

GOOD = "pw-One-1"
OPEN = "access to attrs=userPassword by anonymous auth by * none\naccess to * by * read"
"""Lets clients read everything but passwords without a bind."""
PEOPLE, EXTERNAL = f"ou=people,{BASE}", f"ou=ext,{BASE}"
GROUPS, PARTNERS = f"ou=groups,{BASE}", f"ou=partners,{BASE}"

Make = Callable[..., LdapDirectory]


def _user(rdn: str, unit: str, **attributes: str | list[str]) -> Entry:
    return Entry(f"{rdn},{unit}", ["inetOrgPerson"], {"cn": "x", "sn": "x", "userPassword": GOOD, **attributes})


def _group(name: str, unit: str, *members: str) -> Entry:
    return Entry(f"cn={name},{unit}", ["groupOfNames"], {"member": [f"{one},{BASE}" for one in members]})


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory that anybody may search, with people and groups in two places each."""
    authority = Authority(tmp_path_factory.mktemp("authority"), "the company")
    with slapd(tmp_path_factory.mktemp("slapd"), authority, policy=OPEN) as running:
        running.add(
            Entry("ou=ext", ["organizationalUnit"], {}),
            Entry("ou=more,ou=ext", ["organizationalUnit"], {}),
            Entry("ou=partners", ["organizationalUnit"], {}),
            person("ann", GOOD),
            _user("cn=guest", "ou=ext", uid="guest"),
            _user("cn=deep", "ou=more,ou=ext", uid="deep"),
            person("both", GOOD),
            _user("cn=both", "ou=ext", uid="both"),
            _user("cn=outside", "ou=partners", uid="outside"),
            _user("uid=multi", "ou=people", uid=["multi", "multi.alias"]),
            _user("cn=twofold", "ou=people", uid=["two", "zwei"]),
            _user("mail=m@example.com", "ou=people", uid="mailed", mail=["m@example.com", "alias@example.com"]),
            group("devs", "cn=ann,ou=people", "uid=multi,ou=people"),
            _group("partners", "ou=partners", "cn=ann,ou=people", "cn=guest,ou=ext"),
        )
        yield running


@pytest.fixture
def make(directory: Slapd) -> Make:
    """Makes the backend for the directory, with these settings over the shortest ones."""

    def make(**more: Any) -> LdapDirectory:
        values = {key: value for key, value in (settings_for(directory) | more).items() if value is not None}
        return ldap_directory(Ldap.model_validate(values))

    return make


def settings_for(directory: Slapd) -> dict[str, Any]:
    """The shortest settings."""
    return {
        "preset": "openldap",
        "url": directory.tls_url,
        "ca_file": str(directory.ca_file),
        "base": BASE,
        "bind_dn": READER,
        "bind_password": directory.reader_password,
    }


ANYBODY = {"anonymous_search": True, "bind_dn": None, "bind_password": None}


def login(source: LdapDirectory, user: str, password: str = GOOD) -> tuple[str, set[str]] | str:
    """The subject and the groups, or why there are none, as the chain sees it."""
    try:
        chain = Chain([source], anonymous=False, decoy=source.decoy)
        found = chain.authenticate(Password(user, Secret(password)))
    except InvalidCredentials as error:
        return error.reason
    except BackendUnavailable as error:
        return f"503 {error.reason}"
    assert isinstance(found, Identity)
    return found.subject, set(found.groups)


# --- without an account ----------------------------------------------------------------------------------------------


def test_an_anonymous_search(make: Make, directory: Slapd) -> None:
    """Nobody is bound for the searches, and the user as ever: the wrong password is wrong."""
    source = make(**ANYBODY)
    before = len(directory.log())
    assert login(source, "ann") == ("ann", {"devs", "partners"})
    assert login(source, "ann", "wrong") == "wrong password"
    assert login(source, "nobody") == "unknown user"
    bound = [line for line in directory.log()[before:].splitlines() if " BIND dn=" in line and "method=" in line]
    assert [line.partition('dn="')[2].partition(",")[0] for line in bound][:2] == ["cn=ann", "cn=ann"]
    assert not any('dn=""' in line or READER in line for line in bound)


@pytest.mark.parametrize("password", ["", "\0"])
def test_an_empty_password_is_never_sent(make: Make, password: str) -> None:
    """It would be an anonymous bind, which this directory accepts (docs/design/threats.md#threat-1)."""
    with pytest.raises(InvalidCredentials):
        make(**ANYBODY).authenticate(Password("ann", Secret(password)))


def test_everything_is_looked_up_anonymously(make: Make) -> None:
    """`policy why --as` and `policy lint --directory` need no account either."""
    source = make(**ANYBODY)
    source.probe()
    found = source.look_up("ANN")
    assert found is not None
    assert found.subject == "ann"
    assert {"ann", "guest", "multi"} <= source.subjects()[0]
    assert source.group_problem("devs") is None


def test_a_directory_that_lets_nobody_search(make: Make, tmp_path: Path) -> None:
    """Nobody would ever be found, so the steps say who may not read what."""
    with slapd(tmp_path, Authority(tmp_path, "the company")) as own:
        source = make(**ANYBODY, url=own.tls_url, ca_file=str(own.ca_file))
        assert str(login(source, "ann")).startswith("503 ")
        last = [*diagnose(source, None, None)][-1]
        assert (last.name, last.advice) == ("base", "correct base, or grant anonymous clients read access to it")


# --- several bases ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        pytest.param("ann", ("ann", {"devs", "partners"}), id="below the first"),
        pytest.param("guest", ("guest", {"partners"}), id="below the second"),
        pytest.param("deep", ("deep", set()), id="further down"),
        pytest.param("outside", "unknown user", id="below none of them"),
        pytest.param("nobody", "unknown user", id="nowhere"),
    ],
)
def test_several_bases(make: Make, user: str, expected: object) -> None:
    """Users and groups below any of them, and no others."""
    source = make(base=[PEOPLE, EXTERNAL], groups={"base": [GROUPS, PARTNERS]})
    assert login(source, user) == expected


def test_one_name_below_two_bases(make: Make) -> None:
    """Nobody can tell which of the two is meant, and both are named for the operator."""
    source = make(base=[PEOPLE, EXTERNAL])
    reason = str(login(source, "both"))
    assert reason.startswith("ambiguous: several entries match the user name")
    last = [*diagnose(source, "both", None)][-1]
    assert (f"cn=both,{PEOPLE}" in last.result, f"cn=both,{EXTERNAL}" in last.result) == (True, True)


@pytest.mark.parametrize(
    "bases",
    [
        pytest.param([PEOPLE, BASE, EXTERNAL], id="one above the others"),
        pytest.param([PEOPLE, PEOPLE.upper()], id="the same twice"),
    ],
)
def test_bases_that_overlap(make: Make, bases: list[str]) -> None:
    """An entry below two of them is one entry."""
    assert login(make(base=bases, groups={"base": bases}), "ann")[0] == "ann"


@pytest.mark.parametrize(
    ("bases", "expected"),
    [
        pytest.param([GROUPS], {"devs"}, id="one"),
        pytest.param([GROUPS, PARTNERS], {"devs", "partners"}, id="two"),
        pytest.param(BASE, {"devs", "partners"}, id="all"),
    ],
)
@pytest.mark.parametrize("by", ["member", "nested", "memberof"])
def test_groups_below_several_bases(make: Make, bases: object, expected: set[str], by: str) -> None:
    """However groups are found."""
    assert login(make(groups={"by": by, "base": bases}), "ann") == ("ann", expected)


def test_a_base_that_does_not_exist(make: Make) -> None:
    """A user below it would be missed, so nobody gets in, and the step names it."""
    source = make(base=[PEOPLE, f"ou=gone,{BASE}"])
    assert str(login(source, "ann")).startswith("503 ")
    last = [*diagnose(source, "ann", None)][-1]
    assert (last.name, f"ou=gone,{BASE}" in last.result) == ("base", True)


def test_unknown_and_wrong_cost_the_same(make: Make, directory: Slapd) -> None:
    """As many searches for a user below the first base as for one below the second, and for nobody."""
    source = make(base=[PEOPLE, EXTERNAL], groups={"base": [GROUPS, PARTNERS]})
    login(source, "ann")  # warms the connections

    def searches(user: str) -> int:
        before = len(directory.log())
        assert isinstance(login(source, user, "wrong"), str)
        lines = directory.log()[before:].splitlines()
        return sum("SRCH base=" in line and f'base="{BASE}"' not in line for line in lines)

    assert searches("ann") == searches("guest") == searches("nobody") == 3


def test_an_empty_base_of_openldap(make: Make) -> None:
    """It has none, which the steps say with what to do."""
    source = make(base="")
    assert str(login(source, "ann")).startswith("503 ")
    last = [*diagnose(source, "ann", None)][-1]
    assert last.advice is not None
    assert (last.name, "set base to one or more DNs" in last.advice) == ("base", True)


def test_an_empty_base_of_a_server_that_has_one(make: Make, tmp_path: Path) -> None:
    """OpenLDAP with a default base searches below that."""
    with slapd(tmp_path, Authority(tmp_path, "the company"), extra=f'defaultsearchbase "{BASE}"') as own:
        own.add(person("ann", GOOD), group("devs", "cn=ann,ou=people"))
        more = {"url": own.tls_url, "ca_file": str(own.ca_file), "bind_password": own.reader_password}
        source = make(base="", **more)
        source.probe()
        assert login(source, "ann") == ("ann", {"devs"})
        assert login(source, "ann", "wrong") == "wrong password"
        assert login(source, "nobody") == "unknown user"
        steps = [*diagnose(source, "ann", None)]
        assert [step.failure for step in steps if step.failure is not None] == []


def test_lint_and_why_use_all_bases(directory: Slapd, tmp_path: Path) -> None:
    """Users and groups below the second base are there for the commands, too."""
    policies = (
        "version: 1\nallow:\n"
        '  - {id: all, to: ["user:ann", "user:guest", "group:devs", "group:partners"], '
        'repositories: ["web/**"], role: reader}\n'
        '  - {id: none, to: ["user:outside", "group:nobody"], repositories: ["web/**"], role: writer}\n'
    )
    more = {"base": [PEOPLE, EXTERNAL], "groups": {"base": [GROUPS, PARTNERS]}}
    settings = {"authentication": [{"ldap": settings_for(directory) | more}]}
    server = TokenServer(tmp_path, Setup({}, {"root.yaml": policies}, {"reg.test": "universal"}, settings))
    try:
        command = server.command("policy", "lint", "--directory", "--json", "--config", server.config)
        output = run(command, environment=server.environment, folder=server.folder)
        texts = [one["text"] for one in json.loads(output.stdout) if one["code"].startswith("TS3")]
        assert [
            name for name in ("ann", "guest", "devs", "partners") if any(f"'{name}'" in text for text in texts)
        ] == []
        assert [name for name in ("outside", "nobody") if not any(f"{name}" in text for text in texts)] == []
        command = server.command("policy", "why", "pull", "web/x", "--as", "guest", "--json", "--config", server.config)
        output = run(command, environment=server.environment, folder=server.folder)
        assert json.loads(output.stdout)["verdict"] == "allowed", str(output)
    finally:
        server.wire.close()
    assert yaml.safe_load(server.config.read_text())["authentication"][0]["ldap"]["base"] == [PEOPLE, EXTERNAL]


# --- several names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["multi", "MULTI", "multi.alias"])
def test_an_alias_beside_the_name(make: Make, typed: str) -> None:
    """The name in the entry's DN is the subject, whichever of them was typed."""
    assert login(make(), typed) == ("multi", {"devs"})


@pytest.mark.parametrize("typed", ["m@example.com", "alias@example.com"])
def test_two_addresses(make: Make, typed: str) -> None:
    """The same where the subject is an address."""
    source = make(subject="mail", user_filter="(mail={user})")
    assert login(source, typed) == ("m@example.com", set())


def test_two_names_and_another_dn(make: Make) -> None:
    """Nobody can tell which one is the name: all are listed, with what to change."""
    source = make()
    reason = "the entry has 2 usable values of uid; it must have one, or one of them in its DN: 'two', 'zwei'"
    assert login(source, "two") == reason
    last = [*diagnose(source, "zwei", None)][-1]
    assert last.result == reason
    assert last.advice is not None
    assert last.advice.startswith("set subject to an attribute that every user has once")


def test_the_listing_has_the_name(make: Make) -> None:
    """And not the alias, which no policy can mean."""
    names, _ = make().subjects()
    assert ("multi" in names, "multi.alias" in names) == (True, False)
