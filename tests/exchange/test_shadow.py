"""The shadow policy: differences are recorded, answers stay as they are, and nothing about it can fail a request."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests_web_server import PASSWORDS, Lines, make_server, server_folder

from tokenserver.config.load import load_settings
from tokenserver.credentials import NoCredentials, Password, Secret
from tokenserver.errors import AuthenticationRequired
from tokenserver.exchange.observers import ObservedExchange, UnparsedRequest
from tokenserver.exchange.rulings import WorkloadFacts
from tokenserver.exchange.service import TokenRequest, TokenResult, TokenService
from tokenserver.exchange.shadow import ShadowPolicy
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.identity import Identity, Kind
from tokenserver.policy.loading.loader import load_policies
from tokenserver.scopes import parse_scopes
from tokenserver.server.compose import build, warnings

__all__ = ["server_folder"]

NOW = datetime(2026, 6, 1, tzinfo=UTC)

CANDIDATE = """\
version: 1
allow:
  - {id: public, to: [everyone], repositories: ["public/**"], actions: [pull]}
  - {id: team-new, to: ["user:ann"], repositories: ["team/**"], role: maintainer}
deny:
  - {id: no-push, to: [everyone], repositories: ["team/old/**"], actions: [push], message: old}
"""


def asked(*scopes: str, user: str | None = "ann") -> TokenRequest:
    """A request for these scopes."""
    credentials = NoCredentials() if user is None else Password(user, Secret(PASSWORDS[user]))
    return TokenRequest("id-1", "GET", "reg", parse_scopes(scopes), credentials, None, None)


class Shadowed(NamedTuple):
    """An exchange with a shadow policy."""

    exchange: ObservedExchange
    shadow: ShadowPolicy
    events: list[dict[str, Any]]
    snapshot: Snapshot


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    """The folder of the candidate."""
    folder = tmp_path / "candidate"
    folder.mkdir()
    (folder / "policy.yaml").write_text(CANDIDATE)
    return folder


@pytest.fixture
def shadowed(server_folder: Path, candidate: Path) -> Shadowed:
    """A real exchange that is observed by a shadow policy, the events it recorded, and its snapshot."""
    live = make_server(server_folder).parts
    snapshot = replace(live.live.snapshot(), candidate=load_policies(candidate, now=NOW))
    events: list[dict[str, Any]] = []
    shadow = ShadowPolicy(lambda: snapshot, events.append, now=NOW.timestamp)
    return Shadowed(ObservedExchange(live.exchange.service, [shadow], monotonic=lambda: 0.0), shadow, events, snapshot)


def test_a_difference_is_recorded_with_the_rules_of_both_sides(shadowed: Shadowed) -> None:
    """Subject, resource, gained and lost actions; equal decisions are not reported."""
    exchange, _, events, snapshot = shadowed
    result = exchange.exchange(asked("repository:team/old/a:pull,push,delete", "repository:public/a:pull"))
    assert result.token is not None
    assert [str(access) for access in result.token.access] == [
        "repository:team/old/a:pull,push",
        "repository:public/a:pull",
    ]
    assert snapshot.candidate is not None
    (event,) = events
    assert event == {
        "event": "shadow_difference",
        "request_id": "id-1",
        "registry": "reg",
        "subject": "ann",
        "resource": "repository:team/old/a",
        "gained": ["delete"],
        "lost": ["push"],
        "rules": {
            "live": [{"action": "push", "effect": "allow", "rule": "team", "at": "policy.yaml:6"}],
            "shadow": [
                {"action": "push", "effect": "deny", "rule": "no-push", "at": "policy.yaml:6"},
                {"action": "delete", "effect": "allow", "rule": "team-new", "at": "policy.yaml:4"},
            ],
        },
        "policy": snapshot.policies.digest,
        "shadow": snapshot.candidate.digest,
    }
    json.dumps(event)


def test_what_is_held_is_compared_with_what_would_be_held(shadowed: Shadowed) -> None:
    """At a registry with `grant: held`, the difference is in all actions, not in those asked alone."""
    exchange, shadow, events, _ = shadowed
    request = asked("repository:team/new/a:pull", "repository:public/a:pull")
    result = exchange.exchange(request)
    assert events == []
    ruling = result.ruling
    held = tuple(replace(one, granted=frozenset({"pull", "push"})) for one in ruling.decisions[:1])
    registry = replace(ruling.registry, holds=True)
    shadow.observe(request, result._replace(ruling=replace(ruling, registry=registry, decisions=held)), 0.0)
    assert [(event["gained"], event["lost"]) for event in events] == [(["delete"], [])]


def test_an_anonymous_client_is_compared_too(shadowed: Shadowed) -> None:
    """Where both grant the same, nothing is recorded."""
    exchange, _, events, _ = shadowed
    exchange.exchange(asked("repository:public/a:pull", user=None))
    assert events == []


JOB = Identity("workload:ci:1", Kind.WORKLOAD, "ci", claims=frozenset({("id", "7")}))


@pytest.mark.parametrize(
    ("declared", "identity", "lost"),
    [
        pytest.param("", Identity("robot:ci", Kind.ROBOT, "robots"), [["pull"]], id="an unknown robot"),
        pytest.param("robots: {ci: {description: builds}}", Identity("robot:ci", Kind.ROBOT), [], id="a robot"),
        pytest.param("", JOB, [["pull"]], id="an unknown workload"),
        pytest.param('workloads: {web: {from: ci, claims: {id: "8"}}}', JOB, [["pull"]], id="other claims"),
        pytest.param('workloads: {web: {from: ci, claims: {id: "7"}}}', JOB, [], id="a workload"),
    ],
)
def test_a_machine_that_the_candidate_does_not_declare(
    shadowed: Shadowed, candidate: Path, declared: str, identity: Identity, lost: list[list[str]]
) -> None:
    """It would not be let in, and loses what `everyone` may do."""
    exchange, shadow, events, snapshot = shadowed
    (candidate / "policy.yaml").write_text(f"{CANDIDATE}{declared}\n")
    shadow._snapshot = lambda: replace(snapshot, candidate=load_policies(candidate, now=NOW))
    request = asked("repository:public/a:pull", user=None)
    result = exchange.exchange(request)
    events.clear()
    shadow.observe(request, result._replace(ruling=replace(result.ruling, identity=identity)), 0.0)
    assert [event["lost"] for event in events] == lost
    assert {event["subject"] for event in events} <= {identity.subject}


def test_without_a_candidate_nothing_is_compared(shadowed: Shadowed) -> None:
    """The usual case costs nothing."""
    exchange, shadow, events, snapshot = shadowed
    shadow._snapshot = lambda: replace(snapshot, candidate=None)
    exchange.exchange(asked("repository:team/old/a:push"))
    assert events == []


def test_after_a_reload_in_between_nothing_is_compared(shadowed: Shadowed) -> None:
    """Decisions of two ages differ for reasons of their own."""
    exchange, shadow, events, snapshot = shadowed
    shadow._snapshot = lambda: replace(snapshot, policies=replace(snapshot.policies, digest="another"))
    exchange.exchange(asked("repository:team/old/a:push"))
    assert events == []


@pytest.mark.parametrize("compared", [True, False], ids=["the same candidate", "another one"])
def test_a_workload_is_compared_by_the_candidate_whose_claims_it_has(shadowed: Shadowed, compared: bool) -> None:
    """A ruling has the claims of a workload that mattered then; another candidate may look at others."""
    exchange, shadow, events, snapshot = shadowed
    request = asked("repository:public/a:pull", user=None)
    result = exchange.exchange(request)
    assert snapshot.candidate is not None
    candidate = snapshot.candidate.digest if compared else "another"
    ruling = replace(result.ruling, identity=JOB, workload=WorkloadFacts((), ()), candidate=candidate)
    shadow.observe(request, result._replace(ruling=ruling), 0.0)
    assert [event["lost"] for event in events] == [["pull"]] * compared


def fails(*_: object) -> Any:
    raise RuntimeError("canary-77")


@pytest.mark.parametrize("part", ["_snapshot", "_record", "_now"])
def test_no_fault_of_the_comparison_costs_a_token(
    shadowed: Shadowed, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer comes, and the log names the kind of the error and not its text."""
    exchange, shadow, _, _ = shadowed
    setattr(shadow, part, fails)
    with caplog.at_level(logging.ERROR, "tokenserver.shadow"):
        result = exchange.exchange(asked("repository:team/old/a:push"))
    assert result.token is not None
    assert [str(access) for access in result.token.access] == ["repository:team/old/a:push"]
    assert "id-1: not compared: RuntimeError" in caplog.text
    assert "canary" not in caplog.text


