"""Advice follows from the cause: what `ldap test` says about a directory that is really set up in each wrong way."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from harness.authority import Authority
from harness.faultproxy import FaultProxy, Mode, faulty
from harness.server import Setup, serving
from harness.slapd import BASE, READER, Entry, Slapd, group, person, slapd
from harness.web import basic, token_target

from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.authn.ldap.diagnosis.diagnose import diagnose
from tokenserver.authn.ldap.diagnosis.steps import IGNORED, DiagnosisStep
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.config.sources.ldap import Ldap
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, Incomplete, InvalidCredentials
from tokenserver.identity import Identity
from tokenserver.server.sources.password_sources import ldap_directory

pytestmark = pytest.mark.real("slapd")

GOOD = "wonderland"
OTHER_BASE = "dc=other,dc=org"
SILENT = f"""
access to filter="(|(objectClass=groupOfNames)(objectClass=posixGroup))" by * none
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{READER}" read by * none
"""
"""Access rules by which the service account sees no group."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The company's authority."""
    return Authority(tmp_path_factory.mktemp("authority"), "the company")


def _posix(uid: str) -> Entry:
    attributes = {"uid": uid, "sn": "p", "userPassword": GOOD, "uidNumber": "1", "homeDirectory": "/", "gidNumber": "9"}
    return Entry(f"cn={uid},ou=people", ["inetOrgPerson", "posixAccount"], attributes)


def fill(running: Slapd) -> None:
    """The people and groups of every directory here."""
    running.add(
        person("alice", GOOD),
        person("lonely", GOOD),
        Entry("cn=twin1,ou=people", ["inetOrgPerson"], {"uid": "twin", "sn": "t"}),
        Entry("cn=twin2,ou=people", ["inetOrgPerson"], {"uid": "twin", "sn": "t"}),
        _posix("pat"),
        group("web, team", "cn=alice,ou=people"),
        group("reg-web", "cn=alice,ou=people"),
        group("above", "cn=reg-web,ou=groups"),
        Entry("cn=devs,ou=groups", ["posixGroup"], {"gidNumber": "78", "memberUid": ["pat"]}),
        Entry("ou=elsewhere", ["organizationalUnit"], {}),
        Entry("cn=far,ou=elsewhere", ["groupOfNames"], {"member": [f"cn=alice,ou=people,{BASE}"]}),
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Slapd]:
    """A directory that works; it refers requests for other trees elsewhere."""
    extra = "referral ldap://other.example.com"
    with slapd(tmp_path_factory.mktemp("slapd"), authority, extra=extra) as running:
        fill(running)
        yield running


def source(server: Slapd, **more: Any) -> LdapDirectory:
    """The backend for the server, with these settings over the shortest ones; None removes one."""
    values: dict[str, Any] = {
        "preset": "openldap",
        "url": server.tls_url,
        "ca_file": str(server.ca_file),
        "base": BASE,
        "bind_dn": READER,
        "bind_password": server.reader_password,
    } | more
    return ldap_directory(Ldap.model_validate({key: value for key, value in values.items() if value is not None}))


def plain(server: Slapd) -> dict[str, Any]:
    """Settings without TLS."""
    return {"url": server.url, "ca_file": None, "insecure_plaintext": True}


def steps(asked: LdapDirectory, user: str | None = None, password: str | None = GOOD) -> list[DiagnosisStep]:
    """The diagnosis."""
    return [*diagnose(asked, user, None if password is None else Secret(password))]


def failure(asked: LdapDirectory, user: str | None = None, password: str | None = GOOD) -> tuple[str, str, str, str]:
    """The only step that failed: its name, its cause, its result and its advice."""
    (step,) = [step for step in steps(asked, user, password) if step.failure is not None]
    assert step.failure is not None
    assert step.advice is not None
    return step.name, step.failure.cause, step.result, step.advice


def login(asked: LdapDirectory, user: str, password: str = GOOD) -> Identity | str:
    """The identity, or why there is none."""
    try:
        found = asked.authenticate(Password(user, Secret(password)))
    except InvalidCredentials as error:
        return error.reason
    except BackendUnavailable as error:
        return f"503 {error.reason}"
    return found or "unknown"


