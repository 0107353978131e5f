"""Envelopes of Distribution: every event is read, or recorded as unreadable, and nothing else is taken for one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokenserver.errors import InvalidRequest
from tokenserver.notifications.envelope import MAX_EVENTS, read_envelope
from tokenserver.notifications.facts import DEEDS, RegistryDeed, UnreadableReport

EVENT: dict[str, Any] = {
    "id": "e-1",
    "timestamp": "2026-11-03T12:00:00.250123456Z",
    "action": "push",
    "target": {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": "sha256:00",
        "size": 401,
        "length": 401,
        "repository": "web/site",
        "url": "http://registry.example.com/v2/web/site/manifests/sha256:00",
        "tag": "1",
        "references": [{"mediaType": "x", "digest": "sha256:01", "size": 1, "platform": {"os": "linux"}}],
    },
    "request": {
        "id": "r-1",
        "addr": "10.1.2.3:51234",
        "host": "registry.example.com",
        "method": "PUT",
        "useragent": "docker/28",
    },
    "actor": {"name": "ann"},
    "source": {"addr": "registry-1:5000", "instanceID": "i-1"},
}


def envelope(*events: object) -> bytes:
    """An envelope with these events."""
    return json.dumps({"events": events}).encode()


def changed(**members: Any) -> dict[str, Any]:
    """The event with these members; None leaves one out."""
    return {name: value for name, value in {**EVENT, **members}.items() if value is not None}


def test_an_event_of_distribution() -> None:
    """All of it that the trail has a use for."""
    assert read_envelope(envelope(EVENT)) == [
        RegistryDeed(
            id="e-1",
            action="push",
            repository="web/site",
            subject="ann",
            at="2026-11-03T12:00:00.250Z",
            tag="1",
            digest="sha256:00",
            media_type="application/vnd.oci.image.manifest.v1+json",
            size=401,
            client="10.1.2.3",
            user_agent="docker/28",
            request_id="r-1",
            instance="registry-1:5000",
        )
    ]


def test_an_anonymous_client() -> None:
    """Distribution leaves out what is empty."""
    (found,) = read_envelope(envelope(changed(actor={}, request={}, source=None)))
    assert isinstance(found, RegistryDeed)
    assert (found.subject, found.client, found.instance) == ("", "", "")


@pytest.mark.parametrize(
    ("event", "report"),
    [
        pytest.param("push", UnreadableReport("it is no object"), id="text"),
        pytest.param(None, UnreadableReport("it is no object"), id="null"),
        pytest.param(changed(id=None), UnreadableReport("it has no id"), id="no id"),
        pytest.param(changed(id=7), UnreadableReport("it has no id"), id="number as id"),
        pytest.param(changed(action="heal"), UnreadableReport("its action is unknown", "e-1"), id="unknown action"),
        pytest.param(changed(action=["push"]), UnreadableReport("its action is unknown", "e-1"), id="list of actions"),
        pytest.param(changed(target={}), UnreadableReport("it names no repository", "e-1"), id="no repository"),
        pytest.param(
            changed(target={"repository": "A B"}), UnreadableReport("it names no repository", "e-1"), id="bad name"
        ),
    ],
)
def test_an_unreadable_event_stops_no_other(event: object, report: UnreadableReport) -> None:
    """Distribution would send the envelope again for ever, and nothing after it."""
    found = read_envelope(envelope(event, EVENT))
    assert found[0] == report
    assert isinstance(found[1], RegistryDeed)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(b"", "the body is not JSON", id="nothing"),
        pytest.param(b"[]", "the body is not a JSON object", id="list"),
        pytest.param(b"{}", "the body is no envelope of events", id="no events"),
        pytest.param(b'{"events": {}}', "the body is no envelope of events", id="events are no list"),
        pytest.param(b'{"events": [], "events": []}', "the body has a duplicate member", id="twice"),
        pytest.param(b'{"events": [' + b"[" * 40 + b"]" * 40 + b"]}", "the body has more than 16 levels", id="deep"),
        pytest.param(
            envelope(*[None] * (MAX_EVENTS + 1)), f"the envelope has more than {MAX_EVENTS} events", id="many"
        ),
    ],
)
def test_what_is_no_envelope(body: bytes, problem: str) -> None:
    """Refused, with a reason that repeats nothing of it (docs/design/threats.md#threat-226)."""
    with pytest.raises(InvalidRequest) as caught:
        read_envelope(body)
    assert str(caught.value) == problem


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(sorted(EVENT)), inner, max_size=5),
    max_leaves=20,
)


@given(JSON)
@example({**EVENT, "actor": "ann"})
@example({**EVENT, "target": {"repository": "a", "size": "1"}})
def test_whatever_an_event_is(event: object) -> None:
    """It is one report: a deed with a known action on a repository, or unreadable."""
    (found,) = read_envelope(envelope(event))
    if isinstance(found, RegistryDeed):
        assert found.action in DEEDS
        assert found.repository
        assert found.id
    else:
        assert found.reason
