"""`tokenserver serve`: what ends the start, with its exit code."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from site_commands import Run


def test_serve_refuses_what_check_refuses(run: Run, made: Path) -> None:
    """The start runs the same checks and ends with the same code."""
    (made / "policies" / "broken.yaml").write_text("version: 1\nalow: []\n")
    checked = run("check", "--config", made / "tokenserver.yaml")
    served = run("serve", "--config", made / "tokenserver.yaml")
    assert (served.exit_code, served.stderr) == (checked.exit_code, checked.stderr) == (2, checked.stderr)


def test_an_address_that_cannot_be_had_is_a_fault(run: Run, made: Path) -> None:
    """Somebody else listens there: one line, not a traceback. `check` may run beside the server that does."""
    config = made / "tokenserver.yaml"
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        config.write_text(re.sub(r"listen: .*", f"listen: {listen}", config.read_text()))
        refused = run("serve", "--config", str(config))
        assert run("check", "--config", str(config)).exit_code == 0
    assert refused.exit_code == 1  # a supervisor tries again; after 2 it would not
    assert refused.stderr.splitlines() == [
        f"{config}: server.listen: cannot listen on {listen}: Address already in use",
        "1 fault found; nothing was done.",
    ]
