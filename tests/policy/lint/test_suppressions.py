"""Suppressions: invalid ones, and unused ones."""

from __future__ import annotations

from pathlib import Path

from lint_trees import READERS, boundary, codes

PUSH = "id: a, to: ['user:x'], repositories: [p], actions: [push]"
INVALID = [
    (PUSH + "  # lint: ignore TS104 because it mounts", False),
    (PUSH + "  # lint: ignore TS104", True),
    (PUSH + "  # lint: ignore TS104 because", True),
    (PUSH + "  # lint: TS104 because it mounts", True),
    (PUSH + "  # lint: ignore TS104,TS111 because it mounts", False),
    (PUSH + "  # lint: ignore TS104 TS111 because it mounts", True),
    (PUSH + "  # lint: ignore TS999 because it mounts", True),
    (PUSH + "  # lint: ignore TS104, TS202 because it mounts", True),
    (PUSH + "  # lint: ignore ts104 because it mounts", True),
    (PUSH + "  # lints: ignore TS104", False),
    (PUSH + "  # about lint: ignore TS104", False),
    ("# lint: ignore TS104 because it mounts\n" + PUSH, False),
    ("# lint: skip\n" + PUSH, True),
]
UNUSED = [
    (PUSH + "  # lint: ignore TS104 because it mounts", False),
    (PUSH + "  # lint: ignore TS103 because it mounts", True),
    (PUSH + "  # lint: ignore TS104, TS103 because it mounts", True),
    (PUSH + "\n# lint: ignore TS104 because it mounts", True),
    ("# lint: ignore TS104 because it mounts\n" + PUSH, False),
    ("# lint: ignore TS104 because it mounts\n# another comment\n" + PUSH, False),
    ("# lint: ignore TS104 because it mounts\n" + READERS + PUSH.replace("id: a", "id: b"), True),
    (PUSH.replace("[push]", "[push, pull]") + "  # lint: ignore TS104 because it mounts", True),
    (PUSH + "  # lint: ignore TS104", False),
    (PUSH + "  # lint: ignore TS104, TS106 because its group comes soon", False),
    (PUSH + "  # lint: ignore TS104, TS126 because its group comes soon", False),
    (PUSH + "  # lint: ignore TS104, TS301 because he is on leave", False),
    (READERS.strip() + "  # lint: ignore TS121 because clients get tokens soon", True),
]


@boundary({"TS201": INVALID, "TS202": UNUSED})
def test_boundary(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """The code is reported for exactly those trees that have its fault."""
    assert (code in codes(tmp_path, tree)) is expected
