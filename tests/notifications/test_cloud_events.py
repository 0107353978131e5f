"""CloudEvents of zot, in binary and structured mode."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.errors import InvalidRequest
from tokenserver.notifications.cloud_events import STRUCTURED, is_cloud_event, read_cloud_event
from tokenserver.notifications.facts import RegistryDeed, Report, UnreadableReport

HEADERS = {
    "HTTP_CE_SPECVERSION": "1.0",
    "HTTP_CE_ID": "e-1",
    "HTTP_CE_TYPE": "zotregistry.image.updated",
    "HTTP_CE_TIME": "2026-11-03T12:00:00.25Z",
}
DATA = {
    "name": "web/site",
    "reference": "1",
    "digest": "sha256:00",
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "manifest": '{"schemaVersion":2}',
}
PUSHED = RegistryDeed(
    id="e-1",
    action="push",
    repository="web/site",
    subject=None,
    at="2026-11-03T12:00:00.250Z",
    tag="1",
    digest="sha256:00",
    media_type="application/vnd.oci.image.manifest.v1+json",
)


def binary(data: object = None, **headers: Any) -> list[Report]:
    """What is read of an event in binary mode."""
    sent = {**HEADERS, **{f"HTTP_CE_{name.upper()}": value for name, value in headers.items()}}
    return read_cloud_event(json.dumps(DATA if data is None else data).encode(), "application/json", sent)


def test_a_push() -> None:
    """In both modes alike; zot says neither whose it was nor from where."""
    structured = {"specversion": "1.0", "id": "e-1", "type": "zotregistry.image.updated", "data": DATA}
    body = json.dumps({**structured, "time": HEADERS["HTTP_CE_TIME"]}).encode()
    assert binary() == read_cloud_event(body, STRUCTURED, {}) == [PUSHED]


@pytest.mark.parametrize(
    ("kind", "actions"),
    [
        pytest.param("zotregistry.image.updated", ["push"], id="push"),
        pytest.param("zotregistry.image.deleted", ["delete"], id="delete"),
        pytest.param("com.example.registry.image.deleted", ["delete"], id="another prefix"),
        pytest.param("zotregistry.repository.created", [], id="a repository"),
        pytest.param("zotregistry.image.lint_failed", [], id="a refused push"),
    ],
)
def test_sorts(kind: str, actions: list[str]) -> None:
    """Pushes and deletes; what zot reports besides is no deed."""
    assert [one.action for one in binary(type=kind) if isinstance(one, RegistryDeed)] == actions
    assert len(binary(type=kind)) == len(actions)


def test_a_reference_may_be_a_digest() -> None:
    """Then there is no tag."""
    (found,) = binary({**DATA, "reference": "sha256:00"})
    assert isinstance(found, RegistryDeed)
    assert (found.tag, found.digest) == ("", "sha256:00")


@pytest.mark.parametrize(
    ("data", "headers", "report"),
    [
        pytest.param(DATA, {"id": None}, UnreadableReport("it has no id"), id="no id"),
        pytest.param(DATA, {"type": "a.b"}, UnreadableReport("its type is unknown", "e-1"), id="unknown type"),
        pytest.param({}, {}, UnreadableReport("it names no repository", "e-1"), id="no repository"),
    ],
)
def test_unreadable(data: object, headers: dict[str, Any], report: UnreadableReport) -> None:
    """Recorded with the reason."""
    assert binary(data, **headers) == [report]


def test_what_is_no_event() -> None:
    """Refused: zot sends each event once, and its log says that it was refused."""
    with pytest.raises(InvalidRequest, match=r"^the body is not JSON$"):
        read_cloud_event(b"{", "application/json", HEADERS)


def test_which_requests_have_one() -> None:
    """By the media type or by the headers."""
    assert is_cloud_event(STRUCTURED, {})
    assert is_cloud_event("application/json", HEADERS)
    assert not is_cloud_event("application/json", {"HTTP_CE_ID": "e-1"})


@given(st.dictionaries(st.sampled_from(["id", "type", "time", "data", *DATA]), st.none() | st.text() | st.integers()))
def test_whatever_is_sent(content: dict[str, Any]) -> None:
    """At most one report, in either mode, and no error."""
    body = json.dumps(content).encode()
    assert len(read_cloud_event(body, STRUCTURED, {})) <= 1
    assert len(read_cloud_event(body, "application/json", HEADERS)) == 1
