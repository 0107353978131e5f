"""The description of an LDAP directory: its servers, attributes and groups, and the presets for each kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from tokenserver.credentials import Secret
from tokenserver.documents.tls_files import ClientCertificate
from tokenserver.identity import NamespaceRule

MAX_GROUPS = 1000
"""Groups of one user. Active Directory itself rejects logins of users in more than 1,015."""

MAX_GROUP_NAME = 255
"""Characters in the name of a group, including its prefix, as in policies."""

IN_CHAIN = "1.2.840.113556.1.4.1941"
"""The matching rule that finds nested groups ([MS-ADTS] 3.1.1.3.4.4.3)."""

MAX_NESTING = 10
"""Levels of nested groups that are searched when the directory does not resolve them itself."""


class GroupsBy(StrEnum):
    """How the groups of a user are found."""

    MEMBEROF = "memberof"
    """By the attribute memberOf of the user's entry, in the same search that finds the user."""
    MEMBER = "member"
    """By a search for entries whose member or uniqueMember is the user."""
    POSIX = "posix"
    """By a search for posixGroup entries, by memberUid and by the user's own gidNumber."""
    NESTED = "nested"
    """Like `MEMBER`, and recursively the groups of those groups."""


class Primary(StrEnum):
    """The attribute by which a user's entry refers to its primary group, which does not list its members."""

    SID = "primaryGroupID"
    """The last part of the group's SID; the rest is the same as in the user's ([MS-ADTS] 3.1.1.4.5.19)."""
    NUMBER = "gidNumber"
    """The number of a posixGroup (RFC 2307, section 2.2)."""


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """How a user's groups are found, filtered and named.

    Only groups below one of `bases` count, none of which is below another. A group's short names are the values of its
    attribute `name`. `allow` are globs for the short names to keep; None keeps all. `prefix` is prepended to each name.
    With `by_rule`, the directory resolves nested groups by the matching rule `IN_CHAIN`, which only Active Directory
    and Samba have. `primary` is how users refer to their primary group; None: they have none.
    """

    by: GroupsBy
    bases: tuple[str, ...]
    name: str = "cn"
    allow: tuple[str, ...] | None = None
    by_rule: bool = False
    prefix: str = ""
    primary: Primary | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """One server: `ldap://host:port` or `ldaps://host:port`.

    `certificate_name` is the name that its certificate must have; empty: the host.
    """

    url: str
    host: str
    port: int
    is_ldaps: bool
    certificate_name: str = ""

    @property
    def expected_name(self) -> str:
        """The name that the server's certificate must have (RFC 6125), which the handshake also asks for (SNI)."""
        return self.certificate_name or self.host


@dataclass(frozen=True, slots=True)
class Directory:
    """One directory as configured, with the defaults of its preset filled in.

    Users are found by `user_filter` below `bases`, none of which is below another; the empty one is the whole
    directory. The search is made as `bind` (the service account's DN and password), as the subject of `certificate`
    with `sasl_external`, or by anyone with `anonymous_search`. With none of them, users bind with their own password
    first: as the DN of `user_dn_template`, whose entry is read then, or as `bind_as` (`{user}@domain`), after which
    `user_filter` finds the entry. `{user}` in all of them is the typed name without any of `domains`. `subject`,
    `display_name` and `email` are names of attributes. `lowercase`: the directory ignores case in names, so they are
    converted to lower case. `deadline` is in seconds, for a whole login. `certificate` is presented on each connection.
    `namespace_rule` says how namespaces are derived: from the subject, or by the rule `attribute` from the attribute
    `namespace_attribute`. `password_changed` is the attribute that changes with the password; None: there is none.
    """

    name: str
    servers: tuple[Address, ...]
    bases: tuple[str, ...]
    subject: str
    display_name: str
    email: str
    lowercase: bool
    deadline: float
    start_tls: bool = False
    plaintext: bool = False
    bind: tuple[str, Secret] | None = None
    user_filter: str = ""
    user_dn_template: str | None = None
    groups: GroupSettings | None = None
    domains: tuple[str, ...] = ()
    anonymous_search: bool = False
    bind_as: str | None = None
    certificate: ClientCertificate | None = None
    sasl_external: bool = False
    namespace_rule: NamespaceRule | None = None
    namespace_attribute: str | None = None
    password_changed: str | None = None

    @property
    def account(self) -> str:
        """The service account, for messages."""
        if self.sasl_external and self.certificate is not None:
            return f"certificate {self.certificate.subject}"
        return self.bind[0] if self.bind is not None else "nobody"

    @property
    def is_searchable(self) -> bool:
        """Whether users can be searched for without their own password."""
        return self.bind is not None or self.anonymous_search or self.sasl_external

    @property
    def searcher(self) -> str:
        """Who searches, as advice calls it."""
        if self.anonymous_search:
            return "anonymous clients"
        if self.sasl_external:
            return "the account of client_certificate"
        return "users" if self.bind is None else "bind_dn"


PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "openldap": {
            "user_filter": "(&(objectClass=inetOrgPerson)(uid={user}))",
            "subject": "uid",
            "display_name": "cn",
            "email": "mail",
            "lowercase": True,
            "groups_by": GroupsBy.MEMBER,
            "password_changed": "pwdChangedTime",  # draft-behera-ldap-password-policy-11, section 5.3.2
            "by_rule": False,
        },
        "active_directory": {
            "user_filter": "(&(objectCategory=person)(objectClass=user)(sAMAccountName={user}))",
            "subject": "sAMAccountName",
            "display_name": "displayName",
            "email": "mail",
            "lowercase": True,
            "groups_by": GroupsBy.NESTED,
            "by_rule": True,
            "primary": Primary.SID,
            "password_changed": "pwdLastSet",
        },
        "freeipa": {
            "user_filter": "(&(objectClass=posixAccount)(uid={user}))",
            "subject": "uid",
            "display_name": "displayName",
            "email": "mail",
            "lowercase": True,
            "groups_by": GroupsBy.MEMBEROF,  # which includes nested groups
            "by_rule": False,
            "primary": Primary.NUMBER,
            "password_changed": "krbLastPwdChange",
        },
    }
)
"""The usual filters and attributes of each kind of directory. All of them ignore case in names."""
