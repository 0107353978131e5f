"""Last uses of stored credentials outlive the server: they are written once a minute, and when a worker ends."""

from __future__ import annotations

import json
import time
from pathlib import Path

from harness import web
from harness.processes import run
from harness.server import Setup, TokenServer, serving

from tokenserver.storage.following.last_uses import FLUSH_SECONDS

SERVICE = "reg.test"
POLICIES = {"root.yaml": 'version: 1\nallow:\n  - {id: x, to: [authenticated], repositories: ["x"], actions: [pull]}\n'}
SETTINGS = {"storage": "state/tokenserver.db", "access_keys": {}, "server": {"workers": 2}}


def command(server: TokenServer, *arguments: str) -> str:
    """What a command prints."""
    output = run(
        server.command(*arguments, "--config", server.config), environment=server.environment, folder=server.folder
    )
    assert output.ok, output.stderr
    return output.stdout


def test_a_worker_that_ends_writes_them(tmp_path: Path) -> None:
    """A server that is stopped within the minute in which a key was used has written the use."""
    setup = Setup({"ann": "right"}, POLICIES, {SERVICE: "universal"}, SETTINGS)
    with serving(tmp_path, setup) as server:
        made = json.loads(command(server, "access-keys", "create", "--user", "ann", "--json"))
        begin = time.monotonic()
        answer = server.request("GET", web.token_target(SERVICE), headers=web.basic("ann", made["secret"]))
        assert answer.status == 200
        used = time.monotonic()
    assert used - begin < FLUSH_SECONDS - 5  # otherwise it would have been written anyway
    (row,) = json.loads(command(server, "access-keys", "list", "--json"))["access_keys"]
    assert row["last_used"] is not None
    assert row["last_used_from"] == "127.0.0.1"
