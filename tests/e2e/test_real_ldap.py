"""The LDAP backend against a real slapd: who gets in, who does not, and what the directory's bad days do to a login."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from harness.authority import Authority
from harness.faultproxy import FaultProxy, Mode, Spy, faulty
from harness.own_time import OwnTime
from harness.processes import plain_environment, run
from harness.programs import need
from harness.slapd import BASE, READER, Entry, Slapd, group, person, slapd
from harness.waiting import until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenserver.authn.chain import Chain
from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline
from tokenserver.authn.ldap.directory import MAX_GROUPS
from tokenserver.authn.ldap.pool import Purpose
from tokenserver.config.load import load_settings
from tokenserver.config.sources.ldap import Ldap
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, InvalidCredentials
from tokenserver.identity import Identity
from tokenserver.server.sources.password_sources import ldap_directory

pytestmark = pytest.mark.real("slapd")

GOOD = "wonderland"
ODD = ("alice (x), b", "#hash", 'quo"te', "back\\slash", "plus+sign", "müller", "a*b", "robot$acme+ci", "$oauthtoken")
"""Names with everything in them that filters and DNs use for themselves."""

PRIVATE = "objectclass ( 1.3.6.1.4.1.5923.99.1 NAME 'mepManagedEntry' SUP top AUXILIARY )"
"""The class by which FreeIPA marks the group that it makes for one user alone."""

Make = Callable[..., LdapDirectory]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The company's authority."""
    return Authority(tmp_path_factory.mktemp("authority"), "the company")


def _posix(uid: str, number: str, **more: str) -> Entry:
    attributes = {"uid": uid, "sn": "p", "userPassword": GOOD, "uidNumber": "1", "homeDirectory": "/", **more}
    return Entry(f"cn={uid},ou=people", ["inetOrgPerson", "posixAccount"], {**attributes, "gidNumber": number})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Slapd]:
    """One directory for all tests; it allows what OpenLDAP allows at worst."""
    extra = "allow bind_anon_cred bind_anon_dn\n" + PRIVATE
    with slapd(tmp_path_factory.mktemp("slapd"), authority, extra=extra) as running:
        running.add(
            person("alice", GOOD, cn=["alice"]),
            person("Bob", GOOD),
            person("zoe", GOOD),
            *(person(name, GOOD) for name in ODD),
            Entry("cn=twin1,ou=people", ["inetOrgPerson"], {"uid": "twin", "sn": "t", "userPassword": GOOD}),
            Entry("cn=twin2,ou=people", ["inetOrgPerson"], {"uid": "twin", "sn": "t", "userPassword": GOOD}),
            Entry("cn=two,ou=people", ["inetOrgPerson"], {"uid": ["two", "zwei"], "sn": "t", "userPassword": GOOD}),
            person("anonymous", GOOD),
            person("${user}", GOOD),
            Entry(
                "cn=gone,ou=people",
                ["inetOrgPerson", "shadowAccount"],
                {"uid": "gone", "sn": "g", "userPassword": GOOD, "shadowExpire": "1"},
            ),
            person("barred", GOOD),
            _posix("posix", "77"),
            Entry("cn=primary,ou=groups", ["posixGroup"], {"gidNumber": "77"}),
            Entry("cn=second,ou=groups", ["posixGroup"], {"gidNumber": "78", "memberUid": ["posix", "other"]}),
            group("Reg-Web", "cn=alice,ou=people"),
            group("reg-all", "cn=Reg-Web,ou=groups"),
            group("top", "cn=reg-all,ou=groups"),
            group("others", "cn=zoe,ou=people"),
            group("ipa-users", "cn=posix,ou=people"),
            Entry("cn=unique,ou=groups", ["groupOfUniqueNames"], {"uniqueMember": f"cn=alice,ou=people,{BASE}"}),
            group("above-primary", "cn=primary,ou=groups"),
            _posix("private", "500"),
            Entry("cn=private,ou=groups", ["posixGroup", "mepManagedEntry"], {"gidNumber": "500"}),
            _posix("other.name", "78", mail="posix@example.com"),
            Entry("cn=third,ou=groups", ["posixGroup"], {"gidNumber": "79", "memberUid": "other.name"}),
            group("odd", f"cn={chr(92)}#hash,ou=people"),
        )
        running.modify(
            f"dn: cn=barred,ou=people,{BASE}\nchangetype: modify\n"
            "replace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n"
        )
        yield running


