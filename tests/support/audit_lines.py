"""Lines of audit events for tests: exchanges as the server writes them, with some members replaced."""

from __future__ import annotations

import json
from typing import Any

EXCHANGE: dict[str, Any] = {
    "time": "2026-11-03T12:00:00.250Z",
    "event": "exchange",
    "request_id": "0123456789abcdef",
    "method": "GET",
    "client": "10.1.2.3",
    "asked": ["repository:web/site:pull,push"],
    "registry": "registry.example.com",
    "subject": "ann",
    "source": "htpasswd",
    "kind": "password",
    "groups": ["web-devs"],
    "granted": ["repository:web/site:pull,push"],
    "rules": [
        {"resource": "repository:web/site", "action": "pull", "effect": "allow", "rule": "readers", "at": "a.yaml:3"},
        {"resource": "repository:web/site", "action": "push", "effect": "allow", "rule": "writers", "at": "a.yaml:9"},
    ],
    "policy": "sha256:00",
    "outcome": "granted",
    "ms": 0.4,
}


def exchange(**members: Any) -> dict[str, Any]:
    """An exchange with these members; None leaves one out."""
    event = {**EXCHANGE, **members}
    return {name: value for name, value in event.items() if value is not None}


def line(event: dict[str, Any]) -> bytes:
    """The line of an event, as the server writes it."""
    return json.dumps(event, separators=(",", ":")).encode("ascii")


def log(*events: dict[str, Any] | bytes) -> bytes:
    """A log of events, and of lines as they are."""
    return b"".join((one if isinstance(one, bytes) else line(one)) + b"\n" for one in events)


REPORT: dict[str, Any] = {
    "time": "2026-11-03T12:05:00.100Z",
    "event": "registry",
    "request_id": "fedcba9876543210",
    "registry": "registry.example.com",
    "subject": "ann",
    "action": "push",
    "repository": "web/site",
    "tag": "1",
    "digest": "sha256:" + "0" * 64,
    "client": "10.1.2.3",
    "event_id": "e-1",
    "at": "2026-11-03T12:05:00.000Z",
    "used": ["repository:web/site:push"],
    "reported_by": "10.0.0.7",
}


def report(number: int = 1, **members: Any) -> dict[str, Any]:
    """A report of a registry with these members; None leaves one out."""
    event = {**REPORT, "event_id": f"e-{number}", **members}
    return {name: value for name, value in event.items() if value is not None}
