"""The events of zot: CloudEvents 1.0 over HTTP, in binary and in structured mode. Pure.

zot reports pushes and deletes of manifests. Its events have neither the client nor the subject of its token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenserver.documents.strict_json import InvalidJson, read_object
from tokenserver.errors import InvalidRequest
from tokenserver.notifications.facts import (
    DELETE,
    PUSH,
    RegistryDeed,
    Report,
    UnreadableReport,
    identifier_in,
    moment_in,
    repository_in,
    section_in,
    text_in,
)

STRUCTURED = "application/cloudevents+json"
"""The media type of structured mode, in which the attributes are in the body."""

VERSION_HEADER = "HTTP_CE_SPECVERSION"
"""The header of binary mode, in WSGI's spelling."""

_ATTRIBUTES = {"id": "HTTP_CE_ID", "type": "HTTP_CE_TYPE", "time": "HTTP_CE_TIME"}

_DEEDS = {"image.updated": PUSH, "image.deleted": DELETE}
_OTHERS = ("repository.created", "image.lint_failed")
"""What zot reports besides: the repository of a push, and a push that it refused."""


def is_cloud_event(media_type: str, headers: Mapping[str, Any]) -> bool:
    """Whether a request with this media type and these headers, in WSGI's spelling, carries a CloudEvent."""
    return media_type == STRUCTURED or VERSION_HEADER in headers


def read_cloud_event(body: bytes, media_type: str, headers: Mapping[str, Any]) -> list[Report]:
    """The report of an event; none for an event of another sort.

    Raises:
        InvalidRequest: the body is no JSON object.
    """
    try:
        content = read_object(body)
    except InvalidJson as error:
        raise InvalidRequest(f"the body {error}") from error
    if media_type == STRUCTURED:
        attributes: Mapping[str, Any] = content
        data = section_in(content, "data")
    else:
        attributes = {name: headers.get(header) for name, header in _ATTRIBUTES.items()}
        data = content
    return _reports(attributes, data)


def _reports(attributes: Mapping[str, Any], data: Mapping[str, Any]) -> list[Report]:
    identifier, kind = identifier_in(attributes, "id"), text_in(attributes, "type")
    # The prefix can be configured in zot.
    sort = ".".join(kind.split(".")[-2:])
    if sort in _OTHERS:
        return []
    if not identifier:
        return [UnreadableReport("it has no id")]
    action = _DEEDS.get(sort)
    if action is None:
        return [UnreadableReport("its type is unknown", identifier)]
    repository = repository_in(data, "name")
    if not repository:
        return [UnreadableReport("it names no repository", identifier)]
    digest, reference = text_in(data, "digest"), text_in(data, "reference")
    return [
        RegistryDeed(
            id=identifier,
            action=action,
            repository=repository,
            subject=None,
            at=moment_in(attributes, "time"),
            tag="" if ":" in reference else reference,
            digest=digest,
            media_type=text_in(data, "mediaType"),
        )
    ]
