"""Which tokens are sent on the way to the registry, and when the search ends."""

from __future__ import annotations

import pytest

from tokenserver.doctor.checks.token_size import FEW, MANY, SOME, claims_for
from tokenserver.doctor.examination.visiting.token_size import examine_token_size
from tokenserver.doctor.http import FailureReason, FetchFailure, HttpAnswer, Outcome

USUAL = HttpAnswer(401, {}, b"", None)


@pytest.mark.parametrize(
    ("limit", "sent", "ok", "has_fix"),
    [
        pytest.param(10**6, [MANY], [True], [False], id="wide"),
        pytest.param(50_000, [MANY, SOME], [None], [False], id="narrow"),
        pytest.param(8192, [MANY, SOME, FEW], [None], [False], id="as nginx has it by default"),
        pytest.param(1500, [MANY, SOME, FEW], [None], [True], id="too narrow"),
    ],
)
def test_largest_first(limit: int, sent: list[int], ok: list[bool | None], has_fix: list[bool]) -> None:
    """Where the largest arrives, nothing else is sent."""
    seen: list[str] = []

    def send(claims: str) -> Outcome:
        seen.append(claims)
        return USUAL if len(claims) < limit else HttpAnswer(431, {}, b"", None)

    found = examine_token_size(send, USUAL)
    assert seen == [claims_for(count) for count in sent]
    assert [one.ok for one in found] == ok
    assert [one.is_actionable for one in found] == has_fix


def test_nothing_follows_from_silence() -> None:
    """There is no finding."""
    assert examine_token_size(lambda _: FetchFailure(FailureReason.TIMEOUT, "late"), USUAL) == []
