"""Paged, bounded searches for the groups of one user; a partial result is an error, never taken for a complete one."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.connection import SUCCESS, Connection, Found
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline, Unanswerable
from tokenserver.authn.ldap.directory import MAX_GROUPS, Directory, GroupSettings, Primary
from tokenserver.authn.ldap.dn import NotADn, same_dn
from tokenserver.authn.ldap.entry import Refused
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.result_codes import CUT_OFF, HIDDEN, NO_PAGES, search_failure
from tokenserver.authn.ldap.group_names import OmittedGroup
from tokenserver.authn.ldap.groups import primary

PAGE = 500
"""Groups per page (RFC 2696), if the server supports paging: many servers return no more at a time."""


class CutOff(Unanswerable):
    """The directory returns only some of the entries that a search finds."""


@dataclass(slots=True)
class GroupSearch:
    """The searches for the groups of the user with this entry, which need exclusive use of the connection.

    `omitted` collects the groups that cannot be resolved.
    """

    connection: Connection
    entry: SearchEntry
    directory: Directory
    groups: GroupSettings
    deadline: Deadline
    omitted: list[OmittedGroup] = field(default_factory=list)

    def ask(self, search_filter: str, *, base: str | None = None, cookie: bytes = b"") -> int:
        """Send a search below `base`, by default the first one, and return its number, for `entries`."""
        base = self.groups.bases[0] if base is None else base
        limit = MAX_GROUPS + 1
        return self.connection.ask_page(
            base, search_filter, self._wanted(), self.deadline, size=PAGE, cookie=cookie, limit=limit
        )

    def entries(
        self, search_filter: str, *, asked: int | None = None, base: str | None = None, may_be_hidden: bool = False
    ) -> list[SearchEntry]:
        """All entries found by the search below `base`, or below each of the groups' bases.

        `asked` is the number of the search if its first page, below the first base, was requested already.

        With `may_be_hidden`, a base that the account may not read yields no entries instead of an error.

        Raises:
            Refused: there are more than `MAX_GROUPS`.
            CutOff: the directory returns only some of them.
            ConnectionFailed: it does not answer, or reports an error.
            Unanswerable: the answer is larger than a login may read.
        """
        found: list[SearchEntry] = []
        for one in self.groups.bases if base is None else (base,):
            found += self._entries_below(one, search_filter, asked, may_be_hidden=may_be_hidden)
            if len(found) > MAX_GROUPS:
                raise Refused(FailureCause.TOO_MANY_GROUPS)
            asked = None
        return found

    def _entries_below(
        self, base: str, search_filter: str, asked: int | None, *, may_be_hidden: bool
    ) -> list[SearchEntry]:
        found_so_far: list[SearchEntry] = []
        asked = self.ask(search_filter, base=base) if asked is None else asked
        while True:
            found = self.connection.found(asked, self.deadline)
            if found.result.code in NO_PAGES and not found_so_far:
                found = self._whole(search_filter, base)
            found_so_far += found.entries
            if len(found_so_far) > MAX_GROUPS:
                raise Refused(FailureCause.TOO_MANY_GROUPS)
            if found.result.code in HIDDEN and may_be_hidden:
                return found_so_far
            if found.result.code in CUT_OFF:
                limit = search_failure(found.result).text
                raise CutOff(FailureCause.GROUPS_CUT_OFF, count=str(len(found_so_far)), detail=limit)
            if found.result.code != SUCCESS:
                key = "groups.base" if base in self.groups.bases else "base"
                facts = {"base": base, "key": key, "account": self.directory.searcher}
                raise ConnectionFailed(search_failure(found.result, **facts))
            if not found.cookie:
                return found_so_far
            asked = self.ask(search_filter, base=base, cookie=found.cookie)

    def _whole(self, search_filter: str, base: str) -> Found:
        """The answer to the search without paging, for servers that do not provide it."""
        return self.connection.search(base, search_filter, self._wanted(), self.deadline, limit=MAX_GROUPS + 1)

    def _wanted(self) -> list[str]:
        kind = self.groups.primary
        return [self.groups.name, *(primary.ATTRIBUTES[kind] if kind is not None else ())]

    def primary_filter(self) -> str | None:
        """A filter for the primary group; None if there is none, or if it is unreadable, which `primary` reports."""
        try:
            return primary.filter_for(self.entry, self.groups.primary)
        except primary.Unreadable:
            return None

    def primary(self, found: list[SearchEntry]) -> SearchEntry | None:
        """The user's primary group, if any: among the entries found with its filter, or outside the base.

        Outside the base it does not count itself, but the groups that contain it may.
        """
        kind = self.groups.primary
        if kind is None:
            return None
        try:
            search_filter = primary.filter_for(self.entry, kind)
        except primary.Unreadable:
            self._omit_primary("the attributes that identify it cannot be read")
            return None
        if search_filter is None:
            return None
        own = next((one for one in found if primary.is_primary(one, self.entry, kind)), None)
        if own is None and kind is Primary.SID:
            domain = primary.domain_of(self.entry.dn, self.directory.bases[0])
            own = next(iter(self.entries(search_filter, base=domain, may_be_hidden=True)), None)
            if own is None:
                self._omit_primary("not found")
        return None if own is None or self.is_private(own) else own

    def is_private(self, group: SearchEntry) -> bool:
        """Whether `group` is a user's private group, which does not count."""
        return self.groups.primary is Primary.NUMBER and primary.is_private(group)

    def _omit_primary(self, reason: str) -> None:
        self.omitted.append(OmittedGroup(f"the primary group of {self.entry.dn}", None, reason))


def key_of(dn: str) -> Hashable:
    """The normal form of a DN, or the text itself if it is not a DN."""
    try:
        return same_dn(dn)
    except NotADn:
        return dn


def keyed(entry: SearchEntry) -> tuple[Hashable, SearchEntry]:
    """An entry with the key of its DN."""
    return key_of(entry.dn), entry
