"""`tokenserver policy lint`: what policies say that their writers can hardly have meant."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from tokenserver.cli.policy_source import Source, policy_command, read_source
from tokenserver.documents import parse
from tokenserver.errors import Fault, LoadError
from tokenserver.files import read_text
from tokenserver.policy.lint import LintedFile, lint

FOUND = 1
EXPLAINED_IN = "docs/policy-lint.md"


@click.command("lint")
@policy_command
def policy_lint(config: Path | None, folder: Path | None, as_json: bool) -> None:
    """Tell rules that do nothing or too much, each with a code. Exit code 0: nothing found; 1: findings.

    With a bare folder nothing is known about user sources, so that no group counts as unknown.
    """
    source = read_source(config, folder)
    root = policies_folder(source, folder)
    findings = lint(source.policies, _files(source, root), datetime.now(UTC), brings_groups=_brings_groups(source))
    if as_json:
        facts = [
            {"file": str(root / found.file), "line": found.line, "code": found.code, "text": found.text}
            for found in findings
        ]
        click.echo(json.dumps(facts))
    else:
        for found in findings:
            click.echo(f"{root / found.file}:{found.line}: {click.style(found.code, fg='yellow')} {found.text}")
        count = len(findings)
        if count:
            click.echo(f"{count} finding{'s' if count != 1 else ''}; {EXPLAINED_IN} explains each code", err=True)
        else:
            click.secho(f"{source.policies.rule_count} rules, nothing found", fg="green", err=True)
    raise SystemExit(FOUND if findings else 0)


def policies_folder(source: Source, folder: Path | None) -> Path:
    """Where the policies of a command stand."""
    if folder is not None:
        return folder
    assert source.settings is not None  # noqa: S101 - what is not a bare folder comes from a configuration
    return source.settings.policies


def _files(source: Source, root: Path) -> list[LintedFile]:
    """The files with their text, which compiling does not keep.

    Raises:
        LoadError: a file has changed since it was compiled, so that lines would not fit.
    """
    files = []
    for name, one in zip(source.policies.files, source.tests, strict=True):
        path = root / name
        text = read_text(path)
        if parse(text, str(path)).lines != one.document.lines:
            raise LoadError([Fault(str(path), 0, "", "changed while it was read; try again")])
        files.append(LintedFile(name, text, one.document, one.tests, one.service))
    return files


def _brings_groups(source: Source) -> bool:
    """Whether a user source may bring groups. An htpasswd file brings none; of a bare folder nothing is known."""
    if source.settings is None:
        return True
    return any(entry.htpasswd is None for entry in source.settings.authentication)
