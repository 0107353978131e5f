"""The commands for people: `login`, `status` and `logout`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from tokenserver.credential_helper.browser_login import Applicant, log_in
from tokenserver.credential_helper.environment import docker_config
from tokenserver.credential_helper.keeping import erase
from tokenserver.credential_helper.outside import Outside
from tokenserver.credential_helper.protocol import RejectedRequest, is_host, registry_of
from tokenserver.credential_helper.store.stored_login import StoredLogin
from tokenserver.credential_helper.token_server.device_flow import LoginFailed, json_object
from tokenserver.credential_helper.token_server.endpoints import named_by
from tokenserver.credential_helper.token_server.urls import issuer_of
from tokenserver.printable import one_line

PROGRAM = "docker-credential-tokenserver"
HELPER = "tokenserver"
MAX_CONFIG = 1024 * 1024

Open = Callable[..., Outside]
"""Gives the ports for these registries."""


def for_people(arguments: Sequence[str], open_outside: Open) -> int:
    """Run one of the commands; its exit code is 0, 1 (not done) or 2 (wrong use)."""
    parsed = _parser().parse_args(arguments)
    code: int = parsed.run(parsed, open_outside)
    return code


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with the message, on one line."""
        self.exit(2, f"{self.prog}: {one_line(message)}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _OneLineParser(PROGRAM, description="Logins at registries, for docker and other clients.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    login = commands.add_parser("login", help="log in in the browser")
    login.add_argument("registries", nargs="*", metavar="REGISTRY", help="default: those in docker's configuration")
    login.add_argument("--service", action="append", default=[], metavar="NAME", help="one more registry of the login")
    login.set_defaults(run=_login)
    status = commands.add_parser("status", help="which logins there are")
    status.add_argument("--json", action="store_true", help="machine-readable")
    status.set_defaults(run=_status)
    logout = commands.add_parser("logout", help="end logins and forget them")
    logout.add_argument("registries", nargs="*", metavar="REGISTRY", help="default: all")
    logout.set_defaults(run=_logout)
    return parser


def _login(parsed: argparse.Namespace, open_outside: Open) -> int:
    names = parsed.registries or _configured()
    if not names:
        sys.stderr.write(f"name a registry: {PROGRAM} login REGISTRY\n")
        return 2
    registries = {_host(name): name for name in names}
    services = [_host(name) for name in parsed.service]
    outside = open_outside(*registries)
    groups: dict[str, list[Applicant]] = {}
    code = 0
    for registry, server in registries.items():
        named = named_by(registry, outside.fetch)
        issuer = issuer_of(named.realm)
        if issuer is None:
            reason = f"names {named.realm or 'no token server'}" if named.is_reached else "does not answer"
            outside.say(f"no login at {registry}: it {reason}")
            code = 1
        elif outside.settings.token_servers and issuer not in outside.settings.token_servers:
            outside.say(f"no login at {registry}: it names {issuer}, which is not in tokenServers of helper.json")
            code = 1
        else:
            groups.setdefault(named.realm, []).append(Applicant(server, registry, named))
    for applicants in groups.values():
        try:
            log_in(applicants, outside, outside.say, services=services)
        except LoginFailed as error:
            outside.say(f"no login at {applicants[0].registry}: {error}")
            code = 1
        else:
            outside.say(f"logged in at {', '.join(one.registry for one in applicants)}")
    return code


def _status(parsed: argparse.Namespace, open_outside: Open) -> int:
    outside = open_outside()
    logins = {name: one for name, one in sorted(outside.logins.file.read().items()) if one.has_secret}
    if parsed.json:
        rows = [_facts(registry, login) for registry, login in logins.items()]
        sys.stdout.write(json.dumps({"logins": rows}) + "\n")
        return 0
    for registry, login in logins.items():
        end = "no end is known" if login.ends is None else f"until {_moment(login.ends)}"
        if login.is_ended(outside.now()):
            end = f"ended {_moment(login.ends or 0)}"
        sys.stdout.write(f"{one_line(registry)}  {one_line(issuer_of(login.realm or '') or 'unknown')}  {end}\n")
    if not logins:
        outside.say(f"there is no login; log in: {PROGRAM} login REGISTRY")
    return 0


def _logout(parsed: argparse.Namespace, open_outside: Open) -> int:
    outside = open_outside()
    registries = [registry_of(name) for name in parsed.registries] or sorted(outside.logins.file.read())
    missing = [registry for registry in registries if not erase(registry, outside)]
    for registry in missing:
        outside.say(f"there is no login at {registry}")
    return 1 if missing else 0


def _facts(registry: str, login: StoredLogin) -> dict[str, object]:
    ends = None if login.ends is None else _moment(login.ends)
    kept = "keyring" if login.in_keyring else "file"
    return {"registry": registry, "realm": login.realm, "service": login.service, "ends": ends, "kept_in": kept}


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _host(name: str) -> str:
    registry = registry_of(name)
    if not is_host(registry):
        raise RejectedRequest(f"{registry} is no registry; it is HOST or HOST:PORT")
    return registry


def _configured() -> list[str]:
    """The registries for which docker's configuration names this helper."""
    try:
        with Path(docker_config()).open("rb") as stream:
            helpers = json_object(stream.read(MAX_CONFIG)).get("credHelpers")
    except OSError:
        return []
    return [name for name, helper in helpers.items() if helper == HELPER] if isinstance(helpers, dict) else []
