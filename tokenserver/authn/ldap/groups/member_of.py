"""The groups that the memberOf of a user's entry names by their DNs, with all their names.

A DN has one name of a group in it, if it has any; a deny rule may be for another. So the groups are looked up too.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.brought import TOO_MANY, LeftOut, values_of
from tokenserver.authn.ldap.directory import MAX_GROUPS, Primary
from tokenserver.authn.ldap.dn import NotADn, escape_value, parse_dn
from tokenserver.authn.ldap.entry import Refused
from tokenserver.authn.ldap.groups.search import CutOff, GroupSearch, key_of, keyed

_AT_ONCE = 200
"""Groups whose names are asked for in one search."""

_RULE = "ipauniqueid"
"""What the DNs of FreeIPA's HBAC and sudo rules begin with, which memberOf names beside the groups."""

Groups = dict[Hashable, tuple[str, tuple[bytes, ...]]]
"""Groups by what their DNs have in common, each with its DN and its names."""


def groups_in_entry(search: GroupSearch) -> Groups:
    """The groups that the entry names, and the primary group with all that it is in.

    Raises:
        Refused: there are more than `MAX_GROUPS`, or the directory tells only a part (`memberOf;range=…`).
        ConnectionFailed, Unanswerable: as `GroupSearch.entries`.
    """
    attributes = search.entry.attributes
    is_cut = any(name.startswith("memberof;range=") for name in attributes)
    if is_cut or len(attributes.get("memberof", ())) > MAX_GROUPS:
        raise Refused(TOO_MANY)
    found: Groups = {}
    _add(search, search.entry, found)
    entries = _named(search, [dn for dn, _ in found.values()], search.primary_filter())
    _take_names(search, entries, found)
    own = search.primary(entries)
    if own is not None:
        known = {*found, key_of(own.dn)}
        found[key_of(own.dn)] = own.dn, values_of(own, search.groups.name)
        if search.groups.primary is Primary.NUMBER:  # FreeIPA: what a group is in, however deep, stands in it
            _add(search, own, found)
        fresh = [dn for key, (dn, _) in found.items() if key not in known]
        _take_names(search, _named(search, fresh, None), found)
    return found


def _add(search: GroupSearch, entry: SearchEntry, found: Groups) -> None:
    for value in entry.attributes.get("memberof", ()):
        try:
            dn = value.decode("utf-8")
        except UnicodeDecodeError:
            search.left_out.append(LeftOut(value.decode("utf-8", "replace"), None, "its DN is not UTF-8"))
            continue
        if search.groups.primary is not Primary.NUMBER or not dn.lower().startswith(f"{_RULE}="):
            found.setdefault(key_of(dn), (dn, ()))


def _take_names(search: GroupSearch, entries: Iterable[SearchEntry], found: Groups) -> None:
    """Note the names of those groups that were found already; others only have a name in common with one."""
    for key, entry in map(keyed, entries):
        if key in found:
            found[key] = found[key][0], values_of(entry, search.groups.name)


def _named(search: GroupSearch, dns: list[str], beside: str | None) -> list[SearchEntry]:
    """Entries below the base that are called in their DNs as these DNs are, and what the filter `beside` finds.

    No filter finds an entry by its DN in every directory. Where the account may not search there, none is found.
    """
    filters = [one for dn in dns if (one := _rdn_filter(dn)) is not None]
    if beside is not None:
        filters.insert(0, beside)
    parts = [filters[start : start + _AT_ONCE] for start in range(0, len(filters), _AT_ONCE)]
    entries: list[SearchEntry] = []
    while parts:
        part = parts.pop()
        try:
            entries += search.entries(f"(|{''.join(part)})", may_be_hidden=True)
        except CutOff:
            if len(part) == 1:
                raise
            half = len(part) // 2
            parts += part[:half], part[half:]  # so that each answer is below the directory's limit
    return entries


def _rdn_filter(dn: str) -> str | None:
    """What finds the entries whose leftmost component is that of `dn`; None where it has none."""
    try:
        rdns = parse_dn(dn)
    except NotADn:
        return None
    if not rdns:
        return None
    parts = "".join(f"({kind}={escape_value(value.encode())})" for kind, value in rdns[0])
    return parts if len(rdns[0]) == 1 else f"(&{parts})"
