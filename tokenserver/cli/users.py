"""`tokenserver users`: who stands in an htpasswd file, edited as a whole and never by two at once."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import sys
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
from tokenserver.cli.options import config_option, tell_faults
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.credentials import Password, Secret
from tokenserver.documents.files import NotReplaced, read_text, require_replaceable, write_file
from tokenserver.errors import Fault, InvalidCredentials, LoadError

NO = 1

_MAX_LINE = 4096
"""Bytes of standard input that are read for a password; far more than any password may have."""


def _file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--file`, or the configuration and which of its user sources."""
    options = (
        click.option("--file", type=click.Path(path_type=Path, dir_okay=False), help="The htpasswd file itself."),
        config_option,
        click.option("--source", metavar="SOURCE", help="Which one, where the configuration has several such files."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def users() -> None:
    """Add, change, remove and check the users of an htpasswd file.

    The file is the one that the configuration names, or that of --file.
    """


@users.command("set")
@click.argument("name")
@_file_options
@tell_faults
def set_(name: str, file: Path | None, config: Path | None, source: str | None) -> None:
    """Add the user NAME, or change the password.

    The password is asked for, or read from standard input, where it is the first line.
    """
    path = _users_file(file, config, source)
    name = unicodedata.normalize("NFC", name)
    problem = name_problem(name)
    if problem is not None:
        _refuse(path, "", problem)
    password = _read_password(is_new=True)
    try:
        hashed = hash_password(password)  # before the file is locked, because hashing is slow
    except ValueError as error:
        _refuse(path, name, str(error))

    def change(text: str) -> str:
        twin = next((other for other in names_in(text) if other != name and fold(other) == fold(name)), None)
        if twin is not None:
            command = users_command("delete", twin, str(path))
            _refuse(path, name, f"differs only in case or width from {twin!r}; one has to go, for instance: {command}")
        return with_user(text, name, hashed)

    before, faults = _edit(path, change, may_be_new=True)
    echo(f"{name} was {'changed' if name in names_in(before) else 'added'} in {path}.")
    _tell_what_is_left(path, faults)
    if not faults:
        echo(f"A running server takes it over by itself. Try it: {users_command('verify', name, str(path))}")


@users.command("delete")
@click.argument("name")
@_file_options
@tell_faults
def delete(name: str, file: Path | None, config: Path | None, source: str | None) -> None:
    """Remove the user NAME."""
    path = _users_file(file, config, source)
    name = unicodedata.normalize("NFC", name)
    before, faults = _edit(path, lambda text: without_user(text, name))
    if name not in names_in(before):
        echo(f"{path} has no user {name!r}.", err=True)
        raise SystemExit(NO)
    echo(f"{name} was removed from {path}. Tokens given before stay valid until they expire.")
    _tell_what_is_left(path, faults)


@users.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the users as JSON.")
@_file_options
@tell_faults
def list_(as_json: bool, file: Path | None, config: Path | None, source: str | None) -> None:
    """List the users, with how their passwords are kept."""
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
    width = max((len(name) for name, _, _ in rows), default=0)
    for name, _, hashed in rows:
        warning = warning_about(hashed)
        echo(f"{name:<{width}}  {describe(hashed)}" + (f"  ({warning})" if warning else ""))
    if not rows:
        echo(f"{path} has no users. Add one: {users_command('set', 'NAME', str(path))}", err=True)


@users.command("verify")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@_file_options
@tell_faults
def verify(name: str, as_json: bool, file: Path | None, config: Path | None, source: str | None) -> None:
    """Tell whether the password of NAME is the one that is typed, or is the first line of standard input."""
    path = _users_file(file, config, source)
    backend = load_htpasswd(path, "htpasswd")
    # As the server does it, with its guards.
    credentials = Password(unicodedata.normalize("NFC", name), Secret(_read_password(is_new=False)))
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


def _users_file(file: Path | None, config: Path | None, source: str | None) -> Path:
    """The file as given, else the one that the configuration names.

    Raises:
        LoadError: the configuration is wrong, or does not tell which file is meant.
    """
    if file is not None:
        if source is not None:
            raise click.UsageError("--source chooses among the files of the configuration; --file has chosen already")
        return file
    # Not needed with --file, and its models take a while to build.
    from tokenserver.config.load import config_path, load_settings  # noqa: PLC0415

    settings = load_settings(config)
    files = {
        entry.htpasswd.name: entry.htpasswd.file for entry in settings.authentication if entry.htpasswd is not None
    }
    where = str(config_path(config))
    known = ", ".join(files)
    if source is not None:
        if source not in files:
            problem = f"no htpasswd file has the name {source!r}; there are: {known or 'none'}"
            raise LoadError([Fault(where, 0, "authentication", problem)])
        return files[source]
    if len(files) != 1:
        problem = f"names several htpasswd files; say --source with one of: {known}"
        if not files:
            problem = "names no htpasswd file; add one, or say --file FILE"
        raise LoadError([Fault(where, 0, "authentication", problem)])
    return next(iter(files.values()))


def _read_password(*, is_new: bool) -> str:
    """The password from a prompt, typed twice if it is new, or the first line of standard input.

    Raises:
        UsageError: it is not UTF-8.
    """
    if sys.stdin.isatty():
        typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=is_new, err=True)
        return typed
    line = sys.stdin.buffer.readline(_MAX_LINE)
    try:
        return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        raise click.UsageError("a password must be UTF-8 text") from None


def _edit(path: Path, change: Callable[[str], str], *, may_be_new: bool = False) -> tuple[str, tuple[Fault, ...]]:
    """Replace the file's text; gives the text before, and the faults that the file has now.

    Other lines may be wrong, since mending them one by one must be possible.

    Raises:
        LoadError: the file cannot be read or written, or `change` refuses; nothing has changed then.
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
        _refuse(path, "", error.problem)
    except OSError as error:
        _refuse(path, "", f"cannot be changed: {error.strerror}")
    try:
        parse_users(after, str(path))
    except LoadError as error:
        return before, error.faults
    return before, ()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that of two commands at once the second sees what the first has written.

    The folder and not the file, because the file is replaced; and no lock file, because that would stay behind.
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


def _tell_what_is_left(path: Path, faults: tuple[Fault, ...]) -> None:
    for fault in faults:
        echo(f"warning: {fault}", fg="yellow", err=True)
    if faults:
        echo(f"The server refuses {path} as a whole until this is mended.", err=True)


def _refuse(path: Path, name: str, problem: str) -> NoReturn:
    raise LoadError([Fault(str(path), 0, name, problem)])
