"""A directory that demands a client certificate, with and without SASL EXTERNAL, and certificates for another name."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import web
from harness.authority import Authority
from harness.processes import run
from harness.server import Setup, TokenServer, serving
from harness.slapd import BASE, READER, Slapd, group, person, slapd
from harness.waiting import PATIENCE_SECONDS

from tokenserver.authn.chain import Chain
from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.authn.ldap.deadline import Deadline
from tokenserver.authn.ldap.diagnosis.diagnose import diagnose
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.config.sources.ldap import Ldap
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, InvalidCredentials
from tokenserver.identity import Identity
from tokenserver.server.sources.password_sources import ldap_directory

pytestmark = pytest.mark.real("slapd")

GOOD = "wonderland"
NAME = "ldap.corp.example.com"
"""The name in the server's certificate; its host is localhost."""
SERVICE = "reg.test"
TARGET = web.token_target(SERVICE, ["repository:web/x:pull"])
POLICIES = {
    "root.yaml": "version: 1\nallow:\n  - {id: all, to: [authenticated], repositories: [web/**], role: reader}\n"
}
MAPPED = f'authz-regexp "^cn=tokenserver$" "{READER}"\n'


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The company's CA, which issues the certificates of servers and of clients."""
    return Authority(tmp_path_factory.mktemp("authority"), "the company")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Slapd]:
    """slapd as in the field: a certificate of every client, of which one is mapped to the reader."""
    extra = f"TLSCACertificateFile {authority.file}\nTLSVerifyClient demand\n{MAPPED}"
    with slapd(tmp_path_factory.mktemp("slapd"), authority, extra=extra, name=NAME) as running:
        running.add(person("ann", GOOD), person("eve", GOOD), group("web", "cn=ann,ou=people"))
        yield running


def issued(authority: Authority, folder: Path, name: str = "tokenserver", **more: Any) -> dict[str, Any]:
    """The settings with a new client certificate for this name."""
    folder.mkdir(exist_ok=True)
    certificate, key = authority.issue(folder, hosts=[name], **more)
    return {"client_certificate": str(certificate), "client_key": str(key)}


