"""An outage of a real issuer: the doctor, `/readyz` and metrics say the same of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import canaries
import pytest
from harness import web
from harness.processes import free_port, run
from harness.server import Setup, TokenServer, serving
from harness.waiting import PATIENCE_SECONDS
from harness.workload_issuer import workload_issuer

pytestmark = pytest.mark.real("workload-issuer")

POLICIES = {
    "root.yaml": """\
version: 1
workloads: {web: {from: github, claims: {repository_id: "74"}}}
allow: [{id: web, to: ["workload:web"], repositories: ["web/**"], role: writer}]
"""
}


def server_of(setup: Setup, issuer: str, metrics: int) -> Setup:
    """A server that trusts this issuer, and measures."""
    source = {"name": "github", "preset": "github_actions", "issuer": issuer}
    settings = {
        "server": {"workers": 1, "metrics": f"127.0.0.1:{metrics}"},
        "authentication": [{"htpasswd": {"file": "users.htpasswd"}}, {"workload": source}],
    }
    return replace(setup, policies=POLICIES, services={"universal.test": "universal"}, settings=settings)


def findings(server: TokenServer) -> list[dict[str, Any]]:
    """What the doctor says of the issuer."""
    output = run(server.command("doctor", "--json"), environment=server.environment, folder=server.folder)
    canaries.watch(output.text, "the output of doctor")
    found = json.loads(output.stdout)
    return [one for one in found if one["check"].startswith("workload")]


def measured(port: int) -> dict[str, float]:
    """The series about keys of issuers."""
    lines = web.request(port, "GET", "/metrics").body.decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("tokenserver_issuer_keys_"))
    return {name: float(value) for name, value in pairs}


def measured_when(port: int, holds: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    """The series once this holds; workers take a sample each second."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds(found := measured(port)):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


AGE = 'tokenserver_issuer_keys_age_seconds{source="github"}'
FAILING = 'tokenserver_issuer_keys_failing{source="github"}'


def test_an_outage(setup: Setup, tmp_path: Path) -> None:
    """All is well; a server that knows the keys needs no issuer; one that starts without it is ready, and says so."""
    for name in ("issuer", "before", "after"):
        (tmp_path / name).mkdir()
    port = free_port()
    with ExitStack() as up:
        issuer = up.enter_context(workload_issuer(tmp_path / "issuer"))
        with serving(tmp_path / "before", server_of(setup, issuer.url, port)) as server:
            (good,) = findings(server)
            assert (good["check"], good["ok"]) == ("workload issuer", True)
            known = measured_when(port, lambda series: series.get(FAILING) == 0)
            assert 0 <= known[AGE] < 60
            up.close()
            (down,) = findings(server)
            assert (down["ok"], down["ours"]) == (False, issuer.url)
            assert down["mend"].startswith(f"start the issuer at localhost:{issuer.port}, or correct issuer of github")
            assert server.request("GET", "/readyz").json().get("notes", {}) == {}
    with serving(tmp_path / "after", server_of(setup, issuer.url, port)) as server:
        answer = server.request("GET", "/readyz")
        assert answer.status == 200
        note = "the keys of its issuer could not be fetched yet; see the log"
        assert answer.json()["notes"] == {"github": note}
        assert AGE not in measured_when(port, lambda series: series.get(FAILING) == 1)
        assert [one["ok"] for one in findings(server)] == [False]
