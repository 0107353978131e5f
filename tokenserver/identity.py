"""Identities: the authenticated client of a request, as user sources report it and policies see it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from tokenserver.scopes import Access


class Kind(StrEnum):
    """The kind of credential that vouched for an identity; policies may ask for it with `when: {kind: …}`."""

    ANONYMOUS = "anonymous"
    PASSWORD = "password"  # noqa: S105 - the name of a kind, not a secret


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated client. `subject` is the source's own name for the user, never the text that was typed.

    `source` names the user source (empty for anonymous), `groups` are the groups that it reported. `ceiling`, unless
    None, limits what policies can grant to the listed accesses. `stale`: the source is unreachable; this is the last
    answer it gave. `lost` has the source's identifiers of groups whose names it could not tell, the first few of them:
    the identity may be in any group then. `valid_for`: for how many seconds at most the source vouches for it;
    None: for as long as its settings say.
    The hash is computed once, since decisions are looked up by it.
    """

    subject: str
    kind: Kind
    source: str = ""
    groups: frozenset[str] = frozenset()
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    ceiling: tuple[Access, ...] | None = None
    stale: bool = False
    lost: tuple[str, ...] = ()
    valid_for: float | None = field(default=None, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = (self.subject, self.kind, self.source, self.groups, self.ceiling, self.stale, self.lost)
        object.__setattr__(self, "_hash", hash(known))

    def __hash__(self) -> int:
        return self._hash

    @property
    def is_anonymous(self) -> bool:
        """Whether the client sent no credentials."""
        return self.kind is Kind.ANONYMOUS


_MEANINGFUL = re.compile(
    r'^"|[*{}]| & |^(?:everyone|authenticated|anonymous)$|(?:^|[,;&|\s])\s*(?:user|group|robot|workload)s?\s*:',
    re.IGNORECASE | re.ASCII,
)
"""Text with a meaning in policies, or so similar to it that policies take it for a mistake."""


def spell_group(name: str) -> str:
    """The name of a group as policies write it, readable whatever characters it has.

    This is the name itself, or a JSON string if the name has text with a meaning in policies, invisible characters, or
    blanks at its ends.
    """
    is_plain = name.isprintable() and name == name.strip() and _MEANINGFUL.search(name) is None
    if is_plain and name:
        return name
    quoted = json.dumps(name, ensure_ascii=False)
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in quoted)


ANONYMOUS = Identity(subject="", kind=Kind.ANONYMOUS)
"""The client without credentials; its `sub` is empty."""
