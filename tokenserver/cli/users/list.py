"""`tokenserver users list` and `verify`: what an htpasswd file says about its users."""

from __future__ import annotations

import time
import unicodedata
from pathlib import Path
from typing import Any

import click

from tokenserver.authn.chain import Chain
from tokenserver.authn.htpasswd.backend import load_htpasswd
from tokenserver.authn.htpasswd.file import HtpasswdEntry, parse_users, users_command
from tokenserver.authn.passwords import describe, warning_about
from tokenserver.cli.console.prompts import read_password
from tokenserver.cli.console.table import aligned
from tokenserver.cli.exits import NO
from tokenserver.cli.options import report_faults
from tokenserver.cli.terminal import echo, echo_json, echo_text
from tokenserver.cli.users.options import file_options, users_file
from tokenserver.credentials import Password
from tokenserver.documents.files import read_text
from tokenserver.errors import InvalidCredentials


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the users as JSON.")
@file_options
@report_faults
def users_list(as_json: bool, file: Path | None, config: Path | None, source: str | None) -> None:
    """List the users, whether and until when they can log in, and how their passwords are hashed."""
    path = users_file(file, config, source)
    entries = parse_users(read_text(path), str(path))
    now = time.time()
    if as_json:
        echo_json({"file": str(path), "users": [_facts(entry, now) for entry in entries]})
    elif entries:
        rows = [(entry.name, _spell_account(entry, now), _spell_hash(entry)) for entry in entries]
        echo_text(aligned(rows))
    else:
        echo(f"{path} has no users. Add one: {users_command('set', 'NAME', str(path))}", err=True)


@click.command("verify")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@file_options
@report_faults
def users_verify(name: str, as_json: bool, file: Path | None, config: Path | None, source: str | None) -> None:
    """Verify the password of NAME: exit code 0 if the server accepts the login, 1 if not.

    The password is prompted for; without a terminal it is the first line of standard input.
    """
    path = users_file(file, config, source)
    backend = load_htpasswd(path, "htpasswd")
    # Through the chain, so that the server's own rules about names and passwords apply.
    credentials = Password(unicodedata.normalize("NFC", name), read_password())
    reason = None
    try:
        Chain([backend], anonymous=False, decoy=None).authenticate(credentials)
    except InvalidCredentials as error:
        reason = error.reason
    if as_json:
        echo_json({"name": credentials.username, "right": reason is None, "reason": reason})
    else:
        echo("yes" if reason is None else f"no: {reason}")
    if reason is not None:
        raise SystemExit(NO)


def _state(entry: HtpasswdEntry, now: float) -> str:
    if entry.account.is_disabled:
        return "disabled"
    return "active" if entry.account.problem(now) is None else "expired"


def _facts(entry: HtpasswdEntry, now: float) -> dict[str, Any]:
    hashed = entry.hashed.reveal()
    until = entry.account.until
    return {
        "name": entry.name,
        "line": entry.line,
        "state": _state(entry, now),
        "ends": None if until is None else until.instant,
        "hash": describe(hashed),
        "warning": warning_about(hashed),
    }


def _spell_account(entry: HtpasswdEntry, now: float) -> str:
    until = entry.account.until
    return _state(entry, now) + (f", until {until.text}" if until is not None else "")


def _spell_hash(entry: HtpasswdEntry) -> str:
    hashed = entry.hashed.reveal()
    warning = warning_about(hashed)
    return describe(hashed) + (f"  ({warning})" if warning else "")
