"""Policy folders that are written file by file, and the faults of loading them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tokenserver.errors import LoadError
from tokenserver.policy.loading.loader import load_policies

NOW = datetime(2026, 6, 1, tzinfo=UTC)
RULE = "  - {id: r, to: [everyone], repositories: [a], role: reader}\n"
GOOD = f"version: 1\nallow:\n{RULE}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty policy folder."""
    path = tmp_path / "policies"
    path.mkdir(mode=0o755)
    return path


def write(path: Path, text: str) -> Path:
    """Write a file that nobody else can change."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
    return path


def faults(folder: Path, services: frozenset[str] | None = None) -> list[str]:
    """The faults of loading the folder, without its path."""
    with pytest.raises(LoadError) as caught:
        load_policies(folder, services=services, now=NOW)
    return [str(fault).replace(f"{folder}/", "").replace(str(folder), "FOLDER") for fault in caught.value.faults]


def rule(text: str) -> str:
    """A file with one allow rule that has `text` in place of its usual parts, where both are given."""
    parts = {"id": "r", "to": "[everyone]", "repositories": "[a]", "role": "reader"}
    for line in text.split("; "):
        key, _, value = line.partition("=")
        if value == "-":
            parts.pop(key)
        else:
            parts[key] = value
    return "version: 1\nallow:\n  - " + "\n    ".join(f"{key}: {value}" for key, value in parts.items()) + "\n"
