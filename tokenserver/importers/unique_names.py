"""Names for what an import makes: legal ids of rules and names of machines, each given once. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_ID = 100
MAX_MACHINE = 64

_NOT_IN_ID = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_NOT_IN_MACHINE = re.compile(r"[^a-z0-9._-]+", re.ASCII)


class UniqueNames:
    """Gives each name once: one that is taken gets a number."""

    def __init__(self, taken: Iterable[str] = (), limit: int = MAX_ID) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}
        self._limit = limit

    def give(self, wanted: str) -> str:
        """The name, or the name with the first number that makes it new; cut where it is too long."""
        name = wanted[: self._limit].rstrip("._-")
        number = self._next.get(wanted, 2)
        while name in self._taken:
            ending = f"-{number}"
            name = wanted[: self._limit - len(ending)].rstrip("._-") + ending
            number += 1
        self._next[wanted] = number
        self._taken.add(name)
        return name


def as_rule_id(text: str) -> str:
    """A text that is legal as the id of a rule, as similar to `text` as possible; it may be too long."""
    return _NOT_IN_ID.sub("-", text).strip("._-") or "rule"


def as_machine_name(text: str) -> str:
    """A text that is legal as the name of a robot, as similar to `text` as possible; it may be too long."""
    return _NOT_IN_MACHINE.sub("-", text.lower()).strip("._-") or "robot"
