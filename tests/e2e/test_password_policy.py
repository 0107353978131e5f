"""OpenLDAP's password policy: expired, locked and reset passwords, grace logins, and what clients learn of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import web
from harness.authority import Authority
from harness.processes import run
from harness.server import Setup, TokenServer, serving
from harness.slapd import BASE, READER, Entry, Slapd, group, person, slapd

from tokenserver.authn.chain import Chain
from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.config.sources.ldap import Ldap
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, InvalidCredentials
from tokenserver.identity import Identity
from tokenserver.server.sources.password_sources import ldap_directory

pytestmark = pytest.mark.real("slapd")

GOOD = "wonderland"
SERVICE = "reg.test"
TARGET = web.token_target(SERVICE, ["repository:web/x:pull"])
POLICIES = {
    "root.yaml": "version: 1\nallow:\n  - {id: all, to: [authenticated], repositories: [web/**], role: reader}\n"
}
KINDS = {
    "strict": {"pwdMaxAge": "1"},
    "graceful": {"pwdMaxAge": "1", "pwdGraceAuthNLimit": "3"},
    "expiring": {"pwdMaxAge": "100000", "pwdExpireWarning": "99999"},
    "reset": {"pwdMustChange": "TRUE"},
    "locking": {"pwdLockout": "TRUE", "pwdMaxFailure": "1", "pwdLockoutDuration": "3600"},
}
"""The policies, each for the users whose names begin like it."""
MUST_CHANGE = "the password must be changed first"


def _user(uid: str, **more: str) -> Entry:
    kind = {"pwdPolicySubentry": f"cn={uid.partition('-')[0]},{BASE}"} if uid.partition("-")[0] in KINDS else {}
    return person(uid, GOOD, **kind, **more)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory that says when an account is locked, with users of every policy; the strict ones have expired."""
    authority = Authority(tmp_path_factory.mktemp("authority"), "the company")
    folder = tmp_path_factory.mktemp("slapd")
    with slapd(folder, authority, policy="ppolicy_use_lockout") as running:
        running.add(
            *(
                Entry(f"cn={name}", ["device", "pwdPolicy"], {"pwdAttribute": "userPassword", **rules})
                for name, rules in KINDS.items()
            )
        )
        running.add(*(_user(f"strict-{number}") for number in range(2)))
        running.add(*(_user(f"graceful-{number}") for number in range(3)))
        running.add(*(_user(f"locking-{number}") for number in range(2)), _user("expiring"), _user("plain"))
        running.add(_user("reset-0", pwdReset="TRUE"), group("staff", "cn=plain,ou=people"))
        time.sleep(2.1)
        yield running


def settings_for(directory: Slapd, **more: Any) -> dict[str, Any]:
    """The shortest settings for it, and these."""
    values: dict[str, Any] = {
        "name": "corp",
        "preset": "openldap",
        "url": directory.tls_url,
        "ca_file": str(directory.ca_file),
        "base": BASE,
        "bind_dn": READER,
        "bind_password": directory.reader_password,
    } | more
    return {key: value for key, value in values.items() if value is not None}


def login(source: LdapDirectory, user: str, password: str = GOOD) -> Identity | str:
    """The identity, or the reason in the audit event."""
    try:
        return Chain([source], anonymous=False, decoy=source.decoy).authenticate(Password(user, Secret(password)))
    except InvalidCredentials as error:
        return error.reason
    except BackendUnavailable as error:
        return f"503 {error.reason}"


def test_an_expired_password(directory: Slapd) -> None:
    """It is told from a wrong one, and a wrong one from it."""
    source = ldap_directory(Ldap.model_validate(settings_for(directory)))
    assert login(source, "strict-0") == "the password has expired"
    assert login(source, "strict-0", "wrong") == "wrong password"


def test_a_locked_account(directory: Slapd) -> None:
    """From the failure that locks it on, with the right password as with a wrong one."""
    source = ldap_directory(Ldap.model_validate(settings_for(directory)))
    found = [login(source, "locking-0", password) for password in ("wrong", "wrong", GOOD)]
    assert found[1:] == ["the account is locked"] * 2


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="with a service account"),
        pytest.param(
            {
                "bind_dn": None,
                "bind_password": None,
                "user_dn_template": f"cn={{user}},ou=people,{BASE}",
            },
            id="with the user's own bind, after which slapd refuses the read of the entry",
        ),
    ],
)
def test_a_password_that_was_reset(directory: Slapd, more: dict[str, Any]) -> None:
    """slapd answers the bind with success; that is no login. A wrong password stays one."""
    source = ldap_directory(Ldap.model_validate(settings_for(directory, **more)))
    assert login(source, "reset-0") == MUST_CHANGE
    assert login(source, "reset-0", "wrong") in (MUST_CHANGE, "wrong password")


def test_grace_logins(directory: Slapd, caplog: pytest.LogCaptureFixture) -> None:
    """Each is a login with a warning that counts down, and is used for a minute at most; then it has expired."""
    source = ldap_directory(Ldap.model_validate(settings_for(directory)))
    for left in (2, 1, 0):
        found = login(source, "graceful-0")
        assert isinstance(found, Identity), found
        assert (found.subject, found.valid_for) == ("graceful-0", 60.0)
        text = f"corp: cn=graceful-0,ou=people,{BASE}: the password has expired; this was a grace login, {left} left"
        assert caplog.messages.pop() == text
    assert login(source, "graceful-0") == "the password has expired"


