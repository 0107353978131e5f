"""`tokenserver policy lint`: finds what the authors of policies can hardly have intended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from tokenserver.cli.console.progress import progress, steps_of
from tokenserver.cli.exits import NO, OK
from tokenserver.cli.policy.options import Source, policy_command, read_source
from tokenserver.cli.terminal import echo, echo_json, style
from tokenserver.config.load import config_path
from tokenserver.documents.document import parse
from tokenserver.documents.files import read_text
from tokenserver.errors import Fault, LoadError
from tokenserver.policy.budget import command_budget
from tokenserver.policy.lint.lint import LintedFile, LintFinding, lint
from tokenserver.policy.lint.unknown_names import UnknownNames

EXPLAINED_BY = "tokenserver help policy-lint"


@click.command("lint")
@click.option(
    "--directory", "ask", is_flag=True, help="Also look for users and groups that no configured user source has."
)
@policy_command
def policy_lint(ask: bool, config: Path | None, folder: Path | None, as_json: bool) -> None:
    """Find rules that do nothing, or too much, each with a code. Exit code 0: no findings; 1: findings.

    With --policies the user sources are unknown, so no group counts as unknown.
    """
    with progress("reading policies"):
        source = read_source(config, folder)
    root = policies_folder(source, folder)
    unknown_names, overlaps = _asked(source, config) if ask else (None, [])
    files = _files(source, root)
    now, budget = datetime.now(UTC), command_budget(source.policies.rule_count)
    with progress("comparing rules", steps_of(budget)):
        found = lint(
            source.policies,
            files,
            now,
            have_groups=source.have_groups,
            anonymous=None if source.settings is None else source.settings.anonymous,
            unknown_names=unknown_names,
            presets=None if source.settings is None else source.settings.workload_presets,
            longest=None if source.settings is None else timedelta(seconds=source.settings.robots.max_lifetime),
            access_keys=None if source.settings is None else source.settings.access_keys is not None,
            budget=budget,
        )
    findings = [*found, *overlaps]
    if as_json:
        facts = [
            {"file": str(root / one.file), "line": one.line, "code": one.code, "text": one.text} for one in findings
        ]
        echo_json(facts)
    else:
        for one in findings:
            echo(f"{root / one.file}:{one.line}: {style(one.code, fg='yellow')} {one.text}")
        count = len(findings)
        if count:
            echo(f"{count} finding{'s' if count != 1 else ''}; {EXPLAINED_BY} explains each code", err=True)
        else:
            echo(f"{source.policies.rule_count} rules, no findings", fg="green", err=True)
    raise SystemExit(NO if findings else OK)


def _asked(source: Source, config: Path | None) -> tuple[UnknownNames, list[LintFinding]]:
    """What is wrong with the policies' names by the user sources, and findings for names in several of them."""
    # Needed only here, and importing it takes as long as everything else.
    from tokenserver.cli.policy.client.user_sources import UserSources  # noqa: PLC0415 - see above

    if source.settings is None:
        raise click.UsageError("--directory asks the configured user sources, so it needs --config, not --policies")
    sources = UserSources(source.settings)
    if not sources.directories and not sources.databases:
        raise click.UsageError("--directory: the configuration has no directory (ldap:) and no database (sql:)")
    overlaps = [LintFinding(file, line, "TS303", text) for file, line, text in sources.overlaps()]
    path = config_path(config)
    lines = parse(read_text(path), str(path)).lines
    places = {entry.name: number for number, entry in enumerate(source.settings.authentication)}
    found = [("TS303", *one) for one in sources.duplicate_users()] + [
        ("TS302", *one) for one in sources.unnameable_groups()
    ]
    overlaps += [
        LintFinding(str(path.absolute()), lines.get(("authentication", places[name]), 1), code, text)
        for code, name, text in found
    ]
    return sources.unknown_names(source.policies), overlaps


def policies_folder(source: Source, folder: Path | None) -> Path:
    """The folder of the policies that a command reads."""
    if folder is not None:
        return folder
    assert source.settings is not None  # noqa: S101 - without a bare folder there is a configuration
    return source.settings.policies


def _files(source: Source, root: Path) -> list[LintedFile]:
    """The policy files with their text, which compiling does not keep.

    Raises:
        LoadError: a file has changed since it was compiled, so line numbers would be wrong.
    """
    files = []
    for name, one in zip(source.policies.files, source.tests, strict=True):
        path = root / name
        text = read_text(path)
        document = parse(text, str(path))
        if document.lines != one.document.lines:
            raise LoadError([Fault(str(path), 0, "", "changed while it was read; fix: try again")])
        files.append(LintedFile(name, text, document, one.tests, one.service))
    return files
