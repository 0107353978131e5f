"""The model of a docker_auth installation: its configuration as that server reads it, requests, and its answers.

Values are what docker_auth has after decoding its YAML: a key that it ignores appears only among the unknown keys, and
an empty pattern is not the same as no pattern. Lines count from 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

ANYTHING = "*"
"""The only action of an entry that grants whatever is requested."""

Labels = Mapping[str, tuple[str, ...]]
"""The values of each label of an account, in the order of their source."""

NO_LABELS: Labels = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class UnknownKey:
    """A key that docker_auth ignores silently: where it is in the document, and its line."""

    path: str
    line: int


@dataclass(frozen=True, slots=True)
class AclMatch:
    """The conditions of an ACL entry, all of which must hold. None: no condition; the empty text: only the empty text.

    `labels` are pairs of a label and its pattern, sorted by label.
    """

    account: str | None = None
    type: str | None = None
    name: str | None = None
    ip: str | None = None
    service: str | None = None
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AclEntry:
    """One entry of `acl`. Without `match`, docker_auth crashes at start; without `actions`, at each request it matches.

    `ignored_keys` are the keys of the entry and its `match` that docker_auth ignores, relative to the entry
    (`match.team`), with their lines.
    """

    line: int
    match: AclMatch | None
    actions: tuple[str, ...] | None
    comment: str | None = None
    ignored_keys: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class StaticUser:
    """An entry of `users`. Without a password hash, any password is accepted, and so is none."""

    name: str
    line: int
    password_hash: str | None = field(repr=False)
    labels: Labels = field(default_factory=lambda: NO_LABELS)


@dataclass(frozen=True, slots=True)
class PeerTokenSettings:
    """The section `token`. `expiration` is in seconds."""

    line: int = 0
    issuer: str = ""
    expiration: int = 0
    certificate: str = ""
    key: str = ""
    disable_legacy_key_id: bool = False


@dataclass(frozen=True, slots=True)
class PeerServerSettings:
    """The section `server`. An entry of the address header is chosen by `real_ip_pos`, negative from its end."""

    line: int = 0
    addr: str = ""
    net: str = ""
    path_prefix: str = ""
    real_ip_header: str = ""
    real_ip_pos: int = 0
    certificate: str = ""
    key: str = ""
    hsts: bool = False
    letsencrypt: Mapping[str, object] | None = None
    tls: Mapping[str, object] = field(default_factory=dict)
    """The keys `tls_min_version`, `tls_curve_preferences` and `tls_cipher_suites`, as far as they are set."""


@dataclass(frozen=True, slots=True)
class PeerBackend:
    """A section for a source of users or rules that is not modelled here, such as `ldap_auth`.

    `values` is the section's content: texts, integers, booleans, None, lists and mappings. `lines` has the line of each
    key, by its path in the section (`labels.groups.attribute`).
    """

    key: str
    line: int
    values: Mapping[str, object] = field(repr=False)
    lines: Mapping[str, int] = field(default_factory=dict)


AUTHENTICATORS = (
    "users",
    "ext_auth",
    "google_auth",
    "github_auth",
    "oidc_auth",
    "gitlab_auth",
    "ldap_auth",
    "mongo_auth",
    "xorm_auth",
    "plugin_authn",
)
"""The sources of users, in the order in which docker_auth asks them, wherever they are in the file."""

AUTHORIZERS = ("acl", "acl_mongo", "acl_xorm", "ext_authz", "plugin_authz", "casbin_authz")
"""The sources of rules, in the order in which docker_auth asks them."""


@dataclass(frozen=True, slots=True)
class DockerAuthConfig:
    """A configuration file. `users` and `acl` are None where docker_auth has none, which differs from an empty one.

    `backends` has the sections that are not modelled, by key, in the order in which they are asked.
    """

    file: str
    server: PeerServerSettings
    token: PeerTokenSettings
    users: Mapping[str, StaticUser] | None
    acl: tuple[AclEntry, ...] | None
    backends: Mapping[str, PeerBackend] = field(default_factory=dict)
    unknown_keys: tuple[UnknownKey, ...] = ()
    acl_line: int = 0
    users_line: int = 0


@dataclass(frozen=True, slots=True)
class PeerRequest:
    """One requested scope of an account whose labels are known, as it reaches the rules.

    `ip` is the client's address as text; None if it is unknown. Without a password the account counts as
    authenticated.
    """

    account: str
    name: str
    actions: tuple[str, ...]
    type: str = "repository"
    service: str = ""
    ip: str | None = None
    labels: Labels = field(default_factory=lambda: NO_LABELS)
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PeerAnswer:
    """What docker_auth answers for one scope.

    `status` is that of the whole response: 200, 400, 401, 500, or 0 if the connection is dropped without a response.
    `granted` is in the token's order. `entry` is the entry that decides; None if there is none.
    """

    status: int
    granted: tuple[str, ...] = ()
    entry: AclEntry | None = None
