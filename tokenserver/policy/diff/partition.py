"""Partition of circumstances: blocks of cells in which the same clients gain by a cause.

Usually only a few rules cover a name, and their conditions distinguish only a few of the cells. So the search decides
once for each class of cells in which the same of these rules can apply, and refines the partition where results differ.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.policy.analysis.circumstances import CELLS_PER_STEP, Cell
from tokenserver.policy.budget import Budget
from tokenserver.policy.decide import objection
from tokenserver.policy.diff.persons import ANYONE, Person
from tokenserver.policy.model import Principals, Rule
from tokenserver.policy.principals import UNNAMED

Gains = dict[Person, tuple[str, Person]]
"""Minimal gains: by the facts beyond those of the cause, a name and the whole person that gains on it."""

_ANYBODY = Principals(everyone=True)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Cells, as bits of an integer, and the gains in each of them."""

    cells: int
    gains: Gains = field(default_factory=dict)

    @property
    def is_settled(self) -> bool:
        """Whether everyone that the cause means gains."""
        return ANYONE in self.gains


class Partition:
    """The cells of one cause, at first in a single block without gains. Masks of cells count against `budget`."""

    def __init__(self, cells: Sequence[Cell], budget: Budget) -> None:
        self.cells = cells
        self.blocks = [Block((1 << len(cells)) - 1)]
        self._budget = budget
        self._masks: dict[int, int] = {}

    @property
    def is_settled(self) -> bool:
        """Whether everyone that the cause means gains in every cell."""
        return all(block.is_settled for block in self.blocks)

    def classes(self, block: Block, required: Iterable[Rule], others: Iterable[Rule]) -> list[int]:
        """The cells of a block in which all `required` rules can apply, by which of the `others` can.

        A single cell is a class of its own, whichever rules can apply.
        """
        cells = block.cells
        if not cells & (cells - 1):
            return [cells]
        for rule in required:
            cells &= self.mask(rule)
        found = [cells] if cells else []
        for rule in others:
            mask = self.mask(rule)
            found = [part for cells in found for part in (cells & mask, cells & ~mask) if part]
        return found

    def mask(self, rule: Rule) -> int:
        """The cells in which the rule can apply to somebody: its registries and its condition admit them."""
        if rule.services is None and rule.condition is None:
            return (1 << len(self.cells)) - 1
        mask = self._masks.get(id(rule))
        if mask is None:
            self._budget.spend(1 + len(self.cells) // CELLS_PER_STEP)
            for_anybody = replace(rule, to=_ANYBODY, excluded=None)
            mask = sum(1 << number for number, cell in enumerate(self.cells) if _admits(for_anybody, cell))
            self._masks[id(rule)] = mask
        return mask

    def cell(self, cells: int) -> Cell:
        """One of these cells."""
        return self.cells[(cells & -cells).bit_length() - 1]

    def cells_of(self, block: Block) -> Iterator[Cell]:
        """The cells of a block."""
        return (cell for number, cell in enumerate(self.cells) if block.cells >> number & 1)

    def refine(self, block: Block, additions: Collection[tuple[int, Gains]]) -> None:
        """Split a block: `additions` are some of its cells, disjoint, each with further gains."""
        if not additions:
            return
        parts: dict[tuple[tuple[Person, tuple[str, Person]], ...], int] = {(): block.cells}
        for cells, gains in additions:
            key = tuple(gains.items())
            parts[key] = parts.get(key, 0) | cells
            parts[()] &= ~cells
        self.blocks.remove(block)
        self.blocks += [Block(cells, block.gains | dict(key)) for key, cells in parts.items() if cells]


def _admits(rule: Rule, cell: Cell) -> bool:
    client = ANONYMOUS if cell.kind is Kind.ANONYMOUS else Identity(UNNAMED, cell.kind)
    return objection(rule, client, frozenset(), cell.context) is None
