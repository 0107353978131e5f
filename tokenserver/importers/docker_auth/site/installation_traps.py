"""Traps and differences of a whole installation, whatever its entries are. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tokenserver.importers.docker_auth.model import ANYTHING, DockerAuthConfig
from tokenserver.importers.report import Construct, Verdict


def installation_constructs(config: DockerAuthConfig, services: tuple[str, ...]) -> Iterator[Construct]:
    """What differs for every installation, and the traps outside of the entries."""
    acl = config.acl or ()
    acl_place = f"{config.file}:{config.acl_line}"
    if any(entry.actions == (ANYTHING,) for entry in acl):
        note = (
            "docker_auth signs whatever is requested, also invented actions and types; here pull, push, delete and the"
            " literal * are granted, on repositories with a legal name, and * on the catalog"
        )
        yield Construct(acl_place, 'actions: ["*"]', Verdict.CLOSED, note)
    if any(entry.match is not None and entry.match.service is None for entry in acl):
        note = f"docker_auth signs tokens for any service that is requested; here only for {', '.join(services)}"
        yield Construct(acl_place, "entries without service", Verdict.CLOSED, note)
    if any(entry.match is not None and "${account}" in (entry.match.name or "") for entry in acl):
        note = (
            "${user} is a whole account name as one segment, or a part of one; of other sources' accounts whose names"
        )
        note += " are none (capital letters, a slash), nothing is granted by it"
        yield Construct(acl_place, "${account}", Verdict.DIFFERENT, note)
    if config.backends and any(entry.match is not None and entry.match.account == "*" for entry in acl):
        note = "this glob does not match names with a slash, which accounts of other sources could have; here it does"
        yield Construct(acl_place, 'account: "*"', Verdict.DIFFERENT, note)
    yield Construct(
        f"{config.file}:{config.users_line}",
        "account in a request",
        Verdict.CLOSED,
        "without credentials, docker_auth believes the parameter account; here it is never an identity",
    )
    yield Construct(
        f"{config.file}:{config.users_line}",
        "malformed credentials",
        Verdict.CLOSED,
        "docker_auth takes a client whose credentials it cannot read for an anonymous one; here it is rejected",
    )
    yield from _server(config)
    yield from _sources(config)
    for key in config.unknown_keys:
        if not key.path.startswith("acl["):
            note = "docker_auth ignores this key"
            yield Construct(f"{config.file}:{key.line}", key.path, Verdict.EXACT, note)


def _server(config: DockerAuthConfig) -> Iterator[Construct]:
    server = config.server
    place = f"{config.file}:{server.line}"
    if server.real_ip_header and server.real_ip_pos >= 0:
        text = f"server.real_ip_header: {server.real_ip_header}, real_ip_pos: {server.real_ip_pos}"
        note = (
            "docker_auth takes an address that the client itself can write into the header; here it is the last one"
            " that is no trusted proxy's (server.trusted_proxies)"
        )
        yield Construct(place, text, Verdict.CLOSED, note, "list your proxies under server.trusted_proxies")
    elif server.real_ip_header:
        text = f"server.real_ip_header: {server.real_ip_header}, real_ip_pos: {server.real_ip_pos}"
        note = "docker_auth trusts the header from any peer; here only from server.trusted_proxies"
        yield Construct(place, text, Verdict.CLOSED, note, "list your proxies under server.trusted_proxies")
    if server.letsencrypt:
        note = "with this section, docker_auth serves plain HTTP, so passwords travel in clear text"
        instead = "set server.tls, or let a proxy fetch certificates"
        yield Construct(place, "server.letsencrypt", Verdict.CLOSED, note, instead)
    if any(entry.match is not None and entry.match.ip for entry in config.acl or ()):
        note = "where the address of a client is unknown, rules with an address do not allow anything"
        yield Construct(f"{config.file}:{config.acl_line}", "ip", Verdict.DIFFERENT, note)


def _sources(config: DockerAuthConfig) -> Iterator[Construct]:
    ldap = config.backends.get("ldap_auth")
    if ldap is not None:
        note = (
            "docker_auth compares the name as it is typed, so ALICE logs in as alice does and evades rules for alice;"
            " here the name is that of the directory"
        )
        yield Construct(f"{config.file}:{ldap.line}", "ldap_auth: names of accounts", Verdict.CLOSED, note)
    for key in ("google_auth", "github_auth", "oidc_auth", "gitlab_auth"):
        backend = config.backends.get(key)
        if backend is not None:
            note = "logins have no state, nonce or PKCE in docker_auth, and teams are those of the first login for ever"
            yield Construct(f"{config.file}:{backend.line}", f"{key}: logins by browser", Verdict.CLOSED, note)
