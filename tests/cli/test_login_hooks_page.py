"""docs/login-hooks.md: its program, its commands, its settings and its verification of signatures."""

from __future__ import annotations

import hmac
import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tokenserver.authn.hooks.signature import signature
from tokenserver.cli import main
from tokenserver.config.load import load_settings
from tokenserver.credentials import Secret

PAGE = (Path(__file__).parents[2] / "docs" / "login-hooks.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The blocks of the page in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new configuration with the program of the page."""
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["init", "."]).exit_code == 0
    (tmp_path / "check-password").write_text(blocks("python")[0])
    return tmp_path


def configure(site: Path, section: str) -> None:
    """Put a section of the page into the configuration, without what needs to look users up."""
    file = site / "tokenserver.yaml"
    values = yaml.safe_load(file.read_text()) | yaml.safe_load(section)
    for name in ("access_keys", "refresh_tokens"):
        values.pop(name, None)
    file.write_text(yaml.safe_dump(values))


def run(command: str, site: Path) -> str:
    """What a command prints, as its user's shell runs it."""
    return subprocess.run(["/bin/sh", "-ec", command], cwd=site, check=True, capture_output=True, text=True).stdout


def test_the_program(site: Path) -> None:
    """From the file to the answer of a policy."""
    alone, commands, _ = blocks("sh")
    assert json.loads(run(alone, site)) == json.loads(blocks("json")[0])
    configure(site, blocks("yaml")[0])
    check, why = (CliRunner().invoke(main, line.split()[1:]) for line in commands.splitlines())
    assert (check.exit_code, why.exit_code) == (0, 0)  # the sample policies know the group
    assert "check-password; not asked" in check.stdout
    assert "web-devs" in why.stdout


def test_the_endpoint(site: Path) -> None:
    """The secret is private, and the settings load."""
    run(blocks("sh")[2], site)
    assert (site / "hook-secret").stat().st_mode & 0o777 == 0o600
    configure(site, blocks("yaml")[1])
    assert CliRunner().invoke(main, ["check"]).exit_code == 0


@pytest.mark.parametrize("section", blocks("yaml"))
def test_settings(site: Path, section: str) -> None:
    """Every section of the page loads."""
    configure(site, section)
    assert load_settings(site / "tokenserver.yaml").user_sources


def test_the_warning(site: Path) -> None:
    """The protocol of docker_auth is for a while."""
    configure(site, blocks("yaml")[3].replace("/opt/docker_auth/ext_auth.sh", "./check-password"))
    (site / "check-password").chmod(0o755)
    result = CliRunner().invoke(main, ["check"])
    assert result.exit_code == 0
    assert "warning: program: protocol docker_auth starts a process for each login" in result.stderr


def test_the_verification() -> None:
    """In six lines: it accepts what is signed now, and nothing else."""
    code = blocks("python")[1]
    assert len(code.splitlines()) == 6
    found: dict[str, Callable[[str, bytes, bytes], bool]] = {}
    exec(code, {"hmac": hmac, "time": time}, found)  # noqa: S102 - what the page says
    is_ours, now, body = found["is_ours"], int(time.time()), b'{"version":1}'
    assert is_ours(signature(Secret("s"), body, now), body, b"s")
    assert not is_ours(signature(Secret("s"), body, now), body + b" ", b"s")
    assert not is_ours(signature(Secret("s"), body, now - 61), body, b"s")
    assert not is_ours(signature(Secret("s"), body, now), body, b"t")
    assert not is_ours(signature(Secret("s"), body, now).replace(f"t={now}", f"t={now + 1}"), body, b"s")
