"""Faults of `not`: parts that leave nothing of a pattern of their rule."""

from __future__ import annotations

from collections.abc import Iterator

from tokenserver.documents.document import Document
from tokenserver.errors import Fault
from tokenserver.policy.analysis.containment import contains, is_empty
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.syntax.file import RuleDraft

PATTERNS_PER_STEP = 16
"""Number of patterns under `not` that are looked at superficially in one step."""


def taken_away_faults(document: Document, draft: RuleDraft, budget: Budget) -> Iterator[Fault]:
    """A fault for each pattern of a rule that has no name left besides those under `not`.

    A pattern that no name matches anyway is none of these. One that is not decided within `budget`, that of the file,
    is a fault; once the budget is spent, no further pattern is checked.
    """
    for pattern in draft.patterns if draft.without else ():
        if budget.is_spent:
            return
        place = (*draft.place, "not")
        try:
            budget.spend(1 + len(draft.without) // PATTERNS_PER_STEP)
            if not contains(draft.without, pattern, budget.question()) or is_empty(pattern, budget.question()):
                continue
            alone = next((n for n, one in enumerate(draft.without) if contains([one], pattern, budget.question())), -1)
        except TooComplex as error:
            yield document.fault(place, f"whether it leaves anything of {pattern.text!r} is {error}")
            continue
        what = f"{draft.without[alone].text!r} takes" if alone >= 0 else "together, these take"
        message = f"{what} all of {pattern.text!r} away; fix: take away less, or remove {pattern.text!r}"
        yield document.fault((*place, alone) if alone >= 0 else place, message)
