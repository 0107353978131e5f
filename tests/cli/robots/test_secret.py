"""`tokenserver robots secret new`: the secret on standard output alone, and a line that declares it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from configuration import MINIMAL
from prepared_commands import run_command

from tokenserver.access_keys import KEY_PATTERN, DeclaredSecret, parse_hash_line, parse_key, parse_key_id
from tokenserver.cli import main
from tokenserver.credentials import AccessKeyForm, Secret
from tokenserver.policy.terms import parse_moment


def new(*arguments: str, name: str = "ci-web") -> Result:
    """The command's result."""
    command = ["robots", "secret", "new", name, "--for-file", *arguments]
    return CliRunner().invoke(main, command, catch_exceptions=False)


def declared(line: str) -> DeclaredSecret:
    """The declaration, read as any YAML reader reads it."""
    (found,) = yaml.safe_load(line)
    expires = found["expires"]
    moment = expires if isinstance(expires, datetime) else parse_moment(str(expires))
    networks = tuple(map(ip_network, found.get("networks", ())))
    return DeclaredSecret(
        parse_key_id(found["id"]), parse_hash_line(found["hash"]), moment, networks, found.get("note", "")
    )


def test_the_secret_and_its_line() -> None:
    """Standard output has the secret alone; standard error has the line of its declaration, and no secret."""
    result = new("--network", "10.0.0.0/8", "--network", "2001:db8::/32", "--note", 'runner "7"')
    assert result.exit_code == 0
    key = parse_key(result.stdout.removesuffix("\n"))
    assert key.form is AccessKeyForm.ROBOT
    assert key.text.reveal()[17:] not in result.stderr
    line = next(line for line in result.stderr.splitlines() if line.startswith("      - {"))
    found = declared(line)
    assert found.matches(key.text)
    assert not found.matches(Secret(key.text.reveal()[:-1]))
    assert (found.id, found.note) == (key.id, 'runner "7"')
    assert found.networks == (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
    assert timedelta(days=90) <= found.expires - datetime.now(UTC) <= timedelta(days=90, minutes=1)
    assert "ci-web" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--expires", "never"]], ids=["plain", "JSON", "refused"])
def test_the_secret_is_printed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    """By the command in a process of its own: once on standard output, and in no log, audit trail, history or cache.

    See docs/design/threats.md#threat-136.
    """
    monkeypatch.chdir(tmp_path)
    environment = {
        "HOME": str(tmp_path),
        "HISTFILE": str(tmp_path / "history"),
        "TMPDIR": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    (tmp_path / "audit.jsonl").touch()
    found = run_command("robots", "secret", "new", "ci-web", "--for-file", *arguments, environment=environment)
    keys = re.findall(KEY_PATTERN, found.stdout)
    assert len(keys) == (0 if found.returncode else 1)
    assert re.search(r"tkn[a-z]_", found.stdout.replace("".join(keys), "") + found.stderr) is None
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert written == [""]  # the audit trail, as it was


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration that allows secrets of 30 days."""
    config = tmp_path / "tokenserver.yaml"
    config.write_text(f"{MINIMAL}robots: {{max_lifetime: 30d}}\n")
    config.chmod(0o644)
    monkeypatch.chdir(tmp_path)
    return config


@pytest.mark.parametrize("how", ["in the folder", "as an option"])
def test_the_configuration_limits_it(
    configured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """What it does not allow is refused; the default is no longer either."""
    given = []
    if how == "as an option":
        given = ["--config", str(configured)]
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
    refused = new("--expires", "31d", *given)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "allows secrets that are valid for 30 days at most (robots.max_lifetime)" in " ".join(refused.stderr.split())
    assert new("--expires", "30d", *given).exit_code == 0
    end = datetime.fromisoformat(json.loads(new("--json", *given).stdout)["expires"])
    assert timedelta(days=30) <= end - datetime.now(UTC) <= timedelta(days=30, minutes=1)


def test_a_configuration_that_does_not_load(configured: Path) -> None:
    """Nothing is made: how long a secret may be valid is unknown."""
    configured.write_text(f"{MINIMAL}robots: {{max_lifetime: never}}\n")
    refused = new()
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "robots.max_lifetime: must be a duration" in refused.stderr


def test_every_secret_is_new() -> None:
    """No two runs give the same one."""
    assert len({new().stdout for _ in range(3)}) == 3


def test_as_json() -> None:
    """One object on standard output, with everything that a script needs."""
    end = datetime.now(UTC).date() + timedelta(days=30)
    result = new("--json", "--expires", str(end), "--network", "10.0.0.0/8")
    facts = json.loads(result.stdout)
    found = declared(facts.pop("line"))
    key = parse_key(facts.pop("secret"))
    assert (found.matches(key.text), result.stderr) == (True, "")
    assert facts == {
        "robot": "ci-web",
        "id": key.id,
        "hash": f"sha256:{found.digest.hex()}",
        "expires": f"{end}T00:00:00Z",
        "networks": ["10.0.0.0/8"],
        "note": "",
    }


@pytest.mark.parametrize(
    ("value", "days"),
    [pytest.param("1h", 1 / 24, id="hour"), pytest.param("7d", 7, id="week"), pytest.param("365d", 365, id="year")],
)
def test_durations(value: str, days: float) -> None:
    """They count from now, up to a whole minute."""
    found = declared(json.loads(new("--json", "--expires", value).stdout)["line"])
    assert timedelta(0) <= found.expires - datetime.now(UTC) - timedelta(days=days) + timedelta(seconds=30)
    assert (found.expires.second, found.expires.microsecond) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--expires", "never"], "must be a duration such as 90d", id="never"),
        pytest.param(["--expires", "2027-02-30"], "must be a duration such as 90d", id="no-such-day"),
        pytest.param(["--expires", "59m"], "at least an hour and at most 365d", id="too-short"),
        pytest.param(["--expires", "366d"], "at least an hour and at most 365d", id="too-long"),
        pytest.param(["--expires", "999999d"], "at least an hour and at most 365d", id="far-too-long"),
        pytest.param(["--expires", "2020-01-01"], "at least an hour and at most 365d", id="past"),
        pytest.param(["--network", "10.0.0.1/8"], "has bits set after the prefix; fix: write 10.0.0.0/8", id="bits"),
        pytest.param(["--network", "office"], "must be a network", id="no-network"),
        pytest.param(["--note", "a\nb"], "printable characters", id="note-of-two-lines"),
        pytest.param(["--note", "a" * 201], "printable characters", id="long-note"),
    ],
)
def test_wrong_options(arguments: list[str], said: str) -> None:
    """Exit code 2, and no secret."""
    result = new(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


@pytest.mark.parametrize("name", ["", "CI", "robot:ci", "a" * 65])
def test_wrong_names(name: str) -> None:
    """A name that no policy file could declare."""
    assert (new(name=name).exit_code, new(name=name).stdout) == (2, "")


def test_without_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a configuration, the secret can only be declared in a policy file."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["robots", "secret", "new", "ci-web"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "To store nothing and declare the secret in a policy file, add --for-file." in result.stderr
