"""The preset `active_directory` against a real domain controller: who gets in, who does not, and which groups come."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.authority import Authority
from harness.processes import plain_environment, run
from harness.samba import BASE, DISABLED, PEOPLE, READER, REALM, Samba, samba
from harness.server import Setup, TokenServer

from tokenserver.authn.chain import Chain
from tokenserver.authn.ldap import ber
from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.authn.ldap.deadline import Deadline
from tokenserver.authn.ldap.diagnosis.diagnose import diagnose
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.config.sources.ldap import Ldap
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, InvalidCredentials
from tokenserver.identity import Identity
from tokenserver.server.sources.password_sources import ldap_directory

pytestmark = pytest.mark.real("samba")

GOOD = "Wonder-land-1"
LOCKS_AT = 6
"""Wrong passwords after which the domain locks an account: one more than the throttle lets through in its window."""
PRIMARY = frozenset({"domain users", "users"})
"""The primary group that everybody has at first, and the one that it is in."""
NESTED = frozenset({"reg-web", "reg-all", "top"}) | PRIMARY
ODD = ("Apps: Prod", "Cost $5", "#ops", "all*stars", "authenticated", "Web Developers")
"""Names of groups with characters that mean something elsewhere."""
EXPIRED = 116_444_736_000_000_000
"""1970-01-01 in 100 ns since 1601."""


@pytest.fixture(scope="module")
def domain(short_folder: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Samba]:
    """One domain for all tests."""
    authority = Authority(tmp_path_factory.mktemp("authority"), "the company")
    with samba(short_folder(), authority) as running:
        running.modify(BASE, f"replace: lockoutThreshold\nlockoutThreshold: {LOCKS_AT}")
        alice = running.add_user("Alice", GOOD, displayName="Alice Liddell", mail="alice@example.com")
        bob = running.add_user("bob", GOOD)
        running.add_user("off", GOOD, userAccountControl=DISABLED)
        running.add_user("gone", GOOD, accountExpires=EXPIRED)
        running.add_user("fresh", GOOD, pwdLastSet=0)
        running.add_user("target", GOOD)
        running.add_user("shut", GOOD)
        running.add_user("robot$ci", GOOD)
        running.add_user("${user}", GOOD)
        web = running.add_group("Reg-Web", alice)
        every = running.add_group("reg-all", web)
        running.add_group("Top", every)
        running.add_group("others", bob)
        running.add_group("empty")
        odd = running.add_user("odd", GOOD)
        for number, name in enumerate(ODD):
            running.add_group(name.replace("#", "\\#"), odd, account=f"odd{number}")
        prim = running.add_user("prim", GOOD)
        running.add_group("reg-above", running.add_group("reg-primary", prim))
        token = running.primary_group_token("reg-primary")
        running.modify(prim, f"replace: primaryGroupID\nprimaryGroupID: {token}")
        yield running


@pytest.fixture
def make(domain: Samba) -> Callable[..., LdapDirectory]:
    """Makes the backend for the domain, with these settings over the shortest ones."""

    def make(**more: Any) -> LdapDirectory:
        values = {key: value for key, value in (settings_for(domain) | more).items() if value is not None}
        return ldap_directory(Ldap.model_validate(values))

    return make


Make = Callable[..., LdapDirectory]


def settings_for(domain: Samba) -> dict[str, Any]:
    """The five lines, and the authority."""
    return {
        "preset": "active_directory",
        "url": domain.tls_url,
        "ca_file": str(domain.ca_file),
        "base": BASE,
        "bind_dn": READER,
        "bind_password": domain.reader_password,
    }


def login(source: LdapDirectory, user: str, password: str = GOOD) -> Identity | str:
    """The identity, or why there is none, as the chain sees it."""
    try:
        return Chain([source], anonymous=False, decoy=source.decoy).authenticate(Password(user, Secret(password)))
    except InvalidCredentials as error:
        return error.reason
    except BackendUnavailable as error:
        return f"503 {error.reason}"


def identity(source: LdapDirectory, user: str, password: str = GOOD) -> Identity:
    """The identity that this login gives."""
    found = login(source, user, password)
    assert isinstance(found, Identity), found
    return found


def test_a_login(make: Make) -> None:
    """Search, then bind; the subject is the domain's own name in lower case, the groups are all, however nested."""
    found = identity(make(name="corp"), "alice")
    assert (found.subject, found.source, found.groups) == ("alice", "corp", NESTED)
    assert dict(found.attributes) == {
        "dn": f"CN=Alice,{PEOPLE}",
        "display_name": "Alice Liddell",
        "email": "alice@example.com",
    }


