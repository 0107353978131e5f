"""`tokenserver policy diff`: the access that a change of policies adds and removes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from tokenserver.cli.console.progress import progress, steps_of
from tokenserver.cli.exits import LESS_ACCESS, NEW_ACCESS, OK
from tokenserver.cli.options import config_option, report_faults
from tokenserver.cli.policy.diff_output import spell_markdown, spell_table
from tokenserver.cli.terminal import echo_json, echo_text
from tokenserver.config.load import config_path, load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import Fault, LoadError, TokenserverError
from tokenserver.policy.budget import TooComplex, command_budget
from tokenserver.policy.diff.diff import diff
from tokenserver.policy.diff.report import as_facts
from tokenserver.policy.loading.git_revisions import compile_revision, parse_comparison
from tokenserver.policy.loading.loader import compile_policies
from tokenserver.policy.model import PolicySet
from tokenserver.policy.terms import parse_moment


@click.command("diff")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--git",
    "revisions",
    metavar="REV",
    help="Compare the files in a folder with this git revision, or two revisions, OLD..NEW.",
)
@click.option("--staged", is_flag=True, help="Compare what is staged with the revision of --git.  [default: HEAD]")
@click.option("--fail-on", type=click.Choice(["new-access"]), help="Exit with 4 on new access, else with 0.")
@click.option("--at", metavar="MOMENT", help="Compare access from this moment on.  [default: now]")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown, for a pull-request comment.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@config_option
@report_faults
def policy_diff(  # noqa: PLR0917 - click passes options by name
    folders: Sequence[Path],
    revisions: str | None,
    staged: bool,
    fail_on: str | None,
    at: str | None,
    as_markdown: bool,
    as_json: bool,
    config: Path | None,
) -> None:
    """Show the access that principals gain or lose between two folders, OLD and NEW, or two states of one folder.

    \b
    tokenserver policy diff OLD NEW             two folders
    tokenserver policy diff --git main          the files in the folder, with main
    tokenserver policy diff --staged            what the next commit changes
    tokenserver policy diff --git main...HEAD   a branch, with where it left main

    With --git, the default folder is the configured one, else policies/. Access is compared, not text, and the answer
    is complete; to become an administrator is new access, too. Tests in the files are not run. Exit code 0: the same
    access; 3: only less access; 4: new access; 2: wrong use, faulty policies, or too complex to decide.
    """
    if as_markdown and as_json:
        raise click.UsageError("--markdown and --json exclude each other")
    try:
        now = datetime.now(UTC) if at is None else parse_moment(at)
    except TokenserverError as error:
        raise click.BadParameter(str(error), param_hint="--at") from error
    with progress("reading policies"):
        policies = _policies(folders, revisions, config, staged=staged)
        old, new = policies if folders and config is None else _with_namespaces(policies, config)
    budget = command_budget(old.rule_count + new.rule_count)
    try:
        with progress("comparing access", steps_of(budget)):
            found = diff(old, new, now, budget)
    except TooComplex as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        echo_json(as_facts(found), indent=2)
    elif as_markdown:
        echo_text(spell_markdown(found))
    else:
        echo_text(spell_table(found))
    if found.adds:
        raise SystemExit(NEW_ACCESS)
    raise SystemExit(LESS_ACCESS if found.removes and fail_on is None else OK)


def _policies(
    folders: Sequence[Path], revisions: str | None, config: Path | None, *, staged: bool
) -> tuple[PolicySet, PolicySet]:
    settings = _settings(config)
    aliases = None if settings is None else settings.claim_aliases
    if revisions is None and not staged:
        if len(folders) != 2:
            raise click.UsageError("name two folders, OLD and NEW, or with --git a revision or two: main, main..HEAD")
        old, new = folders
        return _both(
            lambda: compile_policies(old, claim_aliases=aliases)[0],
            lambda: compile_policies(new, claim_aliases=aliases)[0],
        )
    if len(folders) > 1:
        raise click.UsageError("with --git or --staged, name at most one folder")
    configured = Path("policies") if settings is None else settings.policies  # the one that `init` creates
    folder = folders[0] if folders else configured
    of = parse_comparison(revisions or "HEAD", folder, staged=staged)
    return _both(
        lambda: compile_revision(of.folder, of.old, claim_aliases=aliases)[0],
        lambda: (
            compile_policies(folder, claim_aliases=aliases)[0]
            if of.new is None
            else compile_revision(of.folder, of.new, claim_aliases=aliases)[0]
        ),
    )


def _with_namespaces(policies: tuple[PolicySet, PolicySet], config: Path | None) -> tuple[PolicySet, PolicySet]:
    """Both policies with what the user sources of the configuration map names to, if there is one."""
    settings = _settings(config)
    namespaces = None if settings is None else settings.namespaces
    old, new = (replace(one, namespaces=namespaces) for one in policies)
    return old, new


def _settings(config: Path | None) -> Settings | None:
    """The configuration, if there is one."""
    is_there = config is not None or config_path(config).exists()
    return load_settings(config) if is_there else None


def _both(old: Callable[[], PolicySet], new: Callable[[], PolicySet]) -> tuple[PolicySet, PolicySet]:
    """Both policies.

    Raises:
        LoadError: the faults of both sides.
    """
    found = []
    faults: list[Fault] = []
    for side in (old, new):
        try:
            found.append(side())
        except LoadError as error:
            faults += error.faults
    if faults:
        raise LoadError(faults)
    return found[0], found[1]
