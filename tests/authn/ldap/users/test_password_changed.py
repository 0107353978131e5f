"""The proof of a directory user's password."""

from __future__ import annotations

from dataclasses import replace

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.directory import Directory
from tokenserver.authn.ldap.users.password_changed import proof_in
from tokenserver.config.sources.ldap import Ldap


def _directory(preset: str) -> Directory:
    values = {"preset": preset, "url": "ldaps://d", "base": "dc=x", "bind_dn": "cn=a", "bind_password": "p"}
    return Ldap.model_validate(values).directory(None)


def _entry(**attributes: bytes) -> SearchEntry:
    return SearchEntry("uid=ann,dc=x", {name.lower(): (value,) for name, value in attributes.items()})


def test_each_preset_has_its_attribute() -> None:
    """Another value, another proof; other attributes have no say."""
    attributes = {"openldap": "pwdChangedTime", "active_directory": "pwdLastSet", "freeipa": "krbLastPwdChange"}
    for preset, name in attributes.items():
        directory = _directory(preset)
        proof = proof_in(_entry(**{name: b"1", "uid": b"ann"}), directory)
        assert len(proof) == 32
        assert proof_in(_entry(**{name: b"1", "uid": b"eve"}), directory) == proof
        assert proof_in(_entry(**{name: b"2", "uid": b"ann"}), directory) != proof


def test_what_is_absent_proves_nothing() -> None:
    """Neither an entry without the attribute nor a directory without one."""
    directory = _directory("openldap")
    assert proof_in(_entry(uid=b"ann"), directory) == b""
    assert proof_in(_entry(pwdChangedTime=b"1"), replace(directory, password_changed=None)) == b""


def test_another_attribute_is_another_proof() -> None:
    """The same value of two attributes does not prove that a password is unchanged."""
    directory = _directory("openldap")
    other = replace(directory, password_changed="other")
    assert proof_in(_entry(pwdChangedTime=b"1"), directory) != proof_in(_entry(other=b"1"), other)
