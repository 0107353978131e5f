"""Events that have a seal: their time, whether they say that they have one, and its text."""

from __future__ import annotations

import pytest

from tokenserver.audit.chain.seal_events import is_seal_event, seal_of_event, time_of_event

SEAL = (
    b'{"time":"2026-11-03T12:00:00.250Z","event":"audit_seal","seal":{"protected":"a","payload":"b","signature":"c"}}'
)


def test_a_seal() -> None:
    """In its compact form."""
    assert (is_seal_event(SEAL), time_of_event(SEAL)) == (True, "2026-11-03T12:00:00.250Z")
    assert seal_of_event(SEAL) == "a.b.c"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(SEAL[:-1], id="no JSON"),
        pytest.param(b"[" * 100_000, id="many levels"),
        pytest.param(SEAL.replace(b'"seal":', b'"other":'), id="no seal"),
        pytest.param(SEAL.replace(b'"c"', b"1"), id="a part that is no text"),
    ],
)
def test_no_seal(text: bytes) -> None:
    """Its text is empty, which no key has signed."""
    assert seal_of_event(text) == ""


def test_another_event() -> None:
    """Says nothing of a seal, whatever else is in it."""
    assert not is_seal_event(SEAL.replace(b'"audit_seal"', b'"exchange"'))