@pytest.fixture
def make(server: Slapd) -> Make:
    """Makes the backend for the server, with these settings over the shortest ones."""

    def make(**more: Any) -> LdapDirectory:
        values: dict[str, Any] = {
            "preset": "openldap",
            "url": server.tls_url,
            "ca_file": str(server.ca_file),
            "base": BASE,
            "bind_dn": READER,
            "bind_password": server.reader_password,
        } | more
        values = {key: value for key, value in values.items() if value is not None}
        return ldap_directory(Ldap.model_validate(values))

    return make


def plain(proxy: FaultProxy, **more: Any) -> dict[str, Any]:
    """Settings that lead to the proxy in plain text, so that the faults hit LDAP itself."""
    return {"url": f"ldap://localhost:{proxy.port}", "ca_file": None, "insecure_plaintext": True, **more}


def login(source: LdapDirectory, user: str, password: str = GOOD) -> Identity | str:
    """The identity, or why there is none, as the chain sees it."""
    try:
        return Chain([source], anonymous=False, decoy=source.decoy).authenticate(Password(user, Secret(password)))
    except InvalidCredentials as error:
        return error.reason
    except BackendUnavailable as error:
        return f"503 {error.reason}"


def subject(source: LdapDirectory, user: str, password: str = GOOD) -> str | None:
    """The subject that this login gives, or None."""
    found = login(source, user, password)
    return found.subject if isinstance(found, Identity) else None


# --- who it is -------------------------------------------------------------------------------------------------------


def test_a_login(make: Make) -> None:
    """The identity comes from the entry: subject, source, groups, display name and address."""
    found = login(make(name="corp"), "alice")
    assert isinstance(found, Identity)
    assert (found.subject, found.source, found.groups) == ("alice", "corp", frozenset({"reg-web", "unique"}))
    assert dict(found.attributes) == {
        "dn": f"cn=alice,ou=people,{BASE}",
        "display_name": "alice",
        "email": "someone@example.com",
    }


@pytest.mark.parametrize("spelling", ["alice", "ALICE", "Alice", "alice ", " alice", "\uff41lice"])
def test_every_spelling_is_one_person(make: Make, spelling: str) -> None:
    """OpenLDAP takes each of them for alice, so each of them is alice here too (docs/design/threats.md#threat-6)."""
    assert subject(make(), spelling) == "alice"


def test_the_subject_is_lower_case_unless_told_otherwise(make: Make) -> None:
    """The preset knows that OpenLDAP compares without case."""
    assert subject(make(), "bob") == "bob"
    assert subject(make(lowercase=False), "bob") == "Bob"


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        pytest.param({"by": "member"}, {"reg-web", "unique"}, id="member"),
        pytest.param({"by": "memberof"}, {"reg-web"}, id="memberof, which the overlay keeps for groupOfNames"),
        pytest.param({"by": "nested"}, {"reg-web", "unique", "reg-all", "top"}, id="nested"),
        pytest.param({"by": "nested", "allow": ["REG-*"]}, {"reg-web", "reg-all"}, id="allow"),
        pytest.param({"by": "member", "base": f"ou=people,{BASE}"}, set(), id="another base"),
        pytest.param({"by": "memberof", "base": f"ou=people,{BASE}"}, set(), id="memberof of another base"),
        pytest.param({"by": "posix"}, set(), id="posix"),
    ],
)
def test_groups(make: Make, groups: dict[str, Any], expected: set[str]) -> None:
    """Each way to find the groups finds those and no others."""
    found = login(make(groups=groups), "alice")
    assert isinstance(found, Identity)
    assert found.groups == expected


def test_posix_groups(make: Make) -> None:
    """By memberUid, and the primary one by its number."""
    found = login(make(groups={"by": "posix"}), "posix")
    assert isinstance(found, Identity)
    assert found.groups == {"primary", "second"}


