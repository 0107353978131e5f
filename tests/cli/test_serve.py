"""`tokenserver serve`: what ends the start, with its exit code."""

from __future__ import annotations

import json
import re
import socket
from datetime import datetime
from pathlib import Path

import pytest
from log_lines import messages_in
from site_commands import Run
from terminal_commands import at_terminal


def test_serve_refuses_what_check_refuses(run: Run, made: Path) -> None:
    """The start runs the same checks and ends with the same code."""
    (made / "policies" / "broken.yaml").write_text("version: 1\nalow: []\n")
    checked = run("check", "--config", made / "tokenserver.yaml")
    served = run("serve", "--config", made / "tokenserver.yaml")
    assert (served.exit_code, checked.exit_code) == (2, 2)
    assert messages_in(served.stderr)[:-1] == checked.stderr.splitlines()[:-1]


def test_an_address_that_cannot_be_had_is_a_fault(run: Run, made: Path) -> None:
    """Somebody else listens there: one line, not a traceback. `check` may run beside the server that does."""
    config = made / "tokenserver.yaml"
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        config.write_text(re.sub(r"listen: .*", f"listen: {listen}", config.read_text()))
        refused = run("serve", "--config", str(config))
        assert run("check", "--config", str(config)).exit_code == 0
    assert refused.exit_code == 1  # a supervisor tries again; after 2 it would not
    assert messages_in(refused.stderr) == [
        f"{config}: server.listen: cannot listen on {listen}: Address already in use",
        "not started: 1 fault found",
    ]


LINE = {"level": "error", "logger": "tokenserver"}


def test_faults_of_a_start_are_log_lines(run: Run, made: Path) -> None:
    """Standard error is no terminal: each fault is a line of JSON, as the log of a server that starts."""
    (made / "policies" / "broken.yaml").write_text("version: 1\nalow: [ü]\n")
    refused = run("serve", "--config", made / "tokenserver.yaml")
    lines = [json.loads(line) for line in refused.stderr.splitlines()]
    assert refused.exit_code == 2
    assert [{**line, **LINE} for line in lines] == lines
    assert all(datetime.fromisoformat(line["time"]).tzinfo is not None for line in lines)
    assert lines[0]["message"].startswith(f"{made}/policies/broken.yaml:2:")


@pytest.mark.parametrize(
    ("log", "is_json"),
    [
        pytest.param("", False, id="by-default"),
        pytest.param("log: {format: console}\n", False, id="console"),
        pytest.param("log: {format: json}\n", True, id="json"),
    ],
)
@pytest.mark.parametrize(
    "broken",
    [
        pytest.param("", id="a-policy"),
        pytest.param("anonymus: true\n", id="a-setting"),
    ],
)
def test_faults_of_a_start_at_a_terminal(made: Path, log: str, broken: str, *, is_json: bool) -> None:
    """Readable lines as of `check`, unless `log.format` is JSON, which holds although another setting is faulty."""
    config = made / "tokenserver.yaml"
    config.write_text(config.read_text() + log + broken)
    (made / "policies" / "broken.yaml").write_text("version: 1\nalow: []\n")
    code, said = at_terminal("serve", "--config", config)
    assert code == 2
    if is_json:
        assert re.fullmatch(r"not started: \d faults? found", messages_in(said)[-1])
    else:
        _, checked = at_terminal("check", "--config", config)
        assert said == checked
        assert "found; nothing was done." in said


def test_console_lines_where_there_is_no_terminal(run: Run, made: Path) -> None:
    """`log.format: console` is wanted for a file or a journal as well."""
    config = made / "tokenserver.yaml"
    config.write_text(f"{config.read_text()}log: {{format: console}}\n")
    (made / "policies" / "broken.yaml").write_text("version: 1\nalow: []\n")
    assert run("serve", "--config", config).stderr == run("check", "--config", config).stderr


def test_a_configuration_that_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON, or what the environment says, since there is no file to say it."""
    assert "does not exist" in messages_in(run("serve", "--config", "absent.yaml").stderr)[0]
    monkeypatch.setenv("TOKENSERVER_LOG_FORMAT", "console")
    assert run("serve", "--config", "absent.yaml").stderr.startswith("absent.yaml: does not exist")
