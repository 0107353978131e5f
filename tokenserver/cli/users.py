"""`tokenserver users`: edits an htpasswd file, which is replaced as a whole and locked meanwhile."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from tokenserver.authn.chain import Chain
from tokenserver.authn.htpasswd.backend import load_htpasswd
from tokenserver.authn.htpasswd.file import names_in, parse_users, users_command, with_user, without_user
from tokenserver.authn.passwords import describe, hash_password, warning_about
from tokenserver.authn.usernames import fold, name_problem
from tokenserver.cli.exits import NO
from tokenserver.cli.lazy import HintingGroup
from tokenserver.cli.options import config_option, report_faults
from tokenserver.cli.prompts import read_password
from tokenserver.cli.table import aligned
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.credentials import Password
from tokenserver.documents.files import NotReplaced, read_text, require_replaceable, write_file
from tokenserver.errors import Fault, InvalidCredentials, LoadError
from tokenserver.scopes import is_path_component


def _file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--file`; or `--config` and `--source`, to name one of its user sources."""
    options = (
        click.option(
            "--file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="The htpasswd file; else the one in the configuration.",
        ),
        config_option,
        click.option(
            "--source", metavar="SOURCE", help="The user source, if the configuration has several htpasswd files."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=HintingGroup)
def users() -> None:
    """Add, change, remove, list and verify the users of an htpasswd file.

    The file is the one in the configuration, or the one given with --file.
    """


@users.command("set")
@click.argument("name")
@_file_options
@report_faults
def users_set(name: str, file: Path | None, config: Path | None, source: str | None) -> None:
    """Add the user NAME, or change the password of NAME.

    The password is prompted for; without a terminal it is the first line of standard input.
    """
    path = _users_file(file, config, source)
    name = unicodedata.normalize("NFC", name)
    problem = name_problem(name)
    if problem is not None:
        _reject(path, "", problem)
    password = read_password(is_new=True)
    try:
        hashed = hash_password(password.reveal())  # before the file is locked, because hashing is slow
    except ValueError as error:
        _reject(path, name, str(error))

    def change(text: str) -> str:
        twin = next((other for other in names_in(text) if other != name and fold(other) == fold(name)), None)
        if twin is not None:
            command = users_command("delete", twin, str(path))
            _reject(
                path,
                name,
                f"differs only in case or width from {twin!r}; fix: remove one of the two, for example: {command}",
            )
        return with_user(text, name, hashed)

    before, faults = _edit(path, change, may_be_new=True)
    echo(f"{name} was {'changed' if name in names_in(before) else 'added'} in {path}.")
    _warn_of(faults, path)
    _warn_of_rules(name, config)
    if not faults:
        echo(f"A running server reloads the file by itself. Try it: {users_command('verify', name, str(path))}")


@users.command("delete")
@click.argument("name")
@_file_options
@report_faults
def users_delete(name: str, file: Path | None, config: Path | None, source: str | None) -> None:
    """Remove the user NAME."""
    path = _users_file(file, config, source)
    name = unicodedata.normalize("NFC", name)
    before, faults = _edit(path, lambda text: without_user(text, name))
    if name not in names_in(before):
        echo(f"{path} has no user {name!r}.", err=True)
        raise SystemExit(NO)
    echo(f"{name} was removed from {path}. Tokens issued before stay valid until they expire.")
    _warn_of(faults, path)


@users.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the users as JSON.")
@_file_options
@report_faults
def users_list(as_json: bool, file: Path | None, config: Path | None, source: str | None) -> None:
    """List the users, and how their passwords are hashed."""
    path = _users_file(file, config, source)
    entries = parse_users(read_text(path), str(path))
    rows = [(entry.name, entry.line, entry.hashed.reveal()) for entry in entries]
    if as_json:
        facts = [
            {"name": name, "line": line, "hash": describe(hashed), "warning": warning_about(hashed)}
            for name, line, hashed in rows
        ]
        echo_text(json.dumps({"file": str(path), "users": facts}))
        return
    if rows:
        echo_text(aligned([(name, _spell_hash(hashed)) for name, _, hashed in rows]))
    else:
        echo(f"{path} has no users. Add one: {users_command('set', 'NAME', str(path))}", err=True)


@users.command("verify")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@_file_options
@report_faults
def users_verify(name: str, as_json: bool, file: Path | None, config: Path | None, source: str | None) -> None:
    """Verify the password of NAME: exit code 0 if it is right, 1 if not.

    The password is prompted for; without a terminal it is the first line of standard input.
    """
    path = _users_file(file, config, source)
    backend = load_htpasswd(path, "htpasswd")
    # Through the chain, so that the server's own rules about names and passwords apply.
    credentials = Password(unicodedata.normalize("NFC", name), read_password())
    reason = None
    try:
        Chain([backend], anonymous=False, decoy=None).authenticate(credentials)
    except InvalidCredentials as error:
        reason = error.reason
    if as_json:
        echo_text(json.dumps({"name": credentials.username, "right": reason is None, "reason": reason}))
    else:
        echo("yes" if reason is None else f"no: {reason}")
    if reason is not None:
        raise SystemExit(NO)


def _spell_hash(hashed: str) -> str:
    warning = warning_about(hashed)
    return describe(hashed) + (f"  ({warning})" if warning else "")


def _users_file(file: Path | None, config: Path | None, source: str | None) -> Path:
    """The given file, else the one in the configuration.

    Raises:
        LoadError: the configuration is faulty, or has no file or several.
    """
    if file is not None:
        if source is not None:
            raise click.UsageError(
                "--file and --source exclude each other: --source chooses among the files of the configuration"
            )
        return file
    # Not needed with --file, and its models take a while to import.
    from tokenserver.config.load import config_path, load_settings  # noqa: PLC0415

    settings = load_settings(config)
    files = {
        entry.htpasswd.name: entry.htpasswd.file for entry in settings.authentication if entry.htpasswd is not None
    }
    where = str(config_path(config))
    known = ", ".join(files)
    if source is not None:
        if source not in files:
            problem = f"no htpasswd file is named {source!r}; configured: {known or 'none'}"
            raise LoadError([Fault(where, 0, "authentication", problem)])
        return files[source]
    if len(files) != 1:
        problem = f"has several htpasswd files; fix: add --source with one of: {known}"
        if not files:
            problem = "has no htpasswd file; fix: add one, or use --file FILE"
        raise LoadError([Fault(where, 0, "authentication", problem)])
    return next(iter(files.values()))


def _edit(path: Path, change: Callable[[str], str], *, may_be_new: bool = False) -> tuple[str, tuple[Fault, ...]]:
    """Replace the text of the file; returns the text before, and the faults of the file now.

    Other lines may be faulty, because fixing them one by one must be possible.

    Raises:
        LoadError: the file cannot be read or written, or `change` rejects it; the file is unchanged then.
    """
    try:
        with _locked(path.absolute().parent):
            require_replaceable(path)
            status = _status(path) if may_be_new else path.stat(follow_symlinks=False)
            before = "" if status is None else read_text(path, follow=False)
            after = change(before)
            if after != before or status is None:
                mode = 0o600 if status is None else stat.S_IMODE(status.st_mode)
                owner = None if status is None else (status.st_uid, status.st_gid)
                write_file(path, after.encode("utf-8"), mode=mode, owner=owner)
    except NotReplaced as error:
        _reject(path, "", error.problem)
    except OSError as error:
        _reject(path, "", f"cannot be changed: {error.strerror}")
    try:
        parse_users(after, str(path))
    except LoadError as error:
        return before, error.faults
    return before, ()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that concurrent commands see each other's changes.

    It is on the folder because the file is replaced; a lock file would be left behind.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def _warn_of(faults: tuple[Fault, ...], path: Path) -> None:
    for fault in faults:
        echo(f"warning: {fault}", fg="yellow", err=True)
    if faults:
        echo(f"The server rejects {path} as a whole until this is fixed.", err=True)


def _warn_of_rules(name: str, config: Path | None) -> None:
    """Warn of rules with `${user}` that can never match for this user."""
    if is_path_component(name):
        return
    # Needed only here, and importing it takes as long as everything else.
    from tokenserver.cli.policy.name_notes import note_on_new_user  # noqa: PLC0415 - see above

    note = note_on_new_user(name, config)
    if note is not None:
        echo(f"warning: {note}", fg="yellow", err=True)


def _reject(path: Path, name: str, problem: str) -> NoReturn:
    raise LoadError([Fault(str(path), 0, name, problem)])
