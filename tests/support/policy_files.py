"""Policy folders of one file for tests about what a load reports, and the files of a company and one of its teams."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tokenserver.errors import Fault, LoadError
from tokenserver.policy.loading.loader import load_policies

NOW = datetime(2026, 6, 1, tzinfo=UTC)

COMPANY = """\
version: 1
delegate:
  - {file: teams/web.yaml, repositories: ["web/**"], actions: [pull, push]}
allow:
  - {id: base, to: [authenticated], repositories: ["base/**"], role: reader}
"""
"""The file at the top; it delegates `web/**` to the team."""


def company_deny(user: str, pattern: str) -> str:
    """A section for the end of `COMPANY`: the company forbids pushes of this user to the pattern."""
    return f'deny:\n  - {{id: no-{user}, to: ["user:{user}"], repositories: ["{pattern}"], actions: [push]}}\n'


def team_file(user: str, *others: str) -> str:
    """The file of the team: these users write to `web/**`, and a test on line 5 says that the first can push."""
    principals = ", ".join(f'"user:{one}"' for one in (user, *others))
    return f"""\
version: 1
allow:
  - {{id: web, to: [{principals}], repositories: ["web/**"], role: writer}}
tests:
  - {{as: {{user: {user}}}, can: [push web/x]}}
"""


def load_faults(folder: Path, text: str, now: datetime = NOW) -> list[Fault]:
    """The faults of loading a folder that has `text` in its only file, `a.yaml`."""
    folder.chmod(0o755)
    path = folder / "a.yaml"
    path.write_text(text)
    path.chmod(0o644)
    try:
        load_policies(folder, now=now)
    except LoadError as error:
        return list(error.faults)
    return []