@pytest.mark.parametrize("spelling", ["alice", "ALICE", "Alice"])
def test_every_spelling_is_one_person(make: Make, spelling: str) -> None:
    """The domain compares without case (docs/design/threats.md#threat-6)."""
    assert identity(make(), spelling).subject == "alice"


def test_the_principal_name_is_nobody_unless_asked_for(make: Make) -> None:
    """`alice@corp.example.com` is found where `user_filter` says so, and then is alice too."""
    principal = f"Alice@{REALM}"
    assert login(make(), principal) == "unknown user"
    either = "(&(objectCategory=person)(|(sAMAccountName={user})(userPrincipalName={user})))"
    assert [identity(make(user_filter=either), name).subject for name in (principal, "alice")] == ["alice"] * 2


@pytest.mark.parametrize(
    "account", [pytest.param(READER, id="DN"), pytest.param(f"tokenserver@{REALM}", id="UPN"), r"CORP\tokenserver"]
)
def test_every_spelling_of_the_service_account(make: Make, account: str) -> None:
    """A domain takes three forms of a name for a simple bind ([MS-ADTS] 5.1.1.1.1)."""
    assert identity(make(bind_dn=account), "bob").subject == "bob"


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        pytest.param({"by": "nested"}, NESTED, id="the matching rule"),
        pytest.param({"by": "nested", "allow": ["REG-*"]}, {"reg-web", "reg-all"}, id="allow"),
        pytest.param({"by": "nested", "base": f"OU=Domain Controllers,{BASE}"}, set(), id="another base"),
        pytest.param({"by": "nested", "base": f"CN=Builtin,{BASE}"}, {"users"}, id="what the primary group is in"),
        pytest.param({"by": "nested", "name": "sAMAccountName"}, NESTED, id="another name"),
        pytest.param({"by": "member"}, {"reg-web", "domain users"}, id="direct members"),
        pytest.param({"by": "memberof"}, {"reg-web", "domain users"}, id="memberOf"),
    ],
)
def test_groups(make: Make, groups: dict[str, Any], expected: set[str]) -> None:
    """Each way to find the groups finds those and no others; the primary group, Domain Users, is among them."""
    found = identity(make(groups=groups), "alice")
    assert (set(found.groups), found.lost) == (set(expected), ())


@pytest.mark.parametrize("by", ["nested", "member", "memberof"])
def test_another_primary_group(make: Make, by: str) -> None:
    """A domain takes the members out of the group that is made their primary one; they are in it all the same, and in
    what that group is in; and who is in Domain Users otherwise is told like that.
    """
    found = identity(make(groups={"by": by}), "prim")
    above = {"reg-above", "users"} if by == "nested" else set()
    assert found.groups == {"reg-primary", "domain users", *above}


@pytest.mark.parametrize("by", ["nested", "member", "memberof"])
def test_odd_names_of_groups(make: Make, by: str) -> None:
    """Whatever is in the name of a group, it is brought, and lint finds it under that name."""
    source = make(groups={"by": by})
    found = identity(source, "odd")
    assert found.groups - PRIMARY == set(map(str.lower, ODD))
    assert [source.group_problem(name.lower()) for name in ODD] == [None] * len(ODD)
    assert source.unnameable_groups() == ((), True)


