"""`tokenserver storage check`: findings with their fix, and exit codes."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from storage_commands import Run, checked, store_at
from stored_credentials import PLAIN

from tokenserver.credentials import AccessKeyForm

LIVE = replace(PLAIN, ends=int(time.time()) + 90 * 86_400)


def execute(site: Path, statement: str) -> None:
    """Change the storage as nobody should."""
    with closing(sqlite3.connect(site / "state" / "tokenserver.db", isolation_level=None)) as connection:
        connection.execute(statement)


def test_a_sound_storage(run: Run, site: Path) -> None:
    """Exit code 0; also for one that is not made yet."""
    assert checked(run) == {"ok": True, "credentials": 0, "live_by_key": {}, "findings": [], "notes": []}
    store_at(site).create(LIVE, at_most=1)
    result = run("check")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == ["credentials  1", "state key 1  1 live", "The storage is sound."]
    assert checked(run) == {"ok": True, "credentials": 1, "live_by_key": {"1": 1}, "findings": [], "notes": []}


def test_logins_that_a_changed_password_does_not_end(run: Run, site: Path) -> None:
    """No fault of the storage: it says which source does not tell, and how many refresh tokens that is about."""
    login = replace(LIVE, form=AccessKeyForm.REFRESH, source="corp", proof=b"")
    for one in (login, login, replace(login, proof=b"x" * 32), replace(login, proof=None), replace(LIVE, proof=b"")):
        store_at(site).create(one, at_most=9)
    result = run("check")
    assert result.exit_code == 0
    assert result.stderr == (
        "note: 2 refresh tokens of corp: the source does not say when a password was changed, so a changed one does not"
        " end them; fix: set password_changed of corp, and let bind_dn read that attribute\n"
    )
    assert [one[:26] for one in checked(run)["notes"]] == ["2 refresh tokens of corp: "]


def test_a_key_that_ends_soon(run: Run, site: Path) -> None:
    """A note, as the log of a server has it: the storage is sound."""
    key, _ = store_at(site).create(replace(PLAIN, ends=int(time.time()) + 86_400), at_most=9)
    result = run("check")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "The storage is sound.")
    assert result.stderr.startswith(f"note: credentials end within 14 days: access key {key.id} of ann on ")


def test_a_changed_row_is_found(run: Run, site: Path) -> None:
    """It names the credential."""
    key, _ = store_at(site).create(LIVE, at_most=1)
    execute(site, "UPDATE credentials SET owner = 'root'")
    result = run("check")
    assert result.exit_code == 1
    assert f"finding: 1 credential ({key.id}) changed by something else than this server" in result.stderr


def test_damage_is_found(run: Run, site: Path) -> None:
    """Where nothing else can be said."""
    store_at(site)
    file = site / "state" / "tokenserver.db"
    content = bytearray(file.read_bytes())
    content[4096:8192] = b"x" * 4096
    file.write_bytes(content)
    found = checked(run)
    assert (found["ok"], found["credentials"]) == (False, None)
    assert "is damaged: " in found["findings"][0]
    assert run("check").exit_code == 1


def test_an_unusable_storage(run: Run, site: Path) -> None:
    """Exit code 2, with all faults."""
    store_at(site)
    (site / "state" / "tokenserver.db").chmod(0o644)
    result = run("check")
    assert result.exit_code == 2
    assert "can be read by others" in result.stderr


def test_a_database_that_does_not_answer(run: Run, site: Path) -> None:
    """Exit code 1: it may do so later."""
    config = site / "tokenserver.yaml"
    config.write_text(config.read_text().replace("state/tokenserver.db", "postgresql://127.0.0.1:1/x"))
    result = run("check")
    assert result.exit_code == 1
    assert "Connection refused" in result.stderr
