"""Settings of an LDAP directory: five lines are enough with a preset."""

from __future__ import annotations

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import model_validator

from tokenserver.authn.ldap.directory import PRESETS, Address, Directory, GroupsBy, GroupSettings
from tokenserver.authn.ldap.dn import same_attribute
from tokenserver.config.fields import FilePath, Section, SourceName
from tokenserver.config.protection import Cache, Grace
from tokenserver.config.sources.ldap_fields import (
    Account,
    AttributeName,
    Bases,
    CertificateName,
    Domains,
    GroupGlobs,
    GroupPrefix,
    LdapUrls,
    LoginDeadline,
    Password,
    UserDnTemplate,
    UserFilter,
    is_principal_template,
)
from tokenserver.config.sources.names import LdapNames, rule_of
from tokenserver.credentials import Secret
from tokenserver.documents.document import PlacedError

_NAMED_BY_CN = frozenset({"active_directory", "freeipa"})
"""Presets for directories in which the DN of every group begins with its cn."""


class LdapGroups(Section):
    """How and where the groups of a user are found, and which of them are used."""

    by: Literal["memberof", "member", "posix", "nested"] | None = None
    base: Bases | None = None
    name: AttributeName = "cn"
    allow: GroupGlobs | None = None
    prefix: GroupPrefix | None = None

    @model_validator(mode="after")
    def _allow_list_has_no_prefix(self) -> Self:
        for number, glob in enumerate(self.allow or ()):
            if self.prefix is not None and glob.casefold().startswith(self.prefix.casefold()):
                message = f"is compared with the names in the directory, which have no prefix; remove {self.prefix}"
                raise PlacedError(("allow", number), message)
        return self


