"""Queries for the tables of known programs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

QUERIES: Mapping[str, str] = MappingProxyType(
    {
        "docker_auth": ("SELECT username AS subject, password_hash, labels FROM xorm_user WHERE username = :user"),
    }
)
"""By preset, the query for a user."""
