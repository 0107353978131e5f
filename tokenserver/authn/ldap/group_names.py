"""Names of directory groups: from group entries to the names in policies, and the groups without a usable name.

A name keeps all characters it has in the directory; policies can spell them all. A group is never dropped silently:
it is reported with a reason, and a group whose name is unknown makes the identity incomplete.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.directory import MAX_GROUP_NAME, MAX_GROUPS, Directory, GroupSettings
from tokenserver.authn.ldap.dn import NotADn, is_below, rdn_values, same_attribute
from tokenserver.authn.ldap.entry import Refused, normalize_name
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.name_globs import matches

MAX_LOST = 5
"""Number of unnamed groups whose DNs an identity keeps."""

MAX_LOGGED = 1000

_MAX_DN = 200

logger = logging.getLogger("tokenserver.ldap")


NamedGroup = tuple[str, tuple[bytes, ...]]
"""A group that was found: its DN and the values of its attribute `groups.name`."""


@dataclass(frozen=True, slots=True)
class OmittedGroup:
    """A group, or one name of a group, that is missing from a user's groups. `name` is None if it is unknown."""

    dn: str
    name: str | None
    reason: str

    def __str__(self) -> str:
        what = "a group" if self.name is None else ascii(self.name)
        return f"{what} ({ascii(self.dn[:_MAX_DN])[1:-1] or 'without a DN'}): {self.reason}"


@dataclass(frozen=True, slots=True)
class ResolvedGroups:
    """The groups of one user: their names, and the groups that were found but omitted."""

    names: frozenset[str] = frozenset()
    omitted: tuple[OmittedGroup, ...] = ()

    @property
    def lost(self) -> tuple[str, ...]:
        """The DNs of the first few groups whose names are unknown; empty if all names are known."""
        found = sorted({one.dn[:_MAX_DN] for one in self.omitted if one.name is None})
        return tuple(found[:MAX_LOST])


def names_of(found: Iterable[NamedGroup], directory: Directory, groups: GroupSettings) -> ResolvedGroups:
    """The names of the groups that were found, each given as its DN and the values of its attribute `groups.name`.

    Each value is a name, and so is the one in the DN. Groups outside `groups.bases`, and names that `groups.allow` does
    not match, are ignored: they are neither named nor reported as omitted.

    Raises:
        Refused: there are more than `MAX_GROUPS` groups or names.
    """
    names: set[str] = set()
    omitted: list[OmittedGroup] = []
    for count, (dn, values) in enumerate(found, 1):
        if count > MAX_GROUPS:
            raise Refused(FailureCause.TOO_MANY_GROUPS)
        for one in _names(dn, values, directory, groups):
            name = one.name if isinstance(one, OmittedGroup) else one
            if name is not None and not is_allowed(name, groups):
                continue
            if isinstance(one, OmittedGroup):
                omitted.append(one)
            else:
                names.add(groups.prefix + one)
        if len(names) > MAX_GROUPS or len(omitted) > MAX_GROUPS:
            raise Refused(FailureCause.TOO_MANY_GROUPS)
    return ResolvedGroups(frozenset(names), tuple(omitted))


def values_of(entry: SearchEntry, attribute: str) -> tuple[bytes, ...]:
    """All values of an attribute, also under its aliases and with options like `;lang-de` (RFC 4512, section 2.5)."""
    return tuple(
        value
        for name, values in entry.attributes.items()
        if same_attribute(name.partition(";")[0], attribute)
        for value in values
    )


def is_allowed(name: str, groups: GroupSettings) -> bool:
    """Whether the allow-list accepts this short name."""
    return groups.allow is None or any(matches(glob, name) for glob in groups.allow)


def _names(
    dn: str, values: tuple[bytes, ...], directory: Directory, groups: GroupSettings
) -> Iterator[str | OmittedGroup]:
    try:
        if not any(is_below(dn, base) for base in groups.bases):
            return
        in_dn = rdn_values(dn, groups.name)
    except NotADn:
        if not values:
            yield OmittedGroup(dn, None, "its DN is malformed")
            return
        in_dn = ()
    if not values and not in_dn:
        yield OmittedGroup(dn, None, f"it has no readable {groups.name}")
    for value in {*values, *(name.encode() for name in in_dn)}:
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            yield OmittedGroup(dn, None, f"a value of its {groups.name} is not UTF-8")
            continue
        name = normalize_name(text, directory)
        problem = _problem(name, groups)
        yield name if problem is None else OmittedGroup(dn, name[:MAX_GROUP_NAME], problem)


def _problem(name: str, groups: GroupSettings) -> str | None:
    """Why no policy can name this group; None if one can."""
    if not name:
        return "the name is empty"
    if len(groups.prefix + name) > MAX_GROUP_NAME:
        return f"the name is longer than {MAX_GROUP_NAME} characters"
    if any(unicodedata.category(character) == "Cc" for character in name):
        return "the name contains a control character"
    return None


class OmissionLog:
    """Logs omitted groups, each once per source, and at most `limit` of them in the lifetime of a process."""

    def __init__(self, limit: int = MAX_LOGGED) -> None:
        self._limit = limit
        self._seen: set[tuple[str, OmittedGroup]] = set()

    def __call__(self, source: str, omitted: Iterable[OmittedGroup]) -> None:
        """Log the groups omitted from a login at that source."""
        for one in omitted:
            if (source, one) in self._seen or len(self._seen) >= self._limit:
                continue
            self._seen.add((source, one))
            logger.warning("%s: left out of the groups of users: %s", source, one)
            if len(self._seen) == self._limit:
                logger.warning("%s: further groups left out are not logged", source)
