"""How each key takes effect when the configuration of a running server changes: immediately, or at a restart."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import ValidationError

from tokenserver.config.changes.differences import KeyChange, changed_keys
from tokenserver.config.changes.transfer import PlainSettings, plain, validated
from tokenserver.config.credentials import NEEDING_STORAGE
from tokenserver.config.settings import Settings

RESTART = frozenset(
    {
        "audit.chain",
        "log.format",
        "server.listen",
        "server.management",
        "server.management_url",
        "server.metrics",
        "server.notifications",
        "server.tls",
        "server.tls.certificate",
        "server.tls.key",
        "server.workers",
        "throttle.redis",
        "throttle.redis_password_file",
        "throttle.secret_file",
        "storage",
        "storage.url",
        "storage.password_file",
        "tracing",
        "tracing.endpoint",
        "tracing.headers_file",
        "tracing.ca_file",
        "tracing.sample",
        "tracing.client_rate",
        "tracing.attributes",
    }
)
"""Listeners, the number of processes, what they agree on before they start, and how a worker is built."""

RAISED = frozenset(
    {
        "throttle.enabled",
        "throttle.failures_per_user",
        "throttle.failures_per_address",
        "throttle.failures_total",
    }
)
"""A lower value takes effect immediately. One above that of the start needs a restart: the memory in which the workers
count failures is as large as the start needed it."""

RELOAD = frozenset(
    {
        "issuer",
        "server.url",
        "server.trusted_proxies",
        "server.require_https",
        "server.cors",
        "registries.service",
        "registries.also",
        "registries.issuer",
        "registries.compat",
        "registries.algorithm",
        "registries.grant",
        "registries.token_lifetime.default",
        "registries.token_lifetime.pull",
        "registries.token_lifetime.push",
        "registries.token_lifetime.delete",
        "registries.keys",
        "registries.url",
        "registries.refresh_tokens",
        "registries.notifications.secret_file",
        "registries.notifications.actions",
        "registries.notifications.blobs",
        "authentication.htpasswd.file",
        "authentication.htpasswd.name",
        "authentication.htpasswd.cache",
        "authentication.htpasswd.names.namespace",
        "authentication.ldap.name",
        "authentication.ldap.preset",
        "authentication.ldap.url",
        "authentication.ldap.ca_file",
        "authentication.ldap.start_tls",
        "authentication.ldap.insecure_plaintext",
        "authentication.ldap.client_certificate",
        "authentication.ldap.client_key",
        "authentication.ldap.certificate_name",
        "authentication.ldap.sasl_external",
        "authentication.ldap.base",
        "authentication.ldap.bind_dn",
        "authentication.ldap.bind_password",
        "authentication.ldap.bind_password_file",
        "authentication.ldap.anonymous_search",
        "authentication.ldap.strip_domain",
        "authentication.ldap.user_filter",
        "authentication.ldap.user_dn_template",
        "authentication.ldap.subject",
        "authentication.ldap.display_name",
        "authentication.ldap.email",
        "authentication.ldap.password_changed",
        "authentication.ldap.lowercase",
        "authentication.ldap.names.namespace",
        "authentication.ldap.names.attribute",
        "authentication.ldap.groups.by",
        "authentication.ldap.groups.base",
        "authentication.ldap.groups.name",
        "authentication.ldap.groups.allow",
        "authentication.ldap.groups.prefix",
        "authentication.ldap.deadline",
        "authentication.ldap.cache",
        "authentication.ldap.stale_grace",
        "authentication.sql.name",
        "authentication.sql.preset",
        "authentication.sql.url",
        "authentication.sql.url_password_file",
        "authentication.sql.ca_file",
        "authentication.sql.insecure_plaintext",
        "authentication.sql.query",
        "authentication.sql.find",
        "authentication.sql.group_labels",
        "authentication.sql.deadline",
        "authentication.sql.cache",
        "authentication.sql.stale_grace",
        "authentication.http.name",
        "authentication.http.url",
        "authentication.http.secret_file",
        "authentication.http.ca_file",
        "authentication.http.groups.allow",
        "authentication.http.groups.prefix",
        "authentication.http.deadline",
        "authentication.http.cache",
        "authentication.http.stale_grace",
        "authentication.program.name",
        "authentication.program.command",
        "authentication.program.protocol",
        "authentication.program.group_labels",
        "authentication.program.workers",
        "authentication.program.groups.allow",
        "authentication.program.groups.prefix",
        "authentication.program.deadline",
        "authentication.program.cache",
        "authentication.program.stale_grace",
        "authentication.oidc.name",
        "authentication.oidc.preset",
        "authentication.oidc.issuer",
        "authentication.oidc.client_id",
        "authentication.oidc.client_secret_file",
        "authentication.oidc.subject",
        "authentication.oidc.hosted_domain",
        "authentication.oidc.groups.claim",
        "authentication.oidc.groups.allow",
        "authentication.oidc.groups.strip",
        "authentication.oidc.accounts",
        "authentication.oidc.login_valid",
        "authentication.oidc.recheck",
        "authentication.oidc.ca_file",
        "authentication.oidc.leeway",
        "authentication.oidc.cache",
        "authentication.workload.name",
        "authentication.workload.preset",
        "authentication.workload.issuer",
        "authentication.workload.audience",
        "authentication.workload.algorithms",
        "authentication.workload.keys.url",
        "authentication.workload.keys.token_file",
        "authentication.workload.keys.file",
        "authentication.workload.trust_domain",
        "authentication.workload.ca_file",
        "authentication.workload.leeway",
        "authentication.workload.max_age",
        "authentication.workload.session",
        "authentication.workload.cache",
        "anonymous",
        "audit.policy_snapshots",
        "throttle.window",
        "limits.scopes",
        "limits.scope_bytes",
        "robots.max_lifetime",
        "token_reuse",
        "policies",
        "shadow_policies",
        "shadow_peer.url",
        "shadow_peer.ca_file",
        "shadow_peer.deadline",
        "shadow_peer.rate",
        "shadow_peer.failed_logins",
        "keys.folder",
        "keys.rotate_every",
        "keys.publish_ahead",
        "storage_grace",
        "access_keys.default_lifetime",
        "access_keys.max_lifetime",
        "access_keys.per_user",
        "access_keys.rotate_overlap",
        "refresh_tokens.idle",
        "refresh_tokens.lifetime",
        "refresh_tokens.per_user",
    }
)
"""Everything that requests read. Sections change by their keys."""


class ChangeEffect(NamedTuple):
    """The settings `in_force` after a change of the file, and the keys of the file that wait for a restart."""

    in_force: Settings
    waiting: tuple[KeyChange, ...]


def effect_of(new: Settings, started: Settings, in_force: Settings, *, max_directories: int) -> ChangeEffect:
    """What the settings `new` of the file change in a server that started with `started` and now runs with `in_force`.

    Keys that only a restart can change keep their values, and all others take effect. More than `max_directories`
    directories, databases and hooks need threads that only a restart provides. If what is left of the file is
    impossible without the keys that wait, the whole file waits.
    """
    values = plain(new)
    for key in sorted(RESTART | RAISED):
        section, dot, name = key.partition(".")
        if not dot:
            _keep_section(values, plain(started), section)
        elif section not in RESTART and "." not in name and (key in RESTART or _is_raised(new, started, name)):
            _keep(values, plain(started), section, name)
    if sum(source.remote is not None for source in new.authentication) > max_directories:
        values["authentication"] = plain(in_force).get("authentication", [])
    if "storage" not in values:  # what needs one waits with it
        values = {key: value for key, value in values.items() if key not in NEEDING_STORAGE}
        values["authentication"] = [source for source in values.get("authentication", []) if "oidc" not in source]
    try:
        after = validated(values)
    except ValidationError:
        after = in_force
    return ChangeEffect(after, changed_keys(after, new))


def _keep_section(values: PlainSettings, kept: PlainSettings, section: str) -> None:
    values.pop(section, None)
    if section in kept:
        values[section] = kept[section]


def _is_raised(new: Settings, started: Settings, name: str) -> bool:
    return bool(getattr(new.throttle, name) > getattr(started.throttle, name))


def _keep(values: PlainSettings, kept: PlainSettings, section: str, name: str) -> None:
    values.setdefault(section, {}).pop(name, None)
    if name in kept.get(section, {}):
        values[section][name] = kept[section][name]
