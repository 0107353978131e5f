"""Hooks of a server: user sources that ask an operator's own check, built from settings and files."""

from __future__ import annotations

import os
import stat
from functools import partial
from pathlib import Path

from tokenserver.authn.hooks.http_hook import HttpHook
from tokenserver.authn.hooks.login_program import LoginProgram
from tokenserver.authn.hooks.program_hook import ProgramHook
from tokenserver.authn.hooks.source import HookSource
from tokenserver.config.settings import Settings
from tokenserver.config.sources.hooks import HttpHookSettings, ProgramHookSettings
from tokenserver.credentials import Secret
from tokenserver.documents.files import read_text
from tokenserver.documents.permissions import file_problem
from tokenserver.documents.tls_files import client_context
from tokenserver.errors import Fault, LoadError
from tokenserver.printable import shell_word
from tokenserver.server.sources.directory_files import attempt

MIN_SECRET, MAX_SECRET = 32, 4096
"""Characters of the secret that an HTTP hook shares with the server."""


def files_of_hook(hook: HttpHookSettings | ProgramHookSettings) -> tuple[Path, ...]:
    """The files of a hook, whose changes are reloaded: the program itself, too."""
    if isinstance(hook, ProgramHookSettings):
        return (Path(hook.command[0]),)
    return tuple(file for file in (hook.ca_file, hook.secret_file) if file is not None)


def hook_source(hook: HttpHookSettings | ProgramHookSettings) -> HookSource:
    """The source of this configuration; nobody is asked and nothing is started yet.

    Raises:
        LoadError: every fault of its files.
    """
    if isinstance(hook, HttpHookSettings):
        return HookSource(hook.terms, _http_hook(hook))
    _require_runnable(Path(hook.command[0]))
    return HookSource(hook.terms, _program(hook))


def hook_warnings(settings: Settings) -> list[str]:
    """Warnings about programs that are started for each login."""
    return [
        f"{one.name}: protocol docker_auth starts a process for each login that is not cached, and cannot look up"
        " users; it is for the time of a migration; fix: protocol: json"
        for one in (source.program for source in settings.authentication)
        if one is not None and one.protocol == "docker_auth"
    ]


def _program(hook: ProgramHookSettings) -> ProgramHook | LoginProgram:
    name, command, deadline = hook.name, hook.command, float(hook.deadline)
    if hook.protocol == "docker_auth":
        return LoginProgram(name, command, workers=hook.workers, deadline=deadline, plain=hook.group_labels)
    return ProgramHook(name, command, workers=hook.workers, deadline=deadline)


def _http_hook(hook: HttpHookSettings) -> HttpHook:
    faults: list[Fault] = []
    context = attempt(partial(client_context, hook.ca_file), faults)
    secret = attempt(partial(_secret_in, hook.secret_file), faults)
    if faults or context is None or secret is None:
        raise LoadError(faults)
    return HttpHook(hook.name, hook.url, secret, context, float(hook.deadline))


def _secret_in(file: Path) -> Secret:
    text = read_text(file, private=True, limit=MAX_SECRET).rstrip("\r\n")
    if not text.isprintable() or len(text) < MIN_SECRET:
        problem = (
            f"holds no secret of a hook: it must be one line of at least {MIN_SECRET} printable characters;"
            f" fix: openssl rand -hex 32 > {shell_word(file)}"
        )
        raise LoadError([Fault(str(file), 0, "", problem)])
    return Secret(text)


def _require_runnable(program: Path) -> None:
    """Check that a program can be started, and that nobody else can change it.

    Raises:
        LoadError: why not.
    """
    folder = program.parent
    try:
        problem = file_problem(program.stat(), program, private=False, place=program)
        mode = folder.stat().st_mode
        if problem is None and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            problem = f"is in a folder in which others can replace it; fix: chmod o-w {shell_word(folder)}"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    if problem is None and not os.access(program, os.X_OK):
        problem = f"is not executable; fix: chmod +x {shell_word(program)}"
    if problem is not None:
        raise LoadError([Fault(str(program), 0, "", problem)])
