"""`tokenserver users set` and `delete`."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import click

from tokenserver.access_keys import holds_key, is_marked
from tokenserver.authn.htpasswd.account import Account, End
from tokenserver.authn.htpasswd.file import (
    account_in,
    names_in,
    users_command,
    with_account,
    with_user,
    without_user,
)
from tokenserver.authn.passwords import hash_password, weakness
from tokenserver.authn.usernames import fold, name_problem
from tokenserver.cli.console.prompts import read_password
from tokenserver.cli.exits import NO
from tokenserver.cli.options import report_faults
from tokenserver.cli.stored.user_changes import end_credentials
from tokenserver.cli.terminal import echo
from tokenserver.cli.users.edit import edit, reject, warn_of
from tokenserver.cli.users.options import file_options, until_option, users_file


@click.command("set")
@click.argument("name")
@click.option("--weak", is_flag=True, help="Accept a password of fewer than 12 characters.")
@click.option("--keep-keys", is_flag=True, help="Let the access keys of NAME work on.")
@until_option
@file_options
@report_faults
def users_set(  # noqa: PLR0917 - click passes options by name
    name: str,
    weak: bool,
    keep_keys: bool,
    until: End | str | None,
    file: Path | None,
    config: Path | None,
    source: str | None,
) -> None:
    """Add the user NAME, or change the password of NAME.

    The password is prompted for; without a terminal it is the first line of standard input. A disabled account stays
    disabled, and its end stays as it is unless --until is given.

    With `storage` in the configuration, the access keys and refresh tokens of NAME end.
    """
    path = users_file(file, config, source)
    name = unicodedata.normalize("NFC", name)
    problem = name_problem(name)
    if problem is not None:
        reject(path, "", problem)
    password = read_password(is_new=True)
    if is_marked(password.reveal()) or holds_key(password.reveal()):
        reject(
            path, name, "the password looks like an access key, so the server would never try it; fix: choose another"
        )
    try:
        hashed = hash_password(password.reveal())  # before the file is locked, because hashing is slow
    except ValueError as error:
        reject(path, name, str(error))
    problem = None if weak else weakness(password.reveal())
    if problem is not None:
        reject(path, name, f"{problem}; fix: choose a longer one, or accept it with --weak")
    account = Account()

    def change(text: str) -> str:
        nonlocal account
        twin = next((other for other in names_in(text) if other != name and fold(other) == fold(name)), None)
        if twin is not None:
            command = users_command("set", twin, str(path))
            reject(
                path,
                name,
                f"differs only in case or width from {twin!r}; fix: choose another name, or set that user's password:"
                f" {command}",
            )
        account = account_in(text, name)
        if until is not None:
            account = replace(account, until=until if isinstance(until, End) else None)
        return with_account(with_user(text, name, hashed), name, account)

    before, faults = edit(path, change, may_be_new=True)
    echo(f"{name} was {'changed' if name in names_in(before) else 'added'} in {path}.")
    end_credentials(name, path, config, "the password was changed", keep_keys=keep_keys)
    warn_of(faults, path)
    _warn_of_rules(name, names_in(before), path, config)
    problem = account.problem(time.time())
    if problem is not None:
        command = users_command("enable", name, str(path), *([] if account.is_disabled else ["--until", "DATE"]))
        echo(f"{name} still cannot log in: {problem}; fix: {command}", fg="yellow", err=True)
    elif account.until is not None:
        echo(f"The account ends at {account.until.instant}.")
    if not faults and problem is None:
        echo(f"A running server reloads the file by itself. Try it: {users_command('verify', name, str(path))}")


@click.command("delete")
@click.argument("name")
@file_options
@report_faults
def users_delete(name: str, file: Path | None, config: Path | None, source: str | None) -> None:
    """Remove the user NAME, and with `storage` the access keys and refresh tokens of NAME."""
    path = users_file(file, config, source)
    name = unicodedata.normalize("NFC", name)
    before, faults = edit(path, lambda text: without_user(text, name))
    if name not in names_in(before):
        echo(f"{path} has no user {name!r}.", err=True)
        raise SystemExit(NO)
    echo(f"{name} was removed from {path}. Tokens issued before stay valid until they expire.")
    end_credentials(name, path, config, "the user was removed")
    warn_of(faults, path)


def _warn_of_rules(name: str, names: Collection[str], path: Path, config: Path | None) -> None:
    """Warn of rules with `${user}` that can never match for this user, and of a namespace that another one has."""
    # Needed only here, and importing it takes as long as everything else.
    from tokenserver.cli.policy.client.name_notes import notes_on_new_user  # noqa: PLC0415 - see above

    for note in notes_on_new_user(name, {*names, name}, path, config):
        echo(f"warning: {note}", fg="yellow", err=True)
