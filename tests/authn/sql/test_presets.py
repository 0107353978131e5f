"""Queries of presets."""

from __future__ import annotations

import pytest

from tokenserver.authn.sql.presets import QUERIES
from tokenserver.authn.sql.query import names_column, query_problem


@pytest.mark.parametrize("preset", sorted(QUERIES))
def test_a_preset_is_accepted(preset: str) -> None:
    """By the check for queries of the configuration, also with MariaDB."""
    assert query_problem(QUERIES[preset]) is None
    assert names_column(QUERIES[preset], "subject")
