"""The requests of a visit share one deadline, and what was not answered by then is remembered with its step."""

from __future__ import annotations

from typing import Any

import pytest
from fake_registry import URL, answered, asking, baseline

from tokenserver.credentials import Secret
from tokenserver.doctor.examination.visiting import requests as module
from tokenserver.doctor.examination.visiting.requests import GivenToken, TimeLimit, Visit
from tokenserver.doctor.http import FailureReason, FetchFailure, Outcome
from tokenserver.doctor.token import UnreadableToken

LATE = FetchFailure(FailureReason.TIMEOUT, "no answer in 3 s")
REFUSED = FetchFailure(FailureReason.REFUSED, "connection refused")


def sent_with(monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> list[dict[str, Any]]:
    """Everything is answered with this; what each request was sent with."""
    sent: list[dict[str, Any]] = []

    def fetch(url: str, **options: Any) -> Outcome:
        sent.append({"url": url, **options})
        return outcome

    monkeypatch.setattr(module, "fetch", fetch)
    return sent


def test_each_request_has_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than that, and the visit's token."""
    sent = sent_with(monkeypatch, answered(200))
    visit = Visit(URL, baseline(), asking(7))
    assert visit.send("a step", "/v2/", Secret("x")) == answered(200)
    assert 0 < sent[0]["deadline"] <= 7
    assert (sent[0]["url"], sent[0]["authorization"].reveal()) == (f"{URL}/v2/", "Bearer x")
    assert not visit.requests.is_late()


@pytest.mark.parametrize(
    ("outcome", "is_optional", "is_late"),
    [
        pytest.param(LATE, False, True, id="late"),
        pytest.param(LATE, True, False, id="late and optional"),
        pytest.param(REFUSED, False, False, id="refused"),
        pytest.param(answered(500), False, False, id="an answer"),
    ],
)
def test_what_is_remembered(
    outcome: Outcome, is_optional: bool, is_late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first step without an answer, unless nothing depends on it."""
    sent_with(monkeypatch, outcome)
    requests = asking()
    for step in ("the first", "the second"):
        requests.send(step, URL, is_optional=is_optional)
    assert requests.is_late() is is_late
    assert (requests.unanswered and requests.unanswered.detail) == ("the first: no answer in 3 s" if is_late else None)


def test_nothing_is_sent_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that could not be answered in time is not made."""
    sent = sent_with(monkeypatch, answered(200))
    requests = asking(0)
    assert requests.send("the login", URL) == FetchFailure(FailureReason.TIMEOUT, "the login: no time was left")
    assert sent == []


def test_half_of_a_deadline() -> None:
    """It ends in the middle, and a deadline that has passed has no time left."""
    whole = TimeLimit.in_(10)
    assert 4 < whole.half().left() <= 5
    assert (TimeLimit.in_(-1).left(), TimeLimit.in_(-1).half().left()) == (0, 0)


def test_a_token_is_opened_once() -> None:
    """What is no token is none when it is given, and its text is in no `repr`."""
    with pytest.raises(UnreadableToken):
        GivenToken.of("nonsense")
    token = GivenToken.of("e30.e30.c2VjcmV0")
    assert (token.opened.claims, token.text.reveal()) == ({}, "e30.e30.c2VjcmV0")
    assert "c2VjcmV0" not in repr(token)
