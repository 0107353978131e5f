"""The world of the tests of OpenID sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from openid_world import OpenIdWorld, openid_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[OpenIdWorld]:
    """A new one."""
    with openid_world(tmp_path) as found:
        yield found
