"""The primary group of a user, which is recorded in the user's entry and not among the members of the group."""

from __future__ import annotations

import re
import struct

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.directory import Primary
from tokenserver.authn.ldap.dn import NotADn, escape_rdn, escape_value, parse_dn

ATTRIBUTES = {Primary.SID: ("objectSid",), Primary.NUMBER: ("gidNumber", "objectClass", "memberOf")}
"""Attributes of a group that identify it as a primary group, and lead to the groups that contain it."""

_NUMBER = re.compile("[0-9]{1,10}")

_PRIVATE = "mepmanagedentry"
"""The object class of a user's private group, which FreeIPA creates under the user's name; it does not count."""


class Unreadable(Exception):
    """The entry has a primary group, but the attributes that identify it are missing or malformed."""


def filter_for(entry: SearchEntry, primary: Primary | None) -> str | None:
    """A filter for the user's primary group; None if there is none.

    Raises:
        Unreadable: it cannot be identified.
    """
    if primary is Primary.SID:
        sid = _sid(entry)
        return None if sid is None else f"(objectSid={escape_value(sid)})"
    if primary is Primary.NUMBER:
        numbers = [f"(gidNumber={number})" for number in gid_numbers(entry)]
        return f"(&(objectClass=posixGroup)(|{''.join(numbers)}))" if numbers else None
    return None


def gid_numbers(entry: SearchEntry) -> list[str]:
    """The values of gidNumber that are valid numbers."""
    return [number for number in entry.texts("gidNumber") if number.isascii() and number.isdigit()]


def is_primary(group: SearchEntry, entry: SearchEntry, primary: Primary) -> bool:
    """Whether `group` is the primary group of the user with this entry."""
    if primary is Primary.SID:
        return _sid(entry) in group.attributes.get("objectsid", ())
    return not set(gid_numbers(entry)).isdisjoint(group.texts("gidNumber"))


def is_private(group: SearchEntry) -> bool:
    """Whether `group` is a user's private group."""
    return _PRIVATE in map(str.lower, group.texts("objectClass"))


def domain_of(dn: str, otherwise: str) -> str:
    """The domain of an Active Directory entry: the dc components at the end of its DN, or `otherwise` if none."""
    domain: list[str] = []
    try:
        for rdn in reversed(parse_dn(dn)):
            if len(rdn) != 1 or rdn[0][0] != "dc":
                break
            domain.insert(0, f"dc={escape_rdn(rdn[0][1])}")
    except (NotADn, ValueError):
        return otherwise
    return ",".join(domain) or otherwise


def _sid(entry: SearchEntry) -> bytes | None:
    """The SID of the primary group ([MS-DTYP] 2.4.2.2); None if the entry is not an Active Directory account."""
    sids = entry.attributes.get("objectsid", ())
    numbers = entry.texts("primaryGroupID")
    if not sids and not numbers and not entry.texts("userAccountControl"):
        return None
    if len(sids) != 1 or len(numbers) != 1 or _NUMBER.fullmatch(numbers[0]) is None:
        raise Unreadable
    sid, number = sids[0], int(numbers[0])
    if len(sid) < 12 or len(sid) != 8 + 4 * sid[1] or number > 0xFFFFFFFF:
        raise Unreadable
    return sid[:-4] + struct.pack("<I", number)
