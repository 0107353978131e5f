"""Users of a real directory that are found without a password: disabled, deleted, another password, another group."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import samba as domain_of
from harness import slapd as directory_of
from harness.authority import Authority
from harness.samba import DISABLED, NORMAL, Samba
from harness.slapd import Slapd, group, person

from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.config.sources.ldap import Ldap
from tokenserver.errors import AccountEnded, InvalidCredentials
from tokenserver.identity import Identity
from tokenserver.server.sources.password_sources import ldap_directory

GOOD = "Wonder-land-1"
OTHER = "Looking-glass-2"
SHUT = "pwdAccountLockedTime: 000001010000Z"


def _found(source: LdapDirectory, subject: str) -> Identity:
    found = source.find(subject)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def openldap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory with some people, each for one test."""
    authority = Authority(tmp_path_factory.mktemp("authority"), "the company")
    with directory_of.slapd(tmp_path_factory.mktemp("slapd"), authority) as running:
        people = ("moving", "leaving", "changing", "locked", "renamed")
        running.add(*(person(name, GOOD) for name in people))
        running.add(person("by-mail", GOOD, mail="dodo@example.com"))
        running.add(group("web", "cn=moving,ou=people", "cn=leaving,ou=people"), group("ops", "cn=moving,ou=people"))
        # The proof needs a password that was changed once: slapadd and ldapadd do not set pwdChangedTime.
        running.modify(_slapd_password("changing", GOOD))
        yield running


def _slapd_password(name: str, password: str) -> str:
    people = f"ou=people,{directory_of.BASE}"
    return f"dn: cn={name},{people}\nchangetype: modify\nreplace: userPassword\nuserPassword: {password}\n"


def _openldap(server: Slapd, **more: Any) -> LdapDirectory:
    values = {
        "preset": "openldap",
        "url": server.tls_url,
        "ca_file": str(server.ca_file),
        "base": directory_of.BASE,
        "bind_dn": directory_of.READER,
        "bind_password": server.reader_password,
    }
    return ldap_directory(Ldap.model_validate(values | more))


@pytest.mark.real("slapd")
def test_a_group_that_is_lost_at_openldap(openldap: Slapd) -> None:
    """The groups are those of now."""
    source = _openldap(openldap)
    assert _found(source, "moving").groups == {"web", "ops"}
    base = directory_of.BASE
    openldap.modify(
        f"dn: cn=web,ou=groups,{base}\nchangetype: modify\ndelete: member\nmember: cn=moving,ou=people,{base}\n"
    )
    assert _found(source, "moving").groups == {"ops"}


@pytest.mark.real("slapd")
def test_a_user_who_is_deleted_at_openldap(openldap: Slapd) -> None:
    """Nobody is found any more."""
    source = _openldap(openldap)
    assert _found(source, "leaving").subject == "leaving"
    openldap.modify(f"dn: cn=leaving,ou=people,{directory_of.BASE}\nchangetype: delete\n")
    assert source.find("leaving") is None


@pytest.mark.real("slapd")
def test_a_password_that_is_changed_at_openldap(openldap: Slapd) -> None:
    """Another pwdChangedTime, another proof; an attribute that no entry has gives no proof."""
    source = _openldap(openldap)
    before = _found(source, "changing").proof
    assert len(before) == 32
    assert _found(source, "changing").proof == before
    time.sleep(1.1)  # the attribute has whole seconds
    openldap.modify(_slapd_password("changing", OTHER))
    assert _found(source, "changing").proof not in (before, b"")
    assert _found(_openldap(openldap, password_changed="employeeNumber"), "changing").proof == b""


@pytest.mark.real("slapd")
def test_an_account_that_is_locked_at_openldap(openldap: Slapd) -> None:
    """It could not log in, but what was derived from it is not lost: wrong passwords of anybody lock it."""
    source = _openldap(openldap)
    assert _found(source, "locked").proof == b""  # its password was never changed
    people = f"ou=people,{directory_of.BASE}"
    openldap.modify(f"dn: cn=locked,{people}\nchangetype: modify\nadd: pwdAccountLockedTime\n{SHUT}\n")
    with pytest.raises(InvalidCredentials) as caught:
        source.find("locked")
    assert (caught.type, caught.value.reason) == (InvalidCredentials, "the account is locked")


@pytest.mark.real("slapd")
def test_a_subject_that_is_not_the_typed_name(openldap: Slapd) -> None:
    """People type their e-mail address and are known by uid: they are found by uid, if the filter finds them at all."""
    by_mail = "(&(objectClass=inetOrgPerson)(mail=*{user}*))"
    source = _openldap(openldap, user_filter=by_mail)
    assert _found(source, "by-mail").subject == "by-mail"
    assert source.find("dodo@example.com") is None
    assert _openldap(openldap, user_filter="(&(mail={user})(sn=other))").find("by-mail") is None


@pytest.fixture(scope="module")
def domain(short_folder: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Samba]:
    """A domain with some people, each for one test."""
    authority = Authority(tmp_path_factory.mktemp("authority"), "the company")
    with domain_of.samba(short_folder(), authority) as running:
        moving, _, _, _ = (running.add_user(name, GOOD) for name in ("Moving", "shut", "leaving", "changing"))
        running.add_group("web", moving)
        yield running


def _active_directory(server: Samba) -> LdapDirectory:
    values = {
        "preset": "active_directory",
        "url": server.tls_url,
        "ca_file": str(server.ca_file),
        "base": domain_of.BASE,
        "bind_dn": domain_of.READER,
        "bind_password": server.reader_password,
    }
    return ldap_directory(Ldap.model_validate(values))


@pytest.mark.real("samba")
def test_an_account_that_is_disabled_in_a_domain(domain: Samba) -> None:
    """It has ended, also for what was derived from it."""
    source = _active_directory(domain)
    assert _found(source, "shut").subject == "shut"
    shut = f"CN=shut,{domain_of.PEOPLE}"
    domain.modify(shut, f"replace: userAccountControl\nuserAccountControl: {DISABLED}")
    with pytest.raises(AccountEnded, match="wrong user name or password"):
        source.find("shut")
    domain.modify(shut, f"replace: userAccountControl\nuserAccountControl: {NORMAL}")
    assert _found(source, "shut").subject == "shut"


@pytest.mark.real("samba")
def test_a_password_and_a_group_that_change_in_a_domain(domain: Samba) -> None:
    """Another pwdLastSet, another proof; the groups are those of now. The subject is in lower case."""
    source = _active_directory(domain)
    before = _found(source, "changing").proof
    assert (len(before), _found(source, "changing").proof) == (32, before)
    domain.set_password(f"CN=changing,{domain_of.PEOPLE}", OTHER)
    assert _found(source, "changing").proof not in (before, b"")
    assert "web" in _found(source, "moving").groups
    domain.modify(f"CN=web,{domain_of.PEOPLE}", f"delete: member\nmember: CN=Moving,{domain_of.PEOPLE}")
    assert "web" not in _found(source, "moving").groups


@pytest.mark.real("samba")
def test_a_user_who_is_deleted_in_a_domain(domain: Samba) -> None:
    """Nobody is found any more."""
    source = _active_directory(domain)
    assert _found(source, "leaving").subject == "leaving"
    domain.delete(f"CN=leaving,{domain_of.PEOPLE}")
    assert source.find("leaving") is None
