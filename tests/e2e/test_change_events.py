"""Audit events about changes, from a real server with three workers: one for each change, before it is in force."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.json_lines import whole_lines
from harness.own_time import promptly
from harness.server import Setup, TokenServer, password, serving
from harness.web import basic

pytestmark = pytest.mark.waits

SERVICE = "registry.test"
RULE = "  - {{id: {}, to: [authenticated], repositories: ['{}/**'], role: reader}}\n"
POLICY = "version: 1\nallow:\n" + RULE.format("all", "web") + "...\n"
OTHER = "version: 1\nallow:\n" + RULE.format("more", "api") + "...\n"
PEOPLE = {"ann": password(), "bob": password()}
SECONDS = 5.0
QUIET_SECONDS = 1.5
"""Longer than the slowest worker is behind the first one: all look twice a second."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    setup = Setup(PEOPLE, {"p.yaml": POLICY}, {SERVICE: "universal"}, {"server": {"workers": 3}})
    with serving(tmp_path_factory.mktemp("changes"), setup) as server:
        yield server


class Trail:
    """The events of a server since the mark."""

    def __init__(self, server: TokenServer) -> None:
        self._server = server
        self._file = server.daemon.stdout
        self._mark = self._file.stat().st_size

    def events(self) -> list[dict[str, Any]]:
        return whole_lines(self._file.read_bytes()[self._mark :])

    def changes(self, what: str, count: int = 1) -> list[dict[str, Any]]:
        """The changes of this kind once there are as many, and once no further ones come."""
        return wait(self._server, lambda: self._changes(what), count)

    def _changes(self, what: str) -> list[dict[str, Any]]:
        return [one for one in self.events() if (one["event"], one.get("what")) == ("change", what)]


def wait(server: TokenServer, found: Callable[[], list[dict[str, Any]]], count: int) -> list[dict[str, Any]]:
    promptly(server.daemon.pid, lambda: len(found()) >= count, seconds=SECONDS)
    time.sleep(QUIET_SECONDS)
    return found()


def all_changes(server: TokenServer, what: str) -> list[dict[str, Any]]:
    events = whole_lines(server.daemon.stdout)
    return [one for one in events if (one["event"], one.get("what")) == ("change", what)]


def facts(event: dict[str, Any]) -> dict[str, Any]:
    """The event without what is of the moment, or has a row of its own."""
    return {name: value for name, value in event.items() if name not in {"time", "event", "what", "old", "new", "name"}}


def policy_of_a_request(server: TokenServer, trail: Trail) -> str:
    server.request("GET", f"/token?service={SERVICE}", headers=basic("ann", PEOPLE["ann"]))
    found = wait(server, lambda: [one for one in trail.events() if one["event"] == "exchange"], 1)
    return str(found[-1]["policy"])


def replace(path: Path, text: str) -> None:
    other = path.with_name(f".{path.name}.new")
    other.write_text(text)
    other.chmod(path.stat().st_mode if path.exists() else 0o600)
    os.replace(other, path)


def test_the_start(server: TokenServer) -> None:
    """Each kind has one event with the digest in force, whatever the number of workers."""
    for what in ("configuration", "policies", "users", "keys"):
        events = wait(server, partial(all_changes, server, what), 1)
        starts = [event for event in events if event["cause"] == "start"]
        assert [(event["outcome"], "old" in event, len(event["new"])) for event in starts] == [("in_force", False, 64)]


def test_policies(server: TokenServer) -> None:
    """Files by name, and digests that chain: the old one is the last new one, the new one that of exchanges."""
    folder = server.folder / "policies"
    before = all_changes(server, "policies")[-1]["new"]
    trail = Trail(server)
    replace(folder / "q.yaml", OTHER)
    (event,) = trail.changes("policies")
    assert facts(event) == {"cause": "reload", "added": ["q.yaml"], "outcome": "in_force"}
    assert (event["old"], event["new"]) == (before, policy_of_a_request(server, trail))

    trail = Trail(server)
    replace(folder / "q.yaml", OTHER.replace("reader", "writer"))
    (changed,) = trail.changes("policies")
    assert facts(changed) == {"cause": "reload", "changed": ["q.yaml"], "outcome": "in_force"}
    (folder / "q.yaml").unlink()
    *_, removed = trail.changes("policies", 2)
    assert facts(removed) == {"cause": "reload", "removed": ["q.yaml"], "outcome": "in_force"}
    assert [changed["old"], removed["old"], removed["new"]] == [event["new"], changed["new"], before]


def test_a_rejected_file(server: TokenServer) -> None:
    """A broken file has an event that says which digest stays in force; so has its correction, even back to before."""
    path = server.folder / "policies" / "p.yaml"
    before = all_changes(server, "policies")[-1]["new"]
    trail = Trail(server)
    replace(path, POLICY.replace("reader", "raeder"))
    (event,) = trail.changes("policies")
    assert (event["outcome"], event["in_force"], len(event["problems"])) == ("rejected", before, 1)
    assert "raeder" in event["problems"][0]
    assert not {"old", "new"} & event.keys()
    replace(path, POLICY)
    _, corrected = trail.changes("policies", 2)
    assert (corrected["outcome"], corrected["old"], corrected["new"]) == ("in_force", before, before)


def test_a_file_that_is_only_written_again(server: TokenServer) -> None:
    """The same content is no change."""
    trail = Trail(server)
    replace(server.folder / "policies" / "p.yaml", POLICY)
    assert trail.changes("policies", 0) == []