@pytest.mark.parametrize(
    ("user", "password", "reason"),
    [
        pytest.param("nobody", GOOD, "unknown user", id="unknown"),
        pytest.param("bob", "wrong", "wrong password", id="wrong password"),
        pytest.param("off", GOOD, "the account is disabled", id="disabled"),
        pytest.param("gone", GOOD, "the account has expired", id="expired"),
        pytest.param("fresh", GOOD, "the password must be changed first", id="must change"),
        pytest.param(
            "${user}",
            GOOD,
            "the value of sAMAccountName cannot be a subject: "
            "a name must not hold '${', which begins a variable in policies",
            id="variable (threat-32)",
        ),
        pytest.param("al*", GOOD, "unknown user", id="filter (threat-3)"),
        pytest.param("alice)(objectClass=*", GOOD, "unknown user", id="injection (threat-3)"),
        pytest.param("DC1$", GOOD, "unknown user", id="a machine's account"),
    ],
)
def test_refused(make: Make, user: str, password: str, reason: str) -> None:
    """Whatever keeps an account from logging in is in the audit's reason, and only there."""
    assert login(make(), user, password) == reason


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        pytest.param("off", "the account is disabled", id="disabled: userAccountControl"),
        pytest.param("gone", "the account has expired", id="expired: accountExpires"),
        pytest.param("fresh", "the password must be changed first", id="must change: pwdLastSet"),
    ],
)
def test_looked_up_without_a_password(make: Make, user: str, reason: str) -> None:
    """What `policy why --as` and `policy lint --directory` say comes from the entry alone."""
    with pytest.raises(InvalidCredentials) as caught:
        make().look_up(user)
    assert caught.value.reason == reason
    found = make().look_up("ALICE")
    assert found is not None
    assert (found.subject, found.groups) == ("alice", NESTED)


def test_groups_that_are_there(make: Make) -> None:
    """A group without members is one; a person is none."""
    source = make()
    names = ["reg-web", "empty", "alice", "none", "Reg-Web"]
    assert [source.group_problem(name) for name in names] == [
        None,
        None,
        "is not in the directory",
        "is not in the directory",
        "must be spelled 'reg-web': the directory ignores case in names",
    ]


