"""docs/move-from-docker-auth.md: its example is imported, and its commands work one after the other."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from rsa_keys import rsa_2048
from self_signed import self_signed
from site_commands import Run

from tokenserver.keys.certificates import private_pem

PAGE = (Path(__file__).parents[3] / "docs" / "move-from-docker-auth.md").read_text("utf-8")


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The files of the page, and the key that its configuration names."""
    for name, text in re.findall(r"^```\w+ (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(text)
    (tmp_path / "token.key").write_bytes(private_pem(rsa_2048()))
    (tmp_path / "token.crt").write_bytes(self_signed(rsa_2048()))
    return tmp_path


def test_the_commands(run: Run, example: Path) -> None:
    """All of them, and what the page says about the example."""
    commands = re.findall(r"^\$ tokenserver (.+)$", PAGE, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        result = run(*shlex.split(command))
        assert result.exit_code == 0, result.stdout + result.stderr
    policy = (example / "site" / "policies" / "acl.yaml").read_text()
    for written in ("group:team={value}", "${user}/*", "${value}/*", "user:admin"):
        assert written in policy
    report = (example / "site" / "REPORT.md").read_text()
    closed = report.partition("## Traps that are closed")[2]
    assert "(ignored: match.group)" in closed
    assert "compat: distribution2" in (example / "site" / "tokenserver.yaml").read_text()
