"""Recorded requests: three kinds of lines, and what is skipped."""

from __future__ import annotations

import json

import pytest

from tokenserver.importers.docker_auth.comparison.recorded import recorded_requests
from tokenserver.importers.docker_auth.model import (
    DockerAuthConfig,
    PeerRequest,
    PeerServerSettings,
    PeerTokenSettings,
    StaticUser,
)

LABELS = {"team": ("web",)}
CONFIG = DockerAuthConfig(
    "auth.yml", PeerServerSettings(), PeerTokenSettings(), {"ann": StaticUser("ann", 1, "x", LABELS)}, ()
)

LINES = {
    "written by hand": (
        {"account": "ann", "name": "a/b", "actions": ["pull"], "service": "one", "ip": "10.0.0.1"},
        PeerRequest("ann", "a/b", ("pull",), service="one", ip="10.0.0.1", labels=LABELS),
    ),
    "with labels": (
        {"account": "bob", "name": "a", "actions": [], "labels": {"team": ["x"]}, "type": "registry"},
        PeerRequest("bob", "a", (), type="registry", labels={"team": ("x",)}),
    ),
    "an audit event": (
        {
            "event": "exchange", "subject": "ann", "registry": "one", "client": "::1",
            "asked": ["repository:a/b:pull,push"],
        },
        PeerRequest("ann", "a/b", ("pull", "push"), service="one", ip="::1", labels=LABELS),
    ),
    "claims of docker_auth": (
        {"sub": "", "aud": "one", "access": [{"type": "repository", "name": "a", "actions": ["pull"]}]},
        PeerRequest("", "a", ("pull",), service="one"),
    ),
    "claims without actions": (
        {"sub": "", "aud": "one", "access": [{"type": "repository", "name": "a", "actions": None}]},
        PeerRequest("", "a", ("pull", "push", "delete", "*"), service="one"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), LINES.values(), ids=LINES)
def test_requests(content: dict[str, object], expected: PeerRequest) -> None:
    """Static accounts have the labels of the configuration."""
    found = recorded_requests([json.dumps(content), "", json.dumps(content)], CONFIG, 10)
    assert (list(found.requests.values()), dict(found.skipped)) == ([expected], {})


def test_a_prefix_of_a_log() -> None:
    """docker_auth writes the claims behind other text."""
    claims = '{"sub":"ann","aud":"one","access":[{"type":"repository","name":"a"}]}'
    line = f"I1130 server.go:1] New token for {{ann}} {{}}: {claims}"
    assert [one.account for one in recorded_requests([line], CONFIG, 10).requests.values()] == ["ann"]


SKIPPED = {
    "no JSON": ("hello", "no JSON"),
    "broken JSON": ('{"a"', "no JSON"),
    "a long line": ('{"a": "' + "x" * 300_000 + '"}', "no JSON"),
    "another event": ('{"event": "start"}', "another event"),
    "a broken scope": ('{"event": "exchange", "asked": ["x"]}', "a scope that cannot be read"),
    "access of another shape": ('{"aud": "one", "access": ["x"]}', "a token that cannot be read"),
    "labels of another shape": ('{"name": "a", "actions": [], "labels": 1}', "a field that cannot be read: labels"),
    "an address that is none": ('{"name": "a", "actions": [], "ip": "x"}', "a field that cannot be read: ip"),
    "a name of another type": ('{"name": 1, "actions": []}', "a field that cannot be read: name"),
    "actions of another type": ('{"name": "a", "actions": "pull"}', "a field that cannot be read: actions"),
}


@pytest.mark.parametrize(("line", "reason"), SKIPPED.values(), ids=SKIPPED)
def test_skipped(line: str, reason: str) -> None:
    """With the reason; nothing raises."""
    found = recorded_requests([line], CONFIG, 10)
    assert (list(found.requests), dict(found.skipped)) == ([], {reason: 1})


def test_the_limit() -> None:
    """Of different requests; equal ones count once."""
    lines = [json.dumps({"name": f"a{number}", "actions": []}) for number in (1, 2, 1)]
    found = recorded_requests(lines, CONFIG, 1)
    assert (len(found.requests), dict(found.skipped)) == (1, {"more requests than are compared": 1})


def test_access_that_is_no_list() -> None:
    """It is no request."""
    assert not recorded_requests(['{"aud": "one", "access": null}'], CONFIG, 1).requests
