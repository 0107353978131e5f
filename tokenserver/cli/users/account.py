"""`tokenserver users disable` and `enable`: accounts whose logins are rejected although their password is right."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from tokenserver.authn.htpasswd.account import Account, End
from tokenserver.authn.htpasswd.file import account_in, names_in, users_command, with_account
from tokenserver.cli.exits import NO
from tokenserver.cli.options import report_faults
from tokenserver.cli.stored.user_changes import end_credentials
from tokenserver.cli.terminal import echo
from tokenserver.cli.users.edit import edit, reject, warn_of
from tokenserver.cli.users.options import file_options, until_option, users_file


@click.command("disable")
@click.argument("name")
@file_options
@report_faults
def users_disable(name: str, file: Path | None, config: Path | None, source: str | None) -> None:
    """Reject the logins of NAME, and keep the password for `users enable`.

    With `storage` in the configuration, the access keys and refresh tokens of NAME end.
    """
    path = users_file(file, config, source)
    _change(path, name, lambda account: replace(account, is_disabled=True))
    echo(f"{name} is disabled in {path}. Tokens issued before stay valid until they expire.")
    end_credentials(unicodedata.normalize("NFC", name), path, config, "the account was disabled")


@click.command("enable")
@click.argument("name")
@until_option
@file_options
@report_faults
def users_enable(
    name: str, until: End | str | None, file: Path | None, config: Path | None, source: str | None
) -> None:
    """Accept the logins of NAME again, with the password as it was; with --until, up to that date."""
    path = users_file(file, config, source)

    def change(account: Account) -> Account:
        end = account.until if until is None else until
        changed = Account(until=end if isinstance(end, End) else None)
        problem = changed.problem(time.time())
        if problem is not None:
            commands = [users_command("enable", name, str(path), "--until", end) for end in ("DATE", "never")]
            reject(path, name, f"{problem}; fix: {' or '.join(commands)}")
        return changed

    account = _change(path, name, change)
    end = "" if account.until is None else f"; the account ends at {account.until.instant}"
    echo(f"{name} is enabled in {path}{end}.")


def _change(path: Path, name: str, change: Callable[[Account], Account]) -> Account:
    """Change the account of a user, whose name may be in another normal form; returns it as it is now."""
    name = unicodedata.normalize("NFC", name)
    account = Account()

    def changed(text: str) -> str:
        nonlocal account
        if name not in names_in(text):
            return text
        account = change(account_in(text, name))
        return with_account(text, name, account)

    before, faults = edit(path, changed)
    if name not in names_in(before):
        echo(f"{path} has no user {name!r}.", err=True)
        raise SystemExit(NO)
    warn_of(faults, path)
    return account
