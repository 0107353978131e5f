"""`tokenserver keys rotate` and `keys retire`: the steps of a rotation, emergencies, and what they reject."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from keys_commands import PINNED, Run, age, configure, listed, states

from tokenserver.keys.store import load_keys


def test_rotate_makes_a_key_and_says_when_it_signs(run: Run, made: Path) -> None:
    """Under universal there is nothing to distribute; a second call before the time is refused, and changes nothing."""
    first = run("rotate")
    assert first.exit_code == 0
    assert "and published it as next." in first.stdout
    assert "Nothing to distribute and nothing to restart" in first.stdout
    assert states(run) == ["active", "next"]
    second = run("rotate")
    assert (second.exit_code, second.stdout) == (1, "")
    assert "may sign from " in second.stderr
    assert states(run) == ["active", "next"]


def test_rotate_switches_when_it_is_time(run: Run, made: Path) -> None:
    """What the plan says is what is done, and the old key stays published."""
    run("rotate")
    age(made, timedelta(hours=1))
    new = listed(run)["keys"][1]["id"]
    result = run("rotate")
    assert result.exit_code == 0
    assert f"The key {new} signs from now on." in result.stdout
    assert "stays published until" in result.stdout
    assert listed(run)["keys"][0]["id"] == new
    assert states(run) == ["active", "retired"]


@pytest.mark.parametrize("is_prepared", [False, True])
def test_rotate_now(run: Run, made: Path, is_prepared: bool) -> None:
    """Told so, it does not wait."""
    if is_prepared:
        run("rotate")
    assert run("rotate", "--now").exit_code == 0
    assert states(run) == ["active", "retired"]


def test_rotate_of_an_expired_key(run: Run, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where registries refuse everything already, the new key signs at once."""

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]  # a clock that is ahead, for one module
            return datetime.now(tz) + timedelta(days=900)

    monkeypatch.setattr("tokenserver.cli.keys.rotate.datetime", Later)
    assert "The active certificate has expired; switch immediately" in run("rotate", "--plan").stdout
    assert run("rotate").exit_code == 0
    assert load_keys(made, now=Later.now(UTC)).active.not_after > Later.now(UTC)


def test_rotate_as_json(run: Run, made: Path) -> None:
    """What was done to which key, which one signs, and from when on the other may."""
    facts = json.loads(run("rotate", "--json").stdout)
    [active, following] = listed(run)["keys"]
    assert facts["done"] == {"step": "prepare", "key": following["id"]}
    assert (facts["active"], facts["switch_at"]) == (active["id"], following["switch_at"])


def test_emergency(run: Run, made: Path, tmp_path: Path) -> None:
    """The active key is gone at once, and it is said what registries make of it, those that pin keys and the others."""
    configure(tmp_path, registries=PINNED)
    old = listed(run)["keys"][0]["id"]
    result = run("rotate", "--emergency")
    [new] = [key["id"] for key in listed(run)["keys"]]
    assert result.exit_code == 0
    assert f"Dropped the key {old}; the key {new} signs from now on." in result.stdout
    assert "1. Install the new file of keys at two, three and restart them" in result.stdout
    assert "2. one: registries that trust the token CA cannot learn that a key was dropped" in result.stdout
    facts = json.loads(run("rotate", "--emergency", "--json").stdout)
    assert (facts["done"], len(facts["plan"])) == ({"step": "emergency", "key": new}, 2)


def test_emergency_of_another_key(run: Run, made: Path) -> None:
    """The key that leaked may be a retired one; the active one goes on."""
    run("rotate", "--now")
    [active, retired] = [key["id"] for key in listed(run)["keys"]]
    assert run("rotate", "--emergency", "--key", retired).exit_code == 0
    assert [key["id"] for key in listed(run)["keys"]] == [active]
    unknown = run("rotate", "--emergency", "--key", "ghost")
    assert (unknown.exit_code, "no key here has the id ghost" in unknown.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["--plan", "--now"], "exclude each other", id="plan and now"),
        pytest.param(["--emergency", "--to", "x"], "exclude each other", id="emergency elsewhere"),
        pytest.param(["--key", "x"], "--key needs --emergency", id="a key without an emergency"),
        pytest.param(["--algorithm", "EdDSA"], "registry two: Distribution 2 cannot verify EdDSA", id="algorithm"),
    ],
)
def test_wrong_use_of_rotate(run: Run, made: Path, tmp_path: Path, arguments: list[str], told: str) -> None:
    """Exit code 2, the reason, and nothing is changed."""
    configure(tmp_path, registries=PINNED)
    result = run("rotate", *arguments)
    assert (result.exit_code, told in result.stderr) == (2, True)
    assert states(run) == ["active"]


def test_another_algorithm(run: Run, made: Path) -> None:
    """A rotation is also how to change it."""
    run("rotate", "--algorithm", "RS256", "--now")
    assert [key["algorithm"] for key in listed(run)["keys"]] == ["RS256", "ES256"]


def test_retire(run: Run, made: Path) -> None:
    """A next key at once; a retired one when its tokens are over, or when told so; the active one never."""
    run("rotate")
    [active, following] = [key["id"] for key in listed(run)["keys"]]
    assert run("retire", active).exit_code == 1
    assert run("retire", following).stdout == f"Dropped the key {following}.\n"
    run("rotate", "--now")
    early = run("retire", active)
    assert (early.exit_code, "are valid until" in early.stderr) == (1, True)
    assert run("retire", active, "--now").exit_code == 0
    assert states(run) == ["active"]