@pytest.fixture(scope="module")
def ours(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The settings with the certificate that is mapped."""
    return issued(authority, tmp_path_factory.mktemp("ours"))


def settings_for(directory: Slapd, **more: Any) -> dict[str, Any]:
    """The shortest settings for it, and these; None takes a key out."""
    values: dict[str, Any] = {
        "name": "corp",
        "preset": "openldap",
        "url": directory.tls_url,
        "ca_file": str(directory.ca_file),
        "certificate_name": NAME,
        "base": BASE,
        "bind_dn": READER,
        "bind_password": directory.reader_password,
    } | more
    return {key: value for key, value in values.items() if value is not None}


EXTERNAL: dict[str, Any] = {"bind_dn": None, "bind_password": None, "sasl_external": True}
TEMPLATE: dict[str, Any] = {
    "bind_dn": None,
    "bind_password": None,
    "user_dn_template": f"cn={{user}},ou=people,{BASE}",
}


def source(directory: Slapd, **more: Any) -> LdapDirectory:
    """The backend with these settings."""
    return ldap_directory(Ldap.model_validate(settings_for(directory, **more)))


def login(asked: LdapDirectory, user: str = "ann", password: str = GOOD) -> Identity | str:
    """The identity, or the reason in the audit event."""
    try:
        return Chain([asked], anonymous=False, decoy=asked.decoy).authenticate(Password(user, Secret(password)))
    except InvalidCredentials as error:
        return error.reason
    except BackendUnavailable as error:
        return f"503 {error.reason}"


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="a service account with a password"),
        pytest.param(EXTERNAL, id="SASL EXTERNAL"),
        pytest.param(TEMPLATE, id="the users' own binds"),
        pytest.param({"url": "ldap", "start_tls": True}, id="StartTLS"),
        pytest.param({"url": "ldap", "start_tls": True, **EXTERNAL}, id="SASL EXTERNAL over StartTLS"),
    ],
)
def test_a_login(directory: Slapd, ours: dict[str, Any], more: dict[str, Any]) -> None:
    """With the certificate in each way to bind; the user's own bind stays one with a password."""
    more = {**more, "url": directory.url} if more.get("url") == "ldap" else more
    asked = source(directory, **ours, **more)
    found = login(asked)
    assert isinstance(found, Identity), found
    assert (found.subject, found.groups) == ("ann", frozenset({"web"}))
    assert login(asked, "ann", "wrong") == "wrong password"
    assert login(asked, "nobody") in ("unknown user", "wrong password")
    assert isinstance(login(asked), Identity)


def _failures(asked: LdapDirectory) -> list[tuple[str, FailureCause]]:
    """The failed steps of `ldap test` without a user."""
    return [(step.name, step.failure.cause) for step in diagnose(asked, None, None) if step.failure is not None]


@pytest.mark.parametrize(
    ("certificate", "is_external", "cause"),
    [
        pytest.param("none", False, FailureCause.CLIENT_CERTIFICATE, id="none"),
        pytest.param("another", False, FailureCause.CLIENT_CERTIFICATE_REJECTED, id="of another CA"),
        pytest.param("another", True, FailureCause.CLIENT_CERTIFICATE_REJECTED, id="of another CA, SASL EXTERNAL"),
        pytest.param("expired", False, FailureCause.CLIENT_CERTIFICATE_REJECTED, id="expired"),
    ],
)
def test_a_certificate_that_is_not_accepted(
    directory: Slapd, authority: Authority, tmp_path: Path, certificate: str, is_external: bool, cause: FailureCause
) -> None:
    """Logins get 503, and `ldap test` says what is wrong with the certificate."""
    issuer = Authority(tmp_path, "another") if certificate == "another" else authority
    more = {} if certificate == "none" else issued(issuer, tmp_path / "client", is_expired=certificate == "expired")
    asked = source(directory, **more, **(EXTERNAL if is_external else {}))
    found = login(asked)
    assert isinstance(found, str)
    assert found.startswith("503 ")
    assert _failures(asked) == [("bind", cause)]


def test_a_certificate_that_is_not_mapped(directory: Slapd, authority: Authority, tmp_path: Path) -> None:
    """slapd binds it as its own subject, which `ldap test` shows."""
    asked = source(directory, **issued(authority, tmp_path / "client", "stranger"), **EXTERNAL)
    bind = next(step for step in diagnose(asked, None, None) if step.name == "bind")
    assert bind.result == "as dn:cn=stranger, by SASL EXTERNAL with certificate CN=stranger"


def test_external_is_never_left_on_a_users_connection(directory: Slapd, ours: dict[str, Any]) -> None:
    """After a failed bind, the connection is anonymous; after a success, it is the user's. It is never the reader's."""
    asked = source(directory, **ours, **EXTERNAL)
    deadline = Deadline(5)
    with asked.servers.for_bind(deadline) as (_, connection):
        assert connection.who_am_i(deadline) == ""
        dn = f"cn=ann,ou=people,{BASE}"
        assert connection.bind(dn, Secret("wrong"), deadline).code == 49
        assert connection.who_am_i(deadline) == ""
        assert connection.bind(dn, Secret(GOOD), deadline).code == 0
        assert connection.who_am_i(deadline) == f"dn:{dn}"
        assert connection.bind(dn, Secret("wrong"), deadline).code == 49
        assert connection.who_am_i(deadline) == ""


@pytest.mark.parametrize("is_external", [False, True])
def test_a_directory_without_external(tmp_path: Path, authority: Authority, is_external: bool) -> None:
    """One that asks for no certificate does not offer EXTERNAL: the reason names the certificate and both ways out."""
    with slapd(tmp_path, authority) as plain:
        plain.add(person("ann", GOOD))
        more = EXTERNAL if is_external else {}
        found = login(source(plain, certificate_name=None, **issued(authority, tmp_path / "client"), **more))
    if is_external:
        assert "does not accept the client certificate as an account: CN=tokenserver" in str(found)
        assert "olcAuthzRegexp" in str(found)
    else:
        assert isinstance(found, Identity), found


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param({"certificate_name": None}, f"it is for {NAME}, not for localhost", id="the host is not in it"),
        pytest.param({"certificate_name": "other.example.com"}, "not for other.example.com", id="another name"),
        pytest.param({"certificate_name": "example.com"}, "not for example.com", id="a parent domain"),
    ],
)
def test_the_name_in_the_certificate(
    directory: Slapd, ours: dict[str, Any], more: dict[str, Any], expected: str
) -> None:
    """`certificate_name` is verified in place of the host, never in addition and never not at all."""
    assert expected in str(login(source(directory, **ours, **more)))


