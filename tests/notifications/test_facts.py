"""Reports of registries: what is kept of them, and their events."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.audit.events import REPORT, member_of_granted
from tokenserver.exchange.audit_events import MAX_EVENT, MAX_TEXT, members
from tokenserver.notifications.facts import (
    BLOB_TYPE,
    RegistryDeed,
    UnreadableReport,
    address_in,
    audit_event,
    moment_in,
    repository_in,
    section_in,
    size_in,
    text_in,
)

PUSHED = RegistryDeed(
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
    instance="registry:5000",
)


def event(report: RegistryDeed | UnreadableReport) -> dict[str, Any]:
    """The event of a report of one registry."""
    return audit_event(report, registry="reg", request_id="0123", reported_by="10.0.0.7")


def test_an_event() -> None:
    """All that is known, by the names that exchanges have for it."""
    assert event(PUSHED) == {
        "event": "registry",
        "request_id": "0123",
        "registry": "reg",
        "subject": "ann",
        "action": "push",
        "repository": "web/site",
        "tag": "1",
        "digest": "sha256:00",
        "media_type": "application/vnd.oci.image.manifest.v1+json",
        "size": 401,
        "client": "10.1.2.3",
        "user_agent": "docker/28",
        "registry_request_id": "r-1",
        "instance": "registry:5000",
        "event_id": "e-1",
        "at": "2026-11-03T12:00:00.250Z",
        "used": ["repository:web/site:push"],
        "reported_by": "10.0.0.7",
    }


def test_the_search_of_the_trail_knows_reports() -> None:
    """By what they are, and by the member that has what a token had to grant."""
    written = event(PUSHED)
    assert (written["event"], member_of_granted(written)) == (REPORT, "used")


def test_what_is_unknown_is_left_out() -> None:
    """An anonymous client has an empty subject; one of which the registry says nothing has none. A size may be 0."""
    bare = RegistryDeed(id="e-1", action="delete", repository="a", subject="", size=0)
    start = {"event": "registry", "request_id": "0123", "registry": "reg"}
    end = {"action": "delete", "repository": "a", "event_id": "e-1", "used": ["repository:a:delete"]}
    assert event(bare) == {**start, "subject": "", **end, "size": 0, "reported_by": "10.0.0.7"}
    assert "subject" not in event(replace(bare, subject=None))


def test_an_unreadable_report_is_recorded() -> None:
    """With its id, if it had one, and why it cannot be read."""
    found = event(UnreadableReport("its action is unknown", "e-9"))
    assert found["action"] == "unreadable"
    assert (found["event_id"], found["reason"]) == ("e-9", "its action is unknown")
    assert "event_id" not in event(UnreadableReport("it is no object"))


@pytest.mark.parametrize(
    ("changes", "used"),
    [
        pytest.param({}, ["repository:web/site:push"], id="push"),
        pytest.param({"action": "pull"}, ["repository:web/site:pull"], id="pull"),
        pytest.param({"action": "delete"}, ["repository:web/site:delete"], id="delete"),
        pytest.param(
            {"action": "mount", "from_repository": "base/os"},
            ["repository:web/site:push", "repository:base/os:pull"],
            id="mount",
        ),
        pytest.param({"action": "mount"}, ["repository:web/site:push"], id="mount from nowhere"),
    ],
)
def test_what_a_token_had_to_grant(changes: dict[str, str], used: list[str]) -> None:
    """A mount is a push to one repository and a pull from another."""
    assert replace(PUSHED, **changes).used == used  # type: ignore[arg-type]  # texts alone


@pytest.mark.parametrize(
    ("action", "media_type", "tag", "is_blob"),
    [
        pytest.param("push", BLOB_TYPE, "", True, id="push of a blob"),
        pytest.param("pull", BLOB_TYPE, "", True, id="pull of a blob"),
        pytest.param("mount", BLOB_TYPE, "", False, id="mount"),
        pytest.param("delete", BLOB_TYPE, "", False, id="delete"),
        pytest.param("push", BLOB_TYPE, "1", False, id="with a tag"),
        pytest.param("push", "application/vnd.oci.image.manifest.v1+json", "", False, id="manifest by digest"),
        pytest.param("push", "", "", False, id="of an unknown type"),
    ],
)
def test_blobs(action: str, media_type: str, tag: str, is_blob: bool) -> None:
    """Pushes and pulls of what has the type of every blob; mounts and deletes have no other report."""
    assert replace(PUSHED, action=action, media_type=media_type, tag=tag).is_blob is is_blob


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("a", "a", id="text"),
        pytest.param("a" * 300, "a" * MAX_TEXT + "…", id="long"),
        pytest.param(None, "", id="none"),
        pytest.param(7, "", id="number"),
        pytest.param(["a"], "", id="list"),
        pytest.param("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln", "<JWT>", id="token"),
    ],
)
def test_texts(value: object, text: str) -> None:
    """Truncated, and never a credential (docs/design/threats.md#threat-226)."""
    assert text_in({"name": value}, "name") == text


@pytest.mark.parametrize(
    ("value", "size"),
    [(0, 0), (401, 401), (-1, None), (2**63, None), (1.5, None), (True, None), ("1", None), (None, None)],
)
def test_sizes(value: object, size: int | None) -> None:
    """A number of bytes that a file can have."""
    assert size_in({"size": value}, "size") == size


def test_sections() -> None:
    """What is no section is an empty one."""
    assert section_in({"a": {"b": 1}}, "a") == {"b": 1}
    assert section_in({"a": None}, "a") == section_in({"a": []}, "a") == section_in({"a": "b"}, "a") == {}


@pytest.mark.parametrize(
    ("value", "name"),
    [("web/site", "web/site"), ("Web", ""), ("a/../b", ""), ("a" * 256, ""), ("", ""), (None, ""), ("a\x1b[2J", "")],
)
def test_repositories(value: object, name: str) -> None:
    """A name that a registry can have."""
    assert repository_in({"name": value}, "name") == name


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        pytest.param("2026-11-03T12:00:00.250123456Z", "2026-11-03T12:00:00.250Z", id="nanoseconds"),
        pytest.param("2026-11-03T13:00:00+01:00", "2026-11-03T12:00:00.000Z", id="zone"),
        pytest.param("2026-11-03T12:00:00", "", id="no zone"),
        pytest.param("2026-11-03", "", id="day"),
        pytest.param("0001-01-01T00:00:00+23:00", "", id="before all times"),
        pytest.param("yesterday", "", id="no time"),
        pytest.param("2026-11-03T12:00:00." + "0" * 90 + "Z", "", id="long"),
        pytest.param(1762171200, "", id="number"),
    ],
)
def test_moments(value: object, moment: str) -> None:
    """A time with a zone, as events spell it."""
    assert moment_in({"timestamp": value}, "timestamp") == moment


