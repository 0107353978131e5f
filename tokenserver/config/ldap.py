"""Settings of an LDAP directory: five lines are enough with a preset."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from tokenserver.authn.ldap.directory import PRESETS, Address, Directory, GroupsBy, GroupSettings
from tokenserver.authn.ldap.dn import NotADn, fill, parse_dn, same_attribute
from tokenserver.authn.ldap.filters import USER, NotAFilter, check_filter
from tokenserver.config.certificate_name import CertificateName
from tokenserver.config.fields import FilePath, Seconds, Section, SourceName
from tokenserver.config.protection import Cache, Grace
from tokenserver.credentials import Secret
from tokenserver.documents.document import PlacedError

MAX_DEADLINE = 10
"""Seconds; clients give up after 15."""

_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,31}", re.ASCII)
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}", re.ASCII)
_NAMED_BY_CN = frozenset({"active_directory", "freeipa"})
"""Presets for directories in which the DN of every group begins with its cn."""

_EXAMPLE = "ldaps://ldap.example.com"


def _address(value: str) -> str:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"must be a URL such as {_EXAMPLE}") from error
    if parts.scheme not in ("ldap", "ldaps") or not parts.hostname or port == 0 or not value.isascii():
        raise ValueError(f"must be a URL such as {_EXAMPLE}")
    if parts.path not in ("", "/") or set("?#@ ") & set(value):
        raise ValueError(f"must consist of a scheme, a host and a port only, such as {_EXAMPLE}:636")
    return value.rstrip("/")


def _list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _secret(value: Any) -> Any:
    # Messages must not repeat the value.
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError("must be text; quote it")  # noqa: TRY004 - pydantic takes a ValueError
    if not value or "\0" in value:
        raise ValueError("must not be empty, because that would be an anonymous bind")
    return Secret(value)


def _dn(value: str) -> str:
    try:
        is_dn = bool(parse_dn(value))
    except NotADn:
        is_dn = False
    if not is_dn or not value.isprintable():
        raise ValueError("must be a DN such as dc=example,dc=com")
    return value


def _account(value: str) -> str:
    """A DN, or one of Active Directory's alternatives: `name@domain` or `DOMAIN\\name`."""
    if not value.strip() or not value.isprintable():
        raise ValueError("must be a DN such as cn=tokenserver,dc=example,dc=com")
    return value


def _attribute(value: str) -> str:
    if _ATTRIBUTE.fullmatch(value) is None:
        raise ValueError("must be the name of an attribute, such as uid")
    return value


def _filter(value: str) -> str:
    form = "must be one filter with {user} in it, such as (&(objectClass=person)(uid={user}))"
    try:
        check_filter(value)
    except NotAFilter as error:
        raise ValueError(f"{form}; it {error}") from None
    if USER not in value:
        raise ValueError(form)
    return value


def _template(value: str) -> str:
    example = "uid={user},ou=people,dc=example,dc=com"
    try:
        rdns = parse_dn(fill(value, "x", dn=True))
    except NotADn:
        rdns = ()
    if not rdns or value.count("{user}") != 1 or not value.isprintable():
        raise ValueError(f"must be a DN with {{user}} in it once, such as {example}")
    return value


def _deadline(seconds: int) -> int:
    if not 1 <= seconds <= MAX_DEADLINE:
        raise ValueError(f"must be from 1s to {MAX_DEADLINE}s, not {seconds}s: clients give up after 15 s")
    return seconds


