"""Groups by `memberOf`: the groups whose DNs are listed in a user's entry, with all their names.

A DN contains at most one name of a group, and a deny rule may use another, so the group entries are looked up as well.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.directory import MAX_GROUPS, Primary
from tokenserver.authn.ldap.dn import NotADn, escape_value, parse_dn
from tokenserver.authn.ldap.entry import Refused
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.group_names import NamedGroup, OmittedGroup, values_of
from tokenserver.authn.ldap.groups.search import CutOff, GroupSearch, key_of, keyed

_BATCH = 200
"""Groups whose names are requested in one search."""

_RULE = "ipauniqueid"
"""The attribute at the start of the DNs of FreeIPA's HBAC and sudo rules, which memberOf lists along with groups."""

Groups = dict[Hashable, NamedGroup]
"""Normal form of a group's DN -> its DN and its names."""


def groups_in_entry(search: GroupSearch) -> Groups:
    """The groups listed in the entry, the primary group, and the groups that contain the primary group.

    Raises:
        Refused: there are more than `MAX_GROUPS`, or the directory returned only some (`memberOf;range=…`).
        ConnectionFailed, Unanswerable: as `GroupSearch.entries`.
    """
    attributes = search.entry.attributes
    is_truncated = any(name.startswith("memberof;range=") for name in attributes)
    if is_truncated or len(attributes.get("memberof", ())) > MAX_GROUPS:
        raise Refused(FailureCause.TOO_MANY_GROUPS)
    found: Groups = {}
    _add(search, search.entry, found)
    entries = _search_by_dn(search, [dn for dn, _ in found.values()], search.primary_filter())
    _take_names(search, entries, found)
    own = search.primary(entries)
    if own is not None:
        known = {*found, key_of(own.dn)}
        found[key_of(own.dn)] = own.dn, values_of(own, search.groups.name)
        if search.groups.primary is Primary.NUMBER:  # FreeIPA: memberOf of a group includes nested groups
            _add(search, own, found)
        added = [dn for key, (dn, _) in found.items() if key not in known]
        _take_names(search, _search_by_dn(search, added, None), found)
    return found


def _add(search: GroupSearch, entry: SearchEntry, found: Groups) -> None:
    for value in entry.attributes.get("memberof", ()):
        try:
            dn = value.decode("utf-8")
        except UnicodeDecodeError:
            search.omitted.append(OmittedGroup(value.decode("utf-8", "replace"), None, "its DN is not UTF-8"))
            continue
        if search.groups.primary is not Primary.NUMBER or not dn.lower().startswith(f"{_RULE}="):
            found.setdefault(key_of(dn), (dn, ()))


def _take_names(search: GroupSearch, entries: Iterable[SearchEntry], found: Groups) -> None:
    """Add the names from these entries to the groups already found; other entries merely share a name with one."""
    for key, entry in map(keyed, entries):
        if key in found:
            found[key] = found[key][0], values_of(entry, search.groups.name)


def _search_by_dn(search: GroupSearch, dns: list[str], extra_filter: str | None) -> list[SearchEntry]:
    """Entries below the base with the same leftmost component as one of these DNs, and those matching `extra_filter`.

    No filter finds an entry by its DN in every directory. If the account may not search there, none is found.
    """
    filters = [one for dn in dns if (one := _rdn_filter(dn)) is not None]
    if extra_filter is not None:
        filters.insert(0, extra_filter)
    parts = [filters[start : start + _BATCH] for start in range(0, len(filters), _BATCH)]
    entries: list[SearchEntry] = []
    while parts:
        part = parts.pop()
        try:
            entries += search.entries(f"(|{''.join(part)})", may_be_hidden=True)
        except CutOff:
            if len(part) == 1:
                raise
            half = len(part) // 2
            parts += part[:half], part[half:]  # to stay below the directory's limit
    return entries


def _rdn_filter(dn: str) -> str | None:
    """A filter for entries with the same leftmost component as `dn`; None if it has none."""
    try:
        rdns = parse_dn(dn)
    except NotADn:
        return None
    if not rdns:
        return None
    parts = "".join(f"({kind}={escape_value(value.encode())})" for kind, value in rdns[0])
    return parts if len(rdns[0]) == 1 else f"(&{parts})"
