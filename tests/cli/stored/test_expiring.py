"""The notes of `check` on what ends soon."""

from __future__ import annotations

from pathlib import Path

import pytest
from stored_sites import StoredSite, in_days

from tokenserver.cli.stored.expiring import expiring_notes
from tokenserver.config.load import load_settings
from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Sort


def notes(site: StoredSite) -> list[str]:
    """The notes of this site."""
    return expiring_notes(load_settings(Path(site.config), {}))


def test_none(site: StoredSite) -> None:
    """A look makes no storage; refresh tokens and keys with time left are not counted."""
    site.remove_storage()
    assert notes(site) == []
    assert not (site.folder / "state").exists()
    site.stored()
    site.refresh_token(ends=in_days(3))
    assert notes(site) == []


def test_some(site: StoredSite) -> None:
    """Keys and secrets of robots that end within two weeks, each with the command that lists them."""
    site.stored(ends=in_days(13))
    site.stored(ends=in_days(0) - 5)
    assert notes(site) == ["1 access key ends within 14 days; see tokenserver access-keys list --expiring"]
    site.stored(ends=in_days(1))
    robot = {"form": AccessKeyForm.ROBOT, "sort": Sort.ROBOT, "owner": "robot:ci-web", "source": ""}
    site.stored(**robot, ends=in_days(2))
    assert notes(site) == [
        "2 access keys end within 14 days; see tokenserver access-keys list --expiring",
        "1 stored robot secret ends within 14 days; see tokenserver robots list",
    ]


def test_check_prints_them(site: StoredSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """As warnings, which do not change its exit code."""
    monkeypatch.setattr("tokenserver.cli.check.running_parts", lambda *_: None)
    site.stored(ends=in_days(13))
    result = site.run("check")
    assert "warning: 1 access key ends within 14 days" in result.stderr
    assert result.exit_code == 0


def test_a_storage_that_does_not_answer(site: StoredSite) -> None:
    """Another warning of `check` says so."""
    site.stored()
    (site.folder / "state" / "tokenserver.db").write_bytes(b"no database" * 1000)
    assert notes(site) == []
