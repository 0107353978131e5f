"""Token reuse at the endpoint under load: what is shared, and what never is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests_web_server import Server

from tokenserver.tokens.reuse import Reuse


@pytest.fixture
def rushed(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Queries a server that reuses tokens from the first request on."""
    service = server.parts.exchange.service
    monkeypatch.setattr(service, "_reuse", Reuse(10, now=lambda: 1_801_396_800.0, rush=0))
    monkeypatch.setattr(service, "_now", lambda: 1_801_396_800.0)
    monkeypatch.setattr(server.parts.live.snapshot().issuer, "_now", lambda: 1_801_396_800.0)

    def ask(query: str) -> dict[str, Any]:
        answer = server.client.get(
            f"/token?{query}", environ_overrides={"REMOTE_ADDR": "192.0.2.1", "wsgi.url_scheme": "https"}
        )
        assert answer.status_code == 200
        return dict(answer.json or {})

    return ask


def test_a_reused_token_is_described_truthfully(rushed: Callable[[str], dict[str, Any]], server: Server) -> None:
    """One signature, one time of issue; yet each use has an event with a request id of its own, all facts in it."""
    query = "service=reg&scope=repository:public/app:pull"
    first, second = rushed(query), rushed(query)
    assert first == second
    assert (first["expires_in"], first["issued_at"]) == (900, "2027-01-31T12:00:00Z")
    one, other = server.audit.events
    assert one["request_id"] != other["request_id"]
    for event in (one, other):
        for name in ("time", "request_id", "ms"):
            del event[name]
    assert one == other


def test_who_gets_less_gets_another(rushed: Callable[[str], dict[str, Any]]) -> None:
    """The token of one is never that of another who may do less, nor one for another registry or scope."""
    queries = [
        "service=reg&scope=repository:public/app:pull",
        "service=reg&scope=repository:public/app:pull,push",
        "service=reg&scope=repository:public/other:pull",
        "service=reg&scope=repository:team/app:pull",
        "service=reg",
    ]
    assert len({rushed(query)["token"] for query in [*queries, *queries]}) == len(queries)


def test_what_was_rejected_is_in_the_event_of_its_request_alone(
    rushed: Callable[[str], dict[str, Any]], server: Server
) -> None:
    """A ruling that is remembered from another request knows nothing of what this one asked wrongly."""
    good, bad = "scope=repository:public/app:pull", "scope=repository:PUBLIC:pull"
    for query in (good, f"{good}&{bad}", good):
        rushed(f"service=reg&{query}")
    assert [event["outcome"] for event in server.audit.events] == ["granted", "partial", "granted"]
    assert ["rejected" in event for event in server.audit.events] == [False, True, False]
