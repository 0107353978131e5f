"""What each configuration key means, in one or two sentences: for the JSON Schema and for docs/configuration.md."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from tokenserver.config.credentials import AccessKeySettings, RefreshTokenSettings
from tokenserver.config.keys import Keys
from tokenserver.config.protection import LimitSettings, RobotSettings, ThrottleSettings
from tokenserver.config.reference.audit_descriptions import AUDIT_DESCRIPTIONS
from tokenserver.config.reference.hook_descriptions import HOOK_DESCRIPTIONS
from tokenserver.config.reference.workload_descriptions import WORKLOAD_DESCRIPTIONS
from tokenserver.config.registries import Lifetimes, NotificationSettings, RegistrySettings
from tokenserver.config.server import ServerSettings, Tls
from tokenserver.config.settings import Settings
from tokenserver.config.sources.ldap import Ldap, LdapGroups
from tokenserver.config.sources.names import HtpasswdNames, LdapNames
from tokenserver.config.sources.oidc import OidcGroups, OidcSettings
from tokenserver.config.sources.shadow_peer import ShadowPeerSettings
from tokenserver.config.sources.sql import Sql
from tokenserver.config.sources.user_source import HtpasswdSettings, UserSource
from tokenserver.config.storage import StorageSettings
from tokenserver.config.telemetry.tracing import TRACING_DESCRIPTIONS

DESCRIPTIONS: Mapping[type[BaseModel], Mapping[str, str]] = {
    Settings: {
        "issuer": "The `iss` claim of every token. Registries compare it with their `auth.token.issuer`.",
        "server": "Where the server listens, and how clients reach it.",
        "registries": "The registries that tokens are signed for: a list, or the folder of their files (one `*.yaml`"
        " for each).",
        "authentication": "The user sources, asked in this order. Each entry names one kind: `htpasswd`, `ldap`,"
        " `sql`, `http`, `program`, `oidc` or `workload`.",
        "anonymous": "Whether clients without credentials get tokens, for what the policies grant to `anonymous` and"
        " `everyone`.",
        "throttle": "Limits on failed logins.",
        "limits": "Limits on what one token request may ask for.",
        "robots": "Limits on the secrets of robots.",
        "token_reuse": "For how long a signed token is reused for requests that would get an identical one.",
        "log": "The form of the log.",
        "audit": "What is kept and proven for auditors.",
        "tracing": "OpenTelemetry traces, and where they are sent; none without this section. Needs the extra `otel`.",
        "policies": "The folder of the policy files.",
        "shadow_policies": "A folder of policies evaluated too, without effect: each difference is in the audit event.",
        "shadow_peer": "The URL of an old token server that is asked the same, off the path of requests: each"
        " difference is written to the audit log.",
        "keys": "The folder of the signing keys, or a section that also says how they rotate.",
        "storage": "Where credentials are stored: the path of an SQLite file, or the URL of a PostgreSQL database that"
        " replicas share. It brings pages such as `/account`; without it, nothing is stored.",
        "storage_grace": "For how long credentials that are known here stay valid while the storage does not answer;"
        " `0s`: not at all.",
        "access_keys": "Personal access keys, which people use in place of their passwords; none without this section."
        " Needs `storage`.",
        "refresh_tokens": "Refresh tokens, which clients such as docker keep in place of a password; none without this"
        " section. Needs `storage`.",
    },
    ServerSettings: {
        "listen": "The address and the port of the server. Without `tls`, listen on a loopback address behind a proxy.",
        "management": "The address and the port of a separate listener for pages and the API for management, which are"
        " at `listen` by default. Needs `storage`.",
        "management_url": "The URL by which browsers and programs reach the listener `management`. It may be that of"
        " `url`, if a proxy sends requests there by their paths.",
        "metrics": "The address and the port of the Prometheus metrics; there are none by default.",
        "notifications": "The address and the port of a separate listener for the notifications of registries, which"
        " are received at `listen` by default.",
        "url": "The URL by which clients reach the server. With `/token` appended, it is the realm of the registries.",
        "tls": "The server's own certificate; without it, the server speaks plain HTTP.",
        "trusted_proxies": "Networks of the proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` headers are"
        " trusted.",
        "require_https": "Whether token requests that arrived over plain HTTP from other machines are rejected (403).",
        "cors": "The origins of web pages that may ask for tokens from a browser, such as `https://ui.example.com`: the"
        " user interfaces of registries.",
        "workers": "The number of worker processes; by default one for each CPU core.",
    },
    StorageSettings: {
        "url": "The path of an SQLite file, or the URL of a PostgreSQL database, such as"
        " `postgresql://tokenserver@db.example.com/tokenserver`, without a password.",
        "password_file": "A file that contains the password of the database.",
    },
    ShadowPeerSettings: {
        "url": "The realm of the old token server, such as `https://old-auth.example.com/auth`: https, or http on this"
        " machine. Names, passwords and scopes of logins are sent there.",
        "ca_file": "The certificate authorities that its certificate is verified against, as a PEM file; by default"
        " those of the system.",
        "deadline": "How long one question may take; at most 30 s. No request waits for it.",
        "rate": "The number of questions that all workers together ask in a second, at most 100.",
        "failed_logins": "Whether logins that fail here are asked too, once in 15 minutes for each user name. The old"
        " server counts a wrong password once more then.",
    },
    Tls: {
        "certificate": "The certificate with its chain, as a PEM file.",
        "key": "The private key of the certificate, as a PEM file that only the server can read.",
    },
    UserSource: {
        "htpasswd": "A source of users: an htpasswd file.",
        "ldap": "A source of users: an LDAP directory.",
        "sql": "A source of users: a table of an SQL database, which is only read.",
        "http": "A source of users: your own check of passwords, asked by HTTP.",
        "program": "A source of users: your own check of passwords, a program that the server starts.",
        "oidc": "A source of users who log in with a browser: an OpenID provider. Needs `storage`.",
        "workload": "A source of workloads: an issuer whose JWTs machines log in with. Policies declare which workloads"
        " there are, and what they may do.",
    },
    OidcSettings: {
        "name": "The name of the source in audit events, and in the redirect URI.",
        "preset": "The kind of provider, which sets the defaults of the other keys.",
        "issuer": "The `iss` of its ID tokens, below which its discovery document is; `preset: google` has one by"
        " default.",
        "client_id": "The id of this server as a client of the provider.",
        "client_secret_file": "A file with the client's secret; without it, this server is a public client, with PKCE.",
        "subject": "The claim with the name by which policies know the person, in lower case; by default as the preset"
        " says. With `email`, the provider must have verified the address.",
        "hosted_domain": "With `preset: google`: the domain of the organization whose people may log in.",
        "groups": "How a person's groups are found; by default as the preset says.",
        "accounts": "The name of the htpasswd, ldap or sql source whose people log in here: it knows their groups, and"
        " whether they may still log in.",
        "login_valid": "How long after a login the person's credentials work without another one.",
        "recheck": "How often the provider is asked whether the person still exists, and in which groups; it must give"
        " refresh tokens (`offline_access`).",
        "ca_file": "The certificate authorities that the provider's certificate is verified against, as a PEM file; by"
        " default those of the system.",
        "leeway": "By how much the clocks of the provider and of this server may differ; at most 60 s.",
        "cache": "For how long what is known of a person is used without looking it up again.",
    },
    OidcGroups: {
        "claim": "The claim of the ID token that lists the names of a person's groups.",
        "allow": "Wildcard patterns of the group names to keep, such as `reg-*`; by default all are kept.",
        "strip": "Text that is removed from the beginning of each name first, such as `/`.",
    },
    HtpasswdSettings: {
        "file": "The htpasswd file. `tokenserver users` edits it; changes are live within two seconds.",
        "name": "The name of the source in audit events.",
        "cache": "For how long a verified password is accepted without hashing it again.",
        "names": "How users get their namespaces, which `${user}` in policies stands for; by default they are the"
        " names.",
    },
    Ldap: {
        "name": "The name of the source in audit events.",
        "preset": "The kind of directory, which sets the defaults of the other keys.",
        "url": "The URL of the directory, or a list of URLs of replicas, which are tried in this order.",
        "ca_file": "The certificate authorities that the directory's certificate is verified against, as a PEM file; by"
        " default those of the system.",
        "start_tls": "Whether a plain `ldap://` connection is upgraded to TLS before anything is sent.",
        "client_certificate": "A file with the PEM certificate that is presented to the directory, followed by the"
        " certificates of its intermediate CAs, if any.",
        "client_key": "A file with the unencrypted PEM key of `client_certificate`.",
        "certificate_name": "The name that the certificates of all servers must have; by default each server's host in"
        " `url`.",
        "sasl_external": "Whether the service account is the subject of `client_certificate` (SASL EXTERNAL), without"
        " `bind_dn` and a password.",
        "insecure_plaintext": "Allows `ldap://` without TLS, by which passwords travel in clear text.",
        "base": "The DN below which users are searched for, or a list of DNs, all of which are searched; the empty text"
        " is the whole directory, as in a global catalog.",
        "bind_dn": "The service account that searches for users: a DN, or `name@domain` in Active Directory.",
        "bind_password": "The password of the service account; better, use `bind_password_file`.",
        "bind_password_file": "A file with the password of the service account.",
        "anonymous_search": "Whether users and groups are searched for without any account, because the directory lets"
        " anyone search; users still log in with their passwords.",
        "strip_domain": "Domains that are removed from login names, as in `CORP\\ann`, `ann@CORP` and"
        " `ann@corp.example.com`; one, or a list.",
        "user_filter": "The filter that finds a user; `{user}` is the escaped name from the login.",
        "user_dn_template": "The DN of a user, for binds without a service account, or in Active Directory a name such"
        " as `{user}@corp.example.com`; `{user}` is the escaped name from the login.",
        "subject": "The attribute that holds the name by which policies and tokens know the user.",
        "display_name": "The attribute that holds a user's full name.",
        "email": "The attribute that holds a user's e-mail address.",
        "password_changed": "The attribute that changes with a user's password, which ends the user's refresh tokens;"
        " by default as the preset says.",
        "lowercase": "Whether names of users are folded to lower case, because the directory ignores case.",
        "names": "How users get their namespaces, which `${user}` in policies stands for; by default they are the"
        " names.",
        "groups": "How a user's groups are found; by default as the preset says.",
        "deadline": "How long one login may take, over all replicas of the directory.",
        "cache": "For how long a verified password is accepted without asking the directory again.",
        "stale_grace": "For how long cached logins are accepted while the directory is unreachable.",
    },
    **AUDIT_DESCRIPTIONS,
    **HOOK_DESCRIPTIONS,
    **TRACING_DESCRIPTIONS,
    **WORKLOAD_DESCRIPTIONS,
    Sql: {
        "name": "The name of the source in audit events.",
        "preset": "The program whose tables these are, which sets the default of `query`.",
        "url": "The path of an SQLite file, or the URL of a database without a password: `postgresql://USER@HOST/NAME`"
        " or `mariadb://USER@HOST/NAME`.",
        "url_password_file": "A file with the password of the user of `url`.",
        "ca_file": "The certificate authorities that the server's certificate is verified against, as a PEM file; by"
        " default those of the system.",
        "insecure_plaintext": "Allows a server on another machine without TLS, by which hashes travel in clear text.",
        "query": "The SELECT that finds a user; `:user` is the name from the login. Its columns: `password_hash`, and"
        " `subject`, `groups`, `labels`, `enabled` and `disabled` if there are any.",
        "find": "The SELECT that finds a user by the name that `subject` spells, where `query` does not; by default"
        " `query`.",
        "group_labels": "Labels of docker_auth whose values are names of groups; those of other labels become groups"
        " named `LABEL=VALUE`.",
        "deadline": "How long the database may take for one login.",
        "cache": "For how long a verified password is accepted without asking the database again.",
        "stale_grace": "For how long cached logins are accepted while the database is unreachable.",
    },
    HtpasswdNames: {
        "namespace": "`lower`: the name in lower case; `slug`: in lower case, with `-` for other characters. Users who"
        " share a namespace are all rejected.",
    },
    LdapNames: {
        "namespace": "`lower`: the name in lower case; `attribute`: the value of an attribute. Users who share a"
        " namespace are all rejected.",
        "attribute": "The attribute that holds a user's namespace, with `namespace: attribute`.",
    },
    LdapGroups: {
        "by": "How groups are found: by the user's `memberOf`, by the groups' `member`, by `memberUid` (`posix`), or by"
        " `member` through nested groups (`nested`).",
        "base": "The DN below which groups are searched for, or a list of DNs; by default the `base` of users.",
        "name": "The attribute that holds a group's name.",
        "allow": "Wildcard patterns of the group names to keep, such as `reg-*`; by default all are kept.",
        "prefix": "Text put before the names of this directory's groups, so that two directories can be told apart.",
    },
    ThrottleSettings: {
        "enabled": "Whether failed logins are counted and limited.",
        "failures_per_user": "Failed logins of one user within `window` after which the next one has to wait.",
        "failures_per_address": "Failed logins from one client address within `window` after which the next one has to"
        " wait.",
        "failures_total": "Failed logins of all clients within `window` after which the next one has to wait.",
        "window": "The period over which failed logins are counted.",
        "redis": "The URL of a Redis in which all replicas share their counters; needs the `redis` extra.",
        "redis_password_file": "A file with the password of the Redis.",
        "secret_file": "A file with a secret of the installation, by which replicas recognize a wrong login that"
        " another"
        " one has rejected; by default it is derived from the Redis password.",
    },
    RobotSettings: {
        "max_lifetime": "For how long a robot's secret may be valid, from 1h to 365d. `tokenserver robots secret new`"
        " makes none that is valid longer; `check`, `doctor` and `policy lint` report declared ones that are.",
    },
    LimitSettings: {
        "scopes": "How many distinct resources one request may ask for, after scopes for the same one are merged; more"
        " is rejected with 400.",
        "scope_bytes": "How many bytes of scope text one request may have; more is rejected with 400. A form may have"
        " twice as many, and at least 64 KiB.",
    },
    Keys: {
        "folder": "The folder of the signing keys, made by `tokenserver keys init`; by default `keys`, next to the"
        " file.",
        "rotate_every": "The interval at which the server creates a new key; without it, keys are rotated by hand.",
        "publish_ahead": "For how long a new key is published before it signs; by default an hour, or a day if a"
        " registry"
        " pins keys.",
    },
    AccessKeySettings: {
        "default_lifetime": "How long a new key is valid if its maker says nothing.",
        "max_lifetime": "How long a new key can be valid at most.",
        "per_user": "How many live keys one person can have.",
        "rotate_overlap": "For how long the old key stays valid after a rotation.",
    },
    RefreshTokenSettings: {
        "idle": "A refresh token ends when it was not used for this long.",
        "lifetime": "A refresh token ends this long after the login, however often it is used.",
        "per_user": "How many live refresh tokens one person can have; then the one unused for longest ends.",
    },
    RegistrySettings: {
        "service": "The registry's `auth.token.service`, which is the audience of its tokens.",
        "also": "Further service names of the same registry; policies know it as `service` only.",
        "issuer": "The `iss` claim of this registry's tokens, if it differs from the server's `issuer`.",
        "compat": "The tokens that the registry understands: those of one kind of registry, or `universal` for all.",
        "algorithm": "The signature algorithm that the registry needs; by default that of the keys.",
        "grant": "What tokens carry: of what was `asked`, what is granted; or, for clients that keep their first token"
        " of a repository, everything that is granted on the repositories asked for (`held`).",
        "token_lifetime": "How long tokens are valid: one duration, or one for each action.",
        "keys": "A key folder for this registry alone; by default that of the server.",
        "url": "The URL of the registry, for `doctor` and for pasted image names.",
        "refresh_tokens": "Whether logins at this registry may get refresh tokens; by default, if the section"
        " `refresh_tokens` is there.",
        "notifications": "What the registry reports about pushes, pulls, mounts and deletes, for the audit trail; by"
        " default nothing. `registry-config --notifications` prints what to configure there.",
    },
    NotificationSettings: {
        "secret_file": "A file with the secret that the registry sends: a line of at least 32 characters. Of two lines,"
        " either is accepted, so that the secret can be changed.",
        "actions": "What is recorded; the registry need not send the rest.",
        "blobs": "Whether pushes and pulls of blobs, the parts of images, are recorded besides those of manifests.",
    },
    Lifetimes: {
        "default": "The lifetime of tokens for actions without one of their own.",
        "pull": "The lifetime of tokens that grant pull.",
        "push": "The lifetime of tokens that grant push.",
        "delete": "The lifetime of tokens that grant delete.",
    },
}