# --- the connection --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "name", "cause", "told", "advice"),
    [
        pytest.param(
            {"url": "ldaps://no.such.host.invalid"},
            "connect",
            FailureCause.NAME_UNKNOWN,
            "the name cannot be resolved",
            "correct the host name in url",
            id="a name that does not exist",
        ),
        pytest.param(
            {"url": "ldaps://localhost:1"},
            "connect",
            FailureCause.REFUSED,
            "connection refused",
            "check that the directory runs, and correct the host and the port in url",
            id="nothing listens",
        ),
        pytest.param(
            {"base": OTHER_BASE},
            "base",
            FailureCause.REFERRAL,
            "the directory refers to another server; referrals are not followed: ldap://other.example.com",
            "correct base, or use the URL of the server that holds it",
            id="the base of another server",
        ),
        pytest.param(
            {"groups": {"base": OTHER_BASE}},
            "groups",
            FailureCause.REFERRAL,
            "the directory refers to another server",
            "correct groups.base, or use the URL of the server that holds it",
            id="the groups of another server",
        ),
        pytest.param(
            {"base": f"ou=nobody,{BASE}"},
            "base",
            FailureCause.NO_BASE,
            f"the base does not exist, or the account may not see it: ou=nobody,{BASE}",
            "correct base, or grant bind_dn read access to it",
            id="no base",
        ),
        pytest.param(
            {"groups": {"base": f"ou=nogroups,{BASE}"}},
            "groups",
            FailureCause.NO_BASE,
            f"the base does not exist, or the account may not see it: ou=nogroups,{BASE}",
            "correct groups.base, or grant bind_dn read access to it",
            id="no base of groups",
        ),
        pytest.param(
            {"groups": {"base": f"ou=people,{BASE}"}},
            "groups",
            FailureCause.GROUPS_HIDDEN,
            "no group is visible below groups.base",
            "correct groups.base, or grant bind_dn read access",
            id="a base without groups",
        ),
        pytest.param(
            {"user_filter": "(employeeNumber={user})"},
            "users",
            FailureCause.NO_USERS,
            f"no user is visible below {BASE}: nothing matches (employeeNumber=*)",
            "correct base or user_filter, or grant bind_dn read access to users",
            id="a filter that nobody matches",
        ),
        pytest.param(
            {"preset": "active_directory", "user_filter": "(uid={user})", "subject": "uid"},
            "groups",
            FailureCause.NO_MATCHING_RULE,
            "the directory does not have the matching rule 1.2.840.113556.1.4.1941",
            "use the preset of this kind of directory (openldap, freeipa), or groups: {by: member}",
            id="a preset for another kind",
        ),
        pytest.param(
            {"bind_password": "wrong"},
            "bind",
            FailureCause.WRONG_PASSWORD,
            f"{READER}: wrong password",
            "correct bind_dn and its password (bind_password_file)",
            id="the service account's password",
        ),
    ],
)
def test_without_a_user(
    server: Slapd, settings: dict[str, Any], name: str, cause: FailureCause, told: str, advice: str
) -> None:
    """The connection, the account, and the trees that logins need are all looked at before anybody logs in."""
    found = failure(source(server, **settings))
    assert found[:2] == (name, cause)
    assert found[2].startswith(told)
    assert found[3].startswith(advice)


def test_all_is_well(server: Slapd) -> None:
    """Without a user, users and groups are looked for as well."""
    found = steps(source(server, groups={"base": f"ou=groups,{BASE}"}))
    assert [step.name for step in found] == ["server", "tls", "bind", "base", "users", "groups"]
    assert [step for step in found if step.failure is not None] == []


@pytest.mark.parametrize(
    ("settings", "name", "cause", "advice"),
    [
        pytest.param(
            lambda server: {"url": f"ldaps://localhost:{server.port}"},
            "tls",
            FailureCause.PLAIN_PORT,
            "use ldap:// with start_tls: true",
            id="ldaps:// to the plain port",
        ),
        pytest.param(
            lambda server: plain(server) | {"url": f"ldap://localhost:{server.tls_port}"},
            "bind",
            FailureCause.TLS_PORT,
            "use ldaps:// in url",
            id="ldap:// to the TLS port",
        ),
        pytest.param(
            lambda server: {"url": f"ldap://localhost:{server.tls_port}", "start_tls": True},
            "tls",
            FailureCause.TLS_PORT,
            "use ldaps:// in url, without start_tls",
            id="StartTLS at the TLS port",
        ),
    ],
)
def test_the_wrong_port(server: Slapd, settings: Any, name: str, cause: FailureCause, advice: str) -> None:
    """The port is asked what it speaks."""
    found = failure(source(server, **settings(server)))
    assert found[:2] == (name, cause)
    assert found[3].startswith(advice)


