"""A server with a storage, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from page_visits import Browser
from stored_logins_server import StoredSite, stored_site
from tests_web_server import server_folder

__all__ = ["server_folder"]


@pytest.fixture
def site(server_folder: Path, tmp_path: Path) -> Iterator[StoredSite]:
    """A running server."""
    with stored_site(server_folder, tmp_path / "site") as site:
        yield site


@pytest.fixture
def browser(site: StoredSite) -> Browser:
    """Nobody is logged in."""
    return Browser(site.client)