@pytest.mark.parametrize("subject_", ["mail", "cn"])
def test_posix_groups_whatever_the_subject_is(make: Make, subject_: str) -> None:
    """memberUid holds the uid (RFC 2307), so that another subject loses no group."""
    found = login(make(groups={"by": "posix"}, subject=subject_, user_filter="(uid={user})"), "other.name")
    assert isinstance(found, Identity), found
    assert found.groups == {"second", "third"}


@pytest.mark.parametrize(
    ("user", "by", "expected"),
    [
        pytest.param("posix", "memberof", {"ipa-users", "primary", "above-primary"}, id="memberOf, as by default"),
        pytest.param("posix", "nested", {"ipa-users", "primary", "above-primary"}, id="nested"),
        pytest.param("posix", "member", {"ipa-users", "primary"}, id="direct members"),
        pytest.param("private", "memberof", set(), id="a private group is none"),
        pytest.param("private", "nested", set(), id="nor by a search"),
    ],
)
def test_the_primary_group_of_freeipa(make: Make, user: str, by: str, expected: set[str]) -> None:
    """The posixGroup that gidNumber names, with what it is in; and not the one that is for one user alone."""
    found = login(make(preset="freeipa", groups={"by": by}), user)
    assert isinstance(found, Identity), found
    assert (set(found.groups), found.lost) == (expected, ())


@pytest.mark.parametrize("name", ODD)
def test_odd_names(make: Make, name: str) -> None:
    """Names that mean something to filters and DNs are found, bound and looked for in groups as what they are."""
    found = login(make(groups={"by": "nested"}), name)
    if name == "#hash":
        assert found == "the value of uid cannot be a subject: a name must not hold ':' or begin with '#'"
    elif name == "a*b":
        assert found == "the value of uid cannot be a subject: a name must not hold '*', a wildcard in policies"
    else:
        assert isinstance(found, Identity)
        assert (found.subject, found.groups) == (name, frozenset())


# --- who does not get in ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        pytest.param("nobody", "unknown user", id="unknown"),
        pytest.param(
            "twin",
            f"ambiguous: several entries match the user name: cn=twin1,ou=people,{BASE} and cn=twin2,ou=people,{BASE}",
            id="two entries (threat-9)",
        ),
        pytest.param(
            "two",
            "the entry has 2 usable values of uid; it must have one, or one of them in its DN: 'two', 'zwei'",
            id="two subjects",
        ),
        pytest.param(
            "anonymous",
            "the value of uid cannot be a subject: "
            "the name is reserved, as are <token>, anonymous, authenticated, everyone",
            id="reserved (threat-32)",
        ),
        pytest.param(
            "${user}",
            "the value of uid cannot be a subject: a name must not hold '${', which begins a variable in policies",
            id="variable (threat-32)",
        ),
        pytest.param("gone", "the account has expired", id="expired"),
        pytest.param("barred", "the account is locked", id="locked, which slapd itself does not say"),
        *(
            pytest.param(text, "unknown user", id=f"filter {text!r} (threat-3)")
            for text in (
                "*",
                "a*",
                ")(uid=*",
                "*)(objectClass=*",
                "alice)(|(uid=*",
                "\\2a",
                "al\\69ce",
                "(",
                "alice)(&)",
            )
        ),
    ],
)
def test_refused(make: Make, user: str, reason: str) -> None:
    """With the right password, and still no."""
    assert login(make(), user) == reason


def test_a_wrong_password(make: Make) -> None:
    """A wrong password stops the chain."""
    assert login(make(), "alice", "wrong") == "wrong password"