def test_users(server: TokenServer) -> None:
    """Names of users and the digest of the file; nothing of a password."""
    file = server.folder / "users.htpasswd"
    trail = Trail(server)
    server.run("users", "set", "eve", "--file", file, stdin=password())
    (event,) = trail.changes("users")
    assert facts(event) == {"cause": "reload", "added": ["eve"], "outcome": "in_force"}
    assert event["new"] == hashlib.sha256(file.read_bytes()).hexdigest()
    server.run("users", "disable", "eve", "--file", file)
    *_, disabled = trail.changes("users", 2)
    assert facts(disabled) == {"cause": "reload", "changed": ["eve"], "outcome": "in_force"}
    assert "$2" not in json.dumps(trail.events())


def test_keys(server: TokenServer) -> None:
    """A key that is added, and then takes over from another one."""
    trail = Trail(server)
    server.run("keys", "rotate", "--config", server.config)
    (added,) = trail.changes("keys")
    (key,) = added["added"]
    assert facts(added) == {"cause": "reload", "added": [key], "outcome": "in_force"}
    server.run("keys", "rotate", "--now", "--config", server.config)
    events = trail.changes("keys", 2)[1:]
    assert events[0]["activated"] == [key]
    assert [event["old"] for event in events] == [event["new"] for event in [added, *events[:-1]]]


def test_the_configuration(server: TokenServer) -> None:
    """The keys that differ, by name; then a broken file, and its correction."""
    text = server.config.read_text()
    settings = yaml.safe_load(text)
    trail = Trail(server)
    replace(server.config, yaml.safe_dump({**settings, "anonymous": not settings.get("anonymous", False)}))
    (event,) = trail.changes("configuration")
    assert facts(event) == {"cause": "reload", "keys": ["anonymous"], "outcome": "in_force"}
    assert event["old"] != event["new"]
    replace(server.config, "nonsense: true\n")
    _, rejected = trail.changes("configuration", 2)
    assert (rejected["outcome"], rejected["in_force"]) == ("rejected", event["new"])
    replace(server.config, text)
    back = trail.changes("configuration", 3)[2:]
    assert {one["outcome"] for one in back} == {"in_force"}
    assert back[-1]["new"] == event["old"]


def test_a_worker_that_dies(server: TokenServer) -> None:
    """Its successor reports nothing that is known; a change right after is reported once."""
    trail = Trail(server)
    os.kill(server.daemon.children[0], signal.SIGKILL)
    replace(server.folder / "policies" / "r.yaml", OTHER)
    (event,) = trail.changes("policies")
    assert facts(event) == {"cause": "reload", "added": ["r.yaml"], "outcome": "in_force"}
    os.kill(server.daemon.children[-1], signal.SIGKILL)
    assert trail.changes("policies") == [event]
    (server.folder / "policies" / "r.yaml").unlink()
    assert len(trail.changes("policies", 2)) == 2


def test_git(tmp_path: Path) -> None:
    """Policies in a repository have the commit, the branch, and whether what is in force is what was committed."""
    setup = Setup(PEOPLE, {"p.yaml": POLICY}, {SERVICE: "universal"}, {"server": {"workers": 2}})
    folder = tmp_path / "policies"
    with serving(tmp_path, setup) as server:
        identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]

        def git(*arguments: str) -> str:
            command = ["git", "-C", str(folder), *identity, *arguments]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

        git("init", "--initial-branch=main")
        git("add", ".")
        git("commit", "--message=first")
        trail = Trail(server)
        replace(folder / "q.yaml", OTHER)
        (dirty,) = trail.changes("policies")
        assert (dirty["revision"], dirty["branch"], dirty["clean"]) == (git("rev-parse", "HEAD"), "main", False)
        git("add", ".")
        git("commit", "--message=second")
        git("checkout", "--detach", "HEAD~1")
        *_, clean = trail.changes("policies", 2)
        assert (clean["revision"], clean.get("branch"), clean["clean"]) == (git("rev-parse", "HEAD"), None, True)
        assert clean["removed"] == ["q.yaml"]


def test_what_changed_while_no_server_ran(tmp_path: Path) -> None:
    """With a storage, the events of a start say what was in force before, and since when."""
    settings = {"server": {"workers": 2}, "storage": "state/tokenserver.db"}
    setup = Setup(PEOPLE, {"p.yaml": POLICY}, {SERVICE: "universal"}, settings)
    with serving(tmp_path, setup) as server:
        kinds = ("configuration", "policies", "users", "keys")
        first = {what: wait(server, partial(all_changes, server, what), 1)[0] for what in kinds}
        assert not any("old" in event for event in first.values())
        server.daemon.stop()
        server.daemon.stdout.rename(tmp_path / "first")
        replace(server.folder / "policies" / "q.yaml", OTHER)
        server.daemon.start(server.is_ready)
        second = {what: wait(server, partial(all_changes, server, what), 1)[0] for what in kinds}
    assert all(event["cause"] == "start" for event in second.values())
    assert {what: event["old"] for what, event in second.items()} == {what: first[what]["new"] for what in kinds}
    assert [what for what, event in second.items() if event["old"] != event["new"]] == ["policies"]
    assert all(event["old_at"][:22] <= first[what]["time"] for what, event in second.items())
