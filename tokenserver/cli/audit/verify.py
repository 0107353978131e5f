"""`tokenserver audit verify`: whether events were removed, changed, reordered or added since the server wrote them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from tokenserver.audit.chain.event_text import lines_of
from tokenserver.audit.chain.findings import ADVICE, ChainFinding, ChainSummary, FindingKind
from tokenserver.audit.chain.recorded import STORAGE, ServerSummary, compare_recorded, servers_of
from tokenserver.audit.chain.verifier import ChainVerifier, TooScattered
from tokenserver.audit.chain.window import TimeSpan, Window, WindowSeals
from tokenserver.audit.log_files import open_log
from tokenserver.cli.audit.known_chains import StoredChains, stored_chains
from tokenserver.cli.audit.options import chosen_store, files_argument, time_options
from tokenserver.cli.audit.seal_keys import trusted_keys
from tokenserver.cli.console.progress import progress
from tokenserver.cli.console.table import table
from tokenserver.cli.exits import NO, OK
from tokenserver.cli.options import config_option, report_faults
from tokenserver.cli.terminal import echo, echo_json, echo_text
from tokenserver.errors import Fault, LoadError
from tokenserver.exchange.audit_chain.seal_check import SealKeys
from tokenserver.exchange.audit_events import spell_time

SHOWN = 100
"""Findings that are printed; all of them are counted."""

KEPT = 10_000
"""Findings and notes that `--json` has."""


@click.command("verify")
@files_argument
@click.option(
    "--ca",
    "authorities",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A token CA of the server, as a PEM file: /ca.pem of the server, or keys/token-ca.pem. Repeatable.",
)
@click.option(
    "--jwks",
    "key_sets",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A key set of the server, as /.well-known/jwks.json has it. Repeatable.",
)
@click.option(
    "--keys",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder of keys: trust its token CA. Repeatable.  [default: the folders of the configuration]",
)
@time_options
@click.option(
    "--storage/--no-storage",
    default=None,
    help="Compare with what the storage of the configuration knows of the chains, so that a whole run of a server is "
    "missed, and the end of one.  [default: if the configuration is read, and its storage can be]",
)
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@report_faults
def audit_verify(  # noqa: PLR0917 - options
    files: tuple[str, ...],
    authorities: tuple[Path, ...],
    key_sets: tuple[Path, ...],
    folders: tuple[Path, ...],
    since: datetime | None,
    until: datetime | None,
    config: Path | None,
    *,
    storage: bool | None,
    as_json: bool,
) -> None:
    """Verify that events are as the server wrote them, and that none is missing: events with audit.chain.

    Name all files of the time in question, of all replicas, in any order. With --since and --until, what was written
    between is verified, from the last seal before to the first seal after. Exit code 0: all is whole; 1: something is
    wrong, and its lines are named.
    """
    if chosen_store() is not None:
        raise click.UsageError("--store holds no lines as the server wrote them: name the files that were indexed")
    if not files and sys.stdin.isatty():
        raise click.UsageError("name files with audit events, or pipe them in")
    span = TimeSpan(_spelled(since), _spelled(until))
    if any(span) and "-" in (files or ("-",)):
        raise click.UsageError("with --since or --until, files are read twice; fix: name files, not standard input")
    keys = trusted_keys(authorities, key_sets, folders, config)
    known = None
    if storage is not False and (storage or config is not None or not (authorities or key_sets or folders)):
        known = stored_chains(config, is_required=storage is True)
    result = _Result()
    window = _window(keys, span, files) if any(span) else None
    verifier = ChainVerifier(keys.open_seal, result.found, result.note, window)
    with progress("verifying", lambda: f"{verifier.events:,} events"):
        chains = _verified(verifier, files or ("-",))
    _compare(known, verifier, span, result)
    servers = servers_of(() if known is None else known.chains)
    if as_json:
        echo_json(_as_json(result, verifier, chains, servers))
    else:
        _print(result, verifier, chains, servers)
    raise SystemExit(NO if result.count or not verifier.events else OK)


def _spelled(moment: datetime | None) -> str:
    return "" if moment is None else spell_time(moment.timestamp())


def _window(keys: SealKeys, span: TimeSpan, files: Sequence[str]) -> Window:
    """The lines that have to be verified: all seals are read first."""
    seals, lines = WindowSeals(keys.open_seal, span), 0
    with progress("looking for seals", lambda: f"{lines:,} lines"):
        for name in files:
            with open_log(name) as stream:
                for line in lines_of(stream.read):
                    lines += 1
                    seals.read(line)
    return seals.window()


def _compare(known: StoredChains | None, verifier: ChainVerifier, span: TimeSpan, result: _Result) -> None:
    """Compare what the files have with what the storage knows."""
    if known is None:
        return
    compare_recorded(known.chains, verifier.found(), result.found, result.note, since=span.since, until=span.until)
    if known.forged:
        message = f"{known.forged:,} rows about chains were written by somebody else, and were not compared"
        result.found(ChainFinding(FindingKind.FORGED_RECORD, STORAGE, "", message))
    for text in known.notes:
        result.note(text)


def _verified(verifier: ChainVerifier, files: Sequence[str]) -> list[ChainSummary]:
    try:
        for name in files:
            verifier.begin(name)
            with open_log(name) as stream:
                for line in lines_of(stream.read):
                    verifier.read(line)
            verifier.end()
    except TooScattered:
        message = "lines are scattered over the files one by one; fix: sort each file by time first"
        raise LoadError([Fault(name, 0, "", message)]) from None
    return verifier.finish()


class _Result:
    """Findings and notes, the first ones of them, and how many there are."""

    def __init__(self) -> None:
        self.findings: list[ChainFinding] = []
        self.notes: list[str] = []
        self.kinds: Counter[str] = Counter()

    @property
    def count(self) -> int:
        return self.kinds.total()

    def found(self, finding: ChainFinding) -> None:
        self.kinds[finding.kind] += 1
        if len(self.findings) < KEPT:
            self.findings.append(finding)

    def note(self, text: str) -> None:
        if len(self.notes) < KEPT:
            self.notes.append(text)


def _as_json(
    result: _Result, verifier: ChainVerifier, chains: Sequence[ChainSummary], servers: Sequence[ServerSummary]
) -> dict[str, Any]:
    findings = [
        {
            "kind": one.kind,
            "file": one.place.file,
            "line": one.place.line,
            "end_file": (one.end or one.place).file,
            "end_line": (one.end or one.place).line,
            "chain": one.chain,
            "message": one.message,
        }
        for one in result.findings
    ]
    return {
        "lines": verifier.lines,
        "events": verifier.events,
        "without_link": verifier.loose,
        "chains": [asdict(chain) for chain in chains],
        "servers": [asdict(server) for server in servers],
        "findings": findings,
        "finding_count": result.count,
        "notes": result.notes,
    }


def _print(
    result: _Result, verifier: ChainVerifier, chains: Sequence[ChainSummary], servers: Sequence[ServerSummary]
) -> None:
    shown = result.findings[:SHOWN]
    if shown:
        rows = ((str(one.place), one.kind.upper(), one.chain or "-", one.message) for one in shown)
        echo_text(table(("LINE", "WHAT", "CHAIN", "WHY"), rows))
        if result.count > len(shown):
            echo_text(f"… and {result.count - len(shown):,} more; --json prints up to {KEPT:,}")
        for kind, advice in ADVICE.items():
            if result.kinds[kind]:
                echo_text(f"{kind}: {advice}")
        echo_text("")
    if chains:
        echo_text(table(("CHAIN", "FROM", "UNTIL", "LINES", "SEALED"), map(_row, chains)))
    if servers:
        echo_text("")
        echo_text(table(("SERVER", "CHAINS", "SINCE", "LAST SEAL", "STATE"), map(_server_row, servers)))
    for note in result.notes[:SHOWN]:
        echo_text(f"note: {note}")
    if verifier.loose:
        echo_text(f"note: {verifier.loose:,} events are from before the chain, and nothing proves them")
    if not verifier.events:
        echo(
            "no event has a link, so nothing can be verified; a server links its events with audit: {chain: true}",
            err=True,
        )
    elif result.count:
        echo(f"{result.count:,} findings in {verifier.events:,} linked events", err=True)
    else:
        echo(f"{verifier.events:,} linked events are as the server wrote them, and none is missing between", err=True)


def _server_row(server: ServerSummary) -> tuple[str, ...]:
    state = "ended" if server.is_ended else "runs, or was ended by force"
    return (server.server, f"{server.chains:,}", server.began, server.last_seen, state)


def _row(chain: ChainSummary) -> tuple[str, ...]:
    sealed = f"until {chain.sealed:,}" if chain.sealed else "no"
    return (
        chain.chain,
        chain.since,
        chain.until,
        f"{chain.first:,} to {chain.last:,}",
        "closed" if chain.is_closed else sealed,
    )