def test_locked_for_a_while(make: Make, tmp_path: Path, authority: Authority) -> None:
    """ppolicy locks by itself after three failures, for three seconds: refused with the right password until then. The
    directory alone knows for how long, so its word counts, and the audit's reason names what may be the cause.
    """
    with slapd(tmp_path, authority) as own:
        own.add(person("alice", GOOD), person("fresh", GOOD))
        own.modify(
            f"dn: cn=policy,{BASE}\nchangetype: modify\nreplace: pwdMaxFailure\npwdMaxFailure: 3\n-\n"
            "replace: pwdLockoutDuration\npwdLockoutDuration: 3\n-\nreplace: pwdMustChange\npwdMustChange: TRUE\n"
        )
        source = make(url=own.tls_url, bind_password=own.reader_password)
        locked = "wrong password, or the account is temporarily locked"
        assert [login(source, "alice", "wrong") for _ in range(3)] == ["wrong password"] * 3
        assert login(source, "alice") == locked
        time.sleep(3.5)
        assert subject(source, "alice") == "alice"
        own.modify(f"dn: cn=fresh,ou=people,{BASE}\nchangetype: modify\nreplace: pwdReset\npwdReset: TRUE\n")
        assert login(source, "fresh") == "the password must be changed first"


def test_a_password_that_expired(make: Make, tmp_path: Path, authority: Authority) -> None:
    """ppolicy refuses it, and says why in its control; a wrong password stays one."""
    with slapd(tmp_path, authority) as own:
        own.modify(f"dn: cn=policy,{BASE}\nchangetype: modify\nreplace: pwdMaxAge\npwdMaxAge: 3\n")
        own.add(person("alice", GOOD))
        source = make(url=own.tls_url, bind_password=own.reader_password)
        assert subject(source, "alice") == "alice"
        time.sleep(4)
        assert login(source, "alice") == "the password has expired"
        assert login(source, "alice", "wrong") == "wrong password"


@pytest.mark.parametrize(
    ("preset", "user", "groups"),
    [
        pytest.param("openldap", "alice", {"reg-web", "unique"}, id="openldap"),
        pytest.param(
            "freeipa",
            "posix",
            {"ipa-users", "primary", "above-primary"},
            id="freeipa, whose users are posixAccounts with memberOf",
        ),
    ],
)
def test_five_lines(server: Slapd, tmp_path: Path, preset: str, user: str, groups: set[str]) -> None:
    """A preset and what nobody else can know, as the page has it, is a whole configuration."""
    (tmp_path / "ldap-password").touch(mode=0o600)
    (tmp_path / "ldap-password").write_text(server.reader_password)
    lines = (
        f"preset: {preset}",
        f"url: {server.tls_url}",
        f"base: {BASE}",
        f"bind_dn: {READER}",
        "bind_password_file: ldap-password",
        f"ca_file: {server.ca_file}",  # of a company's own authority
    )
    config = tmp_path / "tokenserver.yaml"
    config.write_text(
        "issuer: auth.example.com\nserver: {url: 'https://auth.example.com'}\nregistries: [{service: reg}]\n"
        "authentication:\n  - ldap:\n" + "".join(f"      {line}\n" for line in lines) + "policies: p\nkeys: k\n"
    )
    settings_ = load_settings(config, {}).authentication[0].ldap
    assert settings_ is not None
    found = login(ldap_directory(settings_), user)
    assert isinstance(found, Identity), found
    assert (found.subject, set(found.groups)) == (user, groups)


@given(user=st.text(min_size=1, max_size=12) | st.sampled_from(["alice", "*", "ali*"]).map(str.swapcase))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_name_is_somebody_or_nobody(make: Make, shared: dict[str, LdapDirectory], user: str) -> None:
    """No text is ever somebody whom the directory would not call so (docs/design/threats.md#threat-3)."""
    source = shared.setdefault("source", make())
    found = login(source, user)
    if isinstance(found, Identity):
        assert found.subject in {"alice", "bob", "zoe", "posix", "private", "other.name", *ODD}
    else:
        assert not found.startswith("503")


@pytest.fixture(scope="module")
def shared() -> dict[str, LdapDirectory]:
    """One backend for all examples of a property."""
    return {}