@pytest.mark.parametrize(
    ("value", "address"),
    [
        pytest.param("10.1.2.3:51234", "10.1.2.3", id="with port"),
        pytest.param("10.1.2.3", "10.1.2.3", id="bare"),
        pytest.param("[2001:db8::1]:51234", "2001:db8::1", id="IPv6 with port"),
        pytest.param("[2001:db8::1]", "2001:db8::1", id="IPv6 in brackets"),
        pytest.param("2001:db8::1", "2001:db8::1", id="bare IPv6"),
        pytest.param("runner.example.com:1", "runner.example.com:1", id="name"),
        pytest.param("", "", id="empty"),
        pytest.param(None, "", id="none"),
    ],
)
def test_addresses(value: object, address: str) -> None:
    """That of the client, as events of exchanges have it."""
    assert address_in({"addr": value}, "addr") == address


@given(st.dictionaries(st.sampled_from(["id", "tag", "digest", "user_agent", "instance"]), st.text()))
def test_whatever_is_sent_fits_into_one_line(texts: dict[str, str]) -> None:
    """Its event is ASCII without control characters, and short (docs/design/threats.md#threat-226)."""
    cut = {name: text_in(texts, name) for name in texts}
    line = members(event(replace(PUSHED, **cut)))  # type: ignore[arg-type]  # texts alone
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < MAX_EVENT
    assert json.loads("{" + line + "}")["registry"] == "reg"
