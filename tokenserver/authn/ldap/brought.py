"""The names of a user's groups, and the groups without a usable name.

A name keeps the characters that the directory gives it; policies can spell all of them. A group is never dropped
silently: it is reported with its reason, and a group whose name is unknown makes an identity incomplete.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.directory import MAX_GROUP_NAME, MAX_GROUPS, Directory, GroupSettings
from tokenserver.authn.ldap.dn import NotADn, is_below, matches, rdn_values, same_attribute
from tokenserver.authn.ldap.entry import Refused, told

MAX_LOST = 5
"""Groups without a name of which an identity keeps the DN."""

MAX_REPORTS = 1000

_MAX_DN = 200

logger = logging.getLogger("tokenserver.ldap")

TOO_MANY = f"the user is in more than {MAX_GROUPS} groups"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A group, or one name of a group, that a user does not get. `name` is None where it is unknown."""

    dn: str
    name: str | None
    reason: str

    def __str__(self) -> str:
        what = "a group" if self.name is None else ascii(self.name)
        return f"{what} ({ascii(self.dn[:_MAX_DN])[1:-1] or 'without a DN'}): {self.reason}"


@dataclass(frozen=True, slots=True)
class Brought:
    """The groups of one user: their names, and what was found but left out."""

    names: frozenset[str] = frozenset()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def lost(self) -> tuple[str, ...]:
        """The DNs of groups that may have any name, the first few of them; empty: all names are known."""
        found = sorted({one.dn[:_MAX_DN] for one in self.left_out if one.name is None})
        return tuple(found[:MAX_LOST])


def names_of(found: Iterable[tuple[str, tuple[bytes, ...]]], directory: Directory, groups: GroupSettings) -> Brought:
    """What is brought of the groups that were found, each given as its DN and the values of its `groups.name`.

    Each value is a name, and so is the one in the DN. Groups outside of `groups.base`, and names that `groups.allow`
    does not take over, are not meant, so that they are neither brought nor left out.

    Raises:
        Refused: there are more than `MAX_GROUPS` groups or names.
    """
    names: set[str] = set()
    left_out: list[LeftOut] = []
    for count, (dn, values) in enumerate(found, 1):
        if count > MAX_GROUPS:
            raise Refused(TOO_MANY)
        for one in _names(dn, values, directory, groups):
            name = one.name if isinstance(one, LeftOut) else one
            if name is not None and not is_allowed(name, groups):
                continue
            if isinstance(one, LeftOut):
                left_out.append(one)
            else:
                names.add(groups.prefix + one)
        if len(names) > MAX_GROUPS or len(left_out) > MAX_GROUPS:
            raise Refused(TOO_MANY)
    return Brought(frozenset(names), tuple(left_out))


def values_of(entry: SearchEntry, attribute: str) -> tuple[bytes, ...]:
    """All values of an attribute, also under its other names and with options such as `;lang-de` (RFC 4512, 2.5)."""
    return tuple(
        value
        for name, values in entry.attributes.items()
        if same_attribute(name.partition(";")[0], attribute)
        for value in values
    )


def is_allowed(name: str, groups: GroupSettings) -> bool:
    """Whether the allow-list accepts this short name."""
    return groups.allow is None or any(matches(glob, name) for glob in groups.allow)


def _names(dn: str, values: tuple[bytes, ...], directory: Directory, groups: GroupSettings) -> Iterator[str | LeftOut]:
    try:
        if not is_below(dn, groups.base):
            return
        in_dn = rdn_values(dn, groups.name)
    except NotADn:
        if not values:
            yield LeftOut(dn, None, "its DN cannot be read")
            return
        in_dn = ()
    if not values and not in_dn:
        yield LeftOut(dn, None, f"it has no {groups.name} that can be read")
    for value in {*values, *(name.encode() for name in in_dn)}:
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            yield LeftOut(dn, None, f"a value of its {groups.name} is not UTF-8")
            continue
        name = told(text, directory)
        problem = _problem(name, groups)
        yield name if problem is None else LeftOut(dn, name[:MAX_GROUP_NAME], problem)


def _problem(name: str, groups: GroupSettings) -> str | None:
    """Why no policy can name this group; None where one can."""
    if not name:
        return "the name is empty"
    if len(groups.prefix + name) > MAX_GROUP_NAME:
        return f"the name is longer than {MAX_GROUP_NAME} characters"
    if any(unicodedata.category(character) == "Cc" for character in name):
        return "the name holds a control character"
    return None


class Reports:
    """Logs the groups that are left out, each once, and at most `most` in the lifetime of a process."""

    def __init__(self, most: int = MAX_REPORTS) -> None:
        self._most = most
        self._seen: set[tuple[str, LeftOut]] = set()

    def __call__(self, source: str, left_out: Iterable[LeftOut]) -> None:
        """Log what was left out at a login at that source."""
        for one in left_out:
            if (source, one) in self._seen or len(self._seen) >= self._most:
                continue
            self._seen.add((source, one))
            logger.warning("%s: left out of the groups of users: %s", source, one)
            if len(self._seen) == self._most:
                logger.warning("%s: what else is left out is not logged any more", source)
