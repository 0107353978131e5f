"""How Go reads globs, expressions, YAML and networks today: fresh random texts for a program in Go and for us.

Answers of the past are in `tests/corpus/go_readings`; `scripts/record-go-readings` records them.
"""

from __future__ import annotations

import random

import pytest
from go_questions import comparable, our_answer, random_questions, running
from harness.programs import need
from peer_decisions import decisions, our_decision

from tokenserver.importers.golang.expression import ExpressionBeyondLimits

pytestmark = pytest.mark.real("go-readings")


def test_go_agrees() -> None:
    """On a thousand questions, other ones in each run; a few expressions are beyond our limits."""
    seed = random.randrange(1_000_000)  # noqa: S311 - no secret
    answered = 0
    with running(need("go-readings")) as ask:
        for question in random_questions(random.Random(seed), 250):  # noqa: S311 - no secret
            try:
                ours = our_answer(question)
            except ExpressionBeyondLimits:
                continue
            assert ours == comparable(question, ask(question)), f"{question} (seed {seed})"
            answered += 1
    assert answered > 900


def test_go_decides_alike() -> None:
    """Rules of docker_auth written in Go a second time, with Go's own patterns: which entry decides, and its grant."""
    seed = random.randrange(1_000_000)  # noqa: S311 - no secret
    deciding = set()
    with running(need("go-readings")) as ask:
        for question in decisions(random.Random(seed), 200):  # noqa: S311 - no secret
            ours = our_decision(question)
            assert ours == ask(question), f"{question} (seed {seed})"
            deciding.add(ours["entry"])
    assert len(deciding) > 4
