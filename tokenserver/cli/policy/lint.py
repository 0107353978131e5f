"""`tokenserver policy lint`: what policies say that their writers can hardly have meant."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from tokenserver.cli.policy.options import Source, policy_command, read_source
from tokenserver.cli.terminal import echo, echo_text, style
from tokenserver.config.load import config_path
from tokenserver.documents.document import parse
from tokenserver.documents.files import read_text
from tokenserver.errors import Fault, LoadError
from tokenserver.policy.lint.lint import LintedFile, LintFinding, lint
from tokenserver.policy.lint.unknown_names import Outside

FOUND = 1
EXPLAINED_IN = "docs/policy-lint.md"


@click.command("lint")
@click.option(
    "--directory", "ask", is_flag=True, help="Ask the configured directories too: users who left, groups that are gone."
)
@policy_command
def policy_lint(ask: bool, config: Path | None, folder: Path | None, as_json: bool) -> None:
    """Tell rules that do nothing or too much, each with a code. Exit code 0: nothing found; 1: findings.

    With a bare folder nothing is known about user sources, so that no group counts as unknown.
    """
    source = read_source(config, folder)
    root = policies_folder(source, folder)
    outside, overlaps = _asked(source, config) if ask else (None, [])
    files = _files(source, root)
    brings_groups = _brings_groups(source)
    findings = [
        *lint(source.policies, files, datetime.now(UTC), brings_groups=brings_groups, outside=outside),
        *overlaps,
    ]
    if as_json:
        facts = [
            {"file": str(root / found.file), "line": found.line, "code": found.code, "text": found.text}
            for found in findings
        ]
        echo_text(json.dumps(facts))
    else:
        for found in findings:
            echo(f"{root / found.file}:{found.line}: {style(found.code, fg='yellow')} {found.text}")
        count = len(findings)
        if count:
            echo(f"{count} finding{'s' if count != 1 else ''}; {EXPLAINED_IN} explains each code", err=True)
        else:
            echo(f"{source.policies.rule_count} rules, nothing found", fg="green", err=True)
    raise SystemExit(FOUND if findings else 0)


def _asked(source: Source, config: Path | None) -> tuple[Outside, list[LintFinding]]:
    """What the user sources say about the policies' names, and which names more than one of them has."""
    # Only here are they needed, and loading them takes as long as all else.
    from tokenserver.cli.user_sources import UserSources  # noqa: PLC0415 - see above

    if source.settings is None:
        raise click.UsageError("--directory asks the configured directories: it needs --config, not --policies")
    sources = UserSources(source.settings)
    if not sources.directories:
        raise click.UsageError("--directory: the configuration names no directory (ldap:)")
    overlaps = [LintFinding(file, line, "TS303", text) for file, line, text in sources.overlaps()]
    path = config_path(config)
    lines = parse(read_text(path), str(path)).lines
    places = {entry.name: number for number, entry in enumerate(source.settings.authentication)}
    told = [("TS303", *one) for one in sources.namesakes()] + [("TS302", *one) for one in sources.unspeakable()]
    overlaps += [
        LintFinding(str(path.absolute()), lines.get(("authentication", places[name]), 1), code, text)
        for code, name, text in told
    ]
    return sources.outside(source.policies), overlaps


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