def test_everybody(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lint compares two directories by: everybody whom the filter finds, in however many pages."""
    everyone, is_all = make().subjects()
    assert is_all
    assert {"alice", "bob", "off", "robot$ci", "administrator"} <= everyone
    assert not {"reg-web", "dc1$"} & everyone
    monkeypatch.setattr("tokenserver.authn.ldap.listing.PAGE", 3)
    assert make().subjects() == (everyone, True)


def test_the_domain_locks_an_account(make: Make) -> None:
    """After so many failures the right password is refused too, and the entry tells why, without a password."""
    source = make()
    reasons = [login(source, "target", f"wrong-{number}") for number in range(LOCKS_AT)]
    assert reasons == ["wrong password"] * LOCKS_AT
    assert login(source, "target") == "the account is locked"
    with pytest.raises(InvalidCredentials) as caught:
        source.look_up("target")
    assert caught.value.reason == "the account is locked"


def test_an_empty_password_is_never_sent(make: Make) -> None:
    """A domain answers an unauthenticated bind with success; it is never asked (docs/design/threats.md#threat-1)."""
    source = make()
    with pytest.raises(InvalidCredentials):
        source.authenticate(Password("alice", Secret("")))


@pytest.mark.parametrize(
    ("account", "cause", "advice"),
    [
        pytest.param("off", FailureCause.DISABLED, "enable the account of bind_dn", id="533, disabled"),
        pytest.param("gone", FailureCause.EXPIRED, "extend the account of bind_dn", id="701, expired"),
        pytest.param("fresh", FailureCause.MUST_CHANGE, "set a new password for bind_dn", id="773, must change"),
        pytest.param("shut", FailureCause.LOCKED, "unlock the account of bind_dn", id="775, locked"),
        pytest.param("bob", FailureCause.WRONG_PASSWORD, "correct bind_dn and its password", id="52e, wrong"),
    ],
)
def test_the_state_of_the_service_account(make: Make, account: str, cause: FailureCause, advice: str) -> None:
    """The domain says what is wrong with the account, and so do we, with what to do about that; and so does the log."""
    if account == "shut":
        for number in range(LOCKS_AT):
            login(make(), account, f"wrong-{number}")
    source = make(bind_dn=f"CN={account},{PEOPLE}", bind_password="no" if account == "bob" else GOOD)
    (step,) = [step for step in diagnose(source, None, None) if step.failure is not None]
    assert step.failure is not None
    assert (step.name, step.failure.cause) == ("bind", cause)
    assert step.failure.fix.startswith(advice)
    assert f"rejects the service account: {step.failure}" in str(login(source, "alice"))


@pytest.mark.parametrize(
    ("user", "cause"),
    [
        pytest.param("off", FailureCause.DISABLED, id="disabled"),
        pytest.param("gone", FailureCause.EXPIRED, id="expired"),
        pytest.param("fresh", FailureCause.MUST_CHANGE, id="must change, by pwdLastSet"),
        pytest.param("shut", FailureCause.LOCKED, id="locked"),
    ],
)
def test_the_state_of_a_user(make: Make, user: str, cause: FailureCause) -> None:
    """Nothing here can be changed about it, and the advice says so."""
    if user == "shut":
        for number in range(LOCKS_AT):
            login(make(), user, f"wrong-{number}")
    (step,) = [step for step in diagnose(make(), user, Secret(GOOD)) if step.failure is not None]
    assert step.failure is not None
    assert (step.name, step.failure.cause) == ("account", cause)


def test_a_domain_that_demands_signing(make: Make, domain: Samba) -> None:
    """Result 8 is about the connection and not about the password."""
    source = make(url=domain.url, ca_file=None, insecure_plaintext=True)
    (step,) = [step for step in diagnose(source, None, None) if step.failure is not None]
    assert step.failure is not None
    assert (step.name, step.failure.cause) == ("bind", FailureCause.STRONGER_AUTHENTICATION)
    assert step.failure.fix == "use ldaps://, or add start_tls: true"


def test_groups_of_a_user_outside_of_the_base(make: Make) -> None:
    """A user without groups below the base is let in: a domain has the matching rule."""
    found = identity(make(groups={"base": f"OU=Domain Controllers,{BASE}"}), "alice")
    assert found.groups == frozenset()


# --- names, and ways to bind and search ------------------------------------------------------------------------------

DOMAINS = ["CORP", REALM]
BY_NAME = {"user_dn_template": f"{{user}}@{REALM}", "bind_dn": None, "bind_password": None}


@pytest.mark.parametrize(
    "typed",
    [
        "alice",
        "CORP\\alice",
        "corp\\ALICE",
        "alice@CORP",
        f"alice@{REALM}",
        f"{REALM}\\alice",
        f"Alice@{REALM.upper()}",
    ],
)
@pytest.mark.parametrize("more", [pytest.param({}, id="account"), pytest.param(BY_NAME, id="user@domain")])
def test_names_with_a_domain(make: Make, typed: str, more: dict[str, Any]) -> None:
    """Each spelling that people know from Windows is the same person, whichever way the password is tried."""
    source = make(strip_domain=DOMAINS, **more)
    found = identity(source, typed)
    assert (found.subject, found.groups) == ("alice", NESTED)
    assert login(source, typed, "wrong") == "wrong password"


@pytest.mark.parametrize("typed", ["OTHER\\alice", "alice@other.example.com"])
def test_a_name_of_another_domain(make: Make, typed: str) -> None:
    """It is nobody's, with the right password of a user of that name; as a name to bind as it is never sent."""
    assert login(make(strip_domain=DOMAINS), typed) == "unknown user"
    assert "which no account name has" in str(login(make(strip_domain=DOMAINS, **BY_NAME), typed))


def test_an_implicit_principal_name(make: Make, domain: Samba) -> None:
    """An account has `name@domain` also if its userPrincipalName is another one, which a filter can find as well."""
    domain.modify(f"CN=bob,{PEOPLE}", "replace: userPrincipalName\nuserPrincipalName: robert@example.com")
    try:
        source = make(strip_domain=DOMAINS, **BY_NAME)
        assert identity(source, f"bob@{REALM}").subject == "bob"
        either = "(&(objectCategory=person)(|(sAMAccountName={user})(userPrincipalName={user})))"
        source = make(strip_domain=DOMAINS, user_filter=either)
        assert [identity(source, name).subject for name in ("CORP\\bob", "robert@example.com", "bob")] == ["bob"] * 3
    finally:
        domain.modify(f"CN=bob,{PEOPLE}", f"replace: userPrincipalName\nuserPrincipalName: bob@{REALM}")


@pytest.mark.parametrize(
    ("user", "password", "reason"),
    [
        pytest.param("nobody", GOOD, "wrong password", id="unknown"),
        pytest.param("off", GOOD, "the account is disabled", id="disabled"),
        pytest.param("gone", GOOD, "the account has expired", id="expired"),
        pytest.param("fresh", GOOD, "the password must be changed first", id="must change"),
        pytest.param("alice,cn=users", GOOD, "the user name contains , =, which no account name has", id="a DN"),
        pytest.param("al*", GOOD, "the user name contains *, which no account name has", id="filter (threat-3)"),
        pytest.param("DC1$", GOOD, "wrong password", id="a machine's account"),
    ],
)
def test_refused_without_a_service_account(make: Make, user: str, password: str, reason: str) -> None:
    """The domain says why, and an unknown user looks like a wrong password."""
    assert login(make(**BY_NAME), user, password) == reason


@pytest.mark.parametrize("template", [f"{{user}}@{REALM}", "{user}@CORP", "CORP\\{user}"])
def test_names_to_bind_as(make: Make, template: str) -> None:
    """Each form that a domain takes for a simple bind ([MS-ADTS] 5.1.1.1.1)."""
    found = identity(make(**BY_NAME | {"user_dn_template": template}), "alice")
    assert (found.subject, found.groups) == ("alice", NESTED)


def test_the_entry_must_be_that_of_the_account(make: Make, domain: Samba) -> None:
    """A filter that leads from bob's name to alice's entry does not make bob alice."""
    domain.modify(f"CN=Alice,{PEOPLE}", "replace: description\ndescription: bob")
    source = make(**BY_NAME, user_filter="(&(objectCategory=person)(description={user}))")
    reason = str(login(source, "bob"))
    assert reason.startswith("the entry that matches the name is of another account"), reason
    steps = [*diagnose(source, "bob", Secret(GOOD))]
    assert (steps[-1].name, steps[-1].failure is not None) == ("entry", True)


def test_the_steps_without_a_service_account(make: Make) -> None:
    """Nothing is searched before the user is bound; then the user's own rights find the entry and the groups."""
    steps = [*diagnose(make(**BY_NAME, strip_domain=DOMAINS), "CORP\\alice", Secret(GOOD))]
    assert [step.failure for step in steps if step.failure is not None] == []
    assert [step.name for step in steps] == [
        "server",
        "tls",
        "name",
        "login",
        "entry",
        "groups",
        "identity",
        "policies",
    ]
    assert steps[3].result == f"as alice@{REALM}: the password is right"


@pytest.mark.parametrize("more", [pytest.param({}, id="account"), pytest.param(BY_NAME, id="user@domain")])
def test_the_global_catalog(make: Make, domain: Samba, more: dict[str, Any]) -> None:
    """An empty base finds users and groups of the whole forest on the catalog's port."""
    source = make(url=f"{domain.tls_url}:3269", base="", **more)
    found = identity(source, "alice")
    assert (found.subject, found.groups, found.lost) == ("alice", NESTED, ())
    assert login(source, "alice", "wrong") == "wrong password"
    source.probe()
    if not more:
        assert login(source, "nobody") == "unknown user"
        assert {"alice", "bob"} <= source.subjects()[0]
        assert source.group_problem("reg-web") is None
        assert [step.failure for step in diagnose(source, "alice", None) if step.failure is not None] == []


def test_an_empty_base_elsewhere(make: Make) -> None:
    """On the domain's own port there is none, which the steps say with the port that has one."""
    source = make(base="")
    assert str(login(source, "alice")).startswith("503 ")
    last = [*diagnose(source, "alice", None)][-1]
    assert (last.name, last.advice is not None and "3269" in last.advice) == ("base", True)


@pytest.mark.parametrize(
    ("bases", "expected"),
    [
        pytest.param([f"OU=Domain Controllers,{BASE}", PEOPLE], "alice", id="below the second"),
        pytest.param([PEOPLE, BASE], "alice", id="one above the other"),
        pytest.param([f"OU=Domain Controllers,{BASE}", f"CN=Builtin,{BASE}"], "unknown user", id="below none"),
    ],
)
def test_several_bases(make: Make, bases: list[str], expected: str) -> None:
    """Users are found below each of them."""
    found = login(make(base=bases, groups={"base": BASE}), "alice")
    assert (found.subject if isinstance(found, Identity) else found) == expected


def test_groups_below_several_bases(make: Make) -> None:
    """The primary group is below one, and the group that it is in below the other."""
    found = identity(make(groups={"base": [PEOPLE, f"CN=Builtin,{BASE}"]}), "alice")
    assert (found.groups, found.lost) == (NESTED, ())


def test_a_domain_lets_nobody_search(make: Make) -> None:
    """An anonymous search finds nobody, and the fix is an account."""
    source = make(anonymous_search=True, bind_dn=None, bind_password=None)
    assert str(login(source, "alice")).startswith("503 ")
    last = [*diagnose(source, "alice", None)][-1]
    assert (last.name, last.advice) == ("base", "set bind_dn and bind_password_file")


# --- the wire --------------------------------------------------------------------------------------------------------


def test_start_tls(make: Make, domain: Samba) -> None:
    """On the plain port, with the same verification."""
    assert identity(make(url=domain.url, start_tls=True), "alice").subject == "alice"


def test_plain_text_is_refused_by_the_domain(make: Make, domain: Samba) -> None:
    """Without TLS a domain takes no password; that is the server's trouble and nobody's wrong password."""
    found = login(make(url=domain.url, ca_file=None, insecure_plaintext=True), "alice")
    assert str(found).startswith("503 ")
    assert "LDAPS or StartTLS" in str(found)


def test_another_authority(make: Make, tmp_path: Path) -> None:
    """A certificate that the company did not issue: 503 (docs/design/threats.md#threat-8)."""
    other = Authority(tmp_path, "another")
    assert "the server's certificate was issued by an unknown CA" in str(login(make(ca_file=str(other.file)), "alice"))


def test_referrals_are_not_followed(make: Make) -> None:
    """A search at the root of a domain comes with references to its other parts, which lead nowhere here: a login
    that went after them would wait for its deadline (what a spy sees of it, test_real_ldap tells).

    See docs/design/threats.md#threat-7.
    """
    source = make(deadline=2)
    with source.servers.asked(source._user_question("(sAMAccountName=nobody)"), Deadline(2)) as (_, connection, _found):
        connection.ask(BASE, "(sAMAccountName=nobody)", ["cn"], Deadline(2), limit=2)
        tags = [connection._receive(connection._number, Deadline(2)).tag for _ in range(2)]
    assert tags[0] == ber.REFERENCE
    assert identity(source, "alice").subject == "alice"


# --- the commands ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(domain: Samba, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A configuration that names the domain."""
    policies = 'version: 1\nallow:\n  - {id: web, to: ["group:top"], repositories: ["web/**"], role: writer}\n'
    sources = [{"ldap": {"name": "corp", **settings_for(domain)}}]
    setup = Setup({}, {"root.yaml": policies}, {"reg.test": "universal"}, {"authentication": sources})
    server = TokenServer(tmp_path_factory.mktemp("site"), setup)
    yield server
    server.wire.close()


def test_ldap_test(site: TokenServer, domain: Samba) -> None:
    """`ldap test alice` tells each step, with the nested groups and how they were found, and no password."""
    command = site.command("ldap", "test", "alice", "--config", site.config)
    output = run(command, environment=site.environment, folder=site.folder, stdin=GOOD + "\n")
    assert output.code == 0, str(output)
    assert f"server    {domain.tls_url}" in output.stdout
    assert f"bind      as {READER}" in output.stdout
    lines = output.stdout.splitlines()
    at = lines.index(f"groups    5 found by a search below {BASE} (the directory's matching rule)")
    names = ["domain users", "reg-all", "reg-web", "top", "users"]
    assert [line.strip() for line in lines[at + 1 : at + 6]] == names
    at = lines.index("policies  match the user as")
    principals = ["authenticated", "user:alice", *(f"group:{name}" for name in names)]
    assert [line.strip() for line in lines[at + 1 : -1]] == principals
    assert GOOD not in output.text
    assert domain.reader_password not in output.text


def test_ldap_test_of_a_disabled_account(site: TokenServer) -> None:
    """The step that fails says that the account is disabled."""
    command = site.command("ldap", "test", "off", "--config", site.config)
    output = run(command, environment=site.environment, folder=site.folder, stdin=GOOD + "\n")
    assert (output.code, "the account is disabled" in output.stdout) == (1, True), str(output)


def test_why_as(site: TokenServer) -> None:
    """The rule for the outermost group applies to alice, who is in it three levels down."""
    command = site.command("policy", "why", "push", "web/app", "--as", "ALICE", "--json", "--config", site.config)
    output = run(command, environment=plain_environment(site.folder), folder=site.folder)
    assert (output.code, json.loads(output.stdout)["verdict"]) == (0, "allowed"), str(output)


def test_the_controller_is_on_an_address_of_its_own(domain: Samba) -> None:
    """So that nothing of it is in the way of a directory on this machine, or of another test run."""
    with socket.socket() as probe:
        assert domain.address != "127.0.0.1"
        assert probe.connect_ex((domain.address, 636)) == 0