@pytest.mark.parametrize("password", ["", "\0", "a\0b"])
@pytest.mark.parametrize("user", ["alice", "", " ", "\u3000"])
def test_nothing_is_sent_for_an_empty_password(make: Make, server: Slapd, user: str, password: str) -> None:
    """slapd here answers an empty password with success; it is never asked.

    See docs/design/threats.md#threat-1, docs/design/threats.md#threat-2 and docs/design/threats.md#threat-13.
    """
    with faulty(server.port) as proxy:
        source = make(**plain(proxy))
        with pytest.raises(InvalidCredentials):
            source.authenticate(Password(user, Secret(password)))
        assert str(login(source, user, password)).startswith(("the password", "the user name"))
        assert proxy.connections == 0


def test_slapd_would_take_an_empty_password(server: Slapd) -> None:
    """So the test above proves something: this server answers an unauthenticated bind with success."""
    command: list[str | Path] = [
        need("ldapwhoami"),
        "-x",
        "-H",
        server.url,
        "-D",
        f"cn=alice,ou=people,{BASE}",
        "-w",
        "",
    ]
    output = run(command, environment=plain_environment(server.folder), folder=server.folder)
    assert (output.code, output.stdout) == (0, "anonymous\n")


@pytest.mark.parametrize("user", ["alice,ou=admins", "alice+cn=x", "#616c", " alice", '"x"', "a\\,b", "alice\\2cou=x"])
def test_a_name_stays_one_component_of_the_template(make: Make, server: Slapd, user: str) -> None:
    """A typed name is a value in the DN and never more; slapd logs which DN was bound.

    See docs/design/threats.md#threat-4.
    """
    source = make(bind_dn=None, bind_password=None, user_dn_template=f"cn={{user}},ou=people,{BASE}")
    before = len(server.log())
    found = login(source, user)
    assert found == "wrong password" or user == " alice"
    (line,) = [one for one in server.log()[before:].splitlines() if "BIND dn=" in one and "method=128" in one][:1]
    assert line.count(",ou=people,") == 1


def test_a_direct_bind(make: Make) -> None:
    """Without a service account the user's own right reads the entry, and the groups that it may see."""
    source = make(bind_dn=None, bind_password=None, user_dn_template=f"cn={{user}},ou=people,{BASE}")
    assert subject(source, "ALICE") == "alice"
    assert login(source, "alice", "wrong") == "wrong password"
    assert login(source, "nobody") == "wrong password"


def test_referrals_are_not_followed(make: Make, server: Slapd) -> None:
    """Neither a search nor a bind goes where a referral points; the password stays here.

    See docs/design/threats.md#threat-7.
    """
    spy = Spy()
    reference = f"ldap://127.0.0.1:{spy.port}/ou=elsewhere,{BASE}"
    server.add(Entry("ou=elsewhere", ["referral", "extensibleObject"], {"ou": "elsewhere", "ref": reference}))
    try:
        assert subject(make(), "alice") == "alice"  # the search meets the referral on its way
        inside = make(base=f"ou=elsewhere,{BASE}")
        assert str(login(inside, "alice")).startswith("503 ")
        template = f"cn={{user}},ou=elsewhere,{BASE}"
        direct = make(bind_dn=None, bind_password=None, user_dn_template=template)
        assert login(direct, "alice") == "wrong password"
        assert (spy.connections, bytes(spy.received)) == (0, b"")
    finally:
        spy.close()
        server.modify(
            f"dn: ou=elsewhere,{BASE}\nchangetype: delete\n".replace(
                "changetype", "control: 2.16.840.1.113730.3.4.2 true\nchangetype"
            )
        )


def test_a_group_of_somebody_else(make: Make, server: Slapd) -> None:
    """A DN that looks like a filter is only a DN (docs/design/threats.md#threat-5)."""
    name = "(x)(member=*)*"
    server.add(person(name.replace("*", "s"), GOOD))
    found = login(make(groups={"by": "nested"}), name.replace("*", "s"))
    assert isinstance(found, Identity)
    assert found.groups == set()


# --- the wire --------------------------------------------------------------------------------------------------------


def test_start_tls(make: Make, server: Slapd) -> None:
    """StartTLS before anything else, with the same verification."""
    with faulty(server.port) as proxy:
        source = make(url=f"ldap://localhost:{proxy.port}", start_tls=True)
        assert subject(source, "alice") == "alice"
        assert GOOD.encode() not in proxy.received
        assert server.reader_password.encode() not in proxy.received


