"""Index of globs by the literal text that they begin with, so that few of many are tried for a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from tokenserver.patterns import Pattern

_Item = TypeVar("_Item")

_Heads = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class LiteralHeads(Generic[_Item]):
    """Items that require claims, by the name of one claim and a text that its values begin with.

    `lengths` are those of the texts of each claim, the shortest first; `others` have a claim of no such text.
    """

    by_head: Mapping[tuple[str, str], tuple[_Item, ...]]
    lengths: Mapping[str, tuple[int, ...]]
    others: tuple[_Item, ...]

    @classmethod
    def of(cls, items: Iterable[tuple[_Item, Iterable[tuple[str, tuple[Pattern, ...]]]]]) -> LiteralHeads[_Item]:
        """The index of these items with the globs of their claims, each by that which fewest have in common."""
        choices = [(item, [*_heads(claims)]) for item, claims in items]
        frequency = Counter(head for _, ways in choices for heads in ways for head in heads)
        found: dict[tuple[str, str], list[_Item]] = {}
        others = []
        for item, ways in choices:
            rarest = min(ways, key=lambda heads: max(map(frequency.__getitem__, heads)), default=())
            for head in rarest:
                found.setdefault(head, []).append(item)
            if not rarest:
                others.append(item)
        lengths: dict[str, set[int]] = {}
        for name, text in found:
            lengths.setdefault(name, set()).add(len(text))
        return cls(
            {head: tuple(some) for head, some in found.items()},
            {name: tuple(sorted(some)) for name, some in lengths.items()},
            tuple(others),
        )

    def candidates(self, claims: Iterable[tuple[str, str]]) -> Iterator[_Item]:
        """Every item that these claims may satisfy, and perhaps some others; one can come several times."""
        yield from self.others
        if not self.lengths:
            return
        for name, value in claims:
            for length in self.lengths.get(name, ()):
                if length > len(value):
                    break
                yield from self.by_head.get((name, value[:length]), ())


def _heads(claims: Iterable[tuple[str, tuple[Pattern, ...]]]) -> Iterator[_Heads]:
    """For each claim whose globs all begin with a literal text, its name with each of these texts."""
    for name, globs in claims:
        heads = tuple((name, text) for text in dict.fromkeys(glob.text.partition("*")[0] for glob in globs))
        if all(text for _, text in heads):
            yield heads
