"""The faults of a policy folder of one file, beside a good rule."""

from __future__ import annotations

from pathlib import Path

from tokenserver.errors import LoadError
from tokenserver.policy.loading.loader import compile_policies

RULE = 'allow:\n  - {id: r, to: [authenticated], repositories: ["web/**"], role: reader}\n'
SERVICES = frozenset({"registry.example.com", "localhost:5000", "web"})


def faults(folder: Path, text: str, services: frozenset[str] | None = None) -> list[str]:
    """What loading says about one file with this text beside a good rule, each with its line."""
    path = folder / "a.yaml"
    path.write_text(f"version: 1\n{RULE}{text}")
    path.chmod(0o644)
    try:
        compile_policies(folder, services=services)
    except LoadError as error:
        return [f"{fault.line}: {fault.path}: {fault.message}" for fault in error.faults]
    return []