@pytest.mark.parametrize(
    ("certificate", "cause", "told", "advice"),
    [
        pytest.param(
            {"is_expired": True},
            FailureCause.CERTIFICATE_EXPIRED,
            "the server's certificate has expired: it ended 20",
            "renew the directory's certificate",
            id="expired",
        ),
        pytest.param(
            {"is_early": True},
            FailureCause.CERTIFICATE_NOT_YET_VALID,
            "the server's certificate is not valid yet: it begins 20",
            "set the clock of this machine",
            id="not valid yet",
        ),
        pytest.param(
            {"hosts": ["ldap.example.com", "dc1.example.com"]},
            FailureCause.WRONG_HOST,
            "the server's certificate is for another host: it is for ldap.example.com, dc1.example.com, not for local",
            "use a name of the certificate in url or as certificate_name, or issue a certificate for localhost",
            id="for other hosts",
        ),
        pytest.param(
            None,
            FailureCause.UNKNOWN_CA,
            "the server's certificate was issued by an unknown CA: somebody else",
            "put the certificate of somebody else into ca_file",
            id="by another authority",
        ),
    ],
)
@pytest.mark.parametrize("is_start_tls", [False, True])
def test_certificates(
    authority: Authority,
    tmp_path: Path,
    certificate: dict[str, Any] | None,
    cause: FailureCause,
    told: str,
    advice: str,
    is_start_tls: bool,
) -> None:
    """Each fault has a fix of its own, with what the certificate says; the log of the server has the same words."""
    with slapd(tmp_path, authority) as own:
        issuer = authority
        if certificate is None:
            (tmp_path / "other").mkdir()
            issuer = Authority(tmp_path / "other", "somebody else")
        own.stop()
        issuer.issue(tmp_path, **(certificate or {}))
        own.start()
        settings = {"url": own.url, "start_tls": True} if is_start_tls else {}
        found = failure(source(own, **settings))
        assert found[:2] == ("tls", cause)
        assert found[2].startswith(told)
        assert found[3].startswith(advice)
        refused = login(source(own, **settings), "alice")
        assert isinstance(refused, str)
        assert refused.startswith("503 ")
        assert told in refused


@pytest.mark.parametrize("is_plain", [False, True], ids=["TLS", "plain"])
def test_a_server_that_hangs(server: Slapd, is_plain: bool) -> None:
    """It accepts connections, and never answers: in the handshake, or in the bind."""
    more = plain(server) if is_plain else {}
    server.daemon.signal(signal.SIGSTOP)
    try:
        name, cause, told, advice = failure(source(server, deadline=1, **more))
    finally:
        server.daemon.signal(signal.SIGCONT)
    if is_plain:
        assert (name, cause, told) == ("bind", FailureCause.SILENT, f"{READER}: no answer in time to the bind")
        assert advice.startswith("find out why the directory accepts connections and does not answer")
    else:
        assert (name, cause) == ("tls", FailureCause.TLS_SILENT)
        assert advice.startswith("check that the directory does not hang")


def test_a_search_that_hangs(server: Slapd) -> None:
    """After the bind, the answers stay out: the step is the search's."""
    with faulty(server.port) as proxy:
        asked = source(server, **plain(server) | {"url": f"ldap://localhost:{proxy.port}", "deadline": 1})
        found = diagnose(asked, None, None)
        for step in found:
            if step.name == "bind":
                proxy.mode = Mode.SILENT
            last = step
    assert last.failure is not None
    assert (last.name, last.failure.cause, last.result) == (
        "base",
        FailureCause.SILENT,
        "no answer in time to the search",
    )


