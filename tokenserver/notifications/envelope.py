"""The envelope in which Distribution 2 and 3 send their events (its documentation: "Work with notifications"). Pure."""

from __future__ import annotations

from typing import Any

from tokenserver.documents.strict_json import InvalidJson, read_object
from tokenserver.errors import InvalidRequest
from tokenserver.notifications.facts import (
    DEEDS,
    RegistryDeed,
    Report,
    UnreadableReport,
    address_in,
    identifier_in,
    moment_in,
    repository_in,
    section_in,
    size_in,
    text_in,
)

MAX_EVENTS = 1000
"""The most events of one envelope. Distribution sends one at a time."""


def read_envelope(body: bytes) -> list[Report]:
    """The reports in an envelope, in its order; an event that cannot be read is `UnreadableReport` and stops no other.

    Raises:
        InvalidRequest: it is no envelope.
    """
    try:
        envelope = read_object(body)
    except InvalidJson as error:
        raise InvalidRequest(f"the body {error}") from error
    events = envelope.get("events")
    if not isinstance(events, list):
        raise InvalidRequest("the body is no envelope of events")
    if len(events) > MAX_EVENTS:
        raise InvalidRequest(f"the envelope has more than {MAX_EVENTS} events")
    return [_report(event) for event in events]


def _report(event: Any) -> Report:
    if not isinstance(event, dict):
        return UnreadableReport("it is no object")
    target, request = section_in(event, "target"), section_in(event, "request")
    identifier, action = identifier_in(event, "id"), event.get("action")
    repository = repository_in(target, "repository")
    if not identifier:
        return UnreadableReport("it has no id")
    if action not in DEEDS:
        return UnreadableReport("its action is unknown", identifier)
    if not repository:
        return UnreadableReport("it names no repository", identifier)
    return RegistryDeed(
        id=identifier,
        action=action,
        repository=repository,
        subject=text_in(section_in(event, "actor"), "name"),  # left out for anonymous clients
        at=moment_in(event, "timestamp"),
        tag=text_in(target, "tag"),
        digest=text_in(target, "digest"),
        media_type=text_in(target, "mediaType"),
        size=size_in(target, "size"),
        from_repository=repository_in(target, "fromRepository"),
        client=address_in(request, "addr"),
        user_agent=text_in(request, "useragent"),
        request_id=text_in(request, "id"),
        instance=text_in(section_in(event, "source"), "addr"),
    )
