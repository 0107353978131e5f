"""Step budgets: limits on the work for one question about policies, in steps that the search itself counts.

Patterns and principals combine exponentially in the worst case, so every search counts its steps and gives up with
`TooComplex` at the limit. Steps, unlike seconds, are the same on every machine: a policy that `check` accepts is also
accepted at start-up.
"""

from __future__ import annotations

from tokenserver.errors import TokenserverError

QUESTION_STEPS = 250_000
"""Steps for one question, such as whether some patterns contain another one: a second or less."""

SEARCH_STEPS = 1_000_000
"""Steps for a search over all names that many patterns distinguish, as `policy diff` sometimes needs."""

FILE_STEPS = 1_000_000
"""Steps for all questions that one policy file raises while it is loaded."""

ITEM_STEPS = 100
"""Additional steps for each pattern, test or rule of a file or command: large files ask many simple questions."""

COMMAND_STEPS = 10_000_000
"""Steps for all questions of one command, such as `policy lint`, `policy matrix` or `policy diff`."""


class TooComplex(TokenserverError):
    """A question about policies was not decided within its budget; the answer is neither yes nor no."""


class Budget:
    """A counter of the steps that are left. The steps of a question also count against the `whole` it is part of."""

    __slots__ = ("_of", "_steps", "_whole", "left")

    def __init__(self, steps: int = QUESTION_STEPS, *, of: str = "one question", whole: Budget | None = None) -> None:
        self._steps = self.left = steps
        self._of = of
        self._whole = whole

    @property
    def is_spent(self) -> bool:
        """Whether the limit was exceeded."""
        return self.left < 0

    def question(self, steps: int = QUESTION_STEPS) -> Budget:
        """A budget for one question within this one."""
        return Budget(steps, whole=self)

    def spend(self, steps: int = 1) -> None:
        """Count steps.

        Raises:
            TooComplex: this budget, or the whole it is part of, is exceeded.
        """
        self.left -= steps
        if self.left < 0:
            raise TooComplex(
                f"not decided within {self._steps:,} steps, the limit for {self._of}: too many combinations of "
                "patterns or principals; fix: begin patterns with literal segments, use fewer wildcards in one "
                "pattern, or name fewer principals"
            )
        if self._whole is not None:
            self._whole.spend(steps)


def file_budget(items: int = 0) -> Budget:
    """A budget for loading one policy file; `items` is the number of its patterns or tests."""
    return Budget(FILE_STEPS + ITEM_STEPS * items, of="one policy file")


def command_budget(items: int = 0) -> Budget:
    """A budget for one command; `items` is the number of rules."""
    return Budget(COMMAND_STEPS + ITEM_STEPS * items, of="one command")
