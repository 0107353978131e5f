"""The htpasswd file of these tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from users_commands import GOOD


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with two users and a comment."""
    path = tmp_path / "users.htpasswd"
    path.write_text(f"# staff\nann:{GOOD}\nbob:{GOOD}\n")
    path.chmod(0o640)
    return path
