"""The fixtures of the tests of the API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from api_calls import ApiSite, api_site
from tests_web_server import server_folder

__all__ = ["server_folder"]


@pytest.fixture
def site(server_folder: Path, tmp_path: Path) -> Iterator[ApiSite]:
    """A server with people, robots and an administrator."""
    with api_site(server_folder, tmp_path / "site") as made:
        yield made
