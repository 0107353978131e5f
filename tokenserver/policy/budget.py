"""Step budgets: how much work one question about policies may take, in steps counted by the search itself.

What globs can be combined into is exponential in the worst case, so that every search counts its steps and gives up
with `TooComplex` instead of running on. Steps, unlike seconds, are the same on every machine: a policy that `check`
accepts is accepted by the start as well.
"""

from __future__ import annotations

from tokenserver.errors import TokenserverError

QUESTION_STEPS = 250_000
"""Steps for one question, such as whether one pattern lies within others: a second or less."""

SEARCH_STEPS = 1_000_000
"""Steps for a search over all names that many patterns distinguish, as `policy diff` sometimes needs."""

FILE_STEPS = 1_000_000
"""Steps for all questions that one policy file raises while it is loaded."""

ITEM_STEPS = 100
"""Steps on top of either for each pattern, test or rule: large files ask many questions that are simple."""

COMMAND_STEPS = 10_000_000
"""Steps for all questions of one command, such as `policy lint`, `policy matrix` or `policy diff`."""


class TooComplex(TokenserverError):
    """A question about policies was not decided within its budget. Nothing follows from that, neither yes nor no."""


class Budget:
    """Steps that are left. Those of a question count against the whole that it belongs to as well."""

    __slots__ = ("_of", "_steps", "_whole", "left")

    def __init__(self, steps: int = QUESTION_STEPS, *, of: str = "one question", whole: Budget | None = None) -> None:
        self._steps = self.left = steps
        self._of = of
        self._whole = whole

    @property
    def is_spent(self) -> bool:
        """Whether a question went beyond it."""
        return self.left < 0

    def question(self, steps: int = QUESTION_STEPS) -> Budget:
        """The budget of one question within this one."""
        return Budget(steps, whole=self)

    def spend(self, steps: int = 1) -> None:
        """Count steps.

        Raises:
            TooComplex: more steps than this budget, or the whole that it belongs to, has.
        """
        self.left -= steps
        if self.left < 0:
            raise TooComplex(
                f"not decided within {self._steps:,} steps, the limit for {self._of}: too many patterns with * or ** "
                "combine; fix: begin patterns with literal segments, or use fewer wildcards side by side"
            )
        if self._whole is not None:
            self._whole.spend(steps)


def file_budget(items: int = 0) -> Budget:
    """For all questions that one policy file with so many patterns, or tests, raises while it is loaded."""
    return Budget(FILE_STEPS + ITEM_STEPS * items, of="one policy file")


def command_budget(items: int = 0) -> Budget:
    """For all questions of one command about so many rules."""
    return Budget(COMMAND_STEPS + ITEM_STEPS * items, of="one command")
