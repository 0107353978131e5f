"""A running server, a team whose test needs a right for one of its people, and a company that takes it away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import web
from harness.server import Setup, TokenServer, password, serving
from harness.waiting import until
from policy_files import COMPANY, company_deny, team_file

SERVICE = "registry.test"
PUSH = ["repository:web/x:pull,push"]

DENY = company_deny("mallory", "**")
WEB = team_file("mallory", "ann")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """Two workers."""
    people = {"mallory": password(), "ann": password()}
    policies = {"company.yaml": COMPANY, "teams/web.yaml": WEB}
    setup = Setup(people, policies, {SERVICE: "universal"}, {"server": {"workers": 2}})
    with serving(tmp_path_factory.mktemp("teams"), setup) as server:
        yield server


def actions(server: TokenServer, person: str) -> set[str]:
    """What the next worker grants this person in the team's repository."""
    access = web.claims(server.token(SERVICE, PUSH, person=person))["access"]
    return {action for entry in access for action in entry["actions"]}


def noted(server: TokenServer) -> str | None:
    """What `/readyz` notes about policies, of a server that is ready."""
    answer = server.request("GET", "/readyz")
    assert answer.status == 200, answer
    note = answer.json().get("notes", {}).get("policies")
    return None if note is None else str(note)


def write(path: Path, text: str) -> None:
    other = path.with_suffix(".new")
    other.write_text(text)
    other.replace(path)


def test_a_company_s_deny_holds_whatever_a_team_s_test_says(server: TokenServer) -> None:
    """It is live in every worker and after a restart; the team's next change goes live beside its broken test."""
    policies = server.folder / "policies"
    assert (actions(server, "mallory"), noted(server)) == ({"pull", "push"}, None)

    write(policies / "company.yaml", COMPANY + DENY)
    until(lambda: actions(server, "mallory") == {"pull"} and noted(server) is not None, in_a_row=10)
    assert noted(server) == (
        "tests of delegated files fail (policies/teams/web.yaml:5); see the log, or run: policy test"
    )
    assert "policies: " in server.daemon.log
    assert "web.yaml:5: tests[0].can[0]: test failed: expected that user mallory can push web/x" in server.daemon.log

    write(policies / "teams" / "web.yaml", WEB.replace(', "user:ann"', ""))
    until(lambda: actions(server, "ann") == set(), in_a_row=10)

    server.daemon.stop()
    server.daemon.start(server.is_ready)
    assert (actions(server, "mallory"), actions(server, "ann")) == ({"pull"}, set())
    assert "policies/teams/web.yaml:5" in str(noted(server))

    write(policies / "teams" / "web.yaml", WEB.replace("can:", "cannot:"))
    until(lambda: noted(server) is None and actions(server, "ann") == {"pull", "push"}, in_a_row=10)
