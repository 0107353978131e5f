"""Strict field types of a directory's settings: URLs, DNs, attributes, filters, and names to bind as."""

from __future__ import annotations

import itertools
import re
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from tokenserver.authn.ldap.dn import NotADn, fill, outermost, parse_dn
from tokenserver.authn.ldap.filters import USER, NotAFilter, check_filter
from tokenserver.config.fields import Seconds
from tokenserver.credentials import Secret

MAX_DEADLINE = 10
"""Seconds; clients give up after 15."""

MAX_BASES = 16
"""Bases of one directory; a login searches all of them."""

MAX_DOMAINS = 32

_MAX_DOMAIN = 255

_EXAMPLE_DN = "ou=people,dc=example,dc=com"
_NEVER_ALONE = frozenset({"ou", "cn", "uid", "l"})
"""Types of attributes that no directory's topmost entry is named by."""

_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:=@/-]{0,31}", re.ASCII)
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}", re.ASCII)
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_MAX_HOST = 253
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


def _certificate_name(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        if len(value) > _MAX_HOST or _HOST_NAME.fullmatch(value) is None:
            raise ValueError("must be a host name of the certificate, such as ldap.example.com") from None
        return value.lower()


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


def _base(value: str) -> str:
    """A DN, or the empty one: the whole directory."""
    return value if value == "" else _dn(value)


def _bases(value: tuple[str, ...]) -> tuple[str, ...]:
    """The bases without those that are below another, which a search of that one covers."""
    rdns = [parse_dn(base) for base in value]
    for number, (one, following) in enumerate(itertools.pairwise(rdns)):
        if len(one) == len(following) == 1 and one[0][0][0] in _NEVER_ALONE:
            parts = f"{value[number]} and {value[number + 1]}"
            raise ValueError(
                f'{parts} are parts of one DN, which YAML separates at its comma; quote it: ["{_EXAMPLE_DN}"]'
            )
    return outermost(value)


def _domain(value: str) -> str:
    if not value or len(value) > _MAX_DOMAIN or set(value) & set("\\@/ ") or not value.isprintable():
        raise ValueError("must be a domain alone, such as CORP or corp.example.com")
    return value


def _account(value: str) -> str:
    """A DN, or one of Active Directory's alternatives: `name@domain` or `DOMAIN\\name`."""
    if not value.strip():
        raise ValueError("must not be empty; anonymous_search: true searches without an account")
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


def is_principal_template(template: str) -> bool:
    """Whether a template is for names such as `{user}@corp.example.com` or `CORP\\{user}`, and not for DNs."""
    before, user, after = template.partition(USER)
    is_principal = bool(user) and ((not before and after[:1] == "@") or (not after and before[-1:] == "\\"))
    try:
        return is_principal and bool(_domain(after[1:] or before[:-1]))
    except ValueError:
        return False


def _template(value: str) -> str:
    examples = "uid={user},ou=people,dc=example,dc=com (in Active Directory also {user}@corp.example.com)"
    try:
        rdns = parse_dn(fill(value, "x", dn=True))
    except NotADn:
        rdns = ()
    is_dn = bool(rdns) and value.count(USER) == 1 and value.isprintable()
    if not is_dn and not is_principal_template(value):
        raise ValueError(f"must be a DN with {{user}} in it once, such as {examples}")
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
        raise ValueError("must be 1 to 32 letters, digits and . _ : = @ / -, such as partner/")
    return value


LdapUrls = Annotated[
    tuple[Annotated[str, AfterValidator(_address)], ...],
    Field(strict=False, min_length=1, max_length=8),
    BeforeValidator(_list),
]
Bases = Annotated[
    tuple[Annotated[str, AfterValidator(_base)], ...],
    Field(strict=False, min_length=1, max_length=MAX_BASES),
    BeforeValidator(_list),
    AfterValidator(_bases),
]
Domains = Annotated[
    tuple[Annotated[str, AfterValidator(_domain)], ...],
    Field(strict=False, min_length=1, max_length=MAX_DOMAINS),
    BeforeValidator(_list),
]
CertificateName = Annotated[str, AfterValidator(_certificate_name)]
Account = Annotated[str, AfterValidator(_account)]
AttributeName = Annotated[str, AfterValidator(_attribute)]
Password = Annotated[Secret, BeforeValidator(_secret), WithJsonSchema({"type": "string", "minLength": 1})]
UserFilter = Annotated[str, AfterValidator(_filter)]
UserDnTemplate = Annotated[str, AfterValidator(_template)]
LoginDeadline = Annotated[Seconds, AfterValidator(_deadline)]
GroupGlobs = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_globs)]
GroupPrefix = Annotated[str, AfterValidator(_prefix)]