@pytest.mark.parametrize("mode", [Mode.CLOSE, Mode.RESET])
def test_a_server_that_hangs_up(server: Slapd, mode: Mode) -> None:
    """The end of a connection without an answer, by FIN or RST."""
    with faulty(server.port, mode) as proxy:
        found = failure(source(server, **plain(server) | {"url": f"ldap://localhost:{proxy.port}"}))
    assert found[:2] == ("bind", FailureCause.CLOSED_PLAIN)
    assert found[3].startswith("use ldaps:// if the port speaks TLS only")


# --- what a directory demands ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "is_plain", "name", "cause", "advice"),
    [
        pytest.param(
            "security tls=1",
            True,
            "bind",
            FailureCause.CONFIDENTIALITY,
            "use ldaps://, or add start_tls: true",
            id="TLS for everything",
        ),
        pytest.param(
            "disallow bind_simple",
            False,
            "bind",
            FailureCause.SIMPLE_BIND_DISALLOWED,
            "allow simple binds in the directory",
            id="no simple binds",
        ),
        pytest.param(
            "TLSCACertificateFile {ca}\nTLSVerifyClient demand",
            False,
            "bind",
            FailureCause.CLIENT_CERTIFICATE,
            "set client_certificate and client_key",
            id="a client certificate",
        ),
        pytest.param(
            "TLSCACertificateFile {ca}\nTLSVerifyClient demand\nTLSCipherSuite NORMAL:-VERS-ALL:+VERS-TLS1.2",
            False,
            "tls",
            FailureCause.CLIENT_CERTIFICATE,
            "set client_certificate and client_key",
            id="a client certificate, in TLS 1.2",
        ),
    ],
)
def test_demands(
    authority: Authority, tmp_path: Path, extra: str, is_plain: bool, name: str, cause: FailureCause, advice: str
) -> None:
    """A directory that demands more than a password in clear text is not told to correct that password."""
    with slapd(tmp_path, authority, extra=extra.format(ca=authority.file)) as own:
        found = failure(source(own, **(plain(own) if is_plain else {})))
        assert found[:2] == (name, cause)
        assert found[3].startswith(advice)
        asked = source(own, **(plain(own) if is_plain else {}))
        assert str(login(asked, "alice")).startswith("503 ")


def test_groups_that_may_not_be_read(authority: Authority, tmp_path: Path) -> None:
    """An account without rights finds nothing, which looks like a directory without groups."""
    with slapd(tmp_path, authority) as own:
        fill(own)
        own.stop()
        text = own.config.read_text()
        own.config.write_text(text[: text.index("access to attrs=userPassword")] + SILENT.lstrip())
        own.start()
        hidden = failure(source(own, groups={"base": f"ou=groups,{BASE}"}))
    assert hidden[:2] == ("groups", FailureCause.GROUPS_HIDDEN)
    assert "grant bind_dn read access to the groups and their members" in hidden[3]


def test_a_user_filter_that_is_cut_off(authority: Authority, tmp_path: Path) -> None:
    """With a size limit of one the directory hides a second entry: 503, not a login as the first, and not 401."""
    with slapd(tmp_path, authority) as own:
        fill(own)
        own.stop()
        own.config.write_text(own.config.read_text().replace("sizelimit unlimited", "sizelimit 1"))
        own.start()
        found = failure(source(own), "twin")
        with pytest.raises(Incomplete, match="the directory's size limit; fix: raise the limit"):
            source(own).authenticate(Password("twin", Secret(GOOD)))
        assert isinstance(login(source(own), "lonely"), Identity)
    assert found[:2] == ("entry", FailureCause.SIZE_LIMIT)


# --- users and groups ------------------------------------------------------------------------------------------------


def test_ambiguous_users(server: Slapd) -> None:
    """Both are named."""
    name, cause, told, advice = failure(source(server), "twin")
    assert (name, cause) == ("entry", FailureCause.AMBIGUOUS)
    assert f"cn=twin1,ou=people,{BASE} and cn=twin2,ou=people,{BASE}" in told
    assert advice.startswith("make user_filter or base narrower")


