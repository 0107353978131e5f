"""`tokenserver storage init` and `migrate`: what is missing is made, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

from storage_commands import Run, store_at

from tokenserver.storage.selection import Selection
from tokenserver.storage.state_keys import read_state_keys


def test_init_makes_the_state_key_and_the_tables(run: Run, site: Path) -> None:
    """Once; a second run changes nothing."""
    (site / "keys" / "state.key").unlink()
    first = run("init")
    assert first.exit_code == 0, first.stderr
    assert f"Created the state key, {site}/keys/state.key; copy it to all replicas." in first.stdout
    assert f"storage: made {site}/state/tokenserver.db" in first.stdout
    key = read_state_keys(site / "keys").newest
    assert run("init").stdout == "storage: is up to date; nothing was changed\n"
    assert read_state_keys(site / "keys").newest == key
    assert store_at(site).listed(Selection()) == []


def test_migrate_needs_the_state_key(run: Run, site: Path) -> None:
    """A new one would be of no use for what is stored already."""
    (site / "keys" / "state.key").unlink()
    result = run("migrate")
    assert result.exit_code == 2
    assert "state.key: does not exist" in result.stderr
    assert not (site / "state").exists()


def test_migrate_says_that_all_is_well(run: Run, site: Path) -> None:
    """There is no older version yet."""
    store_at(site)
    assert run("migrate").stdout == "storage: is up to date; nothing was changed\n"


def test_without_a_storage(run: Run, site: Path) -> None:
    """Every command says what to add, and no state key is made."""
    config = site / "tokenserver.yaml"
    config.write_text(config.read_text().replace("storage: state/tokenserver.db\n", ""))
    for command in (("init",), ("migrate",), ("check",), ("backup", "x"), ("restore", "x"), ("prune",)):
        result = run(*command)
        assert result.exit_code == 2
        assert "storage: is not set, so " in result.stderr
        assert "; fix: add storage: state/tokenserver.db" in result.stderr
