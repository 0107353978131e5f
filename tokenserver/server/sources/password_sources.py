"""User sources with passwords, from their settings: htpasswd files, directories, databases and hooks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tokenserver.authn.hooks.source import HookSource
from tokenserver.authn.htpasswd.backend import Htpasswd, HtpasswdFile
from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.authn.protection.guard import Protection
from tokenserver.authn.sql.backend import SqlUsers
from tokenserver.config.sources.hooks import HttpHookSettings, ProgramHookSettings
from tokenserver.config.sources.ldap import Ldap
from tokenserver.config.sources.names import rule_of
from tokenserver.config.sources.sql import Sql
from tokenserver.config.sources.user_source import HtpasswdSettings, UserSource
from tokenserver.runtime.cpu_affinity import OnAllCores
from tokenserver.server.reload.parts import FilesPart
from tokenserver.server.sources.databases import database_files, sql_users
from tokenserver.server.sources.directory_files import directory_files, load_directory_files
from tokenserver.server.sources.hook_sources import files_of_hook, hook_source

PasswordSource = Htpasswd | LdapDirectory | SqlUsers | HookSource


def watched_source(source: UserSource, protection: Protection | None) -> FilesPart:
    """A user source as a part that is loaded again when its files change."""
    files = tuple(files_of_source(source))
    if source.htpasswd is not None:
        file = _htpasswd_file(source.htpasswd, protection)
        return FilesPart("users", source.name, file.load, lambda: files, settles=True, has_lines=True)
    if source.sql is not None:
        return FilesPart("users", source.name, lambda _: user_source(source, protection), lambda: files)
    return FilesPart("users", source.name, lambda _: user_source(source), lambda: files)


def files_of_source(source: UserSource) -> Iterator[Path]:
    """The files of a user source, whose changes are reloaded."""
    if source.htpasswd is not None:
        yield source.htpasswd.file
    if source.ldap is not None:
        yield from directory_files(source.ldap)
    if source.sql is not None:
        yield from database_files(source.sql)
    if source.hook is not None:
        yield from files_of_hook(source.hook)


def ldap_directory(ldap: Ldap) -> LdapDirectory:
    """The directory of this configuration; no connection is made yet.

    Raises:
        LoadError: every fault of its files.
    """
    files = load_directory_files(ldap)
    return LdapDirectory(replace(ldap.directory(files.password), certificate=files.certificate), files.context)


def user_source(source: UserSource, protection: Protection | None = None) -> PasswordSource:
    """The user source of this configuration, loaded from its current files. `protection` bounds its hashing.

    Raises:
        LoadError: every fault of its files.
    """
    match source:
        case UserSource(htpasswd=HtpasswdSettings() as htpasswd):
            return _htpasswd_file(htpasswd, protection).load()
        case UserSource(ldap=Ldap() as ldap):
            return ldap_directory(ldap)
        case UserSource(sql=Sql() as sql):
            return sql_users(sql, protection)
        case UserSource(hook=HttpHookSettings() | ProgramHookSettings() as hook):
            return hook_source(hook)
        case _:
            raise AssertionError("the settings allow exactly one kind")


def _htpasswd_file(htpasswd: HtpasswdSettings, protection: Protection | None) -> HtpasswdFile:
    if protection is None:
        return HtpasswdFile(htpasswd.file, htpasswd.name, namespace_rule=rule_of(htpasswd.names))
    room, once = OnAllCores(protection.hashing), protection.once(htpasswd.name)
    return HtpasswdFile(htpasswd.file, htpasswd.name, room, once, namespace_rule=rule_of(htpasswd.names))
