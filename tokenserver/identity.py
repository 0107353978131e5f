"""Who a client turned out to be."""

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
    """Who it is: the `subject` is the source's own name for the user, never the text that was typed.

    `source` names the user source that vouched (empty for anonymous). `groups` are those that the identity
    brought from its source. `ceiling`, where it is not None, bounds what any policy can grant: only the listed
    accesses, whatever the rules say. `stale` says that the source could not be asked and had vouched a while before.
    `lost` names, as the source does, groups of which the source could not tell the name, the first few of them: the
    identity may be in any group then.
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
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = (self.subject, self.kind, self.source, self.groups, self.ceiling, self.stale, self.lost)
        object.__setattr__(self, "_hash", hash(known))

    def __hash__(self) -> int:
        return self._hash

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody vouched for this client."""
        return self.kind is Kind.ANONYMOUS


_MEANINGFUL = re.compile(
    r'^"|[*{}]| & |^(?:everyone|authenticated|anonymous)$|(?:^|[,;&|\s])\s*(?:user|group|robot|workload)s?\s*:',
    re.IGNORECASE | re.ASCII,
)
"""What has a meaning in policies, or looks so much like it that policies take it for a mistake."""


def spell_group(name: str) -> str:
    """The name of a group as policies write it, and as people can read it whatever it holds.

    That is the name itself, or a JSON string where the name holds what has a meaning in policies, what cannot be seen,
    or what is easily lost.
    """
    is_plain = name.isprintable() and name == name.strip() and _MEANINGFUL.search(name) is None
    if is_plain and name:
        return name
    quoted = json.dumps(name, ensure_ascii=False)
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in quoted)


ANONYMOUS = Identity(subject="", kind=Kind.ANONYMOUS)
"""The client that brought nothing; its `sub` is empty."""
