"""The fixtures of the command line."""

from pathlib import Path

import pytest
from site_commands import made, made_once, run
from stored_sites import StoredSite

__all__ = ["made", "made_once", "run"]


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of this process hash passwords at the lowest cost, and do not warn of it."""
    for name in ("COST", "_GOOD_COST"):
        monkeypatch.setattr(f"tokenserver.authn.passwords.{name}", 4)


@pytest.fixture(autouse=True)
def _own_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """`serve` in this process leaves the log to pytest."""
    monkeypatch.setattr("logging.config.dictConfig", lambda _: None)


@pytest.fixture
def site(tmp_path: Path) -> StoredSite:
    """A new site with a storage."""
    return StoredSite(tmp_path)
