"""Directory entries and settings for tests that run without a directory."""

from __future__ import annotations

from typing import Any

from tokenserver.authn.ldap.ber import Result, SearchEntry
from tokenserver.authn.ldap.connection import NO_SUCH_OBJECT, Found
from tokenserver.authn.ldap.deadline import Deadline
from tokenserver.authn.ldap.directory import Directory, GroupSettings
from tokenserver.authn.ldap.groups.resolution import resolve

BASE = "dc=example,dc=com"


def directory(**more: Any) -> Directory:
    """A directory with minimal settings."""
    values: dict[str, Any] = {
        "name": "corp",
        "servers": (),
        "bases": (BASE,),
        "subject": "uid",
        "display_name": "cn",
        "email": "mail",
        "lowercase": True,
        "deadline": 5.0,
    }
    return Directory(**(values | more))


def entry(dn: str = f"uid=ann,{BASE}", **attributes: Any) -> SearchEntry:
    """An entry with these attributes; ann's by default."""
    found: dict[str, Any] = {"uid": "ann"} | attributes
    lists = {name: [value] if isinstance(value, str) else value for name, value in found.items()}
    return SearchEntry(dn, {name.lower(): tuple(one.encode() for one in values) for name, values in lists.items()})


USER_SID = bytes.fromhex("0105000000000005150000000102030405060708090a0b0c") + (1105).to_bytes(4, "little")


def account(**more: Any) -> SearchEntry:
    """A user of Active Directory whose primary group is 513."""
    attributes: dict[str, tuple[bytes, ...]] = {"objectsid": (USER_SID,), "primarygroupid": (b"513",)} | more
    return SearchEntry(f"cn=ann,{BASE}", {"uid": (b"ann",), "useraccountcontrol": (b"512",), **attributes})


def in_entry(found: SearchEntry, groups: GroupSettings) -> frozenset[str]:
    """The groups in the entry's memberOf if the group entries themselves cannot be read."""
    return resolve(Nothing(), None, found, directory(groups=groups), Deadline(5)).names  # type: ignore[arg-type]


class Nothing:
    """A connection to a directory in which the account may not read any group."""

    def ask_page(self, *_arguments: Any, **_more: Any) -> int:
        """A number."""
        return 1

    def found(self, _number: int, _deadline: Deadline) -> Any:
        """Nothing: to this account, the base does not exist."""
        return Found((), Result(NO_SUCH_OBJECT, ""))
