"""The settings of an imported installation, with what is missing as comments. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tokenserver.documents.yaml_text import yaml_comment, yaml_list, yaml_scalar
from tokenserver.importers.docker_auth.model import DockerAuthConfig, PeerBackend
from tokenserver.importers.docker_auth.site.ldap_text import ldap_section
from tokenserver.importers.report import Construct, Verdict
from tokenserver.importers.site_text import USERS_NAME
from tokenserver.scopes import MAX_LIFETIME, MIN_LIFETIME

Maker = Callable[[Mapping[str, object]], tuple[str, str, str]]
"""From a section of docker_auth: the section here, why it is a comment, and what to do."""

PLACEHOLDER_URL = "https://auth.example.com"
PLACEHOLDER_SERVICE = "registry.example.com"


@dataclass(frozen=True, slots=True)
class ImportedSite:
    """What the operator says, and what was found. An empty `url` is a placeholder; `sources` are sections as text."""

    services: tuple[str, ...]
    compat: str
    url: str = ""
    is_anonymous: bool = False
    copied: Mapping[str, str] = field(default_factory=dict)
    """The keys of `ldap_auth` that name files, with the names of their copies in the new folder."""


@dataclass(slots=True)
class SettingsDraft:
    """The text of the settings as it grows, with constructs for the report and next steps."""

    constructs: list[Construct] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def say(self, place: str, text: str, verdict: Verdict, note: str = "", instead: str = "") -> None:
        """Add a construct."""
        self.constructs.append(Construct(place, text, verdict, note, instead))


def settings_yaml(config: DockerAuthConfig, site: ImportedSite) -> tuple[str, SettingsDraft]:
    """The text of tokenserver.yaml, and what to report about it."""
    draft = SettingsDraft()
    parts = [
        f"# Made from {config.file}; REPORT.md says what became of it. `tokenserver check` validates this file.\n\n",
        f"issuer: {yaml_scalar(_issuer(config, draft))}\n\n",
        *_server(config, site, draft),
        *_registries(config, site, draft),
        *_authentication(config, site, draft),
        "# Whether clients without credentials get tokens, for what the policies grant to everyone.\n",
        f"anonymous: {'true' if site.is_anonymous else 'false'}\n\n",
        "policies: policies\n\nkeys: keys\n",
    ]
    return "".join(parts), draft


def _issuer(config: DockerAuthConfig, draft: SettingsDraft) -> str:
    place = f"{config.file}:{config.token.line}"
    issuer = config.token.issuer
    if not issuer:
        draft.say(
            place, "token.issuer", Verdict.NOT_TRANSLATED, "it is missing", "set issuer to that of the registries"
        )
        return "tokenserver"
    draft.say(place, f"token.issuer: {issuer}", Verdict.EXACT)
    return issuer


def _server(config: DockerAuthConfig, site: ImportedSite, draft: SettingsDraft) -> Iterator[str]:
    server = config.server
    place = f"{config.file}:{server.line}"
    yield "server:\n"
    yield f"  listen: {yaml_scalar(_listen(config, draft))}\n"
    if site.url:
        yield f"  url: {yaml_scalar(site.url)}\n"
    else:
        yield "  # The URL that clients use; registries announce {url}/auth, or {url}/token.\n"
        yield f"  url: {PLACEHOLDER_URL}\n"
        draft.steps.append(
            f"Set server.url in tokenserver.yaml to the URL of the registries' auth.token.realm without "
            f"its last part; it is {PLACEHOLDER_URL} now, since docker_auth does not know its own."
        )
    if server.path_prefix:
        note = f"a prefix is the path of server.url here, so the realm is {server.path_prefix}/auth behind its host"
        draft.say(place, f"server.path_prefix: {server.path_prefix}", Verdict.DIFFERENT, note)
    if server.certificate and not server.letsencrypt:
        yield yaml_comment(f"tls: {{certificate: {server.certificate}, key: {server.key}}}", "  ")
        draft.say(
            place,
            f"server.certificate: {server.certificate}",
            Verdict.NOT_TRANSLATED,
            "the TLS certificate of the server is not copied",
            "uncomment server.tls, and name the files; or terminate TLS at a proxy and set server.trusted_proxies",
        )
    if server.real_ip_header:
        yield "  # The proxies whose X-Forwarded-For is trusted; without them the client is the proxy:\n"
        yield "  # trusted_proxies: [10.0.0.0/8]\n"
        draft.steps.append("List the proxies in front of this server under server.trusted_proxies.")
    yield "\n"
    for key in server.tls:
        note = "TLS 1.2 and 1.3 with the defaults of the platform are served here"
        draft.say(place, f"server.{key}", Verdict.NOT_TRANSLATED, note)
    if server.hsts:
        draft.say(place, "server.hsts: true", Verdict.NOT_TRANSLATED, "no such header is sent", "let the proxy send it")


def _listen(config: DockerAuthConfig, draft: SettingsDraft) -> str:
    server = config.server
    place = f"{config.file}:{server.line}"
    host, separator, port = server.addr.rpartition(":")
    if server.net == "unix" or not separator or not port.isdecimal():
        note = "only TCP addresses can be listened on"
        draft.say(place, f"server.addr: {server.addr}", Verdict.NOT_TRANSLATED, note, "put a proxy in front")
        return "127.0.0.1:5001"
    if host in ("", "0.0.0.0", "[::]"):  # noqa: S104 - what docker_auth listens on
        note = "docker_auth listens on all addresses; here it is the loopback address until TLS is configured"
        instead = f"set server.listen to 0.0.0.0:{port} when server.tls is set, or keep it behind a proxy on this host"
        draft.say(place, f"server.addr: {server.addr}", Verdict.DIFFERENT, note, instead)
        return f"127.0.0.1:{port}"
    draft.say(place, f"server.addr: {server.addr}", Verdict.EXACT)
    return server.addr


def _registries(config: DockerAuthConfig, site: ImportedSite, draft: SettingsDraft) -> Iterator[str]:
    expiration = config.token.expiration
    lifetime = min(max(expiration, MIN_LIFETIME), MAX_LIFETIME)
    place = f"{config.file}:{config.token.line}"
    text = f"token.expiration: {expiration}"
    if lifetime == expiration:
        note = "docker_auth does not tell clients how long a token is valid, so most use it for 60 s; here they know"
        draft.say(place, text, Verdict.EXACT, note)
    else:
        draft.say(place, text, Verdict.DIFFERENT, f"a token is valid for {MIN_LIFETIME} s to 1 h: {lifetime} s here")
    yield "# One for each registry: service is its auth.token.service.\nregistries:\n"
    for service in site.services:
        yield f"  - service: {yaml_scalar(service)}\n    compat: {site.compat}\n    token_lifetime: {lifetime}s\n"
    yield "\n"


def _authentication(config: DockerAuthConfig, site: ImportedSite, draft: SettingsDraft) -> Iterator[str]:
    sections = [f"  - htpasswd: {{file: {USERS_NAME}}}\n"]
    comments: list[str] = []
    for backend in config.backends.values():
        active, comment = source_section(config, backend, site, draft)
        sections += [textwrap.indent(active, "  ")] if active else []
        comments += [comment] if comment else []
    yield "# Asked in this order.\nauthentication:\n"
    yield from sections
    yield from (yaml_comment(comment.rstrip("\n"), "  ") for comment in comments)
    yield "\n"


def source_section(
    config: DockerAuthConfig, backend: PeerBackend, site: ImportedSite, draft: SettingsDraft
) -> tuple[str, str]:
    """The section of a source of users; the second is its text as a comment, where it cannot be used as it is."""
    place = f"{config.file}:{backend.line}"
    if backend.key == "ldap_auth":
        text, problem = ldap_section(backend.values, site.copied)
        step = "check the section ldap in tokenserver.yaml with: tokenserver ldap test NAME"
        note = "groups are read by memberof and named as the label's values; names of accounts are the directory's"
        if problem:
            draft.say(place, backend.key, Verdict.NOT_TRANSLATED, f"the section is a comment: {problem}", step)
        else:
            draft.say(place, backend.key, Verdict.DIFFERENT, note, step)
        draft.steps.append(f"ldap_auth: {step}")
        return ("", text) if problem else (text, "")
    made = _SOURCES.get(backend.key)
    if made is None:
        note, instead = _WITHOUT.get(
            backend.key, ("it has no counterpart", "read tokenserver help move-from-docker-auth")
        )
        draft.say(place, backend.key, Verdict.NOT_TRANSLATED, note, instead)
        return "", ""
    text, note, step = made(backend.values)
    draft.say(place, backend.key, Verdict.NOT_TRANSLATED, note, step)
    draft.steps.append(f"{backend.key}: {step}.")
    return "", text


def _external(values: Mapping[str, object]) -> tuple[str, str, str]:
    arguments = values.get("args")
    command = [str(values.get("command", "")), *(map(str, arguments) if isinstance(arguments, Iterable) else ())]
    text = f"- program:\n    name: program\n    command: {yaml_list(command)}\n    protocol: docker_auth\n"
    note = "the program is not started unless the operator says so; the section is written as a comment"
    return text, note, "check the program, and uncomment the section program in tokenserver.yaml"


def _sql(values: Mapping[str, object]) -> tuple[str, str, str]:
    kind = {"postgres": "postgresql", "sqlite3": "sqlite"}.get(str(values.get("database_type", "")), "mariadb")
    lines = ["name: sql", "preset: docker_auth", f"url: {kind}://USER@HOST/DATABASE", "url_password_file: sql-password"]
    text = "".join(["- sql:\n", *(f"    {line}\n" for line in lines)])
    note = "the connection has a password in it, so it is not copied; the section is written as a comment"
    return text, note, "write the URL of the database and its password file into the section sql, and uncomment it"


def _oidc(preset: str) -> Maker:
    def make(values: Mapping[str, object]) -> tuple[str, str, str]:
        issuer = str(values.get("issuer", "")) or "https://ISSUER"
        lines = ["- oidc:\n", f"    name: {preset}\n", f"    preset: {preset}\n"]
        if preset != "google":
            lines.append(f"    issuer: {yaml_scalar(issuer)}\n")
        lines.append(f"    client_id: {yaml_scalar(str(values.get('client_id', 'CLIENT-ID')))}\n")
        lines.append(f"    client_secret_file: {preset}-client-secret\n")
        note = "people log in with the browser here too, but need a storage and a client of their own at the provider"
        step = f"add a storage, write the client's secret to {preset}-client-secret, and uncomment the section oidc"
        return "".join(lines), note, step

    return make


_SOURCES: Mapping[str, Maker] = {
    "ext_auth": _external,
    "xorm_auth": _sql,
    "oidc_auth": _oidc("keycloak"),
    "google_auth": _oidc("google"),
}

_WITHOUT: Mapping[str, tuple[str, str]] = {
    "github_auth": ("GitHub is no OpenID provider for people", "put Dex in front of GitHub: preset: dex"),
    "gitlab_auth": ("GitLab as docker_auth uses it is no source here", "put Dex in front of GitLab: preset: dex"),
    "mongo_auth": ("MongoDB is no source of users here", "export the users to an htpasswd file, or write a login hook"),
    "plugin_authn": ("a Go plugin cannot be loaded", "write a login hook"),
    "acl_mongo": ("rules are files here", "export the entries to an acl section, and import that"),
    "acl_xorm": ("rules are files here", "export the entries to an acl section, and import that"),
    "ext_authz": ("no program decides here", "write its rules as policies; captures and groups replace most scripts"),
    "plugin_authz": ("a Go plugin cannot be loaded", "write its rules as policies"),
    "casbin_authz": ("Casbin's model is not read", "write its rules as policies"),
}