class Ldap(Section):
    """A user source: one LDAP directory. `preset` provides defaults for the other keys."""

    name: SourceName = "ldap"
    preset: Literal["openldap", "active_directory", "freeipa"] | None = None
    url: LdapUrls
    ca_file: FilePath | None = None
    start_tls: bool = False
    insecure_plaintext: bool = False
    client_certificate: FilePath | None = None
    client_key: FilePath | None = None
    certificate_name: CertificateName | None = None
    base: Bases
    bind_dn: Account | None = None
    bind_password: Password | None = None
    bind_password_file: FilePath | None = None
    sasl_external: bool = False
    anonymous_search: bool = False
    strip_domain: Domains = ()
    user_filter: UserFilter | None = None
    user_dn_template: UserDnTemplate | None = None
    subject: AttributeName | None = None
    display_name: AttributeName | None = None
    email: AttributeName | None = None
    password_changed: AttributeName | None = None
    lowercase: bool | None = None
    names: LdapNames | None = None
    groups: LdapGroups | None = None
    deadline: LoginDeadline = 5
    cache: Cache = 60
    stale_grace: Grace = 0

    @model_validator(mode="after")
    def _is_encrypted(self) -> Self:
        schemes = {url.partition("://")[0] for url in self.url}
        if len(schemes) > 1:
            raise PlacedError(("url",), "mixes ldap:// and ldaps://; all servers must use the same scheme")
        if schemes == {"ldaps"}:
            for key in ("start_tls", "insecure_plaintext"):
                if getattr(self, key):
                    raise PlacedError((key,), "cannot be combined with ldaps://, which is always encrypted")
        elif self.start_tls and self.insecure_plaintext:
            raise PlacedError(("insecure_plaintext",), "contradicts start_tls; keep one of the two")
        elif self.insecure_plaintext and self.ca_file is not None:
            raise PlacedError(("ca_file",), "verifies nothing without TLS; use ldaps:// or start_tls: true")
        elif not self.start_tls and not self.insecure_plaintext:
            message = "sends passwords in clear text; use ldaps://, or add start_tls: true"
            raise PlacedError(("url",), f"{message} (insecure_plaintext: true, if the directory really has no TLS)")
        return self

    @model_validator(mode="after")
    def _client_certificate_is_whole(self) -> Self:
        for key, other in (("client_certificate", "client_key"), ("client_key", "client_certificate")):
            if getattr(self, key) is None and getattr(self, other) is not None:
                raise PlacedError((key,), f"is missing; {other} alone cannot be presented")
        return self

    @model_validator(mode="after")
    def _keys_of_tls_need_it(self) -> Self:
        for key in ("client_certificate", "certificate_name"):
            if self.insecure_plaintext and getattr(self, key) is not None:
                raise PlacedError((key,), "has no effect without TLS; use ldaps:// or start_tls: true")
        return self

    @model_validator(mode="after")
    def _external_bind_has_a_certificate(self) -> Self:
        if self.sasl_external and self.client_certificate is None:
            raise PlacedError(("client_certificate",), "is missing: with sasl_external, its subject is the account")
        return self

    @model_validator(mode="after")
    def _has_one_way_to_bind(self) -> Self:
        passwords = [self.bind_password, self.bind_password_file]
        account = ("bind_dn", "bind_password", "bind_password_file")
        if self.sasl_external:
            keys = (*account, "anonymous_search", "user_dn_template")
            self._refuse_beside("sasl_external", keys, "the client certificate is the account")
        elif self.user_dn_template is not None:
            keys = (*account, "anonymous_search", *(() if self.bind_as is not None else ("user_filter",)))
            self._refuse_beside("user_dn_template", keys, "users then bind with their own DN and password")
        elif self.anonymous_search:
            self._refuse_beside("anonymous_search", account, "the directory is then searched without a bind; keep one")
        elif self.bind_dn is None:
            message = (
                "is missing: the account that searches for users (or user_dn_template, if users can bind without a "
                "search; or anonymous_search: true, if the directory lets anyone search)"
            )
            raise PlacedError(("bind_dn",), message)
        elif passwords.count(None) != 1:
            message = "contradicts bind_password_file; keep one of the two"
            if passwords.count(None) == 2:
                message = "is missing; better, put it in a file and name that: bind_password_file"
            raise PlacedError(("bind_password",), message)
        return self

    def _refuse_beside(self, key: str, others: tuple[str, ...], why: str) -> None:
        for other in others:
            if getattr(self, other) not in (None, False):
                raise PlacedError((other,), f"cannot be combined with {key}: {why}")

    @model_validator(mode="after")
    def _grace_needs_a_cache(self) -> Self:
        if self.stale_grace and not self.cache:
            raise PlacedError(("stale_grace",), "needs cache: only cached logins can be used longer")
        return self

    @model_validator(mode="after")
    def _namespaces_can_be_compared(self) -> Self:
        if self.names is not None and self.user_dn_template is not None:
            message = (
                "needs an account that searches for another user with the same namespace;"
                " fix: bind_dn and bind_password_file instead of user_dn_template"
            )
            raise PlacedError(("names",), message)
        return self

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.preset is None:
            hint = f"is missing; presets that set it: {', '.join(sorted(PRESETS))}"
            for key in ("subject", *(("user_filter",) if self.user_dn_template is None or self.bind_as else ())):
                if getattr(self, key) is None:
                    raise PlacedError((key,), hint)
            if self.groups is not None and self.groups.by is None:
                raise PlacedError(("groups", "by"), hint)
        return self

    @model_validator(mode="after")
    def _group_names_can_be_found(self) -> Self:
        groups = self.groups or LdapGroups()
        by = groups.by or PRESETS.get(self.preset or "", {}).get("groups_by")
        if by == GroupsBy.MEMBEROF and self.preset in _NAMED_BY_CN and not same_attribute(groups.name, "cn"):
            message = (
                "must be cn if by is memberof: memberOf lists DNs, which contain the cn in this kind of directory; "
                "fix: by: nested"
            )
            raise PlacedError(("groups", "name"), message)
        return self

    @property
    def bind_as(self) -> str | None:
        """The template of the name that users bind as, if it is not one for DNs."""
        template = self.user_dn_template
        return template if template is not None and is_principal_template(template) else None

    def directory(self, bind_password: Secret | None) -> Directory:
        """The directory described by these settings, with the password of the service account."""
        preset = PRESETS.get(self.preset or "", {})
        lowercase = self.lowercase if self.lowercase is not None else bool(preset.get("lowercase", False))
        return Directory(
            name=self.name,
            servers=tuple(_server(url, self.certificate_name or "") for url in self.url),
            bases=self.base,
            subject=self.subject or preset["subject"],
            display_name=self.display_name or preset.get("display_name", "cn"),
            email=self.email or preset.get("email", "mail"),
            lowercase=lowercase,
            deadline=float(self.deadline),
            start_tls=self.start_tls,
            plaintext=self.insecure_plaintext,
            bind=(self.bind_dn, bind_password) if self.bind_dn and bind_password else None,
            user_filter=self.user_filter or preset.get("user_filter", ""),
            user_dn_template=self.user_dn_template if self.bind_as is None else None,
            bind_as=self.bind_as,
            anonymous_search=self.anonymous_search,
            domains=self.strip_domain,
            groups=self._groups(),
            sasl_external=self.sasl_external,
            password_changed=self.password_changed or preset.get("password_changed"),
            namespace_rule=rule_of(self.names),
            namespace_attribute=None if self.names is None else self.names.attribute,
        )

    def _groups(self) -> GroupSettings | None:
        preset = PRESETS.get(self.preset or "", {})
        groups = self.groups or LdapGroups()
        by = GroupsBy(groups.by) if groups.by is not None else preset.get("groups_by")
        if by is None:
            return None
        return GroupSettings(
            by,
            groups.base or self.base,
            groups.name,
            groups.allow,
            bool(preset.get("by_rule", False)),
            groups.prefix or "",
            preset.get("primary"),
        )


def _server(url: str, certificate_name: str) -> Address:
    parts = urlsplit(url)
    is_ldaps = parts.scheme == "ldaps"
    return Address(url, parts.hostname or "", parts.port or (636 if is_ldaps else 389), is_ldaps, certificate_name)
