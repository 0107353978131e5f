"""Numbers in an order that looks random and is the same every time. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_MULTIPLIER, _INCREMENT, _BITS = 6364136223846793005, 1442695040888963407, 64


@dataclass(slots=True)
class Choices:
    """A linear congruential generator (Knuth's constants); `seed` chooses the order."""

    seed: int

    def below(self, limit: int) -> int:
        """A number from 0, below the limit."""
        self.seed = (self.seed * _MULTIPLIER + _INCREMENT) % (1 << _BITS)
        return (self.seed >> _BITS // 2) % limit