def _globs(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or any(not glob for glob in value):
        raise ValueError("must list names such as reg-*; leave it out to keep every group")
    return value


def _prefix(value: str) -> str:
    if _PREFIX.fullmatch(value) is None:
        raise ValueError("must be 1 to 32 letters, digits and . _ : @ / -, such as partner/")
    return value


LdapUrl = Annotated[str, AfterValidator(_address)]
Dn = Annotated[str, AfterValidator(_dn)]
AttributeName = Annotated[str, AfterValidator(_attribute)]
Password = Annotated[Secret, BeforeValidator(_secret), WithJsonSchema({"type": "string", "minLength": 1})]


class LdapGroups(Section):
    """How and where the groups of a user are found, and which of them are used."""

    by: Literal["memberof", "member", "posix", "nested"] | None = None
    base: Dn | None = None
    name: AttributeName = "cn"
    allow: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_globs)] | None = None
    prefix: Annotated[str, AfterValidator(_prefix)] | None = None

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
    url: Annotated[tuple[LdapUrl, ...], BeforeValidator(_list)] = Field(strict=False, min_length=1, max_length=8)
    ca_file: FilePath | None = None
    start_tls: bool = False
    insecure_plaintext: bool = False
    client_certificate: FilePath | None = None
    client_key: FilePath | None = None
    certificate_name: CertificateName | None = None
    base: Dn
    bind_dn: Annotated[str, AfterValidator(_account)] | None = None
    bind_password: Password | None = None
    bind_password_file: FilePath | None = None
    sasl_external: bool = False
    user_filter: Annotated[str, AfterValidator(_filter)] | None = None
    user_dn_template: Annotated[str, AfterValidator(_template)] | None = None
    subject: AttributeName | None = None
    display_name: AttributeName | None = None
    email: AttributeName | None = None
    lowercase: bool | None = None
    groups: LdapGroups | None = None
    deadline: Annotated[Seconds, AfterValidator(_deadline)] = 5
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
        if self.sasl_external:
            for key in ("bind_dn", "bind_password", "bind_password_file", "user_dn_template"):
                if getattr(self, key) is not None:
                    message = "cannot be combined with sasl_external: the client certificate is the account"
                    raise PlacedError((key,), message)
        elif self.user_dn_template is not None:
            for key in ("bind_dn", "bind_password", "bind_password_file", "user_filter"):
                if getattr(self, key) is not None:
                    message = "cannot be combined with user_dn_template: users then bind with their own DN and password"
                    raise PlacedError((key,), message)
        elif self.bind_dn is None:
            message = "is missing: the account that searches for users"
            raise PlacedError(("bind_dn",), f"{message} (or user_dn_template, if users can bind without a search)")
        elif passwords.count(None) != 1:
            message = "contradicts bind_password_file; keep one of the two"
            if passwords.count(None) == 2:
                message = "is missing; better, put it in a file and name that: bind_password_file"
            raise PlacedError(("bind_password",), message)
        return self

    @model_validator(mode="after")
    def _grace_needs_a_cache(self) -> Self:
        if self.stale_grace and not self.cache:
            raise PlacedError(("stale_grace",), "needs cache: only cached logins can be used longer")
        return self

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.preset is None:
            hint = f"is missing; presets that set it: {', '.join(sorted(PRESETS))}"
            for key in ("subject", *(("user_filter",) if self.bind_dn is not None else ())):
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

    def directory(self, bind_password: Secret | None) -> Directory:
        """The directory described by these settings, with the password of the service account."""
        preset = PRESETS.get(self.preset or "", {})
        lowercase = self.lowercase if self.lowercase is not None else bool(preset.get("lowercase", False))
        return Directory(
            name=self.name,
            servers=tuple(_server(url, self.certificate_name or "") for url in self.url),
            base=self.base,
            subject=self.subject or preset["subject"],
            display_name=self.display_name or preset.get("display_name", "cn"),
            email=self.email or preset.get("email", "mail"),
            lowercase=lowercase,
            deadline=float(self.deadline),
            start_tls=self.start_tls,
            plaintext=self.insecure_plaintext,
            bind=(self.bind_dn, bind_password) if self.bind_dn and bind_password else None,
            user_filter=self.user_filter or preset.get("user_filter", ""),
            user_dn_template=self.user_dn_template,
            groups=self._groups(),
            sasl_external=self.sasl_external,
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
