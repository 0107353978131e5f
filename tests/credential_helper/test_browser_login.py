"""Logins in the browser: for several registries, beside other processes, and in place of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helper_worlds import ISSUER, NOW, REALM, REGISTRY, HelperWorld, answer, refresh_token

from tokenserver.credential_helper import browser_login
from tokenserver.credential_helper.browser_login import LOCK, Applicant, log_in, retire
from tokenserver.credential_helper.store.credential_file import CredentialFile
from tokenserver.credential_helper.token_server.device_flow import LoginFailed
from tokenserver.credential_helper.token_server.endpoints import NamedServer

DEVICE, REVOKE = f"{ISSUER}/device/code", f"{ISSUER}/revoke"
OFFER = answer(device_code="code", user_code="WDJB", verification_uri=f"{ISSUER}/device", expires_in=600, interval=5)
NEW = refresh_token("n")


def applicant(registry: str = REGISTRY, realm: str = REALM) -> Applicant:
    """A registry."""
    return Applicant(registry, registry, NamedServer(True, realm, registry))


@pytest.fixture
def world(tmp_path: Path) -> HelperWorld:
    """A token server whose person confirms."""
    granted = answer(refresh_token=NEW, refresh_token_expires_in=3600)
    return HelperWorld(tmp_path / "store", {DEVICE: OFFER, REALM: granted, REVOKE: answer()})


def test_several_registries(world: HelperWorld) -> None:
    """One confirmation; each has its binding, and a service of its own name is a registry, too."""
    applicants = [applicant(), applicant("b.example.com")]
    login = log_in(applicants, world.outside, world.told.append, services=["c.example.com"])
    assert (login.username, login.secret) == ("<token>", NEW)
    assert world.asked[0].form == [
        ("client_id", "tokenserver-helper"),
        ("service", REGISTRY),
        ("service", "b.example.com"),
        ("service", "c.example.com"),
    ]
    found = world.logins.every()
    assert {(name, one.realm, one.service, one.secret, one.ends) for name, one in found.items()} == {
        (name, REALM, name, NEW, NOW + 5 + 3600) for name in (REGISTRY, "b.example.com", "c.example.com")
    }
    assert [found[name].needs_check(world.now) for name in sorted(found)] == [False, True, False]


def test_a_login_in_place_of_another(world: HelperWorld) -> None:
    """The old one is revoked, once no registry uses it."""
    old = refresh_token("o")
    world.keep(secret=old)
    world.keep("b.example.com", secret=old)
    log_in([applicant()], world.outside, world.told.append)
    assert REVOKE not in world.urls()
    log_in([applicant("b.example.com")], world.outside, world.told.append)
    assert [form["token"] for form in world.forms(REVOKE)] == [old]


def test_a_login_of_another_process(world: HelperWorld) -> None:
    """Of several pulls, one asks the person, and the others take what it got."""
    world.keep()
    login = log_in([applicant()], world.outside, world.told.append, replaces=False)
    assert login.secret == refresh_token()
    assert world.asked == []


def test_another_process_that_waits(world: HelperWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for ever."""
    monkeypatch.setattr(browser_login, "AT_MOST", -9.9)
    with (
        world.logins.file.exclusive(LOCK, 1),
        pytest.raises(LoginFailed, match="another login is waiting"),
    ):
        log_in([applicant()], world.outside, world.told.append)


@pytest.mark.parametrize("other", [True, False], ids=["for another registry", "in vain"])
def test_a_person_who_was_asked_before(world: HelperWorld, other: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who did not confirm the first of several pulls is not asked by each of the others."""
    exclusive = CredentialFile.exclusive

    def slow(file: CredentialFile, name: str, seconds: float) -> Any:
        if name == LOCK:
            world.now += 60
            if other:
                world.keep("b.example.com", probed=NOW + 50)
        return exclusive(file, name, seconds)

    monkeypatch.setattr(CredentialFile, "exclusive", slow)
    if other:
        assert log_in([applicant()], world.outside, world.told.append, replaces=False).secret == NEW
    else:
        with pytest.raises(LoginFailed, match="nobody confirmed the one that another process asked for"):
            log_in([applicant()], world.outside, world.told.append, replaces=False)
        assert world.asked == []


def test_no_service(world: HelperWorld) -> None:
    """A login for no service would be one for all of them."""
    nameless = Applicant(REGISTRY, REGISTRY, NamedServer(True, REALM, ""))
    with pytest.raises(LoginFailed, match="names no service"):
        log_in([applicant(), nameless], world.outside, world.told.append)
    assert world.asked == []


def test_no_token_server(world: HelperWorld) -> None:
    """A realm that cannot be one is asked nothing."""
    with pytest.raises(LoginFailed, match="no token server that this program knows"):
        log_in([applicant(realm="http://auth.example.com/token")], world.outside, world.told.append)
    assert world.asked == []


def test_retire(world: HelperWorld) -> None:
    """Nothing is sent for a password, nor to a server that is not known."""
    kept = world.keep(secret="a password")
    assert retire(kept, world.outside) is None
    login = world.keep("b.example.com", realm=None)
    world.logins.remove("b.example.com")
    assert retire(login, world.outside) is None
    assert world.asked == []
