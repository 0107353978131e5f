"""`tokenserver keys list`: states, dates, and leftovers of interrupted changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from keys_commands import Run, age, configure, listed


def test_list(run: Run, made: Path) -> None:
    """A row for each key: its state, since when, until when, and what comes next."""
    run("rotate")
    age(made, timedelta(hours=2))
    run("rotate")
    [active, retired] = listed(run)["keys"]
    result = run("list")
    [_, first, second, ca] = result.stdout.splitlines()
    assert [active["state"], retired["state"]] == ["active", "retired"]
    assert first.split()[:3] == [active["id"], "active", "ES256"]
    assert second.split()[:3] == [retired["id"], "retired", "ES256"]
    assert "signs until: tokenserver keys rotate" in first
    assert "removed at " in second
    assert ca.endswith("; its key is here")


def test_list_says_when_a_key_is_replaced(run: Run, made: Path, tmp_path: Path) -> None:
    """With rotation, by its date; and what waits to sign, from when on."""
    configure(tmp_path, keys="{rotate_every: 30d}")
    run("rotate")
    [active, following] = run("list").stdout.splitlines()[1:3]
    assert f"replaced at {datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}" in active
    assert "signs from " in following
    assert listed(run)["keys"][0]["rotate_at"].startswith(f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}")


def test_list_tells_what_an_interrupted_change_left(run: Run, made: Path) -> None:
    """Files that the ring does not name, with what moves them away; they may be needed."""
    orphan = made / "signing" / "2027-01-31-00000000.key"
    orphan.write_text("x")
    kept = made / f"{orphan.name}.unused"
    result = run("list")
    assert f"{orphan} belongs to no key of the ring; fix: mv {orphan} {kept}" in result.stderr
    assert listed(run)["warnings"] != []


def test_list_of_no_keys(run: Run) -> None:
    """What makes some is told."""
    result = run("list")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "create the keys with: tokenserver keys init" in result.stderr
