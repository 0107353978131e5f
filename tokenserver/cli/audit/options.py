"""Options that audit commands share: the files, the conditions of events, and the times between which they are."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from tokenserver.audit.candidates import is_within
from tokenserver.audit.events import event_of
from tokenserver.audit.log_files import LogReader
from tokenserver.audit.question import AuditQuestion
from tokenserver.cli.policy.options import parsed
from tokenserver.exchange.outcomes import OUTCOMES
from tokenserver.patterns import Pattern, PatternError, SegmentKind, parse_pattern
from tokenserver.policy.terms import TermError, parse_moment, parse_network
from tokenserver.scopes import ACTIONS

_AGO = re.compile(r"([1-9][0-9]{0,5})([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def parse_since(text: str) -> datetime:
    """A moment as in policies, or a duration before now: `90d`.

    Raises:
        TermError: neither.
    """
    ago = _AGO.fullmatch(text)
    if ago is None:
        return parse_moment(text)
    try:
        return datetime.now(UTC) - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
    except OverflowError:
        raise TermError(f"{text!r}: is before the year 1") from None


def parse_repositories(text: str) -> Pattern:
    """A pattern of repositories, without variables.

    Raises:
        TermError: no such pattern.
    """
    try:
        pattern = parse_pattern(text)
    except PatternError as error:
        raise TermError(f"{text!r}: {error}") from error
    if pattern.uses(SegmentKind.USER) or pattern.uses(SegmentKind.GROUP):
        raise TermError(f"{text!r}: a question has no variables; fix: write the name, or *")
    return pattern


def files_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """`FILES`, of which standard input is the default."""
    return click.argument("files", nargs=-1, metavar="[FILES]...")(command)


def time_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--since` and `--until`."""
    until = click.option("--until", callback=parsed(parse_since), help="Before this time; as --since.")
    since = click.option(
        "--since", callback=parsed(parse_since), help="From this time on: 2026-11-01, 2026-11-01T08:00:00Z, or 90d ago."
    )
    return since(until(command))


def condition_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The conditions of an event, apart from its access and time."""
    options = (
        click.option("--user", default="", help="About this user: as client, owner or administrator."),
        click.option("--group", default="", help="A client that was in this group of a user source."),
        click.option("--robot", default="", help="About this robot."),
        click.option("--workload", default="", help="A client that was this workload."),
        click.option("--registry", default="", help="Service name of the registry."),
        click.option("--from", "network", callback=parsed(parse_network), help="Clients of this address or network."),
        click.option("--rule", default="", help="A decision that cites this rule, by its id."),
        click.option("--credential", default="", help="Used, made or ended this credential, by its id."),
    )
    for option in reversed(options):
        command = option(command)
    return command


outcome_option = click.option(
    "--outcome", default="", metavar="OUTCOME", help=f"{', '.join(OUTCOMES)}; or that of another sort of event."
)
action_option = click.option("--action", type=click.Choice(list(ACTIONS)), help="This action was asked for.")
repository_option = click.option(
    "--repository", callback=parsed(parse_repositories), help="A repository of this pattern was asked for: 'web/**'."
)


def log_reader(files: Sequence[str]) -> LogReader:
    """A reader of these files; without any, of standard input.

    Raises:
        click.UsageError: that is a terminal.
    """
    if not files and sys.stdin.isatty():
        raise click.UsageError("name files with audit events, or pipe them in")
    return LogReader(files or ("-",))


class EventReader:
    """The events of files that meet a question, in the order of the lines, and what was read for them."""

    def __init__(self, files: Sequence[str], question: AuditQuestion) -> None:
        self._log = log_reader(files)
        self._question = question
        self.other_lines = 0
        """Lines that had the texts of an answer and no event."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        first, last = self._question.time_bounds()
        for line in self._log.lines(self._question.needles()):
            if not is_within(line, first, last):
                continue
            event = event_of(line)
            if event is None:
                self.other_lines += 1
            elif self._question.is_met_by(event):
                yield event

    @property
    def read_bytes(self) -> int:
        """How much was read."""
        return self._log.read_bytes

    def spell(self) -> str:
        """How much was read, for people."""
        return self._log.spell()
