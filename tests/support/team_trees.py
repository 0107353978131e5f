"""A company with two teams that policies are delegated to, and reloads of their files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tokenserver.errors import LoadError
from tokenserver.policy.loading.loader import PolicyLoader
from tokenserver.policy.model import PolicySet

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROOT = """\
version: 1
delegate:
  - {file: teams/web.yaml, repositories: ["web/**"], actions: [pull, push]}
  - {file: teams/data.yaml, repositories: ["data/**", "web/data/**"], actions: [pull, push]}
allow:
  - {id: base, to: [authenticated], repositories: ["base/**"], role: reader}
"""


DENY = ROOT + 'deny:\n  - {id: no-mallory, to: ["user:mallory"], repositories: ["web/**"], actions: [push]}\n'
ROOT_TEST = "tests:\n  - {who_can: push web/prod/x, excludes: [everyone, authenticated]}\n"
TEST = "  - {as: {user: mallory}, can: [push web/x]}\n"
WEB = f"""\
version: 1
allow:
  - {{id: web, to: ["user:mallory", "user:ann"], repositories: ["web/**"], role: writer}}
tests:
{TEST}"""


WITHOUT_MALLORY = WEB.replace('"user:mallory", ', "")
DATA = """\
version: 1
allow:
  - {id: data, to: ["user:dora"], repositories: ["data/**"], role: writer}
tests:
  - {as: {user: dora}, can: [push data/x]}
"""


TREE = {"company.yaml": ROOT, "teams/web.yaml": WEB, "teams/data.yaml": DATA}


def put(folder: Path, files: dict[str, str]) -> None:
    """Write these files."""
    folder.chmod(0o755)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(mode=0o755, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)


def reload(folder: Path, loader: PolicyLoader, **files: str) -> PolicySet:
    """The live policies after a change of these files."""
    names = {"company": "company.yaml", "web": "teams/web.yaml", "data": "teams/data.yaml", "more": "teams/more.yaml"}
    put(folder, {names[name]: text for name, text in files.items()})
    return loader.load(NOW)


def refused(folder: Path, loader: PolicyLoader, **files: str) -> list[str]:
    """The faults that keep a change of these files from going live."""
    with pytest.raises(LoadError) as caught:
        reload(folder, loader, **files)
    return [str(fault).removeprefix(f"{folder}/") for fault in caught.value.faults]
