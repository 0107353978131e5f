"""`tokenserver policy diff`: the access that a change of policies adds and removes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tokenserver.cli.console.progress import progress, steps_of
from tokenserver.cli.console.table import table
from tokenserver.cli.exits import LESS_ACCESS, NEW_ACCESS, OK
from tokenserver.cli.options import config_option, report_faults
from tokenserver.cli.terminal import echo_text, style
from tokenserver.config.load import config_path, load_settings
from tokenserver.errors import Fault, LoadError, TokenserverError
from tokenserver.identity import Identity, spell_group
from tokenserver.policy.analysis.circumstances import OTHER_SERVICE
from tokenserver.policy.analysis.conditions import spell_moment
from tokenserver.policy.budget import TooComplex, command_budget
from tokenserver.policy.diff.diff import Difference, DiffRow, diff, spell_who
from tokenserver.policy.loading.git_revisions import compile_revision, parse_comparison
from tokenserver.policy.loading.loader import compile_policies
from tokenserver.policy.model import PolicySet
from tokenserver.policy.principals import UNNAMED
from tokenserver.policy.terms import parse_moment
from tokenserver.scopes import in_order

_EVERYONE = {"anonymous", "authenticated"}


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
    is complete. Tests in the files are not run. Exit code 0: the same access; 3: only less access; 4: new access; 2:
    wrong use, faulty policies, or too complex to decide.
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
        echo_text(json.dumps(as_facts(found), indent=2))
    elif as_markdown:
        echo_text(spell_markdown(found))
    else:
        echo_text(spell_table(found))
    if found.gains:
        raise SystemExit(NEW_ACCESS)
    raise SystemExit(LESS_ACCESS if found.losses and fail_on is None else OK)


def _policies(
    folders: Sequence[Path], revisions: str | None, config: Path | None, *, staged: bool
) -> tuple[PolicySet, PolicySet]:
    if revisions is None and not staged:
        if len(folders) != 2:
            raise click.UsageError("name two folders, OLD and NEW, or with --git a revision or two: main, main..HEAD")
        old, new = folders
        return _both(lambda: compile_policies(old)[0], lambda: compile_policies(new)[0])
    if len(folders) > 1:
        raise click.UsageError("with --git or --staged, name at most one folder")
    folder = folders[0] if folders else _configured(config)
    of = parse_comparison(revisions or "HEAD", folder, staged=staged)
    return _both(
        lambda: compile_revision(of.folder, of.old)[0],
        lambda: compile_policies(folder)[0] if of.new is None else compile_revision(of.folder, of.new)[0],
    )


def _with_namespaces(policies: tuple[PolicySet, PolicySet], config: Path | None) -> tuple[PolicySet, PolicySet]:
    """Both policies with what the user sources of the configuration map names to, if there is one."""
    is_there = config is not None or config_path(config).exists()
    namespaces = load_settings(config).namespaces if is_there else None
    old, new = (replace(one, namespaces=namespaces) for one in policies)
    return old, new


def _configured(config: Path | None) -> Path:
    """The policy folder of the configuration; without a configuration, the one that `init` creates."""
    is_there = config is not None or config_path(config).exists()
    return load_settings(config).policies if is_there else Path("policies")


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


def as_facts(found: Difference) -> dict[str, list[dict[str, Any]]]:
    """The difference as JSON: one entry for each action, with a witness request."""
    return {
        "gains": [_facts(row) for row in found.gains],
        "losses": [_facts(row) for row in found.losses],
        "lifetimes": [{"file": one.file, "old": one.old, "new": one.new} for one in found.lifetimes],
    }


def _facts(row: DiffRow) -> dict[str, Any]:
    identity, context = row.identity, row.context
    return {
        "as": {"user": identity.subject or None, **_namespace(identity), "groups": sorted(identity.groups)},
        "who": spell_who(row.who),
        "action": row.action,
        "repositories": _spelled(row, row.pattern.text),
        **({"not": [one.text for one in row.without]} if row.without else {}),
        "witness": _spelled(row, row.name),
        "when": dict(row.when),
        "asked": {
            "service": None if context.service == OTHER_SERVICE else context.service,
            "from": None if context.client is None else str(context.client),
            "at": spell_moment(context.now),
            "kind": identity.kind,
        },
        "rules": list(row.rules),
    }


@dataclass(frozen=True, slots=True)
class _Line:
    """Rows that differ only in principal and action, as one line."""

    who: str
    actions: str
    repositories: str
    when: str
    example: str
    rules: str

    def cells(self) -> list[str]:
        return [self.who, self.actions, self.repositories, self.when, self.example, self.rules]


_HEADS = ("who", "may", "repositories", "when", "for example", "rules")


def _lines(rows: Iterable[DiffRow]) -> Iterator[_Line]:
    by_who: dict[tuple[str, str, str], list[DiffRow]] = {}
    for row in rows:
        by_who.setdefault((_repositories(row), spell_when(row), spell_who(row.who)), []).append(row)
    together: dict[tuple[str, str, str], dict[str, list[DiffRow]]] = {}
    for (repositories, when, who), same in by_who.items():
        actions = ", ".join(in_order(row.action for row in same))
        together.setdefault((repositories, when, actions), {})[who] = same
    for (repositories, when, actions), people in together.items():
        names = ["everyone", *sorted(people.keys() - _EVERYONE)] if people.keys() >= _EVERYONE else sorted(people)
        row = people[max(people)][0]  # a named or logged-in user is a better example than an anonymous client
        rules = dict.fromkeys(rule for same in people.values() for row in same for rule in row.rules)
        yield _Line(", ".join(names), actions, repositories, when, _example(row), ", ".join(rules))


def _repositories(row: DiffRow) -> str:
    """What the row is about, in words."""
    without = f" but not {', '.join(one.text for one in row.without)}" if row.without else ""
    return f"{_spelled(row, row.pattern.text)}{without}"


def _example(row: DiffRow) -> str:
    identity = row.identity
    if identity.is_anonymous:
        return f"{_spelled(row, row.name)}, not logged in"
    groups = f" in {', '.join(map(spell_group, sorted(identity.groups)))}" if identity.groups else ""
    namespace = "".join(f" with the namespace {one}" for one in _namespace(identity).values())
    return f"{_spelled(row, row.name)} as {identity.subject}{namespace}{groups}"


def _namespace(identity: Identity) -> dict[str, str]:
    """The namespace of a witness, if names are mapped and it has one."""
    return {} if identity.namespace in (None, "", UNNAMED) else {"namespace": identity.user_value}


def _spelled(row: DiffRow, name: str) -> str:
    return name if row.resource_type == "repository" else f"{row.resource_type}:{name}"


def spell_when(row: DiffRow) -> str:
    """The circumstances in words; empty if there are none."""
    parts = []
    for key, value in row.when.items():
        words = value if isinstance(value, str) else ", ".join(value)
        parts.append(f"{key.replace('_', ' ')} {words}")
    return "; ".join(parts)


def spell_table(found: Difference) -> str:
    """The difference for a terminal."""
    parts = []
    for title, colour, rows in (("gains", "green", found.gains), ("losses", "red", found.losses)):
        if rows:
            parts += [style(title, fg=colour, bold=True), _table(rows), ""]
    if found.lifetimes:
        parts += [style("lifetimes", bold=True), table(_LIFETIME_HEADS, _lifetime_cells(found)), ""]
    return "\n".join([*parts, _summary(found)])


def _table(rows: Iterable[DiffRow]) -> str:
    cells = [line.cells() for line in _lines(rows)]
    shown = [place for place in range(len(_HEADS)) if any(line[place] for line in cells)]
    return table([_HEADS[place] for place in shown], ([line[place] for place in shown] for line in cells))


def spell_markdown(found: Difference) -> str:
    """The difference as Markdown. Text from policies is in code spans, where markup and mentions have no effect."""
    parts = [f"### Policies: {_summary(found)}", ""]
    for title, rows in (("Gains", found.gains), ("Losses", found.losses)):
        if rows:
            parts += [f"**{title}**", "", f"| {' | '.join(_HEADS)} |", f"|{'---|' * len(_HEADS)}"]
            parts += [f"| {' | '.join(map(_code, line.cells()))} |" for line in _lines(rows)]
            parts.append("")
    if found.lifetimes:
        parts += ["**Lifetimes**", "", f"| {' | '.join(_LIFETIME_HEADS)} |", f"|{'---|' * len(_LIFETIME_HEADS)}"]
        parts += [f"| {' | '.join(map(_code, cells))} |" for cells in _lifetime_cells(found)]
    return "\n".join(parts).rstrip()


_LIFETIME_HEADS = ("tokens by the rules of", "lived at most", "live at most")


def _lifetime_cells(found: Difference) -> Iterator[list[str]]:
    for one in found.lifetimes:
        yield [one.file, *("no limit" if time is None else f"{time} s" for time in (one.old, one.new))]


def _code(text: str) -> str:
    harmless = text.replace("`", "'").replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
    return f"`{harmless}`" if text else ""


def _summary(found: Difference) -> str:
    if not found.gains and not found.losses:
        return "the same access as before"
    gains, losses = (len(list(_lines(rows))) for rows in (found.gains, found.losses))
    if not gains:
        return f"only less access ({losses} lost)"
    return f"new access ({gains} gained, {losses} lost)"
