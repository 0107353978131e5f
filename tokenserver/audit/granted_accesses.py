"""Granted accesses: what exchanges allowed, to find the token of something that a registry reports later. Pure."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from tokenserver.scopes import MAX_LIFETIME

SKEW = 60.0
"""Seconds by which the clocks of registries may differ. Registries accept a token for as long after its end."""

MAX_GRANTS = 200_000
"""Accesses that are kept to be joined, the last ones."""

MAX_COMPARED = 64
"""Tokens of one subject for one access that are compared for the address of the client, the last ones."""


AccessKey = tuple[str, str, str]
"""Registry, resource and action of an access."""


class GrantedAccess(NamedTuple):
    """One access that an exchange granted. `moment` is in seconds since the epoch."""

    moment: float
    number: int
    client: str
    jti: str
    credential: str
    rules: tuple[str, ...]
    workloads: tuple[str, ...]
    is_in_question: bool


@dataclass(slots=True)
class GrantedAccesses:
    """The last `MAX_GRANTS` granted accesses. `forgotten` is until when those beyond them would have counted."""

    forgotten: float = 0.0
    count: int = 0
    _by_subject: dict[tuple[str, AccessKey], list[GrantedAccess]] = field(default_factory=dict)
    _minutes: dict[AccessKey, set[int]] = field(default_factory=dict)
    _order: deque[tuple[str, AccessKey]] = field(default_factory=deque)

    def add(self, subject: str, key: AccessKey, grant: GrantedAccess) -> None:
        """Keep one more."""
        insort(self._by_subject.setdefault((subject, key), []), grant)
        self._minutes.setdefault(key, set()).add(int(grant.moment // 60))
        self._order.append((subject, key))
        self.count += 1
        if len(self._order) > MAX_GRANTS:
            self._forget(*self._order.popleft())

    def _forget(self, subject: str, key: AccessKey) -> None:
        grants = self._by_subject[subject, key]
        moment = grants.pop(0).moment
        # Others of the same minute are forgotten with it.
        self.forgotten = max(self.forgotten, moment + MAX_LIFETIME + SKEW + 60.0)
        minutes = self._minutes.get(key, set())
        minutes.discard(int(moment // 60))
        if not grants:
            del self._by_subject[subject, key]
        if not minutes:
            self._minutes.pop(key, None)

    def allowing(self, subject: str, key: AccessKey, moment: float, client: str) -> GrantedAccess | None:
        """The last one before this moment, of this client's address if there is one; None if there is none."""
        grants = self._by_subject.get((subject, key), [])
        end = bisect_right(grants, moment + SKEW, key=lambda one: one.moment)
        found = None
        for grant in grants[max(0, end - MAX_COMPARED) : end][::-1]:
            if grant.moment < moment - MAX_LIFETIME - SKEW:
                break
            if grant.client == client:
                return grant
            found = found or grant
        return found

    def has_any(self, key: AccessKey, moment: float) -> bool:
        """Whether anybody was granted it shortly before this moment, to the minute."""
        minutes = self._minutes.get(key, set())
        first, last = int((moment - MAX_LIFETIME - SKEW) // 60), int((moment + SKEW) // 60)
        return any(minute in minutes for minute in range(first, last + 1))
