"""Requests of the doctor: as it introduces itself, and with answers as its checks read them."""

from __future__ import annotations

import ssl

from tokenserver.credentials import Secret
from tokenserver.doctor.http import FetchFailure, HttpAnswer, Outcome
from tokenserver.runtime.http import fetch as bounded

DEADLINE = 10.0


def fetch(
    url: str,
    *,
    context: ssl.SSLContext,
    authorization: Secret | None = None,
    deadline: float = DEADLINE,
    address: tuple[str, int] | None = None,
    method: str = "GET",
    body: bytes | None = None,
) -> Outcome:
    """As `runtime.http.fetch`, whose parameters these are. A body that is too large is cut."""
    outcome = bounded.fetch(
        url,
        context=context,
        deadline=deadline,
        agent="tokenserver-doctor",
        authorization=authorization,
        address=address,
        method=method,
        body=body,
    )
    if isinstance(outcome, FetchFailure):
        return outcome
    return HttpAnswer(outcome.status, outcome.headers, outcome.body, outcome.skew, outcome.is_cut)