def test_an_address_and_a_name(directory: Slapd, ours: dict[str, Any]) -> None:
    """The certificate of a name, at an IP address; in capitals, too."""
    url = f"ldaps://127.0.0.1:{directory.tls_port}"
    for name in (NAME, NAME.upper()):
        assert isinstance(login(source(directory, **ours, url=url, certificate_name=name)), Identity)


@pytest.fixture(scope="module")
def server(
    directory: Slapd, ours: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TokenServer, dict[str, Any]]]:
    """A server that is the reader by its certificate, of which it has its own copy."""
    folder = tmp_path_factory.mktemp("server")
    mine = {key: str(shutil.copy2(path, folder)) for key, path in ours.items()}
    ldap = settings_for(directory, **mine, **EXTERNAL, cache=0)
    settings = {"server": {"workers": 1}, "authentication": [{"ldap": ldap}]}
    with serving(folder, Setup({}, POLICIES, {SERVICE: "universal"}, settings)) as running:
        yield running, mine


def test_the_command(server: tuple[TokenServer, dict[str, Any]]) -> None:
    """`ldap test` shows the certificate with its end, and as whom the directory knows it; `check` shows it, too."""
    running, _ = server
    command = running.command("ldap", "test", "ann", "--config", running.config)
    output = run(command, environment=running.environment, folder=running.folder, stdin=f"{GOOD}\n")
    assert output.code == 0, str(output)
    assert "; client certificate CN=tokenserver until 20" in output.stdout
    assert f"bind      as dn:{READER}, by SASL EXTERNAL with certificate CN=tokenserver\n" in output.stdout
    output = run(running.command("check"), environment=running.environment, folder=running.folder)
    assert output.code == 0, str(output)
    assert "; client certificate CN=tokenserver until 20" in output.stdout
    assert "corp: the client certificate expires soon: CN=tokenserver until" in output.text


def test_the_command_without_a_certificate(server: tuple[TokenServer, dict[str, Any]], tmp_path: Path) -> None:
    """The step that fails has the keys to set as its fix."""
    running, mine = server
    other = running.folder / "without.yaml"
    lines = running.config.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not any(key in line for key in (*mine, "sasl_external"))]
    other.write_text("".join(kept).replace("base: ", f"bind_dn: {READER}\n    bind_password: x\n    base: "))
    output = run(
        running.command("ldap", "test", "--config", other), environment=running.environment, folder=running.folder
    )
    assert output.code == 1, str(output)
    assert "the server demands a client certificate" in output.stdout
    assert "to do: set client_certificate and client_key" in output.stdout


def test_a_renewed_certificate(
    server: tuple[TokenServer, dict[str, Any]], authority: Authority, tmp_path: Path
) -> None:
    """Other files are loaded while the server runs: one that the directory rejects ends all logins, the next begins
    them again.
    """
    running, mine = server

    def status() -> int:
        return running.request("GET", TARGET, headers=web.basic("ann", GOOD)).status

    def eventually(expected: int) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while status() != expected:
            assert time.monotonic() < deadline
            time.sleep(0.2)

    assert status() == 200
    for number, (issuer, expected) in enumerate([(Authority(tmp_path, "another"), 503), (authority, 200)]):
        renewed = issued(issuer, tmp_path / str(number))
        for key in ("client_key", "client_certificate"):
            shutil.copy2(renewed[key], mine[key])
        eventually(expected)
