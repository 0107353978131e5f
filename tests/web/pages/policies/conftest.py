"""A server with an administrator, a delegated file and a storage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from administered_sites import name_administrators
from stored_logins_server import StoredSite, stored_site
from tests_web_server import server_folder

__all__ = ["server_folder"]


@pytest.fixture
def site(server_folder: Path, tmp_path: Path) -> Iterator[StoredSite]:
    """A running server."""
    with stored_site(server_folder, tmp_path / "site") as site:
        name_administrators(site)
        yield site
