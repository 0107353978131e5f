"""The output of `audit who-did --really`: what registries report, and the token that allowed it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenserver.audit.deeds import DeedSeen
from tokenserver.audit.question import AuditQuestion
from tokenserver.audit.real_deeds import ALLOWED, UNALLOWED, RealDeed, RealDeeds, RealDeedSeen, reading
from tokenserver.cli.audit.options import EventReader
from tokenserver.cli.console.progress import progress
from tokenserver.cli.console.table import table
from tokenserver.cli.exits import NO, OK
from tokenserver.cli.terminal import echo, echo_json, echo_text

_SHOWN_OF_DEED = 3
_SHOWN_OF_DIGEST = len("sha256:") + 12

_HEADS = ("WHO", "WHAT", "WHERE", "TIMES", "FIRST", "LAST", "FROM", "ALLOWED BY")


def print_real_deeds(files: Sequence[str], question: AuditQuestion, *, as_json: bool) -> int:
    """Print the answer; gives the exit code."""
    reader = EventReader(files, reading(question))
    deeds = RealDeeds(question)
    with progress("searching", reader.spell):
        deeds.add_all(reader)
    found = deeds.ordered()
    if as_json:
        listed = [_facts(deed, seen) for deed, seen in found]
        counts = {"without_token": deeds.without_token, "repeated": deeds.repeated, "not_kept": deeds.not_kept}
        echo_json({"deeds": listed, **counts})
    elif found:
        echo_text(table(_HEADS, (_row(deed, seen) for deed, seen in found)))
    else:
        echo("no registry reports that in these events", err=True)
    if deeds.without_token:
        echo(
            f"{deeds.without_token:,} were allowed by no token of this server, or by one whose exchange is not in these"
            " files, which may have to begin an hour earlier; see: tokenserver help registry-notifications",
            err=True,
        )
    if deeds.not_kept:
        echo(f"{deeds.not_kept:,} more are not listed; narrow the question", err=True)
    return OK if found else NO


def spelled_client(who: str | None, seen: DeedSeen) -> str:
    """A client, with its workloads and the credentials that it used."""
    workloads = f" ({', '.join(seen.workloads)})" if seen.workloads else ""
    credential = f" by key {', '.join(seen.credentials)}" if seen.credentials else ""
    return f"{'not reported' if who is None else who or 'anonymous'}{workloads}{credential}"


def few(named: dict[str, None]) -> str:
    """The first few names, and how many more there are."""
    names = list(named)
    more = f" and {len(names) - _SHOWN_OF_DEED} more" if len(names) > _SHOWN_OF_DEED else ""
    return f"{', '.join(names[:_SHOWN_OF_DEED])}{more}"


def _row(deed: RealDeed, seen: RealDeedSeen) -> tuple[str, ...]:
    return (
        spelled_client(deed.who, seen),
        _what(deed),
        deed.registry,
        f"{seen.count:,}",
        seen.first,
        seen.last,
        few(seen.clients) or "-",
        _allowed_by(deed, seen),
    )


def _what(deed: RealDeed) -> str:
    tag = f":{deed.tag}" if deed.tag else ""
    digest = f"@{deed.digest[:_SHOWN_OF_DIGEST]}" if deed.digest else ""
    source = f" from {deed.from_repository}" if deed.from_repository else ""
    return f"{deed.action} {deed.repository}{tag}{digest}{source}"


def _allowed_by(deed: RealDeed, seen: RealDeedSeen) -> str:
    if deed.outcome == UNALLOWED:
        return "NO TOKEN"
    if deed.outcome != ALLOWED:
        return "unknown"
    return few(seen.rules) or "a token"


def _facts(deed: RealDeed, seen: RealDeedSeen) -> dict[str, Any]:
    return {
        "subject": deed.who,
        "action": deed.action,
        "repository": deed.repository,
        "from_repository": deed.from_repository or None,
        "tag": deed.tag or None,
        "digest": deed.digest or None,
        "registry": deed.registry,
        "outcome": deed.outcome,
        "count": seen.count,
        "first": seen.first,
        "last": seen.last,
        "clients": list(seen.clients),
        "credentials": list(seen.credentials),
        "workloads": list(seen.workloads),
        "rules": list(seen.rules),
        "tokens": list(seen.tokens),
    }
