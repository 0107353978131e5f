"""The plan of a rotation: what to distribute, what to restart, and when to switch."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from keys_commands import PINNED, Run, age, configure, states


def test_the_plan_for_registries_that_pin_keys(run: Run, made: Path, tmp_path: Path) -> None:
    """What to distribute first, what to restart, when to switch; a day later if nothing else is set."""
    configure(tmp_path, registries=PINNED)
    result = run("rotate")
    numbered = [line for line in result.stdout.splitlines() if line[0].isdigit()]
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d %H:%M}"
    assert [line[:2] for line in numbered] == ["1.", "2.", "3.", "4.", "5."]
    assert "Distribute to two (distribution2)" in numbered[0]
    assert "tokenserver registry-config two --for distribution2 --write DIR" in numbered[0]
    assert "tokenserver registry-config three --for distribution3 --write DIR" in numbered[1]
    assert numbered[2].startswith("3. Restart two, three: ")
    assert numbered[3].startswith(f"4. Switch, not before {tomorrow}")
    assert "After another 1 h 5 min" in numbered[4]
    age(made, timedelta(hours=23))
    assert run("rotate").exit_code == 1
    age(made, timedelta(hours=1))
    assert run("rotate").exit_code == 0
    assert states(run) == ["active", "retired"]


def test_a_plan_changes_nothing(run: Run, made: Path) -> None:
    """It begins with the command that makes the key, and is the same as JSON."""
    before = (made / "ring.json").read_bytes()
    told = [line.partition(". ")[2] for line in run("rotate", "--plan").stdout.splitlines()]
    facts = json.loads(run("rotate", "--plan", "--json").stdout)
    assert told[0] == "Create and publish the next key: tokenserver keys rotate"
    assert (facts["done"], facts["switch_at"], len(facts["plan"])) == (None, None, len(told))
    assert (made / "ring.json").read_bytes() == before