def test_a_password_that_expires_soon(directory: Slapd, caplog: pytest.LogCaptureFixture) -> None:
    """Information, once, and the login is used no longer than the password."""
    caplog.set_level(logging.INFO, "tokenserver.ldap")
    source = ldap_directory(Ldap.model_validate(settings_for(directory)))
    found = [login(source, "expiring") for _ in range(3)]
    assert all(isinstance(one, Identity) and one.valid_for and 0 < one.valid_for <= 100_000 for one in found)
    (message,) = [one.message for one in caplog.records if "expires in" in one.message]
    assert message == f"corp: cn=expiring,ou=people,{BASE}: the password expires in 1 day"
    plain = login(source, "plain")
    assert isinstance(plain, Identity)
    assert plain.valid_for is None


def test_the_password_of_the_service_account(directory: Slapd, caplog: pytest.LogCaptureFixture) -> None:
    """One that expires is a warning; one that has expired is the reason of the 503."""
    service = {"bind_dn": f"cn=expiring,ou=people,{BASE}", "bind_password": GOOD}
    source = ldap_directory(Ldap.model_validate(settings_for(directory, **service)))
    assert isinstance(login(source, "plain"), Identity)
    (warning,) = caplog.messages
    assert warning.startswith(
        f"corp: service account cn=expiring,ou=people,{BASE}: the password expires in 1 day; fix:"
    )
    for user, reason in (("strict-1", "the password has expired"), ("reset-0", MUST_CHANGE)):
        service = {"bind_dn": f"cn={user},ou=people,{BASE}", "bind_password": GOOD}
        source = ldap_directory(Ldap.model_validate(settings_for(directory, **service)))
        assert f"rejects the service account: {reason}; fix: set a new password for bind_dn" in str(
            login(source, "plain")
        )


@pytest.fixture(scope="module")
def server(directory: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server in front of it, without throttle."""
    settings = {"server": {"workers": 1}, "authentication": [{"ldap": settings_for(directory)}]}
    setup = Setup({}, POLICIES, {SERVICE: "universal"}, settings)
    with serving(tmp_path_factory.mktemp("server"), setup) as running:
        yield running


def _seen(answer: web.Answer) -> tuple[int, bytes, list[tuple[str, list[str]]]]:
    """All of an answer that a client sees, but what is new in each."""
    varying = ("date", "x-request-id")
    return answer.status, answer.body, sorted(item for item in answer.headers.items() if item[0] not in varying)


def test_clients_do_not_learn_the_state(server: TokenServer) -> None:
    """One 401 for an unknown user, a wrong password, and the right one of an account in any state; the audit knows.

    OpenLDAP reports a lock whatever the password is, so the answer would tell which users exist.
    See docs/design/threats.md#threat-20.
    """
    tries = {
        ("nobody", GOOD): "unknown user",
        ("plain", "wrong"): "wrong password",
        ("strict-1", GOOD): "the password has expired",
        ("strict-1", "wrong"): "wrong password",
        ("reset-0", GOOD): MUST_CHANGE,
        ("locking-1", "wrong-0"): None,
        ("locking-1", "wrong"): "the account is locked",
        ("locking-1", GOOD): "the account is locked",
    }
    found = set()
    for (user, password), reason in tries.items():
        mark = server.audit.mark()
        found.add(repr(_seen(server.request("GET", TARGET, headers=web.basic(user, password)))))
        (event,) = server.audit.events(mark)
        assert reason in (None, event.fields["reason"])
    assert len(found) == 1
    assert found.pop().startswith("(401,")


def test_one_grace_login_for_a_push(server: TokenServer) -> None:
    """Ten requests of one login use up one grace login, which is a warning in the server's log."""
    statuses = {server.request("GET", TARGET, headers=web.basic("graceful-1", GOOD)).status for _ in range(10)}
    assert statuses == {200}
    assert server.daemon.log.count("the password has expired; this was a grace login, 2 left") == 1
    assert "grace login, 1 left" not in server.daemon.log


def test_rejected_states_count_as_failures(directory: Slapd, tmp_path: Path) -> None:
    """The throttle ends the tries of an expired password after as many as those of a wrong one: whether it reacts
    would tell them apart, and each try is a bind.
    """
    settings = {
        "server": {"workers": 1},
        "throttle": {"enabled": True},
        "authentication": [{"ldap": settings_for(directory)}],
    }
    with serving(tmp_path, Setup({}, POLICIES, {SERVICE: "universal"}, settings)) as server:

        def statuses(user: str, passwords: list[str]) -> list[int]:
            return [server.request("GET", TARGET, headers=web.basic(user, one)).status for one in passwords]

        several = [f"wrong-{number}" for number in range(4)]
        tried = (("plain", "x"), ("strict-1", GOOD))
        found = [statuses(user, [*several, last, last, "other"]) for user, last in tried]
        assert found == [[401] * 6 + [429]] * 2


@pytest.mark.parametrize(
    ("user", "password", "code", "expected"),
    [
        pytest.param("strict-0", GOOD, 1, "the password has expired\n", id="expired"),
        pytest.param("strict-0", "wrong", 1, "wrong password\n", id="wrong"),
        pytest.param(
            "graceful-2",
            GOOD,
            0,
            "the password is right; the password has expired; this was a grace login, 2 left\n",
            id="grace",
        ),
        pytest.param("expiring", GOOD, 0, "the password is right; the password expires in 1 day\n", id="expires"),
    ],
)
def test_the_command(server: TokenServer, user: str, password: str, code: int, expected: str) -> None:
    """`ldap test` says the state and what to change."""
    command = server.command("ldap", "test", user, "--config", server.config)
    output = run(command, environment=server.environment, folder=server.folder, stdin=f"{password}\n")
    assert output.code == code, str(output)
    assert f"login     as cn={user},ou=people,{BASE}: {expected}" in output.stdout
