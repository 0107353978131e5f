"""The Go types behind docker_auth's configuration: every key that it knows, with its type."""

from __future__ import annotations

from tokenserver.importers.golang.yaml_types import (
    GoAnything,
    GoBoolean,
    GoInteger,
    GoList,
    GoPointer,
    GoStruct,
    GoTable,
    GoText,
    GoType,
)

_TEXT, _BOOLEAN, _INTEGER, _DURATION = GoText(), GoBoolean(), GoInteger(), GoInteger(duration=True)
_TEXTS = GoList(_TEXT)
_OPTIONAL = GoPointer(_TEXT)

_LABELS = GoTable(_TEXTS)

_SERVER = GoStruct(
    {
        **dict.fromkeys(("addr", "net", "path_prefix", "real_ip_header", "certificate", "key"), _TEXT),
        "real_ip_pos": _INTEGER,
        "hsts": _BOOLEAN,
        "tls_min_version": _TEXT,
        "tls_curve_preferences": _TEXTS,
        "tls_cipher_suites": _TEXTS,
        "letsencrypt": GoStruct(dict.fromkeys(("email", "cache_dir", "host"), _TEXT)),
    }
)

_TOKEN = GoStruct(
    {
        **dict.fromkeys(("issuer", "certificate", "key"), _TEXT),
        "expiration": _INTEGER,
        "disable_legacy_key_id": _BOOLEAN,
    }
)

_USER = GoStruct({"password": GoPointer(GoText(named=True)), "labels": _LABELS})

_MATCH = GoStruct({**dict.fromkeys(("account", "type", "name", "ip", "service"), _OPTIONAL), "labels": GoTable(_TEXT)})
_ENTRY = GoStruct({"match": GoPointer(_MATCH), "actions": GoPointer(_TEXTS), "comment": _OPTIONAL})

_TOKEN_STORES: dict[str, GoType] = {
    "level_token_db": GoPointer(GoStruct({"path": _TEXT, "token_hash_cost": _INTEGER})),
    "gcs_token_db": GoPointer(GoStruct({"bucket": _TEXT, "client_secret_file": _TEXT, "token_hash_cost": _INTEGER})),
    "redis_token_db": GoPointer(
        GoStruct({"redis_options": GoAnything(), "redis_cluster_options": GoAnything(), "token_hash_cost": _INTEGER})
    ),
}
_CLIENT: dict[str, GoType] = {
    **dict.fromkeys(("client_id", "client_secret", "client_secret_file"), _TEXT),
    **_TOKEN_STORES,
    "http_timeout": _DURATION,
}
_DIAL_INFO = GoStruct(
    {
        **dict.fromkeys(("database", "username", "password", "password_file", "source", "service", "mechanism"), _TEXT),
        **dict.fromkeys(("enable_tls", "direct", "failfast"), _BOOLEAN),
        "addrs": _TEXTS,
        "timeout": _DURATION,
    }
)
_LDAP_LABEL = GoStruct({"attribute": _TEXT, "parse_cn": _BOOLEAN, "lower_case": _BOOLEAN})
_SQL: dict[str, GoType] = {"database_type": _TEXT, "conn_string": _TEXT}
_COMMAND = GoStruct({"command": _TEXT, "args": _TEXTS})
_PLUGIN = GoStruct({"plugin_path": _TEXT})

BACKENDS: dict[str, GoStruct] = {
    "ext_auth": _COMMAND,
    "google_auth": GoStruct({**_CLIENT, "domain": _TEXT}),
    "github_auth": GoStruct(
        {
            **_CLIENT,
            **dict.fromkeys(("organization", "github_web_uri", "github_api_uri", "registry_url"), _TEXT),
            "revalidate_after": _DURATION,
        }
    ),
    "oidc_auth": GoStruct(
        {
            **_CLIENT,
            **dict.fromkeys(("issuer", "redirect_url", "registry_url", "user_claim"), _TEXT),
            "labels_claims": _TEXTS,
            "scopes": _TEXTS,
        }
    ),
    "gitlab_auth": GoStruct(
        {
            **_CLIENT,
            **dict.fromkeys(
                ("organization", "gitlab_web_uri", "gitlab_api_uri", "registry_url", "grant_type", "redirect_uri"),
                _TEXT,
            ),
            "revalidate_after": _DURATION,
        }
    ),
    "ldap_auth": GoStruct(
        {
            **dict.fromkeys(
                ("addr", "tls", "ca_certificate", "base", "filter", "bind_dn", "bind_password_file"), _TEXT
            ),
            "insecure_tls_skip_verify": _BOOLEAN,
            "initial_bind_as_user": _BOOLEAN,
            "labels": GoTable(_LDAP_LABEL),
        }
    ),
    "mongo_auth": GoStruct({"dial_info": _DIAL_INFO, "collection": _TEXT}),
    "xorm_auth": GoStruct(_SQL),
    "plugin_authn": _PLUGIN,
    "acl_mongo": GoStruct({"dial_info": _DIAL_INFO, "collection": _TEXT, "cache_ttl": _DURATION}),
    "acl_xorm": GoStruct({**_SQL, "cache_ttl": _DURATION}),
    "ext_authz": _COMMAND,
    "plugin_authz": _PLUGIN,
    "casbin_authz": GoStruct({"model_path": _TEXT, "policy_path": _TEXT}),
}
"""The sections for sources of users and rules other than `users` and `acl`, in the order in which they are asked."""

CONFIGURATION = GoStruct(
    {
        "server": _SERVER,
        "token": _TOKEN,
        "users": GoTable(GoPointer(_USER)),
        "acl": GoList(_ENTRY),
        **{key: GoPointer(section) for key, section in BACKENDS.items()},
    }
)
