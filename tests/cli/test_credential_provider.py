"""`tokenserver credential-provider`: standard input, standard output and exit codes; the room has the answers."""

from __future__ import annotations

import json
import sys
import time

import pytest
from click.testing import CliRunner
from credential_requests import HOST, LIMIT, NO_JSON, TOO_LARGE, UNALLOWED, request, token_until

from tokenserver.cli import main


def test_answer() -> None:
    """One line of JSON, and the duration by the clock of the node."""
    token = token_until(int(time.time()) + 600)
    result = CliRunner().invoke(main, ["credential-provider"], input=request(serviceAccountToken=token))
    assert (result.exit_code, result.stderr, result.stdout.count("\n")) == (0, "", 1)
    response = json.loads(result.stdout)
    assert response["auth"] == {HOST: {"username": "workload", "password": token}}
    assert 500 < int(response["cacheDuration"].removesuffix("s")) <= 540


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(request(serviceAccountToken=...), UNALLOWED, id="no-token"),
        pytest.param(b"", NO_JSON, id="nothing"),
        pytest.param(request() + b" " * LIMIT, TOO_LARGE, id="too-large"),
    ],
)
def test_refusal(content: bytes, why: str) -> None:
    """Exit code 1, one line on standard error, and nothing on standard output."""
    result = CliRunner().invoke(main, ["credential-provider"], input=content)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert why in result.stderr


def test_standard_input_is_closed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`<&-` is the same as nothing."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SystemExit) as ended:
        main(["credential-provider"], prog_name="tokenserver")
    assert (ended.value.code, NO_JSON in capsys.readouterr().err) == (1, True)
