"""`tokenserver keys init`: the first keys, and nothing where there are some."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from keys_commands import Run, configure, listed


def test_the_first_certificate_fits_the_rotation(run: Run, tmp_path: Path) -> None:
    """With rotation a certificate ends soon after its key was to sign."""
    configure(tmp_path, keys="{rotate_every: 30d}")
    run("init")
    [key] = listed(run)["keys"]
    left = datetime.fromisoformat(key["not_after"]) - datetime.now(UTC)
    assert timedelta(days=119) < left < timedelta(days=121)


def test_keys_init_makes_the_key_of_the_storage(run: Run, tmp_path: Path) -> None:
    """Once, next to the signing keys, if there is a storage."""
    configure(tmp_path)
    run("init")
    assert not (tmp_path / "keys" / "state.key").exists()
    with (tmp_path / "tokenserver.yaml").open("a") as file:
        file.write("storage: state.db\n")
    result = run("init")
    assert "Created the key of the storage" in result.stdout
    assert (tmp_path / "keys" / "state.key").stat().st_mode & 0o777 == 0o600
    assert "Created the key of the storage" not in run("init").stdout


def test_keys_init_does_nothing_where_keys_are(run: Run, made: Path) -> None:
    """It says so and exits with code 0."""
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    result = run("init")
    assert result.exit_code == 0
    assert "already" in result.stdout
    assert before == {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
