"""`check` and the running server agree on every file, also where the server knows more than a start does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from harness.processes import Output, run
from harness.server import Setup, TokenServer, password, serving
from harness.waiting import until

MARKED = """\
version: 1
allow:
  - {id: web, to: ["user:ann"], repositories: ["web/**"], role: writer}
tests:
  - {as: {user: ann}, can: [push web/site]}
...
"""
CUT = MARKED.removesuffix("...\n")
DELEGATING = MARKED.replace(
    "tests:", 'delegate:\n  - {file: teams/a.yaml, repositories: ["a/**"], actions: [push]}\ntests:'
)
TEAM = """\
version: 1
allow:
  - {id: a, to: ["user:ann"], repositories: ["a/**"], actions: [push]}
tests:
  - {as: {user: ann}, can: [push a/x]}
...
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A running server with a root file and a file of a team."""
    policies = {"root.yaml": DELEGATING, "teams/a.yaml": TEAM}
    with serving(tmp_path_factory.mktemp("server"), Setup({"ann": password()}, policies, {"one": "universal"})) as made:
        yield made


def _check(server: TokenServer, *options: str) -> Output:
    command = server.command("check", "--config", server.config, *options)
    return run(command, environment=server.environment, folder=server.folder)


def _write(server: TokenServer, texts: Mapping[str, str | None]) -> None:
    """Write or remove policy files, each in one step."""
    for name, text in texts.items():
        path = server.folder / "policies" / name
        if text is None:
            path.unlink()
            continue
        fresh = server.folder / "fresh"
        fresh.write_text(text)
        os.replace(fresh, path)


Change = Callable[[TokenServer], None]

CHANGES = [
    pytest.param(lambda s: _write(s, {"first.yaml": MARKED.replace("id: web", "id: more")}), 0, id="another-file"),
    pytest.param(lambda s: _write(s, {"first.yaml": CUT.replace("id: web", "id: more")}), 2, id="another-file-cut"),
    pytest.param(
        lambda s: _write(
            s, {"root.yaml": DELEGATING.removesuffix("...\n"), "teams/a.yaml": TEAM.removesuffix("...\n")}
        ),
        1,
        id="every-file-without-its-end",
    ),
    pytest.param(lambda s: _write(s, {"teams/a.yaml": TEAM.replace("push a/x", "push b/x")}), 2, id="foreign-test"),
    pytest.param(
        lambda s: _write(s, {"teams/a.yaml": TEAM.replace("can:", "cannot:")}), 1, id="failing-test-of-a-team"
    ),
    pytest.param(lambda s: _write(s, {"root.yaml": DELEGATING.replace("can:", "cannot:")}), 2, id="failing-test"),
    pytest.param(lambda s: _write(s, {"root.yaml": DELEGATING.replace("web/**", "site/**")}), 2, id="broken-test"),
]


@pytest.mark.parametrize(("change", "code"), CHANGES)
def test_check_says_what_the_server_does(server: TokenServer, change: Change, code: int) -> None:
    """Right after the change: exit code 0 where it is live, another one where the server keeps the previous files."""
    try:
        change(server)
        checked = _check(server)
        files = server.request("GET", "/readyz").json()["parts"]["files"]
        assert checked.code == code, checked
        if code:
            # The server may still be looking at what `check` has refused by itself.
            until(lambda: server.request("GET", "/readyz").json()["parts"]["files"] != "ok")
        else:
            assert files == "ok", checked
        if code == 1:
            assert f"The server that runs at 127.0.0.1:{server.port} keeps its previous files" in checked.stderr
            facts = json.loads(_check(server, "--json").stdout)
            assert (facts["ok"], facts["running"]) == (False, files)
    finally:
        _write(server, {"root.yaml": DELEGATING, "teams/a.yaml": TEAM})
        if (server.folder / "policies" / "first.yaml").exists():
            _write(server, {"first.yaml": None})
    assert _check(server).ok


def test_the_fix_of_a_missing_end_works(server: TokenServer) -> None:
    """The command in the message, as it stands."""
    _write(server, {"first.yaml": CUT.replace("id: web", "id: more").removesuffix("\n")})
    try:
        checked = _check(server)
        assert checked.code == 2
        (fix,) = [line.partition("fix, if it is: ")[2] for line in checked.stderr.splitlines() if "fix, if" in line]
        done = run(["sh", "-c", fix], environment=server.environment, folder=server.folder)
        assert done.ok, done
        assert _check(server).ok
    finally:
        _write(server, {"first.yaml": None})


def test_without_a_server_it_does_not_wait(tmp_path: Path) -> None:
    """And says nothing about one."""
    setup = Setup({"ann": password()}, {"root.yaml": MARKED}, {"one": "universal"})
    server = TokenServer(tmp_path, setup)
    try:
        facts = json.loads(_check(server, "--json").stdout)
        assert (facts["ok"], facts["running"]) == (True, None)
    finally:
        server.wire.close()