def test_wrong_certificates(make: Make, server: Slapd, tmp_path: Path) -> None:
    """Another authority, or another host name: 503, and no password on the wire (docs/design/threats.md#threat-8)."""
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "another")
    with faulty(server.tls_port) as proxy:
        for settings_, words in (
            ({"url": f"ldaps://localhost:{proxy.port}", "ca_file": str(other.file)}, "by an unknown CA: the company"),
            ({"url": f"ldaps://127.0.0.1:{proxy.port}"}, "it is for localhost, not for 127.0.0.1"),
        ):
            found = login(make(**settings_), "alice")
            assert str(found).startswith("503 ")
            assert words in str(found)
        assert GOOD.encode() not in proxy.received
        assert server.reader_password.encode() not in proxy.received


def test_start_tls_that_is_stripped(make: Make) -> None:
    """A server, or somebody between, that refuses StartTLS gets no password (docs/design/threats.md#threat-8)."""
    refusal = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00"
    stripped = Spy()
    answers = _Fixed(refusal)
    try:
        found = login(make(url=f"ldap://localhost:{answers.port}", start_tls=True), "alice")
        assert "StartTLS is rejected" in str(found)
        assert b"reader" not in answers.received
    finally:
        stripped.close()
        answers.close()


class _Fixed(Spy):
    """A listener that gives every connection the same bytes."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        super().__init__()

    def _accept(self) -> None:
        try:
            while True:
                client, _ = self._listener.accept()
                with client:
                    self.received += client.recv(65536)
                    client.sendall(self._answer)
                    self.received += client.recv(65536)
        except OSError:
            return


def test_two_round_trips(make: Make, server: Slapd) -> None:
    """A warm login waits for two answers, also where the groups need a search of their own."""
    delay = 0.2
    with faulty(server.port) as proxy:
        source = make(**plain(proxy))
        assert subject(source, "alice") == "alice"
        proxy.mode, proxy.seconds = Mode.DELAY, delay
        start, turns = time.monotonic(), proxy.turns
        assert subject(source, "alice") == "alice"
        assert proxy.turns - turns == 2
        assert time.monotonic() - start >= 2 * delay
        assert proxy.connections == 2


@pytest.mark.parametrize(
    ("by", "searches"), [pytest.param("memberof", 1), pytest.param("member", 2), pytest.param("nested", 2)]
)
def test_unknown_and_wrong_cost_the_same(make: Make, server: Slapd, by: str, searches: int) -> None:
    """As many searches and one bind for both; nobody's failures are counted for an unknown name.

    See docs/design/threats.md#threat-19 and docs/design/threats.md#threat-21.
    """
    source = make(groups={"by": by})

    def operations(attempt: Callable[[], object]) -> Counter[str]:
        before = len(server.log())
        assert attempt() is None
        lines = server.log()[before:].splitlines()
        found = Counter("search" for line in lines if "SRCH base=" in line)
        return found + Counter("bind" for line in lines if "BIND dn=" in line and "method=" in line)

    def login(user: str) -> Callable[[], object]:
        return lambda: subject(source, user, "wrong")

    operations(login("alice"))  # warms the connections
    assert operations(login("nobody")) == {"search": searches, "bind": 1}
    assert operations(login("alice")) == {"search": searches, "bind": 1}
    # Also where the password is not tried for anybody: two entries have the name, or one has it twice.
    for user in ("twin", "two"):
        found = operations(login(user))
        assert (found["search"], found["bind"]) == (1, 1)
    # And for a user of another source, whose name was not looked for here.
    decoy = partial(source.decoy, Password("zoe-of-a-file", Secret("secret of zoe-of-a-file")), is_looked_up=False)
    assert operations(decoy) == {"search": searches, "bind": 1}
    assert "zoe-of-a-file" not in server.log()


# --- bad days --------------------------------------------------------------------------------------------------------


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only counted


BROKEN = [mode for mode in Mode if mode not in (Mode.PASS, Mode.DELAY, Mode.DRIP)]


@pytest.mark.parametrize("mode", [pytest.param(mode, id=mode.value) for mode in BROKEN])
@pytest.mark.parametrize("is_warm", [pytest.param(False, id="cold"), pytest.param(True, id="warm")])
def test_a_broken_server_is_503(make: Make, server: Slapd, mode: Mode, is_warm: bool) -> None:
    """Whatever comes back instead of LDAP: 503 within the deadline, never a success, and nothing stays open.

    See docs/design/threats.md#fault-1, docs/design/threats.md#fault-2, docs/design/threats.md#fault-3 and
    docs/design/threats.md#fault-4.
    """
    descriptors = _descriptors()
    with faulty(server.port) as proxy:
        source = make(**plain(proxy, deadline=1))
        if is_warm:
            assert subject(source, "alice") == "alice"
        proxy.mode = mode
        for _ in range(3):
            own = OwnTime(os.getpid())
            found = login(source, "alice")
            assert str(found).startswith("503 "), found
            assert own.seconds < 1.5
        proxy.mode = Mode.PASS
        assert subject(source, "alice") == "alice"
    del source
    gc.collect()
    until(lambda: _descriptors() <= descriptors)


def test_a_dripping_server_is_bounded_in_total(make: Make, server: Slapd) -> None:
    """Each byte comes in time, all of them do not; no thread is left behind (docs/design/threats.md#fault-3)."""
    with faulty(server.port, Mode.DRIP, seconds=0.1) as proxy:
        source = make(**plain(proxy, deadline=1))
        own = OwnTime(os.getpid())
        assert str(login(source, "alice")).startswith("503 ")
        assert own.seconds < 1.5
    assert [thread.name for thread in threading.enumerate() if thread.name == "resolve"] == []


def test_a_slow_server_works_within_the_deadline(make: Make, server: Slapd) -> None:
    """Slow is not down: 0.5 s for each answer is well within 5 s (docs/design/threats.md#fault-5)."""
    with faulty(server.port, Mode.DELAY, seconds=0.5) as proxy:
        assert subject(make(**plain(proxy)), "alice") == "alice"


def test_a_warm_login_waits_for_two_answers(make: Make, server: Slapd) -> None:
    """One search and one bind, and the search for groups beside the bind."""
    with faulty(server.port) as proxy:
        source = make(**plain(proxy))
        assert subject(source, "alice") == "alice"
        proxy.mode, proxy.seconds = Mode.DELAY, 0.3
        before = proxy.turns
        assert subject(source, "bob") == "bob"
        assert proxy.turns - before == 2


def test_failover(make: Make, server: Slapd) -> None:
    """The second server answers where the first does not, and the first is left alone for a while.

    See docs/design/threats.md#fault-7.
    """
    with faulty(server.port) as first, faulty(server.port) as second:
        urls = [f"ldap://localhost:{proxy.port}" for proxy in (first, second)]
        source = make(url=urls, ca_file=None, insecure_plaintext=True)
        assert subject(source, "alice") == "alice"
        assert (first.connections, second.connections) == (2, 0)
        first.mode = Mode.RESET
        assert [subject(source, "alice") for _ in range(3)] == ["alice"] * 3
        seen = first.connections
        assert [subject(source, "alice") for _ in range(3)] == ["alice"] * 3
        assert first.connections == seen


def test_a_silent_first_server_leaves_time_for_the_second(make: Make, server: Slapd) -> None:
    """Each server has its share of the deadline."""
    with faulty(server.port, Mode.SILENT) as first:
        urls = [f"ldap://localhost:{first.port}", server.url]
        assert subject(make(url=urls, ca_file=None, insecure_plaintext=True, deadline=2), "alice") == "alice"


def test_a_restart_is_not_noticed(make: Make, tmp_path: Path, authority: Authority) -> None:
    """Connections kept from before a restart are replaced: the first login afterwards succeeds.

    See docs/design/threats.md#fault-6.
    """
    with slapd(tmp_path, authority) as own:
        own.add(person("alice", GOOD))
        source = make(url=own.tls_url, bind_password=own.reader_password)
        assert subject(source, "alice") == "alice"
        own.stop()
        assert str(login(source, "alice")).startswith("503 ")
        own.start()
        assert subject(source, "alice") == "alice"
        own.stop()
        own.start()
        assert subject(source, "alice") == "alice"


def test_a_bind_without_an_answer_is_not_tried_again(make: Make, server: Slapd) -> None:
    """It may have counted as a failed login already, so it counts once at most (docs/design/threats.md#fault-6)."""
    with faulty(server.port) as proxy:
        source = make(**plain(proxy, groups={"by": "memberof"}))
        assert subject(source, "alice") == "alice"
        server_ = source.servers._servers[0]
        proxy.mode = Mode.CLOSE
        with source.servers.for_bind(Deadline(2)) as (_, connection), pytest.raises(ConnectionFailed):
            source._bind_user(server_, connection, f"cn=alice,ou=people,{BASE}", Secret("only-here"), Deadline(2))
        assert proxy.received.count(b"only-here") == 1
        assert server_.take(Purpose.BIND) is None


def test_a_refused_service_account_is_left_alone(make: Make, server: Slapd) -> None:
    """It is tried once in a while and not with every login, or the directory would lock it."""
    with faulty(server.port) as proxy:
        source = make(**plain(proxy, bind_password="no-longer-right"))
        found = [login(source, "alice") for _ in range(5)]
        assert all("rejects the service account: wrong password" in str(one) for one in found)
        assert proxy.received.count(b"no-longer-right") == 1


def test_a_user_in_too_many_groups(make: Make, server: Slapd) -> None:
    """Bounded, and denied: with fewer groups than there are a deny rule might not hold.

    See docs/design/threats.md#fault-9.
    """
    server.add(person("many", GOOD))
    server.add(*(group(f"g{number}", "cn=many,ou=people") for number in range(MAX_GROUPS + 1)))
    refusal = f"the user is in more than {MAX_GROUPS} groups"
    assert login(make(groups={"by": "member"}), "many") == refusal
    assert login(make(groups={"by": "memberof"}), "many") == refusal
    assert subject(make(), "alice") == "alice"


def test_the_directory_is_down_and_the_name_is_in_a_file(make: Make) -> None:
    """A directory that cannot tell never hands its users over to the next source (docs/design/threats.md#threat-10)."""
    from tokenserver.authn.htpasswd.backend import Htpasswd
    from tokenserver.authn.htpasswd.file import parse_users
    from tokenserver.authn.passwords import hash_password

    file = Htpasswd("local", "users", parse_users(f"alice:{hash_password('file')}\n", "users"))
    down = make(url="ldaps://localhost:1", deadline=1)
    with pytest.raises(BackendUnavailable):
        Chain([down, file], anonymous=False, decoy=None).authenticate(Password("alice", Secret("file")))
    up = make()
    chain = Chain([up, file], anonymous=False, decoy=None)
    with pytest.raises(InvalidCredentials):
        chain.authenticate(Password("alice", Secret("file")))
    assert (
        Chain([file, up], anonymous=False, decoy=None).authenticate(Password("alice", Secret("file"))).source == "local"
    )


def test_looking_up_without_a_password(make: Make) -> None:
    """What lint and `why --as` ask: the identity, nobody, a refusal, and whether a group exists."""
    source = make(groups={"by": "nested"})
    found = source.look_up("ALICE")
    assert found is not None
    assert (found.subject, "top" in found.groups) == ("alice", True)
    assert source.look_up("nobody") is None
    with pytest.raises(InvalidCredentials):
        source.look_up("barred")
    assert source.group_problem("reg-web") is None
    assert [source.group_problem(name) for name in ("reg-*", "none")] == ["is not in the directory"] * 2


def test_the_certificates_are_what_they_seem(authority: Authority) -> None:
    """The fixture's certificate is for localhost alone, or the test of wrong host names would prove nothing."""
    certificate = x509.load_pem_x509_certificate(authority.file.read_bytes())
    assert certificate.subject.rfc4514_string() == "CN=the company"
