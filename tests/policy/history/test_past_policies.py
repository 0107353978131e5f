"""Past policies of which a part had ended: the machines that were left, and the digest of exactly these."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from team_trees import NOW, put

from tokenserver.errors import LoadError
from tokenserver.policy.history.kept_snapshots import keep, read_kept
from tokenserver.policy.loading.loader import PolicyLoader

ROOT = """\
version: 1
delegate:
  - {file: teams/web.yaml, repositories: ["web/**"], actions: [pull, push, delete], robots: ["web-*"],
     workloads: {from: [github], claims: {repository_owner_id: "6*"}}}
allow: [{id: r, to: [authenticated], repositories: ["base/**"], role: reader}]
"""
TEAM = """\
version: 1
robots:
  web-ci: {description: a}
  web-old: {description: b}
workloads:
  web-job: {from: github, claims: {repository_owner_id: 65}}
  web-gone: {from: github, claims: {repository_owner_id: 66}}
allow:
  - {id: w, to: ["robot:web-ci", "robot:web-old", "workload:web-job", "workload:web-gone"], repositories: ["web/**"],
     role: writer}
tests: [{as: {robot: web-ci}, can: [push web/x]}]
"""
ENDED = TEAM.replace(', "robot:web-old"', "").replace(', "workload:web-gone"', "")
ENDED = "".join(line for line in ENDED.splitlines(keepends=True) if not line.startswith(("  web-old:", "  web-gone:")))
FAILING = ENDED.replace("can: [push web/x]", "can: [delete web/x]")


def test_machines_that_had_ended(tmp_path: Path) -> None:
    """A change that fails a test is not live, but for the machines that it ends; these policies are in no commit."""
    tree, kept = tmp_path / "policies", tmp_path / "kept"
    tree.mkdir()
    loader = PolicyLoader(tree)
    put(tree, {"root.yaml": ROOT, "teams/web.yaml": TEAM})
    before = loader.load(NOW)
    put(tree, {"root.yaml": ROOT, "teams/web.yaml": FAILING})
    live = loader.load(NOW)
    assert (set(live.robots), live.offered != "") == ({"web-ci"}, True)
    keep(kept, live, datetime(2026, 11, 3, tzinfo=UTC))
    past = read_kept(kept, live.digest)
    assert past is not None
    found = past.compiled(None, None)
    assert (found.digest, set(found.robots)) == (live.digest, {"web-ci"})
    assert set(found.groups.workloads.by_name) == set(live.groups.workloads.by_name)
    assert "web-gone" in before.groups.workloads.by_name.keys() - found.groups.workloads.by_name.keys()
    with pytest.raises(LoadError, match="was changed"):
        replace(past, machines=None).compiled(None, None)
