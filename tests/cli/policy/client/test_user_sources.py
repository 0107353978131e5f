"""`policy why --as USER`: the configured user sources are asked for the user."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from tokenserver.cli import main


def test_why_asks_the_user_sources(site: Path) -> None:
    """--as: a user of the htpasswd file exists, another one does not."""
    arguments = ["policy", "why", "pull", "public/x", "--config", str(site), "--as"]
    assert CliRunner().invoke(main, [*arguments, "ann"]).exit_code == 0
    unknown = CliRunner().invoke(main, [*arguments, "eve"])
    assert (unknown.exit_code, "no user source knows 'eve' (asked: htpasswd)" in unknown.stderr) == (2, True)
