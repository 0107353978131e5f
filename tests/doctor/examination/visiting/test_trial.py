"""Trials send the token to the registry's address alone, and clean up; real ones are in e2e/test_doctor_proxies.py."""

from __future__ import annotations

from typing import Any

import pytest
from fake_registry import URL, asking, baseline

from tokenserver.credentials import Secret
from tokenserver.doctor.checks.trial import BODY, Trial
from tokenserver.doctor.examination.visiting import requests as module
from tokenserver.doctor.examination.visiting.requests import Visit
from tokenserver.doctor.examination.visiting.trial import try_out
from tokenserver.doctor.http import FailureReason, FetchFailure, HttpAnswer, Outcome

UPLOAD = "/v2/web/x/blobs/uploads/1"


def answer(status: int, location: str | None = None) -> HttpAnswer:
    return HttpAnswer(status, {} if location is None else {"location": (location,)}, b'{"errors": []}', 0.0)


def tried(
    monkeypatch: pytest.MonkeyPatch, outcomes: list[Outcome], action: str = "push"
) -> tuple[list[tuple[str, bool | None]], list[tuple[str, str, int]]]:
    """The findings, and what was sent: method, path and length of the body."""
    sent: list[tuple[str, str, int]] = []
    used: list[str] = []
    answers = iter(outcomes)

    def fetch(url: str, *, authorization: Secret, method: str, body: bytes | None = None, **_: Any) -> Outcome:
        assert url.startswith(f"{URL}/v2/")
        used.append(authorization.reveal())
        sent.append((method, url.removeprefix(URL), len(body or b"")))
        return next(answers)

    monkeypatch.setattr(module, "fetch", fetch)
    visit = Visit(URL, baseline(), asking())
    found = try_out(visit, Trial(action, "web/x"), Secret("x"), Secret("cancelling"))
    is_cancelled = action == "push" and sent[-1][0] == "DELETE"
    assert used == ["Bearer x"] * (len(sent) - is_cancelled) + ["Bearer cancelling"] * is_cancelled
    assert next(answers, None) is None
    return [(one.check, one.ok) for one in found], sent


def test_a_push(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start, a layer and the end, each where the answer before says."""
    found, sent = tried(monkeypatch, [answer(202, UPLOAD), answer(202, f"{UPLOAD}?next"), answer(204)])
    assert found == [("upload", True)]
    assert sent == [("POST", "/v2/web/x/blobs/uploads/", 0), ("PATCH", UPLOAD, BODY), ("DELETE", f"{UPLOAD}?next", 0)]


def test_an_upload_that_leads_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent to the other host, and the upload is cancelled here."""
    found, sent = tried(monkeypatch, [answer(202, f"https://evil.example{UPLOAD}"), answer(204)])
    assert found == [("upload", False)]
    assert [method for method, _, _ in sent] == ["POST", "DELETE"]


@pytest.mark.parametrize("outcome", [answer(401), answer(202), FetchFailure(FailureReason.CLOSED, "x")])
def test_an_upload_that_does_not_begin(outcome: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to cancel where there is no upload."""
    found, _ = tried(monkeypatch, [outcome])
    assert [ok for _, ok in found] == [False]


@pytest.mark.parametrize("end", [answer(500), FetchFailure(FailureReason.TIMEOUT, "x")])
def test_an_upload_that_stays(end: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said."""
    found, _ = tried(monkeypatch, [answer(202, UPLOAD), FetchFailure(FailureReason.CLOSED, "x"), end])
    assert found == [("upload", False), ("upload", None)]


def test_a_delete(monkeypatch: pytest.MonkeyPatch) -> None:
    """One request, for a digest that nothing has."""
    found, sent = tried(monkeypatch, [answer(404)], "delete")
    assert found == [("delete", True)]
    assert sent == [("DELETE", f"/v2/web/x/manifests/sha256:{'0' * 64}", 0)]
