"""Who a client turned out to be."""

from __future__ import annotations

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
    The hash is computed once, since decisions are looked up by it.
    """

    subject: str
    kind: Kind
    source: str = ""
    groups: frozenset[str] = frozenset()
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    ceiling: tuple[Access, ...] | None = None
    stale: bool = False
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = (self.subject, self.kind, self.source, self.groups, self.ceiling, self.stale)
        object.__setattr__(self, "_hash", hash(known))

    def __hash__(self) -> int:
        return self._hash

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody vouched for this client."""
        return self.kind is Kind.ANONYMOUS


ANONYMOUS = Identity(subject="", kind=Kind.ANONYMOUS)
"""The client that brought nothing; its `sub` is empty."""