def test_an_error_of_the_exchange_passes(shadowed: Shadowed, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is, and nothing is compared."""
    exchange, _, events, _ = shadowed

    def refuses(_: TokenService, request: TokenRequest) -> TokenResult:
        assert request.request_id == "id-1"
        raise AuthenticationRequired

    monkeypatch.setattr(TokenService, "exchange", refuses)
    with pytest.raises(AuthenticationRequired):
        exchange.exchange(asked("repository:a:pull"))
    exchange.refused(UnparsedRequest("id-1", "GET", None), AuthenticationRequired(), 0.0)
    assert events == []


def test_an_explanation_is_not_compared(shadowed: Shadowed) -> None:
    """Only tokens are: an explanation gives nobody access."""
    exchange, _, events, _ = shadowed
    assert exchange.exchange(asked("repository:team/old/a:push")._replace(explain=True)).token is None
    assert events == []


# --- the whole server ------------------------------------------------------------------------------------------------

Configured = Callable[[str], tuple[Any, Lines]]


@pytest.fixture
def configured(server_folder: Path, candidate: Path) -> Configured:
    """A server with this candidate, and its audit events."""

    def configured(text: str) -> tuple[Any, Lines]:
        (candidate / "policy.yaml").write_text(text)
        make_server(server_folder)
        config = server_folder / "tokenserver-shadow.yaml"
        config.write_text((server_folder / "tokenserver-True-1.yaml").read_text() + f"shadow_policies: {candidate}\n")
        audit = Lines()
        return build(load_settings(config, {}), sink=audit), audit

    return configured


def test_the_server_records_differences_before_the_exchange(configured: Configured, candidate: Path) -> None:
    """In the audit trail, with a time; a changed candidate is taken without a restart."""
    parts, audit = configured(CANDIDATE)
    parts.exchange.exchange(asked("repository:team/a:delete"))
    assert [(one["event"], one["request_id"]) for one in audit.events] == [
        ("shadow_difference", "id-1"),
        ("exchange", "id-1"),
    ]
    assert audit.events[0]["time"] <= audit.events[1]["time"]
    (candidate / "policy.yaml").write_text(CANDIDATE.replace("maintainer", "writer"))
    assert [parts.live.look(), parts.live.look()] == [False, True]
    parts.exchange.exchange(asked("repository:team/a:delete"))
    assert [one["event"] for one in audit.events] == ["shadow_difference", "exchange", "change", "exchange"]


def test_a_faulty_candidate_stops_nothing(configured: Configured, caplog: pytest.LogCaptureFixture) -> None:
    """It is a warning in the log with file and line, and one of `check`; tokens are served."""
    with caplog.at_level(logging.WARNING, "tokenserver.compose"):
        parts, audit = configured("version: 1\nalow: []\n")
    assert "policy.yaml:2: alow: unknown key" in caplog.text
    parts.exchange.exchange(asked("repository:team/a:pull"))
    assert [one["outcome"] for one in audit.events] == ["granted"]
    (warning,) = [one for one in warnings(parts.settings, parts.live.snapshot()) if "shadow" in one]
    assert "was rejected" in warning
    assert parts.readiness()["files"] is None


def test_a_good_candidate_is_no_warning(configured: Configured) -> None:
    """There is nothing to report."""
    parts, _ = configured(CANDIDATE)
    assert [one for one in warnings(parts.settings, parts.live.snapshot()) if "shadow" in one] == []