def test_groups_found_by_another_way(server: Slapd) -> None:
    """A user without groups who has some by another way."""
    name, cause, told, advice = failure(source(server), "pat")
    assert (name, cause) == ("groups", FailureCause.GROUPS_BY_ANOTHER_WAY)
    assert "none by member; by posix it would be: devs" in told
    assert advice == "set groups: {by: posix}"
    found = login(source(server, groups={"by": "posix"}), "pat")
    assert isinstance(found, Identity)
    assert found.groups == {"devs"}
    assert [step for step in steps(source(server), "lonely") if step.failure is not None] == []


def test_the_groups_in_the_narration(server: Slapd) -> None:
    """Each name stands alone, with the DN of its group; and what does not count is listed with the reason."""
    found = steps(source(server, groups={"base": f"ou=groups,{BASE}", "allow": ["reg-*"]}), "alice")
    (groups,) = [step for step in found if step.name == "groups"]
    assert [(one.name, one.dn) for one in groups.names] == [("reg-web", f"cn=reg-web,ou=groups,{BASE}")]
    omitted = {step.result: [one.name for one in step.names] for step in found if step.name == IGNORED}
    assert omitted == {
        "1 not matched by groups.allow (reg-*)": ["web, team"],
        f"1 not below groups.base (ou=groups,{BASE})": ["far"],
        "1 only through other groups, which by: nested would count": ["above"],
    }
    assert [step for step in found if step.failure is not None] == []


def test_a_preset_without_its_matching_rule_loses_no_group_silently(server: Slapd) -> None:
    """OpenLDAP finds nothing by a rule that it does not have, and reports success: 503, since a deny rule may apply."""
    asked = source(server, preset="active_directory", user_filter="(uid={user})", subject="uid")
    with pytest.raises(Incomplete, match="does not have the matching rule"):
        asked.authenticate(Password("alice", Secret(GOOD)))


# --- connections that were kept --------------------------------------------------------------------------------------


@contextmanager
def through(server: Slapd) -> Iterator[tuple[FaultProxy, LdapDirectory]]:
    """The directory behind a proxy, with a login done, so that connections are kept."""
    with faulty(server.port) as proxy:
        asked = source(server, **plain(server) | {"url": f"ldap://localhost:{proxy.port}"})
        assert isinstance(login(asked, "alice"), Identity)
        yield proxy, asked


@pytest.mark.parametrize("mode", [Mode.RESET, Mode.CLOSE])
def test_a_kept_connection_that_was_lost(server: Slapd, mode: Mode) -> None:
    """A firewall forgot both kept connections: the search is sent again on a new one, and then the bind gets a new one
    as well; it is never sent twice.
    """
    with through(server) as (proxy, asked):
        before = proxy.connections
        proxy.lose(mode)
        assert isinstance(login(asked, "alice"), Identity)
        assert proxy.connections == before + 2
        proxy.lose(mode)
        assert login(asked, "alice", "wrong") == "wrong password"


# --- the same words in the log and in /readyz ------------------------------------------------------------------------


def test_the_log_and_readyz(server: Slapd, tmp_path: Path) -> None:
    """A service account that is rejected: three logins open the circuit, and both say why and what to correct."""
    directory = {
        "name": "corp",
        "preset": "openldap",
        "url": server.tls_url,
        "ca_file": str(server.ca_file),
        "base": BASE,
        "bind_dn": READER,
        "bind_password": "wrong",
    }
    policies = {
        "root.yaml": "version: 1\nallow:\n  - {id: a, to: [authenticated], repositories: [x], actions: [pull]}\n"
    }
    settings = {"server": {"workers": 1}, "authentication": [{"ldap": directory}]}
    with serving(tmp_path, Setup({}, policies, {"reg.test": "universal"}, settings)) as running:
        target = token_target("reg.test")
        statuses = [running.request("GET", target, headers=basic("alice", GOOD)).status for _ in range(3)]
        readiness = running.request("GET", "/readyz").json()["parts"]["corp"]
        log = running.daemon.log
    fix = "wrong password; fix: correct bind_dn and its password (bind_password_file)"
    assert statuses == [503] * 3
    assert readiness.startswith(f"rejects the service account: {fix}; the circuit breaker is open")
    assert f"corp: {server.tls_url} rejects the service account: {fix}" in log
    assert "failed 3 times in a row" in log
    assert "no answer" not in log
    assert server.tls_url not in readiness
    assert READER not in readiness
