"""Whether docker_auth starts with a configuration that it can decode."""

from __future__ import annotations

from tokenserver.importers.docker_auth.model import AUTHENTICATORS, AUTHORIZERS, AclEntry, DockerAuthConfig
from tokenserver.importers.docker_auth.patterns import pattern_problem
from tokenserver.importers.golang.addresses import parse_network

_NO_RULES = ("casbin_authz",)
"""Sources of rules that docker_auth does not count when it looks whether it has any."""


def start_problem(config: DockerAuthConfig) -> tuple[int, str] | None:
    """Why docker_auth does not start, with the line (0: the whole file); None if nothing in the file prevents it.

    Sections of other sources are not examined.

    Raises:
        ExpressionBeyondLimits: that is unknown of an expression.
    """
    server, token = config.server, config.token
    for line, is_wrong, problem in (
        (server.line, not server.addr, "server.addr is required"),
        (server.line, server.net not in ("", "tcp", "unix"), "server.net must be unix or tcp"),
        (server.line, server.path_prefix[:1] not in ("", "/"), "server.path_prefix must begin with a slash"),
        (token.line, not token.issuer, "token.issuer is required"),
        (token.line, token.expiration <= 0, "token.expiration must be positive"),
        (0, config.users is None and not _has(config, AUTHENTICATORS), "there is no source of users"),
        (0, config.acl is None and not _has(config, AUTHORIZERS), "there is no source of rules"),
    ):
        if is_wrong:
            return line, problem
    return next((found for entry in config.acl or () if (found := _entry_problem(entry)) is not None), None)


def _has(config: DockerAuthConfig, kinds: tuple[str, ...]) -> bool:
    return any(kind in config.backends and kind not in _NO_RULES for kind in kinds)


def _entry_problem(entry: AclEntry) -> tuple[int, str] | None:
    match = entry.match
    if match is None:
        return entry.line, "the entry has no match: docker_auth crashes"
    if match.ip is not None and parse_network(match.ip) is None:
        return entry.line, "match.ip is neither an address nor a network"
    patterns = [match.account, match.type, match.name, match.service, *(pattern for _, pattern in match.labels)]
    problems = (pattern_problem(pattern) for pattern in patterns if pattern is not None)
    found = next((problem for problem in problems if problem is not None), None)
    return None if found is None else (entry.line, f"a regular expression is invalid: {found}")
