"""`tokenserver robots list` and `show`: what policy files declare, without a single hash."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tokenserver.access_keys import RANDOM_BYTES, compose_key, declare, digest_of, spell_declaration
from tokenserver.cli import main
from tokenserver.credentials import AccessKeyForm
from tokenserver.management.facts import state_at

NOW = datetime.now(UTC).replace(microsecond=0)
KEYS = [compose_key(AccessKeyForm.ROBOT, bytes([number]) * RANDOM_BYTES) for number in range(3)]
DATES = [datetime(2026, 1, 1, tzinfo=UTC), NOW + timedelta(days=3), datetime(NOW.year + 2, 3, 1, tzinfo=UTC)]
SECRETS = [
    declare(key, end, networks, note)
    for key, end, networks, note in zip(
        KEYS, DATES, [(), (), (IPv4Network("10.0.0.0/8"), IPv4Network("192.0.2.0/24"))], ["", "", "runner"], strict=True
    )
]

POLICY = f"""\
version: 1
robots:
  ci-web:
    description: builds of the web team
    owners: ["group:web", "user:ann"]
    secrets:
      {spell_declaration(SECRETS[0])}
      {spell_declaration(SECRETS[2])}
  ci-api:
    secrets:
      {spell_declaration(SECRETS[1])}
  idle:
allow:
  - {{id: web, to: ["robot:ci-web"], repositories: ["web/**"], role: writer}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bare folder of policies."""
    path = tmp_path / "policies"
    path.mkdir(mode=0o755)
    (path / "web.yaml").write_text(POLICY)
    (path / "web.yaml").chmod(0o644)
    return path


def run(folder: Path, *arguments: str) -> Result:
    """The command's result, in which no hash is."""
    result = CliRunner().invoke(
        main, ["robots", *arguments, "--policies", str(folder)], catch_exceptions=False, terminal_width=200
    )
    for key in KEYS:
        assert digest_of(key.text).hex()[:12] not in result.output
    return result


def spelled(moment: datetime) -> str:
    """As policy files write it."""
    return moment.isoformat().replace("+00:00", "Z").removesuffix("T00:00:00Z")


def test_list(folder: Path) -> None:
    """A row for each secret, in the order of the robots' names; a robot without secrets has a row as well."""
    result = run(folder, "list")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["ROBOT", "SECRET", "STATE", "ENDS", "NETWORKS", "OWNERS", "DESCRIPTION"],
        ["ci-api", KEYS[1].id, "expires", "soon", spelled(DATES[1]), "any", "-", "-"],
        *(
            [name, *cells, *more]
            for name, cells, more in [
                (
                    "ci-web",
                    [KEYS[0].id, "expired", "2026-01-01", "any"],
                    ["group:web,", "user:ann", "builds", "of", "the", "web", "team"],
                )
            ]
        ),
        [KEYS[2].id, "active", spelled(DATES[2]), "10.0.0.0/8,", "192.0.2.0/24"],
        ["idle", "-", "-", "-", "-", "-", "-"],
    ]


def test_list_as_json(folder: Path) -> None:
    """The same facts, with the place of the declaration."""
    found = {one["name"]: one for one in json.loads(run(folder, "list", "--json").stdout)["robots"]}
    assert list(found) == ["ci-api", "ci-web", "idle"]
    assert Path(found["ci-web"].pop("file")).name == "web.yaml"
    assert found["ci-web"] == {
        "name": "ci-web",
        "subject": "robot:ci-web",
        "description": "builds of the web team",
        "owners": ["group:web", "user:ann"],
        "line": 3,
        "secrets": [
            {
                "id": KEYS[0].id,
                "stored": False,
                "state": "expired",
                "expires": "2026-01-01",
                "networks": [],
                "note": "",
            },
            {
                "id": KEYS[2].id,
                "stored": False,
                "state": "active",
                "expires": spelled(DATES[2]),
                "networks": ["10.0.0.0/8", "192.0.2.0/24"],
                "note": "runner",
            },
        ],
    }
    assert found["idle"]["secrets"] == []


def test_no_robots(folder: Path) -> None:
    """Said on standard error; the answer is empty."""
    (folder / "web.yaml").write_text(
        "version: 1\nallow:\n  - {id: web, to: [everyone], repositories: [web/x], role: reader}\n"
    )
    result = run(folder, "list")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "The policies declare no robots.\n")
    assert json.loads(run(folder, "list", "--json").stdout) == {"robots": []}


def test_show(folder: Path) -> None:
    """All that is declared, with notes, and the place."""
    result = run(folder, "show", "ci-web")
    assert result.exit_code == 0
    head, _, secrets = result.stdout.partition("\n\n")
    *facts, place = head.splitlines()
    assert facts == [
        "name         ci-web",
        "subject      robot:ci-web",
        "description  builds of the web team",
        "owners       group:web, user:ann",
    ]
    assert place.startswith("declared in  ")
    assert place.endswith("web.yaml:3")
    assert [line.split() for line in secrets.splitlines()] == [
        ["SECRET", "STATE", "ENDS", "NETWORKS", "NOTE"],
        [KEYS[0].id, "expired", "2026-01-01", "any", "-"],
        [KEYS[2].id, "active", spelled(DATES[2]), "10.0.0.0/8,", "192.0.2.0/24", "runner"],
    ]


def test_show_as_json(folder: Path) -> None:
    """As in the list."""
    listed = json.loads(run(folder, "list", "--json").stdout)["robots"]
    assert json.loads(run(folder, "show", "ci-web", "--json").stdout) == listed[1]


def test_show_a_robot_without_secrets(folder: Path) -> None:
    """It says how to make one."""
    result = run(folder, "show", "idle")
    assert result.stdout.splitlines()[2:4] == ["description  -", "owners       -"]
    assert "tokenserver robots secret new idle --for-file" in result.stdout


def test_show_an_unknown_robot(folder: Path) -> None:
    """Exit code 1, and the name that was probably meant."""
    result = run(folder, "show", "ci-wbe")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no robot 'ci-wbe' is declared" in result.stderr
    assert "ci-web" in result.stderr


@pytest.mark.parametrize(
    ("before_the_end", "state"),
    [
        pytest.param(timedelta(0), "expired", id="end"),
        pytest.param(timedelta(seconds=1), "expires soon", id="last-second"),
        pytest.param(timedelta(days=14), "expires soon", id="two-weeks"),
        pytest.param(timedelta(days=14, seconds=1), "active", id="more-than-two-weeks"),
    ],
)
def test_states(before_the_end: timedelta, state: str) -> None:
    """A secret that ends within two weeks is marked."""
    assert state_at(NOW, NOW - before_the_end) == state
