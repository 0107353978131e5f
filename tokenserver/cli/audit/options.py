"""Options that audit commands share: the files, the conditions of events, and the times between which they are."""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from tokenserver.audit.candidates import is_within
from tokenserver.audit.events import event_of
from tokenserver.audit.log_files import LogReader
from tokenserver.audit.question import AuditQuestion
from tokenserver.audit.recurring_lines import RecurringLines
from tokenserver.audit.store.reader import FoundEvents, open_events
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


_STORE = "tokenserver.audit.store"


def files_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """`FILES`, of which standard input is the default, and `--store` in place of them, which `EventReader` reads."""
    command = click.option(
        "--store",
        type=click.Path(path_type=Path, dir_okay=False),
        expose_value=False,
        callback=_remember_store,
        help="Read events from this store, which tokenserver audit index makes, in place of files.",
    )(command)
    return click.argument("files", nargs=-1, metavar="[FILES]...")(command)


def _remember_store(context: click.Context, _parameter: click.Parameter, store: Path | None) -> None:
    context.meta[_STORE] = store


def chosen_store() -> Path | None:
    """The value of `--store` of the current command."""
    store: Path | None = click.get_current_context().meta[_STORE]
    return store


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
action_option = click.option("--action", type=click.Choice(list(ACTIONS)), help="This action was asked for, or used.")
repository_option = click.option(
    "--repository",
    callback=parsed(parse_repositories),
    help="A repository of this pattern was asked for, or used: 'web/**'.",
)


def files_or_input(files: Sequence[str]) -> Sequence[str]:
    """These files; without any, standard input.

    Raises:
        click.UsageError: that is a terminal.
    """
    if not files and sys.stdin.isatty():
        raise click.UsageError("name files with audit events, or pipe them in")
    return files or ("-",)


class EventReader:
    """The events that meet a question: of files, in the order of the lines, or of the store, in that of time."""

    def __init__(self, files: Sequence[str], question: AuditQuestion) -> None:
        self._store = chosen_store()
        if self._store is not None and files:
            raise click.UsageError("name files, or --store, but not both")
        self._log = LogReader(() if self._store is not None else files_or_input(files))
        self._question = question
        self._lines = RecurringLines(question)

    @property
    def other_lines(self) -> int:
        """How many lines had the texts of an answer and no event."""
        return self._lines.other_lines

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self._store is None:
            yield from map(_decoded, self._found())
            return
        with open_events(self._store) as store:
            yield from store.events(self._question)

    def last(self, most: int) -> FoundEvents:
        """The last events, at most so many, and how many there are."""
        if self._store is not None:
            with open_events(self._store) as store:
                return store.last(self._question, most)
        kept: deque[dict[str, Any] | bytes] = deque(maxlen=most)
        count = 0
        for one in self._found():
            kept.append(one)
            count += 1
        return FoundEvents([*map(_decoded, kept)], count)

    def _found(self) -> Iterator[dict[str, Any] | bytes]:
        """The events of the files, or their lines."""
        first, last = self._question.time_bounds()
        for line in self._log.lines(self._question.needles()):
            if is_within(line, first, last):
                found = self._lines.meeting(line)
                if found is not None:
                    yield found

    def spell(self) -> str:
        """How much was read, for people."""
        return self._log.spell() if self._store is None else str(self._store)

    def spell_all(self) -> str:
        """What was searched, for people."""
        return f"{self._log.read_bytes:,} bytes" if self._store is None else str(self._store)


def _decoded(found: dict[str, Any] | bytes) -> dict[str, Any]:
    event = event_of(found) if isinstance(found, bytes) else found
    assert event is not None  # noqa: S101 - a line that meets a question has an event
    return event
